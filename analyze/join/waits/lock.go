package waits

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Trust says how a lock was told from others, from weak to strong.
type Trust int

// The degrees of trust.
const (
	LockByType     Trust = iota + 1 // the type whose method locks
	LockByCaller                    // the object that the caller hands on
	LockByReceiver                  // the object whose method locks
	LockDerived                     // computed from the address of its semaphore
	LockPrinted                     // its own address
)

// String says it in words.
func (t Trust) String() string {
	switch t {
	case LockPrinted:
		return "its address is printed"
	case LockDerived:
		return "its address follows from that of its semaphore"
	case LockByCaller:
		return "told by the object that the caller of the locking method hands on; its own address is not printed"
	case LockByReceiver:
		return "told by the object whose method locks it; its own address is not printed"
	}
	return "told by the type or package whose functions lock it; no address is printed"
}

// Lock is a mutex that somebody waits for.
type Lock struct {
	Addr  uint64 // 0 if unknown
	Trust Trust
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
	// Round is set when the dump does not tell which goroutine of the cycle holds
	// which of its locks.
	Round bool
	// Twice is goroutines that wait at a later line of a function in which others
	// wait for a lock of the type: each seems to hold one such lock and waits for
	// another. Nil if there are none, or the locks can be told apart.
	Twice *Stack

	dump             *Dump
	offset           uint64 // of the lock in its object
	rank             int
	writers, readers int64
	nexts            []*Lock // locks that its holders wait for
	// recursions are all signs of one; settleRecursion picks.
	recursions []*Recursion
	candidates []Holder
	verdict    Verdict
	root       *Lock
	once       bool // the lock of a sync.Once
	// plain is set when plain functions take it, lines where they wait for it.
	plain    bool
	lines    map[string]int
	persists bool
	minutes  int64
}

// Waiter is a goroutine that waits for a lock.
type Waiter struct {
	G     *fact.Goroutine
	Stack *Stack
}

// Other is the first waiter that is another goroutine than g.
func (l *Lock) Other(g *fact.Goroutine) Waiter {
	for _, w := range l.Waiters {
		if w.G != g {
			return w
		}
	}
	return Waiter{}
}

// Dump is the dump that the lock is seen in.
func (l *Lock) Dump() *Dump { return l.dump }

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

// Once reports whether it is the lock of a sync.Once.
func (l *Lock) Once() bool { return l.once }

// Name is what the lock is called in sentences: "lock 0x3f57a702000".
func (l *Lock) Name() string {
	switch l.Trust {
	case LockPrinted, LockDerived:
		return fmt.Sprintf("%s %#x", l.Kind(), l.Addr)
	case LockByReceiver, LockByCaller:
		return fmt.Sprintf("%s of the %s at %#x", l.Kind(), ShortFunc(l.Type), l.Object)
	}
	if l.ofPackage() {
		return fmt.Sprintf("%s of package %s", l.Kind(), ShortFunc(l.Type))
	}
	return fmt.Sprintf("%s of %s", l.Kind(), ShortFunc(l.Type))
}

// Entity is the lock's identity.
func (l *Lock) Entity() analyze.Entity {
	at := fmt.Sprintf("%#x", cmp.Or(l.Addr, l.Object))
	if l.Trust == LockByType {
		at = l.Type
	}
	return analyze.Entity{Kind: join.KindLock, Key: l.dump.key() + "/" + at, Name: l.Name()}
}

func (d *Dump) key() string {
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
