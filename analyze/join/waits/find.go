package waits

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// The offsets of the semaphores inside the locks, from Go 1.4 on.
const (
	mutexSema  = 4
	writerSema = 8
	readerSema = 12
)

// lockAddr is the address of the lock that a goroutine waits for, where the dump
// prints it. Values with '?' are often plainly wrong and are not used.
func lockAddr(g *fact.Goroutine, s *Stack) (uint64, Trust) {
	y := &s.sync
	if p, ok := arg(g, y.lockSlow); ok {
		return p, LockPrinted
	}
	if y.mutexLock >= 0 && !s.Frames[y.mutexLock].Inlined {
		if p, ok := arg(g, y.mutexLock); ok {
			return p, LockPrinted
		}
	}
	if p, ok := arg(g, y.sema); ok {
		switch s.Kind {
		case OnMutex:
			return p - mutexSema, LockDerived
		case OnWLock:
			return p - writerSema, LockDerived
		case OnRLock:
			return p - readerSema, LockDerived
		}
	}
	for _, i := range []int{y.rwLock, y.rwRLock} {
		if i >= 0 && !s.Frames[i].Inlined {
			if p, ok := arg(g, i); ok {
				return p, LockPrinted
			}
		}
	}
	return 0, 0
}

// objectSize bounds how far inside an object its lock is looked for.
const objectSize = 4096

// findLocks gives each lock waiter its lock: first those with an address, then
// those with the object whose method waits, then those of which only the type is
// known.
func (d *Dump) findLocks() {
	b := &lockBuilder{d: d, byAddr: map[uint64]*Lock{}, byObject: map[objectKey]*Lock{}, byType: map[typeKey][]*Lock{}}
	var later []Waiter
	for _, s := range d.Stacks {
		if !s.Kind.Lock() {
			continue
		}
		for _, g := range s.Members {
			w := Waiter{g, s}
			if a, trust := lockAddr(g, s); a != 0 {
				b.addressed(w, a, trust)
			} else {
				later = append(later, w)
			}
		}
	}
	for _, l := range d.Locks {
		b.register(l)
	}
	var last []Waiter
	for _, w := range later {
		if p, ok := arg(w.G, w.Stack.Site); ok {
			b.received(w, p)
		} else {
			last = append(last, w)
		}
	}
	b.handed(last)
	slices.SortStableFunc(d.Locks, func(x, y *Lock) int { return cmp.Compare(y.Count(), x.Count()) })
	for i, l := range d.Locks {
		l.rank = i
	}
}

type lockBuilder struct {
	d        *Dump
	byAddr   map[uint64]*Lock
	byObject map[objectKey]*Lock
	byType   map[typeKey][]*Lock
}

type objectKey struct {
	typ    string
	object uint64
	rw     bool
}

type typeKey struct {
	typ      string
	rw, once bool
}

func (w Waiter) typeKey() typeKey {
	return typeKey{w.Stack.lockOwner(w.Stack.Site), w.Stack.rw(), w.Stack.sync.once >= 0}
}

func (s *Stack) owner(i int) string {
	if i < 0 || i >= len(s.Owners) {
		return ""
	}
	return s.Owners[i]
}

// rw reports whether a waiter's lock is surely an RWMutex.
func (s *Stack) rw() bool { return s.Kind != OnMutex || s.sync.rwLock >= 0 }

func (b *lockBuilder) add(l *Lock) *Lock {
	l.dump = b.d
	b.d.Locks = append(b.d.Locks, l)
	return l
}

// wait adds a waiter.
func (l *Lock) wait(w Waiter) {
	l.Waiters = append(l.Waiters, w)
	l.once = l.once || w.Stack.sync.once >= 0
	l.plain = l.plain || w.Stack.Site >= 0 && plain(w.Stack.Frames[w.Stack.Site].Func)
	l.minutes = max(l.minutes, w.G.WaitMinutes.Or(0))
	if w.Stack.Kind == OnRLock {
		l.readers += w.Stack.each()
	} else {
		l.writers += w.Stack.each()
	}
}

// addressed puts a waiter to the lock at an address.
func (b *lockBuilder) addressed(w Waiter, a uint64, trust Trust) {
	l := b.byAddr[a]
	if l == nil {
		l = b.add(&Lock{Addr: a, Trust: trust, Type: w.Stack.lockOwner(w.Stack.Site)})
		b.byAddr[a] = l
	}
	l.Trust = max(l.Trust, trust)
	l.RW = l.RW || w.Stack.rw()
	l.wait(w)
	// The object is the nearest pointer below the lock among the arguments of the
	// function that locks.
	if site := w.Stack.Site; site >= 0 && site < len(w.G.Calls) {
		eachPointer(w.G.Calls[site].Args, func(_ int, p uint64) {
			if p <= a && a-p < objectSize && (l.Object == 0 || a-p < l.offset) {
				l.Object, l.offset, l.Type = p, a-p, w.Stack.lockOwner(site)
			}
		})
	}
}

// register makes a lock with an address known by its object and type.
func (b *lockBuilder) register(l *Lock) {
	t := typeKey{l.Type, l.RW, l.once}
	b.byType[t] = append(b.byType[t], l)
	if l.Object != 0 {
		if k := (objectKey{l.Type, l.Object, l.RW}); b.byObject[k] == nil {
			b.byObject[k] = l
		}
	}
}

// handedOn is the object whose method waits, as its caller shows it where the
// method itself does not print its receiver: the only sure pointer among the
// caller's arguments, which is not the caller's own receiver.
//
//	main.(*Index).lockAndAppend(0x1312d00?)
//	main.(*Index).MergeInto(0x646cd7?, 0x5525ed1cf90)
func handedOn(w Waiter) (object uint64, ok bool) {
	s := w.Stack
	i := s.Site + 1
	if s.Site < 0 || i >= len(w.G.Calls) || !strings.Contains(s.Frames[s.Site].Func, "(*") || s.Owners[i] != s.Owners[s.Site] {
		return 0, false
	}
	n := 0
	eachPointer(w.G.Calls[i].Args, func(arg int, p uint64) {
		if n++; arg > 0 && arg < inBraces {
			object, ok = p, true
		}
	})
	return object, ok && n == 1
}

// maxHanded is how many objects of one type are told by what callers hand on. More
// are rather the requests or records that the calls are about.
const maxHanded = 4

// handed puts waiters whose own receiver is not printed to the lock of the object
// that their callers hand on, or to one of its type.
func (b *lockBuilder) handed(ws []Waiter) {
	objects := map[typeKey][]uint64{}
	for _, w := range ws {
		if p, ok := handedOn(w); ok {
			t := w.typeKey()
			if b.byObject[objectKey{t.typ, p, t.rw}] == nil && len(objects[t]) <= maxHanded && !slices.Contains(objects[t], p) {
				objects[t] = append(objects[t], p)
			}
		}
	}
	for _, w := range ws {
		t := w.typeKey()
		if p, ok := handedOn(w); ok && (b.byObject[objectKey{t.typ, p, t.rw}] != nil || len(objects[t]) <= maxHanded) {
			b.object(w, p, LockByCaller)
		} else {
			b.typed(w)
		}
	}
}

// received puts a waiter to the lock of the object whose method waits.
func (b *lockBuilder) received(w Waiter, p uint64) {
	b.object(w, p, LockByReceiver)
}

func (b *lockBuilder) object(w Waiter, p uint64, trust Trust) {
	k := objectKey{w.Stack.lockOwner(w.Stack.Site), p, w.Stack.rw()}
	l := b.byObject[k]
	if l == nil {
		l = b.add(&Lock{Trust: trust, Type: k.typ, Object: p, RW: k.rw})
		b.byObject[k] = l
		t := w.typeKey()
		b.byType[t] = append(b.byType[t], l)
	}
	l.wait(w)
}

// typed puts a waiter to the only lock of its type, or to one that stands for all
// of them.
func (b *lockBuilder) typed(w Waiter) {
	t := w.typeKey()
	known := b.byType[t]
	if len(known) == 0 {
		l := b.add(&Lock{Trust: LockByType, Type: t.typ, RW: t.rw})
		known = []*Lock{l}
		b.byType[t] = known
	}
	if len(known) > 1 {
		// Which of them is not to be known; a lock of its own keeps the waiter from
		// being counted where it does not belong.
		i := slices.IndexFunc(known, func(l *Lock) bool { return l.Trust == LockByType })
		if i < 0 {
			known = []*Lock{b.add(&Lock{Trust: LockByType, Type: t.typ, RW: t.rw})}
			b.byType[t] = append(b.byType[t], known[0])
		} else {
			known = known[i : i+1]
		}
	}
	known[0].wait(w)
}
