package join

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// LockTrust says how a lock was told from others, from weak to strong.
type LockTrust int

// The degrees of trust.
const (
	LockByType     LockTrust = iota + 1 // the type whose method locks
	LockByReceiver                      // the object whose method locks
	LockDerived                         // computed from the address of its semaphore
	LockPrinted                         // its own address
)

// String says it in words.
func (t LockTrust) String() string {
	switch t {
	case LockPrinted:
		return "its address is printed"
	case LockDerived:
		return "its address follows from that of its semaphore"
	case LockByReceiver:
		return "told by the object whose method locks it; its own address is not printed"
	}
	return "told by the type whose method locks it; no address is printed"
}

// Lock is a mutex that somebody waits for.
type Lock struct {
	Addr  uint64 // 0 if unknown
	Trust LockTrust
	RW    bool
	// Type is the type or function that locks it: "main.Hub".
	Type string
	// Object is the address of the value that the lock is part of, 0 if unknown.
	Object  uint64
	Waiters []Waiter
	// Holders are goroutines that seem to hold it, the best known first. Those of
	// lesser evidence are left out when there is better.
	Holders []Holder
	// Recursion is set when one of the waiters seems to hold it itself.
	Recursion *Recursion
	// Unlikely are goroutines of the lock's type that cannot be told to hold it:
	// they rest in a loop of their own, or several are alike.
	Unlikely []Holder
	// Live are goroutines that work in the lock's type: they may hold it at times.
	Live []Holder
	// Blocked counts goroutines that wait for it directly or through others; it is
	// set for the lock at the end of a chain.
	Blocked int64
	// Next is the lock that its holder waits for, nil if that waits for none.
	Next *Lock
	// Cycle is the locks of a cycle, in order from this one, which is its first.
	Cycle []*Lock

	dump             *WaitDump
	offset           uint64 // of the lock in its object
	rank             int
	writers, readers int64
	nexts            []*Lock // locks that its holders wait for
	// recursions are all signs of one; settleRecursion picks.
	recursions []*Recursion
	candidates []Holder
	verdict    LockVerdict
	root       *Lock
	once       bool // the lock of a sync.Once
	persists   bool
	minutes    int64
}

// Waiter is a goroutine that waits for a lock.
type Waiter struct {
	G     *fact.Goroutine
	Stack *Stack
}

// Dump is the dump that the lock is seen in.
func (l *Lock) Dump() *WaitDump { return l.dump }

// Kind is "Mutex", "RWMutex" or "sync.Once".
func (l *Lock) Kind() string {
	switch {
	case l.once:
		return "sync.Once"
	case l.RW:
		return "RWMutex"
	}
	return "Mutex"
}

// Name is what the lock is called in sentences: "lock 0x3f57a702000".
func (l *Lock) Name() string {
	switch l.Trust {
	case LockPrinted, LockDerived:
		return fmt.Sprintf("%s %#x", l.Kind(), l.Addr)
	case LockByReceiver:
		return fmt.Sprintf("%s of the %s at %#x", l.Kind(), ShortFunc(l.Type), l.Object)
	}
	return fmt.Sprintf("%s of %s", l.Kind(), ShortFunc(l.Type))
}

// Entity is the lock's identity.
func (l *Lock) Entity() analyze.Entity {
	at := fmt.Sprintf("%#x", cmp.Or(l.Addr, l.Object))
	if l.Trust == LockByType {
		at = l.Type
	}
	return analyze.Entity{Kind: KindLock, Key: l.dump.key() + "/" + at, Name: l.Name()}
}

func (d *WaitDump) key() string {
	if d.Owner.Process != nil {
		return d.Owner.Process.Entity().Key
	}
	return string(d.Meta.At.Artifact)
}

// Writers and Readers count the waiters by what they want.
func (l *Lock) Writers() int64 { return l.writers }

// Readers is described at Writers.
func (l *Lock) Readers() int64 { return l.readers }

// each is for how many goroutines one member stands.
func (s *Stack) each() int64 { return s.Count / int64(len(s.Members)) }

// Count is the number of goroutines that wait for it.
func (l *Lock) Count() int64 { return l.Writers() + l.Readers() }

// Minutes is the longest wait that is printed.
func (l *Lock) Minutes() int64 { return l.minutes }

// Stacks are the distinct stacks of the waiters, largest first.
func (l *Lock) Stacks() []*Stack {
	var out []*Stack
	count := map[*Stack]int64{}
	for _, w := range l.Waiters {
		if count[w.Stack] == 0 {
			out = append(out, w.Stack)
		}
		count[w.Stack]++
	}
	slices.SortStableFunc(out, func(a, b *Stack) int { return cmp.Compare(count[b], count[a]) })
	return out
}

// Packages are the import paths of the functions that wait for it.
func (l *Lock) Packages() []string {
	var out []string
	for _, s := range l.Stacks() {
		if s.Site >= 0 {
			out = append(out, PackageOf(s.Frames[s.Site].Func))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// The offsets of the semaphores inside the locks, from Go 1.4 on.
const (
	mutexSema  = 4
	writerSema = 8
	readerSema = 12
)

// lockAddr is the address of the lock that a goroutine waits for, where the dump
// prints it. Values with '?' are often plainly wrong and are not used.
func lockAddr(g *fact.Goroutine, s *Stack) (uint64, LockTrust) {
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
		case WaitMutex:
			return p - mutexSema, LockDerived
		case WaitWLock:
			return p - writerSema, LockDerived
		case WaitRLock:
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
func (d *WaitDump) findLocks() {
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
	for _, w := range last {
		b.typed(w)
	}
	slices.SortStableFunc(d.Locks, func(x, y *Lock) int { return cmp.Compare(y.Count(), x.Count()) })
	for i, l := range d.Locks {
		l.rank = i
	}
}

type lockBuilder struct {
	d        *WaitDump
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
	typ string
	rw  bool
}

func (s *Stack) owner(i int) string {
	if i < 0 || i >= len(s.Owners) {
		return ""
	}
	return s.Owners[i]
}

// rw reports whether a waiter's lock is surely an RWMutex.
func (s *Stack) rw() bool { return s.Kind != WaitMutex || s.sync.rwLock >= 0 }

func (b *lockBuilder) add(l *Lock) *Lock {
	l.dump = b.d
	b.d.Locks = append(b.d.Locks, l)
	return l
}

// wait adds a waiter.
func (l *Lock) wait(w Waiter) {
	l.Waiters = append(l.Waiters, w)
	l.once = l.once || w.Stack.sync.once >= 0
	l.minutes = max(l.minutes, w.G.WaitMinutes.Or(0))
	if w.Stack.Kind == WaitRLock {
		l.readers += w.Stack.each()
	} else {
		l.writers += w.Stack.each()
	}
}

// addressed puts a waiter to the lock at an address.
func (b *lockBuilder) addressed(w Waiter, a uint64, trust LockTrust) {
	l := b.byAddr[a]
	if l == nil {
		l = b.add(&Lock{Addr: a, Trust: trust, Type: w.Stack.owner(w.Stack.Site)})
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
				l.Object, l.offset, l.Type = p, a-p, w.Stack.owner(site)
			}
		})
	}
}

// register makes a lock with an address known by its object and type.
func (b *lockBuilder) register(l *Lock) {
	t := typeKey{l.Type, l.RW}
	b.byType[t] = append(b.byType[t], l)
	if l.Object != 0 {
		if k := (objectKey{l.Type, l.Object, l.RW}); b.byObject[k] == nil {
			b.byObject[k] = l
		}
	}
}

// received puts a waiter to the lock of the object whose method waits.
func (b *lockBuilder) received(w Waiter, p uint64) {
	k := objectKey{w.Stack.owner(w.Stack.Site), p, w.Stack.rw()}
	l := b.byObject[k]
	if l == nil {
		l = b.add(&Lock{Trust: LockByReceiver, Type: k.typ, Object: p, RW: k.rw})
		b.byObject[k] = l
		t := typeKey{k.typ, k.rw}
		b.byType[t] = append(b.byType[t], l)
	}
	l.wait(w)
}

// typed puts a waiter to the only lock of its type, or to one that stands for all
// of them.
func (b *lockBuilder) typed(w Waiter) {
	t := typeKey{w.Stack.owner(w.Stack.Site), w.Stack.rw()}
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
