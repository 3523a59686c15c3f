package waits

import (
	"cmp"
	"slices"
)

// pendingWriter is the writer that waits for the readers to leave, nil if there is
// none. While it waits the lock is held for reading, and new readers stay out.
// Writers behind it wait for the Mutex inside; they alone say that another writer
// has the lock.
func (l *Lock) pendingWriter() *Waiter {
	for i := range l.Waiters {
		if w := &l.Waiters[i]; w.Stack.Kind == OnWLock {
			return w
		}
	}
	return nil
}

// HeldForWriting reports whether an RWMutex surely has a writer: readers wait for
// it, or writers for each other, and none of the writers waits for readers.
func (l *Lock) HeldForWriting() bool {
	return l.RW && l.pendingWriter() == nil && l.Trust > LockByType
}

// settleHolders keeps the candidates with the best sign, and without any makes the
// first guess that finds one.
func (l *Lock) settleHolders() {
	if l.Recursion != nil && l.Recursion.Copied {
		return // a lock that nobody else can know
	}
	l.bestSign()
	for _, guess := range []func() []Holder{l.slowCalls, l.atMercy, l.dozing, l.restingLoops} {
		if len(l.Holders) == 0 {
			l.Holders = guess()
		}
	}
	// A Cond.Wait gives its lock back while it waits: the last to suspect.
	slices.SortStableFunc(l.Holders, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.patience(), b.patience()))
	})
	if len(l.Holders) > 0 {
		nearest := l.Holders[0].far
		l.Holders = slices.DeleteFunc(l.Holders, func(h Holder) bool { return h.far > nearest })
	}
}

// bestSign takes the candidates with the best sign. Of a lock that only one can
// hold, several goroutines with one and the same stack are no candidates: at most
// one could be right, so the stack says nothing.
func (l *Lock) bestSign() {
	exclusive := !l.RW || l.Writers() == 0
	for sign := HoldsByLine; sign >= HoldsByType && len(l.Holders) == 0; sign-- {
		count := map[*Stack]int64{}
		for _, h := range l.candidates {
			if h.Sign == sign {
				count[h.Stack] += h.Stack.each()
			}
		}
		for _, h := range l.candidates {
			switch {
			case h.Sign != sign:
			case exclusive && count[h.Stack] > 1:
				l.Unlikely = append(l.Unlikely, h)
			default:
				l.Holders = append(l.Holders, h)
			}
		}
	}
}

// slowCalls are working goroutines that hold the lock over a call that is slow:
// nobody waits a minute for ordinary work, and a crowd does not gather behind it.
// Without minutes only a wait for the network counts, because a dump of hot code
// shows crowds too.
func (l *Lock) slowCalls() []Holder {
	if !l.Lasting() && l.Count() < pileUp {
		return nil
	}
	return filter(l.Live, func(h Holder) bool {
		// The only one that works in the function where the others wait is behind its
		// lock, also where the receiver is not printed.
		alone := len(l.Live) == 1 && h.Stack.Frames[h.Frame].Func == l.Waiters[0].Stack.Frames[max(l.Waiters[0].Stack.Site, 0)].Func
		return (h.Sign >= HoldsByPointer || alone) && h.Stack.Kind != Running && (l.Lasting() || h.Stack.Kind == OnIO)
	})
}

// atMercy are working goroutines that go on when another process lets them.
func (l *Lock) atMercy() []Holder {
	return filter(l.Live, func(h Holder) bool { return h.Sign >= HoldsByPointer && h.Stack.AtMercy() != "" })
}

// dozing are loops that sleep a little, where nobody else is in sight. A loop that
// takes the lock each time it wakes would soon wait for it, too; one that does not
// has it.
func (l *Lock) dozing() []Holder {
	if l.Recursion != nil || len(l.Live) > 0 {
		return nil
	}
	return filter(l.Unlikely, func(h Holder) bool { return h.Sign >= HoldsByPointer && h.dozes() })
}

// restingLoops are loops that rest in a select. The caller of a recursion may be
// where a goroutine begins, and only call through; such a loop is the better guess
// then, and takes the recursion's place.
func (l *Lock) restingLoops() []Holder {
	if l.Recursion == nil || !l.Recursion.entry() {
		return nil
	}
	out := filter(l.Unlikely, func(h Holder) bool { return h.Sign >= HoldsByPointer && h.Stack.Kind == OnSelect })
	if len(out) > 0 {
		l.Recursion = nil
	}
	return out
}

func filter(list []Holder, keep func(Holder) bool) []Holder {
	var out []Holder
	for _, h := range list {
		if keep(h) {
			out = append(out, h)
		}
	}
	return out
}

// aDoze is the longest sleep, in nanoseconds, of a loop that tries again; what
// sleeps longer comes round to clean up.
const aDoze = 10_000_000_000

// dozes reports whether a goroutine is in a short time.Sleep, whose length is
// printed.
func (h Holder) dozes() bool {
	s := h.Stack
	if s.Kind != Asleep || s.Site < 0 || s.Frames[s.Site].Func != "time.Sleep" {
		return false
	}
	ns, ok := arg(h.G, s.Site)
	return ok && ns <= aDoze
}

// settleMutual gives a lock without holders a candidate of lesser sign that fits
// because of what it waits for itself: for something that a waiter of this lock
// holds. That is a circle, which does not come about by chance.
func (d *Dump) settleMutual() {
	calls := d.waitersByFunc()
	senders := d.senders()
	for _, l := range d.Locks {
		if len(l.Holders) > 0 || l.Recursion != nil && l.Recursion.Copied {
			continue
		}
		for _, h := range slices.Concat(l.Unlikely, l.behindCall(calls)) {
			other := d.waits[h.G]
			if other == nil || other == l {
				continue
			}
			if slices.ContainsFunc(other.Holders, func(o Holder) bool { return d.waits[o.G] == l }) {
				l.Holders = append(l.Holders, h)
				break
			}
		}
		if len(l.Holders) == 0 && l.Recursion == nil && len(l.Live) == 0 {
			l.settleSender(senders)
		}
	}
	d.settleRound()
}

// settleRound gives locks of one type without holders to the goroutines that wait
// for them, in turn: as many goroutines as locks, all of which could hold any but
// their own. Three objects that each lock the next look like this, where the
// receivers are not printed. Which holds which is not to be known, only that all of
// them are in the circle.
func (d *Dump) settleRound() {
	byStack := map[*Stack][]*Lock{}
	var order []*Stack
	for _, l := range d.Locks {
		if len(l.Holders) > 0 || l.Recursion != nil || len(l.Live) > 0 || len(l.Waiters) != 1 || len(l.Unlikely) == 0 || l.Trust <= LockByType {
			continue
		}
		s := l.Waiters[0].Stack
		if byStack[s] == nil {
			order = append(order, s)
		}
		byStack[s] = append(byStack[s], l)
	}
	for _, s := range order {
		locks := byStack[s]
		n := len(locks)
		if n < 2 || n > maxAlike || n != len(s.Members) {
			continue
		}
		next := make([]Holder, n)
		for i, l := range locks {
			w := locks[(i+1)%n].Waiters[0]
			if j := slices.IndexFunc(l.Unlikely, func(h Holder) bool { return h.G == w.G }); j >= 0 {
				next[i] = l.Unlikely[j]
			}
		}
		if slices.ContainsFunc(next, func(h Holder) bool { return h.G == nil }) {
			continue
		}
		for i, l := range locks {
			l.Holders = append(l.Holders, next[i])
			l.Round = true
		}
	}
}

// maxAlike bounds how many goroutines that are alike are looked at.
const maxAlike = 16

// waitersByFunc lists goroutines that wait for locks by the functions on their
// stacks.
func (d *Dump) waitersByFunc() map[string][]Holder {
	out := map[string][]Holder{}
	for _, s := range d.Stacks {
		if !s.Kind.Lock() {
			continue
		}
		for _, i := range s.App {
			fn := s.Frames[i].Func
			for _, g := range s.Members[:min(len(s.Members), maxAlike)] {
				if len(out[fn]) < maxAlike {
					out[fn] = append(out[fn], Holder{G: g, Stack: s, Frame: i, Sign: HoldsByType})
				}
			}
		}
	}
	return out
}

// behindCall are goroutines that wait for other locks in the function that calls
// what waits for this lock, behind that call: it may have come back with the lock.
func (l *Lock) behindCall(calls map[string][]Holder) []Holder {
	var out []Holder
	for _, s := range l.Stacks() {
		for _, i := range s.App {
			if i <= s.Site {
				continue
			}
			for _, h := range calls[s.Frames[i].Func] {
				if h.Stack.Frames[h.Frame].Line > s.Frames[i].Line {
					out = append(out, h)
				}
			}
			break // only the direct caller
		}
	}
	return out
}

// senders are the stacks that are blocked in a send.
func (d *Dump) senders() []*Stack {
	var out []*Stack
	for _, s := range d.Stacks {
		if s.Kind.Sends() && s.Idle == "" {
			out = append(out, s)
		}
	}
	return out
}

// settleSender gives a lock that one goroutine waits for, and that nobody seems to
// hold, the one sender of the same package that is blocked: if the waiter is who
// should receive, that is why it does not.
func (l *Lock) settleSender(senders []*Stack) {
	if l.Count() != 1 || len(senders) > maxAlike {
		return
	}
	pkgs := l.Packages()
	var found []Holder
	for _, s := range senders {
		for _, i := range slices.Backward(s.App) {
			if slices.Contains(pkgs, PackageOf(s.Frames[i].Func)) && !wrapper(s.Frames[i].Func) {
				for _, g := range s.Members {
					found = append(found, Holder{G: g, Stack: s, Frame: i, Sign: HoldsByType})
				}
				break
			}
		}
	}
	if len(found) == 1 {
		l.Holders = found
	}
}

// patience orders holders with equal signs: who waits for a lock, a receiver or a
// sender first, who waits for many things at once later.
func (h Holder) patience() int {
	switch h.Stack.Kind {
	case OnMutex, OnWLock, OnRLock:
		return 0
	case OnSend, OnPipe, OnNilChan, OnNoCases:
		return 1
	case OnRecv, OnGroup:
		return 2
	case OnSelect:
		return 3
	case OnCond:
		return 5
	}
	return 4
}
