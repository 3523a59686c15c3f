package join

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// HolderSign is why a goroutine seems to hold a lock, from weak to strong. A dump
// never says who holds a lock.
type HolderSign int

// The signs.
const (
	HoldsByType    HolderSign = iota + 1 // it is inside a function of the type that locks
	HoldsByPointer                       // and has a pointer to the lock's object
	HoldsByLine                          // and is behind the line where others wait for it
)

// Holder is a goroutine that seems to hold a lock.
type Holder struct {
	G     *fact.Goroutine
	Stack *Stack
	Frame int // the frame that says so
	Sign  HolderSign

	far uint64 // from the pointer to the lock, where the lock's object is not known
}

// Recursion is a goroutine that waits for a lock that it seems to hold itself.
type Recursion struct {
	Waiter
	Outer int // the frame that seems to have taken it
	Sign  HolderSign
	// Writer is the pending writer that keeps a second read lock from being given;
	// nil when the goroutine itself holds the write lock.
	Writer *Waiter
	// Count is how many goroutines wait in the same way.
	Count int64
}

// siteTable knows at which lines a function waits for the lock at an offset from
// one of its arguments.
type siteTable map[siteKey]int

type siteKey struct {
	fn     string
	arg    int
	offset uint64
}

// anyOffset stands for a lock whose own address is unknown.
const anyOffset = ^uint64(0)

// learnSites fills the table from the waiters. Who is behind the line where
// another one waits for the same lock has passed it.
func (d *WaitDump) learnSites() {
	d.sites = siteTable{}
	for _, l := range d.Locks {
		for _, w := range l.Waiters {
			site := w.Stack.Site
			if site < 0 || site >= len(w.G.Calls) {
				continue
			}
			f := w.Stack.Frames[site]
			eachPointer(w.G.Calls[site].Args, func(i int, p uint64) {
				if off, ok := l.offsetOf(p); ok {
					k := siteKey{f.Func, i, off}
					if have, ok := d.sites[k]; !ok || f.Line < have {
						d.sites[k] = f.Line
					}
				}
			})
		}
	}
}

// offsetOf is where the lock stands from a pointer to its object.
func (l *Lock) offsetOf(p uint64) (uint64, bool) {
	switch {
	case l.Addr == 0 && p == l.Object && p != 0:
		return anyOffset, true
	case l.Addr != 0 && (p == l.Object || p == l.Addr):
		return l.Addr - p, true
	}
	return 0, false
}

// passed compares a frame with the line where its function waits for the lock.
// known is false if nobody waits there.
func (d *WaitDump) passed(f fact.Frame, arg int, off uint64) (passed, known bool) {
	line, ok := d.sites[siteKey{f.Func, arg, off}]
	return ok && f.Line > line, ok
}

// findHolders looks for goroutines that could hold each lock.
func (d *WaitDump) findHolders() {
	if len(d.Locks) == 0 {
		return
	}
	h := &holderFinder{d: d, byPointer: map[uint64][]*Lock{}, byType: map[string][]*Lock{}, near: map[string][]*Lock{}, waits: map[*fact.Goroutine]*Lock{}}
	for _, l := range d.Locks {
		for _, p := range []uint64{l.Addr, l.Object} {
			if p != 0 && !slices.Contains(h.byPointer[p], l) {
				h.byPointer[p] = append(h.byPointer[p], l)
			}
		}
		h.byType[l.Type] = append(h.byType[l.Type], l)
		if l.Object == 0 && l.Addr != 0 {
			for _, pkg := range l.Packages() {
				h.near[pkg] = append(h.near[pkg], l)
			}
		}
		for _, w := range l.Waiters {
			h.waits[w.G] = l
		}
	}
	for _, s := range d.Stacks {
		if s.Dumper || s.Idle != "" || len(s.Frames) == 0 {
			continue
		}
		h.stack(s)
	}
	for _, l := range d.Locks {
		l.settleRecursion()
		l.settleHolders()
	}
	d.waits = h.waits
	d.settleMutual()
}

type holderFinder struct {
	d         *WaitDump
	byPointer map[uint64][]*Lock
	byType    map[string][]*Lock
	near      map[string][]*Lock // locks of a package of which no object is known
	waits     map[*fact.Goroutine]*Lock
}

// stack looks at the members of a stack.
func (h *holderFinder) stack(s *Stack) {
	if s.Site < 0 {
		return
	}
	var frames []int
	for i := s.Site; i < len(s.Frames); i++ {
		if !primitive(s.Frames[i].Func) {
			frames = append(frames, i)
		}
	}
	typed := map[*Lock]int{} // locks of a type that stands in the stack, with its frame
	var order []*Lock
	for _, i := range frames {
		for _, l := range h.byType[s.Owners[i]] {
			if _, ok := typed[l]; !ok {
				typed[l] = i
				order = append(order, l)
			}
		}
	}
	for _, g := range s.Members {
		seen := map[*Lock]bool{}
		if len(g.Calls) > 0 {
			for _, i := range frames {
				eachPointer(g.Calls[i].Args, func(arg int, p uint64) {
					for _, l := range h.byPointer[p] {
						if !seen[l] {
							seen[l] = h.pointer(l, g, s, i, arg, p)
						}
					}
				})
			}
		}
		for _, l := range order {
			if !seen[l] {
				seen[l] = h.typed(l, g, s, typed[l])
			}
		}
		if len(h.near) > 0 {
			h.enclosing(g, s, frames, seen)
		}
	}
}

// pointer judges a goroutine that has a pointer to a lock's object in a frame. It
// reports whether the lock needs no further look at this goroutine.
func (h *holderFinder) pointer(l *Lock, g *fact.Goroutine, s *Stack, frame, arg int, p uint64) bool {
	off, _ := l.offsetOf(p)
	passed, known := h.d.passed(s.Frames[frame], arg, off)
	sign := HoldsByPointer
	if passed {
		sign = HoldsByLine
	}
	if h.waits[g] == l {
		// Its own wait; a frame further out may be what took the lock. Only a receiver
		// of the lock's type says so: an argument is passed through many hands.
		if frame > s.Site && arg == 0 && s.Owners[frame] == l.Type && !wrapper(s.Frames[frame].Func) && (!known || passed) {
			l.recurse(Waiter{g, s}, frame, sign)
		}
		return false
	}
	if known && !passed {
		// Before or at the line where it would take the lock.
		return true
	}
	if arg >= inBraces {
		return false
	}
	l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: sign})
	return true
}

// enclosing looks for a method in a lock's package whose receiver is just below the
// lock: the lock is probably a field of it.
func (h *holderFinder) enclosing(g *fact.Goroutine, s *Stack, frames []int, seen map[*Lock]bool) {
	for _, i := range frames {
		fn := s.Frames[i].Func
		locks := h.near[PackageOf(fn)]
		if len(locks) == 0 || !strings.Contains(fn, "(*") {
			continue
		}
		p, ok := arg(g, i)
		if !ok {
			continue
		}
		for _, l := range locks {
			if p <= l.Addr && l.Addr-p < nearObject && !seen[l] && h.waits[g] != l {
				seen[l] = true
				l.candidate(Holder{G: g, Stack: s, Frame: i, Sign: HoldsByPointer, far: l.Addr - p})
			}
		}
	}
}

// nearObject bounds the size of an object that is only guessed to have the lock;
// objects of one size stand side by side on the heap.
const nearObject = 256

// typed judges a goroutine inside a function of the lock's type whose receiver is
// not printed. It reports whether the lock needs no further look at it.
func (h *holderFinder) typed(l *Lock, g *fact.Goroutine, s *Stack, frame int) bool {
	if h.waits[g] == l {
		h.typedRecursion(l, g, s)
		return true
	}
	if p, ok := arg(g, frame); ok && strings.Contains(s.Frames[frame].Func, "(*") && (l.Object != 0 || l.Addr != 0) {
		if l.Object != 0 || p > l.Addr || l.Addr-p >= objectSize {
			return false // another value of the same type
		}
		l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: HoldsByPointer, far: l.Addr - p})
		return true
	}
	l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: HoldsByType})
	return true
}

// typedRecursion looks for an outer method of the lock's type on the stack of a
// waiter, where the two receivers cannot be compared because one is not printed.
func (h *holderFinder) typedRecursion(l *Lock, g *fact.Goroutine, s *Stack) {
	_, inner := arg(g, s.Site)
	for _, i := range s.App {
		if i <= s.Site || s.Owners[i] != l.Type || s.Frames[i].Func == s.Frames[s.Site].Func || wrapper(s.Frames[i].Func) {
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
}

// wrapper reports whether a function only starts another one: the compiler's
// wrapper of a go or defer statement, or of a method value.
func wrapper(fn string) bool {
	return strings.Contains(fn, ".gowrap") || strings.HasSuffix(fn, "-fm") || strings.Contains(fn, ".deferwrap")
}

// candidate sorts a goroutine in.
func (l *Lock) candidate(h Holder) {
	switch {
	case h.resting(l):
		l.Unlikely = append(l.Unlikely, h)
	case h.Stack.Kind.Live():
		l.Live = append(l.Live, h)
	default:
		l.candidates = append(l.candidates, h)
	}
}

// resting reports whether the goroutine waits in the select or sleep of its own
// outermost function and can be told to hold nothing: a loop that comes round. A
// loop that has been in its select for as long as the others have waited, or of
// which no time is printed, may hold the lock, if its pointer says that it has to
// do with it at all.
func (h Holder) resting(l *Lock) bool {
	s := h.Stack
	if s.Kind != WaitSelect && s.Kind != Asleep || len(s.App) == 0 || h.Frame != s.App[0] || h.Sign == HoldsByLine || h.Frame != s.outermost() {
		return false
	}
	return s.Kind == Asleep || h.Sign != HoldsByPointer || h.far > 0 || l.Minutes() > h.G.WaitMinutes.Or(0)
}

// outermost is the frame of the function that the go statement started.
func (s *Stack) outermost() int {
	for _, i := range slices.Backward(s.App) {
		if !wrapper(s.Frames[i].Func) {
			return i
		}
	}
	return s.Site
}

// recurse keeps the best sign of a recursion for the lock.
func (l *Lock) recurse(w Waiter, outer int, sign HolderSign) {
	r := &Recursion{Waiter: w, Outer: outer, Sign: sign, Count: 1}
	l.recursions = append(l.recursions, r)
}

// settleRecursion decides whether one of the waiters holds the lock itself: first
// a reader that reads again while a writer waits in between, which any number of
// goroutines can do at once, then one that holds the lock for itself alone.
func (l *Lock) settleRecursion() {
	if w := l.pendingWriter(); w != nil {
		best, n := bestRecursion(l.recursions, func(r *Recursion) bool { return r.Stack.Kind == WaitRLock })
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

func (l *Lock) pendingWriter() *Waiter {
	for i := range l.Waiters {
		if w := &l.Waiters[i]; l.RW && w.Stack.Kind != WaitRLock {
			return w
		}
	}
	return nil
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

// settleHolders keeps the candidates with the best sign. Of a lock that only one
// can hold, several goroutines with one and the same stack are no candidates: at
// most one could be right, so the stack says nothing.
func (l *Lock) settleHolders() {
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
	if len(l.Holders) == 0 && (l.Lasting() || l.Count() >= pileUp) {
		// Nobody waits a minute for ordinary work, and a crowd does not gather behind
		// it: a call under the lock that is slow. Without minutes only a wait for the
		// network counts, because a dump of hot code shows crowds too.
		for _, h := range l.Live {
			if h.Sign >= HoldsByPointer && h.Stack.Kind != Running && (l.Lasting() || h.Stack.Kind == WaitIO) {
				l.Holders = append(l.Holders, h)
			}
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

// settleMutual gives a lock without holders a candidate of lesser sign that fits
// because of what it waits for itself: for something that a waiter of this lock
// holds. That is a circle, which does not come about by chance.
func (d *WaitDump) settleMutual() {
	calls := d.waitersByFunc()
	senders := d.senders()
	for _, l := range d.Locks {
		if len(l.Holders) > 0 {
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
}

// maxAlike bounds how many goroutines in one function are looked at as candidates.
const maxAlike = 16

// waitersByFunc lists goroutines that wait for locks by the functions on their
// stacks.
func (d *WaitDump) waitersByFunc() map[string][]Holder {
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
func (d *WaitDump) senders() []*Stack {
	var out []*Stack
	for _, s := range d.Stacks {
		if s.Kind == WaitSend && s.Idle == "" {
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
	case WaitMutex, WaitWLock, WaitRLock:
		return 0
	case WaitSend, WaitNilChan, WaitNoCases:
		return 1
	case WaitRecv, WaitGroup:
		return 2
	case WaitSelect:
		return 3
	case WaitCond:
		return 5
	}
	return 4
}
