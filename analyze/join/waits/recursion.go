package waits

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Recursion is a goroutine that waits for a lock that it seems to hold itself.
type Recursion struct {
	Waiter
	Outer int // the frame that seems to have taken it
	Sign  HolderSign
	// Writer is the pending writer that keeps a second read lock from being given;
	// nil when the goroutine itself holds the write lock.
	Writer *Waiter
	// Copied is set when the method that waits has a copy of the object for receiver:
	// the lock was copied while it was held.
	Copied bool
	// Count is how many goroutines wait in the same way.
	Count int64
}

// CallsThrough reports whether the frame that seems to hold the lock could as well
// only call what locks it: it is the function that the go statement started, others
// wait too, and nothing shows that it has passed a line that locks.
func (r *Recursion) CallsThrough(l *Lock) bool {
	return r.entry() && l.Count() > 1
}

// entry reports whether the frame that seems to hold the lock is the function that
// the go statement started, and nothing shows that it has passed a line that locks.
func (r *Recursion) entry() bool {
	return r.Sign < HoldsByLine && r.Outer == r.Stack.outermost() && r.G.CreatedBy != ""
}

// typedRecursion looks for an outer method of the lock's type on the stack of a
// waiter, where the two receivers cannot be compared because one is not printed.
func (h *holderFinder) typedRecursion(l *Lock, g *fact.Goroutine, s *Stack) {
	if i := s.copied(); i >= 0 && l.Count() == 1 {
		l.recurse(Waiter{g, s}, i, HoldsByPointer)
		if n := len(l.recursions); n > 0 {
			l.recursions[n-1].Copied = true
		}
		return
	}
	if l.ofPackage() {
		l.packageRecursion(g, s)
		return
	}
	_, inner := arg(g, s.Site)
	for _, i := range s.App {
		if i <= s.Site || s.Owners[i] != l.Type || s.Frames[i].Func == s.Frames[s.Site].Func || wrapper(s.Frames[i].Func) {
			continue
		}
		if closure(s.Frames[i].Func) || passes(g, i, l) || h.d.Grouped && i == s.outermost() {
			continue
		}
		p, outer := arg(g, i)
		switch {
		case !outer, !inner && l.Object == 0 && l.Addr == 0, !inner && l.Object == p:
			l.recurse(Waiter{g, s}, i, HoldsByType)
			return
		case l.Object == 0 && p <= l.Addr && l.Addr-p < nearObject:
			l.recurse(Waiter{g, s}, i, HoldsByPointer)
			return
		}
	}
	if i := l.around(g, s); i >= 0 && l.Count() == 1 {
		l.recurse(Waiter{g, s}, i, HoldsByType)
	}
}

// around is the frame of the direct caller of the only waiter's method where that is
// a method of the same package, of an object that has the lock's object inside: a
// type that embeds another locks with its lock, too. -1 if it is not so.
//
//	core.(*Base).flush(0x38?)
//	core.(*Server).Close(0xcf9249e0000)
func (l *Lock) around(g *fact.Goroutine, s *Stack) int {
	for _, i := range s.App {
		if i <= s.Site {
			continue
		}
		fn := s.Frames[i].Func
		p, ok := arg(g, i)
		if ok && l.Addr != 0 && p <= l.Addr && l.Addr-p < nearObject && strings.Contains(fn, "(*") && !closure(fn) && PackageOf(fn) == PackageOf(s.Frames[s.Site].Func) {
			return i
		}
		break
	}
	return -1
}

// copied is the frame of a method with a pointer receiver that called, directly, the
// method with a value receiver of the same type that waits for its lock: it waits
// for a lock of its own. -1 if there is none.
//
//	counter.Gauge.sum({{0x0, 0x1}, ...})
//	counter.(*Gauge).Snapshot(0x353ad9312480)
func (s *Stack) copied() int {
	if s.Site < 0 || s.Site+1 >= len(s.Frames) {
		return -1
	}
	fn := s.Frames[s.Site].Func
	typ, caller := s.Owners[s.Site], s.Frames[s.Site+1].Func
	if !strings.HasPrefix(fn, typ+".") || closure(fn) || wrapper(fn) || s.Owners[s.Site+1] != typ || !strings.Contains(caller, "(*") || closure(caller) {
		return -1
	}
	return s.Site + 1
}

// closure reports whether a function is one: it has no receiver, so that it tells
// nothing about an object.
func closure(fn string) bool { return strings.Contains(fn[strings.LastIndexByte(fn, '/')+1:], ".func") }

// passes reports whether a frame has the lock's object for an argument behind the
// first: what it calls the method of is that object, its own receiver is another.
func passes(g *fact.Goroutine, frame int, l *Lock) (yes bool) {
	if frame >= len(g.Calls) {
		return false
	}
	eachPointer(g.Calls[frame].Args, func(i int, p uint64) {
		if _, ok := l.offsetOf(p); ok && i > 0 && i < inBraces {
			yes = true
		}
	})
	return yes
}

// recurse keeps the best sign of a recursion for the lock.
func (l *Lock) recurse(w Waiter, outer int, sign HolderSign) {
	// The standard library does not lock twice by itself: an application's function
	// that it calls back does.
	if !slices.ContainsFunc(w.Stack.App, func(i int) bool { return i > w.Stack.Site && i <= outer || i == w.Stack.Site }) {
		return
	}
	r := &Recursion{Waiter: w, Outer: outer, Sign: sign, Count: 1}
	l.recursions = append(l.recursions, r)
}

// settleRecursion decides whether one of the waiters holds the lock itself: first
// a reader that reads again while a writer waits in between, which any number of
// goroutines can do at once, then one that holds the lock for itself alone.
func (l *Lock) settleRecursion() {
	if w := l.pendingWriter(); w != nil {
		best, n := bestRecursion(l.recursions, func(r *Recursion) bool { return r.Stack.Kind == OnRLock })
		if best != nil {
			best.Writer, best.Count = w, n
			l.Recursion = best
			return
		}
	}
	// Only one goroutine can hold a lock for itself alone. Where several wait behind
	// the same outer call, that call does not take the lock.
	best, n := bestRecursion(l.recursions, func(*Recursion) bool { return true })
	if best != nil && n == 1 {
		best.Count = 1
		l.Recursion = best
	}
}

// bestRecursion is the first of those with the best sign, and how many goroutines
// share that sign.
func bestRecursion(all []*Recursion, fits func(*Recursion) bool) (best *Recursion, n int64) {
	goroutines := map[*fact.Goroutine]bool{}
	for _, r := range all {
		if !fits(r) {
			continue
		}
		if best == nil || r.Sign > best.Sign {
			best, n = r, 0
			clear(goroutines)
		}
		if r.Sign == best.Sign && !goroutines[r.G] {
			goroutines[r.G] = true
			n += r.Stack.each()
		}
	}
	return best, n
}
