package waits

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Suspect is a goroutine in a wait that looks the same when idle and when stuck,
// with reasons to think that it is stuck.
type Suspect struct {
	Stack *Stack
	Score int
	// Why are the reasons, Parent is set when one of them is another goroutine that
	// waits for this one to end.
	Why    []string
	Parent *Stack
	// Firm is set when the dump itself proves that nobody will wake it.
	Firm string
	// Sender is a blocked sender that this goroutine should serve, nil if none.
	Sender *Send
}

// suspects ranks the passive waits, the likeliest first.
func (k *kinship) suspects() []*Suspect {
	var out []*Suspect
	for _, s := range k.d.Stacks {
		if !s.Kind.Passive() || s.Idle != "" || s.Dumper || len(s.App) == 0 || k.locked[s] {
			continue
		}
		out = append(out, k.weigh(s))
	}
	slices.SortStableFunc(out, func(a, b *Suspect) int {
		return cmp.Or(cmp.Compare(len(b.Firm), len(a.Firm)), cmp.Compare(b.Score, a.Score))
	})
	return out
}

// The weights order the suspects of one dump; they mean nothing beyond.
func (k *kinship) weigh(s *Stack) *Suspect {
	u := &Suspect{Stack: s}
	add := func(n int, why string) {
		u.Score += n
		if n > 0 && why != "" {
			u.Why = append(u.Why, why)
		}
	}
	if n := s.depth(); n > 1 {
		add(2*min(n-1, 4), "it waits inside a call, not in a loop of its own")
	}
	switch s.Kind {
	case OnRecv, OnCond:
		add(1, "")
	case OnGroup:
		add(2, "")
	}
	if s.Top() == s.outermost() {
		add(-1, "")
		if s.Kind == OnSelect {
			add(-3, "")
		}
	}
	if s.inMain() {
		add(-8, "")
	}
	if request := s.request(); request != "" && s.Kind != OnSelect {
		add(6, "a request waits in it, which should end soon: "+request)
	} else if s.Count > 1 && !k.spawnerGone(s) {
		add(s.alike(), "")
	}
	if fn := stopping(s); fn != "" {
		add(3, fn+" is there to end something")
	}
	if fn := k.otherSide(s); fn != "" {
		add(4, fn+" waits for the same Cond: nobody is left to signal it")
	}
	if s.sync.once >= 0 || slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return f.Func == "sync.(*Once).doSlow" }) {
		add(2, "it holds a sync.Once meanwhile")
	}
	if k.spawnerGone(s) {
		add(5, "the goroutine that started it has ended")
	}
	if !s.inMain() && k.startedBlocked(s) {
		add(-5, "")
	}
	if o := k.waitingParent(s); o != nil {
		u.Parent = o
		add(2, "the goroutine that started it waits, too, and may wait for its end")
	}
	for _, send := range k.d.Sends {
		if send.Consumer == s {
			u.Sender = send
			u.Firm = "a sender that it should serve is blocked"
			add(3, "")
		}
	}
	if s.Members[0].Leaked {
		u.Firm = "the garbage collector found that nothing can reach what it waits for"
	}
	if strings.Contains(k.d.Meta.Cause, "all goroutines are asleep") {
		u.Firm = cmp.Or(u.Firm, "the runtime found all goroutines asleep")
	}
	return u
}

// depth counts the calls of the application that a wait is inside of. The closure
// that a go statement starts is none.
func (s *Stack) depth() int {
	n := 0
	for _, i := range s.App {
		if fn := s.Frames[i].Func; !wrapper(fn) && !(i == s.outermost() && closure(fn)) {
			n++
		}
	}
	return n
}

// alike is what speaks against several goroutines with one stack: workers wait in
// a loop of their own; callers that are stuck in one call do so less.
func (s *Stack) alike() int {
	if s.Top() == s.outermost() || s.depth() < 2 {
		return -4
	}
	return -2
}

// request is the handler of a request that the goroutine serves, "" if it serves
// none.
func (s *Stack) request() string {
	for i, f := range s.Frames {
		switch f.Func {
		case "net/http.serverHandler.ServeHTTP", "google.golang.org/grpc.(*Server).processUnaryRPC":
			for _, j := range slices.Backward(s.App) {
				if j < i {
					return s.Func(j)
				}
			}
		}
	}
	return ""
}

// otherSide is another function in which a goroutine waits for the Cond that s waits
// for, "" if there is none: producers and consumers of one queue that all wait.
func (k *kinship) otherSide(s *Stack) string {
	if s.Kind != OnCond {
		return ""
	}
	top := s.Top()
	list := k.byOwner[s.Owners[top]]
	for _, o := range list[:min(len(list), maxRelatives)] {
		if at := o.Top(); o.Kind == OnCond && o.Owners[at] == s.Owners[top] && o.Frames[at].Func != s.Frames[top].Func && sameCond(o, s) {
			return o.Func(at)
		}
	}
	return ""
}

// sameCond reports whether two stacks wait for one Cond, as far as addresses tell.
func sameCond(a, b *Stack) bool {
	x, known := arg(a.Members[0], a.sync.notify)
	y, both := arg(b.Members[0], b.sync.notify)
	return !known || !both || x == y
}

// inMain reports whether main.main itself waits.
func (s *Stack) inMain() bool {
	return len(s.App) > 0 && s.Frames[s.Top()].Func == "main.main"
}

// spawnerGone reports whether the goroutine that started these has ended, as far as
// the dump tells: by its id, before Go 1.21 by its function.
func (k *kinship) spawnerGone(s *Stack) bool {
	g := s.Members[0]
	if g.CreatedBy == "" || !k.d.Complete() {
		return false
	}
	if id := g.CreatedByID; id.Known {
		return !k.d.has(id.V)
	}
	if !join.Application(fact.Frame{Func: g.CreatedBy, File: g.CreatedByFile}) {
		return false // a library that starts goroutines for whoever calls it
	}
	return !k.d.creator[g.CreatedBy]
}
