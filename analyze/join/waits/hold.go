package waits

import (
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

// findHolders looks for goroutines that could hold each lock.
func (d *Dump) findHolders() {
	if len(d.Locks) == 0 {
		return
	}
	h := &holderFinder{d: d, byAddr: map[uint64][]*Lock{}, byPointer: map[uint64][]*Lock{}, byType: map[string][]*Lock{}, near: map[string][]*Lock{}, waits: map[*fact.Goroutine]*Lock{}}
	for _, l := range d.Locks {
		if l.Addr != 0 {
			h.byAddr[l.Addr] = append(h.byAddr[l.Addr], l)
		}
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
		if s.Dumper || len(s.Frames) == 0 || s.Idle != "" && len(s.App) == 0 {
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
	d         *Dump
	byPointer map[uint64][]*Lock // by the lock's own address and that of its object
	byAddr    map[uint64][]*Lock
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
		if s.Idle != "" {
			break // only a pointer says that who seems to be at rest holds it
		}
		for _, l := range h.byType[s.lockOwner(i)] {
			at, ok := typed[l]
			if !ok {
				order = append(order, l)
			}
			// Who waits for a lock holds the other rather in the caller.
			if !ok || at == s.Site && s.Kind.Lock() {
				typed[l] = i
			}
		}
	}
	inOnce := slices.ContainsFunc(s.Frames[s.Site:], func(f fact.Frame) bool { return f.Func == "sync.(*Once).doSlow" })
	for _, g := range s.Members {
		seen := map[*Lock]bool{}
		if inOnce {
			h.inOnce(g, s, seen)
		}
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
		if len(h.near) > 0 && s.Idle == "" {
			h.enclosing(g, s, frames, seen)
		}
	}
}

// onceLock is where the Mutex stands in a sync.Once.
const onceLock = 4

// inOnce finds a goroutine inside the function of a sync.Once: it holds the Once's
// lock, surely. The Once is told by its own address, else by the object whose
// method called Do.
func (h *holderFinder) inOnce(g *fact.Goroutine, s *Stack, seen map[*Lock]bool) {
	for i := s.Site + 1; i < len(s.Frames); i++ {
		if s.Frames[i].Func != "sync.(*Once).doSlow" {
			continue
		}
		if l := h.waits[g]; l != nil && l.once && s.sameCall(s.Site, s.caller(i)) {
			l.recurse(Waiter{g, s}, min(i+2, len(s.Frames)-1), HoldsByLine)
			continue
		}
		hold := func(l *Lock) {
			if l.once && h.waits[g] != l && !seen[l] {
				seen[l] = true
				l.candidate(Holder{G: g, Stack: s, Frame: min(i+2, len(s.Frames)-1), Sign: HoldsByLine})
			}
		}
		if p, ok := arg(g, i); ok {
			for _, l := range h.byAddr[p+onceLock] {
				hold(l)
			}
			continue
		}
		for j := i + 1; j < len(s.Frames) && j <= i+2 && len(g.Calls) == 0; j++ {
			for _, l := range h.byType[s.lockOwner(j)] {
				hold(l)
			}
		}
		for j := i + 1; j < len(s.Frames) && j <= i+2; j++ {
			if p, ok := arg(g, j); ok {
				for _, l := range h.byPointer[p] {
					hold(l)
				}
			}
		}
	}
}

// caller is the frame that called the sync.Once whose doSlow stands at a frame.
func (s *Stack) caller(doSlow int) int {
	i := doSlow + 1
	for i < len(s.Frames)-1 && primitive(s.Frames[i].Func) {
		i++
	}
	return min(i, len(s.Frames)-1)
}

// sameCall reports whether two frames stand at one line of one function: what they
// call on the same variable is the same Once.
func (s *Stack) sameCall(a, b int) bool {
	x, y := s.Frames[a], s.Frames[b]
	return a != b && x.Func == y.Func && x.File == y.File && x.Line == y.Line
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
		if frame > s.Site && arg == 0 && s.lockOwner(frame) == l.Type && !wrapper(s.Frames[frame].Func) && (!known || passed) {
			l.recurse(Waiter{g, s}, frame, sign)
		}
		return false
	}
	if known && s.Frames[frame].Line < h.d.sites[siteKey{s.Frames[frame].Func, arg, off}] {
		// Before the line where it would take the lock. At that line it is behind the
		// lock, because it waits for something else.
		return true
	}
	if arg >= inBraces {
		return false
	}
	if s.Frames[frame].Line <= h.d.calls[siteKey{s.Frames[frame].Func, arg, off}] {
		return true
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
	if l.ofPackage() {
		l.inPackageHolder(g, s)
		return true
	}
	if p, ok := arg(g, frame); ok && strings.Contains(s.Frames[frame].Func, "(*") && (l.Object != 0 || l.Addr != 0) {
		if l.Object != 0 || p > l.Addr || l.Addr-p >= objectSize {
			return false // another value of the same type
		}
		l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: HoldsByPointer, far: l.Addr - p})
		return true
	}
	if p, ok := beside(g, s); ok && strings.Contains(s.Frames[frame].Func, "(*") && l.Addr != 0 && max(p, l.Addr)-min(p, l.Addr) < nearObject {
		l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: HoldsByPointer})
		return true
	}
	l.candidate(Holder{G: g, Stack: s, Frame: frame, Sign: HoldsByType})
	return true
}

// beside is the address of the WaitGroup or Cond that a goroutine waits for. Beside
// a lock it is a field of the same object, also where the receiver is not printed.
//
//	internal/sync.(*Mutex).lockSlow(0x17cf90c120c0)     another goroutine
//	sync.(*WaitGroup).Wait(0x17cf90c120c8)
func beside(g *fact.Goroutine, s *Stack) (uint64, bool) {
	if p, ok := arg(g, s.sync.group); ok {
		return p, true
	}
	return arg(g, s.sync.cond)
}

// wrapper reports whether a function only starts another one: the compiler's
// wrapper of a go or defer statement, or of a method value.
func wrapper(fn string) bool {
	return strings.Contains(fn, ".gowrap") || strings.HasSuffix(fn, "-fm") || strings.Contains(fn, ".deferwrap")
}

// candidate sorts a goroutine in.
func (l *Lock) candidate(h Holder) {
	switch {
	case h.Resting():
		l.Unlikely = append(l.Unlikely, h)
	case h.Stack.Kind.Live():
		l.Live = append(l.Live, h)
	default:
		l.candidates = append(l.candidates, h)
	}
}

// Resting reports whether the goroutine waits in the select or sleep of its own
// outermost function and nothing says that it holds anything: a loop that comes
// round. Loops keep no lock while they wait for the next round, unless they are
// wrong, and a path that left the lock behind is the likelier mistake.
func (h Holder) Resting() bool {
	s := h.Stack
	if s.Kind != OnSelect && s.Kind != Asleep || len(s.App) == 0 || h.Sign == HoldsByLine {
		return false
	}
	return h.Frame == s.App[0] && h.Frame == s.outermost()
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
