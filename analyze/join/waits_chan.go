package join

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Send is goroutines blocked in a send at one line.
type Send struct {
	// Stacks are the distinct stacks, largest first; they agree in the frame that
	// sends.
	Stacks []*Stack
	Count  int64
	// Live is a relative that works: perhaps the consumer, slow. Nil if none.
	Live *Stack
	// Consumer is a relative that waits to receive from something else: if it is the
	// one that should receive here, its wait is the fault. Nil if none.
	Consumer *Stack
	Leaked   bool
}

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

// Group is a goroutine in WaitGroup.Wait.
type Group struct {
	Stack *Stack
	// Workers are the relatives that could call Done.
	Workers []*Stack
	// Live is one of them that works, nil if none does.
	Live *Stack
	// Locked is true when one of them waits for a lock: that lock is the story.
	Locked bool
	// Sending is a worker that is blocked in a send, nil if none is.
	Sending *Stack
	// Stopping names a function on the stack whose business is to end: a wait there
	// is no idling. "" if there is none.
	Stopping string
}

// buildChannels finds senders, groups and suspects. Locks must be known.
func (d *WaitDump) buildChannels() {
	k := &kinship{
		d: d, byOwner: map[string][]*Stack{}, byCreator: map[string][]*Stack{}, children: map[int64][]*Stack{}, byID: map[int64]*Stack{},
		byFunc: map[string][]*Stack{}, parents: map[int64]bool{}, creators: map[string]bool{}, locked: map[*Stack]bool{},
	}
	k.index()
	d.Sends = k.sends()
	d.Groups = k.groups()
	d.Suspects = k.suspects()
}

// kinship finds which stacks have to do with each other.
type kinship struct {
	d         *WaitDump
	byOwner   map[string][]*Stack // stacks with a frame of a type or function
	byCreator map[string][]*Stack // stacks by the type or function that created them
	children  map[int64][]*Stack
	byID      map[int64]*Stack    // stacks of goroutines that are not at rest
	byFunc    map[string][]*Stack // the same by the functions on them, a few each
	// parents and creators are goroutines, or where there are no ids functions, that
	// started one which is blocked.
	parents  map[int64]bool
	creators map[string]bool
	locked   map[*Stack]bool // waits for a lock, or holds one that is waited for
}

func (k *kinship) index() {
	for _, s := range k.d.Stacks {
		if s.Dumper || s.Idle != "" {
			continue
		}
		seen := map[string]bool{}
		for _, i := range s.App {
			if o := s.Owners[i]; !seen[o] {
				seen[o] = true
				k.byOwner[o] = append(k.byOwner[o], s)
			}
		}
		if c := s.Members[0].CreatedBy; c != "" {
			k.byCreator[ownerOf(c)] = append(k.byCreator[ownerOf(c)], s)
		}
		for _, g := range s.Members {
			if id := g.CreatedByID; id.Known {
				if c := k.children[id.V]; len(c) == 0 || c[len(c)-1] != s {
					k.children[id.V] = append(c, s)
				}
			}
		}
		k.locked[s] = s.Kind.Lock()
		k.indexParents(s)
	}
	for _, l := range k.d.Locks {
		if l.Verdict() == LockBusy {
			continue
		}
		for _, h := range l.Holders {
			k.locked[h.Stack] = true
		}
	}
}

// indexParents notes who started a blocked goroutine, and who could have.
func (k *kinship) indexParents(s *Stack) {
	blocked := !s.Kind.Live() && s.Kind != WaitRuntime
	for _, g := range s.Members {
		k.byID[g.ID] = s
		switch {
		case !blocked:
		case g.CreatedByID.Known:
			k.parents[g.CreatedByID.V] = true
		case g.CreatedBy != "":
			k.creators[g.CreatedBy] = true
		}
	}
	for _, f := range s.Frames {
		if list := k.byFunc[f.Func]; len(list) < maxAlike {
			k.byFunc[f.Func] = append(list, s)
		}
	}
}

// startedBlocked reports whether a goroutine of the stack started one that is
// blocked.
func (k *kinship) startedBlocked(s *Stack) bool {
	if slices.ContainsFunc(s.Members, func(g *fact.Goroutine) bool { return g.ID != 0 && k.parents[g.ID] }) {
		return true
	}
	return slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return k.creators[f.Func] })
}

// waitingParent is the goroutine that started one of the stack, if that waits, too:
// perhaps for its end.
func (k *kinship) waitingParent(s *Stack) *Stack {
	waits := func(o *Stack) bool {
		return o != nil && o != s && (o.Kind == WaitRecv || o.Kind == WaitGroup || o.Kind == WaitSelect) && !o.inMain()
	}
	for _, g := range s.Members[:min(len(s.Members), maxAlike)] {
		if id := g.CreatedByID; id.Known {
			if o := k.byID[id.V]; waits(o) {
				return o
			}
			continue
		}
		for _, o := range k.byFunc[g.CreatedBy] {
			if waits(o) {
				return o
			}
		}
	}
	return nil
}

// maxRelatives bounds the stacks that are looked at as relatives of one.
const maxRelatives = 256

// relatives are stacks that share a type or function with s, created each other,
// or have a creator in common. A goroutine of package testing or main.main relates
// to everything and therefore to nothing.
func (k *kinship) relatives(s *Stack) []*Stack {
	var out []*Stack
	seen := map[*Stack]bool{s: true}
	add := func(list []*Stack) {
		for _, o := range list {
			if len(out) == maxRelatives {
				return
			}
			if !seen[o] {
				seen[o] = true
				out = append(out, o)
			}
		}
	}
	for _, i := range s.App {
		if o := s.Owners[i]; !common(o) {
			add(k.byOwner[o])
			add(k.byCreator[o])
		}
	}
	if c := s.Members[0].CreatedBy; c != "" && !common(ownerOf(c)) {
		add(k.byOwner[ownerOf(c)])
		add(k.byCreator[ownerOf(c)])
	}
	for _, g := range s.Members {
		add(k.children[g.ID])
	}
	return out
}

// common reports whether a function is the origin of so much that it makes no
// relation.
func common(owner string) bool {
	return owner == "main.main" || strings.HasPrefix(owner, "testing.") || strings.HasSuffix(owner, ".TestMain") ||
		strings.HasPrefix(owner, "net/http.") || strings.HasPrefix(owner, "runtime.") || strings.HasPrefix(owner, "sync.")
}

// sends groups blocked senders by the line that sends.
func (k *kinship) sends() []*Send {
	var out []*Send
	index := map[string]*Send{}
	for _, s := range k.d.Stacks {
		if s.Kind != WaitSend || k.locked[s] {
			continue
		}
		key := s.At(s.Top())
		send := index[key]
		if send == nil {
			send = &Send{}
			index[key] = send
			out = append(out, send)
		}
		send.Stacks = append(send.Stacks, s)
		send.Count += s.Count
		send.Leaked = send.Leaked || s.Members[0].Leaked
	}
	for _, send := range out {
		slices.SortStableFunc(send.Stacks, func(a, b *Stack) int { return cmp.Compare(b.Count, a.Count) })
		for _, s := range send.Stacks[:min(len(send.Stacks), maxAlike)] {
			for _, o := range k.relatives(s) {
				switch {
				case o.Kind.Live() && !o.mainAsleep() && !sendsNext(o, s):
					send.Live = cmp.Or(send.Live, o)
				case o.Kind == WaitRecv && consumes(o, s) && !k.creates(o, s):
					send.Consumer = cmp.Or(send.Consumer, o)
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *Send) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(weight(b), weight(a)))
	})
	return out
}

// sendsNext reports whether o works in the function of the blocked sender s, before
// or at the line that sends: it is another sender on its way, and nobody who could
// receive. Behind the send it may hold a slot of a semaphore and give it back.
func sendsNext(o, s *Stack) bool {
	at := s.Frames[s.Top()]
	return slices.ContainsFunc(o.Frames, func(f fact.Frame) bool {
		return f.Func == at.Func && f.File == at.File && f.Line <= at.Line
	})
}

// weight orders senders of equal number: without a partner first, then by depth.
func weight(s *Send) int {
	n := len(s.Stacks[0].App)
	if s.Live == nil && s.Consumer == nil {
		n += 100
	}
	return n
}

// consumes reports whether o could be the loop that serves the sender s: it waits
// in the function that its go statement started, or in a closure, of a type that
// the sender is inside of.
func consumes(o, s *Stack) bool {
	top := o.Top()
	if top != o.outermost() && !strings.Contains(o.Frames[top].Func, ".func") {
		return false
	}
	if s.Top() == s.outermost() {
		// The sender is a worker of its own, not somebody who called in.
		return false
	}
	return slices.ContainsFunc(s.App, func(i int) bool { return s.Owners[i] == o.Owners[top] })
}

// creates reports whether a goroutine of parent created one of child.
func (k *kinship) creates(parent, child *Stack) bool {
	by := child.Members[0].CreatedBy
	for _, g := range child.Members {
		if id := g.CreatedByID; id.Known {
			return slices.ContainsFunc(parent.Members, func(p *fact.Goroutine) bool { return p.ID == id.V })
		}
	}
	return by != "" && slices.ContainsFunc(parent.Frames, func(f fact.Frame) bool { return f.Func == by })
}

// groups looks at each WaitGroup.Wait.
func (k *kinship) groups() []*Group {
	var out []*Group
	for _, s := range k.d.Stacks {
		if s.Kind != WaitGroup || s.Idle != "" || len(s.App) == 0 || k.locked[s] {
			continue
		}
		g := &Group{Stack: s, Stopping: stopping(s)}
		for _, o := range k.relatives(s) {
			if o.Kind == WaitGroup || k.creates(o, s) {
				continue
			}
			g.Workers = append(g.Workers, o)
			g.Locked = g.Locked || k.locked[o]
			switch {
			case o.Kind.Live():
				g.Live = cmp.Or(g.Live, o)
			case o.Kind == WaitSend:
				g.Sending = cmp.Or(g.Sending, o)
			}
		}
		out = append(out, g)
	}
	return out
}

// stopping finds a function on the stack whose name says that it ends something.
func stopping(s *Stack) string {
	for _, i := range s.App {
		name := s.Func(i)
		name = strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
		for _, w := range []string{"stop", "close", "shutdown", "quiesce", "drain", "terminate"} {
			if strings.Contains(name, w) {
				return s.Func(i)
			}
		}
	}
	return ""
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
		return k.d.byID[id.V] == nil
	}
	return !k.d.creator[g.CreatedBy]
}
