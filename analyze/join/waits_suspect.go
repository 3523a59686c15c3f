package join

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
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
	depth := 0
	for _, i := range s.App {
		if !wrapper(s.Frames[i].Func) {
			depth++
		}
	}
	if depth > 1 {
		add(2*min(depth-1, 4), "it waits inside a call, not in a loop of its own")
	}
	switch s.Kind {
	case WaitRecv, WaitCond:
		add(1, "")
	case WaitGroup:
		add(2, "")
	}
	if s.Top() == s.outermost() {
		add(-1, "")
		if s.Kind == WaitSelect {
			add(-3, "")
		}
	}
	if s.inMain() {
		add(-8, "")
	}
	if s.Count > 1 {
		add(-4, "")
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
	return !k.d.creator[g.CreatedBy]
}
