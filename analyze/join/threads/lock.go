package threads

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Lock is a lock that threads of a sample wait for.
type Lock struct {
	Sample *Sample
	// Name is the identity as printed, Class what a JVM calls its kind.
	Name, Class string
	Waiters     []*fact.Thread
	// Owner is the thread that holds it as the text says, nil if it does not say.
	// OwnerLWP is the number of an owner that the sample does not show.
	Owner    *fact.Thread
	OwnerLWP fact.Int
	// Next is the lock that the owner waits for itself.
	Next *Lock

	root *Lock
}

// findLocks finds the locks of a sample, their owners, and the chains between
// them. A thread waits for one lock at most and a lock has one owner, so that each
// chain ends at one lock or runs in a circle.
func (s *Sample) findLocks() {
	owners := map[string]*fact.Thread{}
	byLWP := map[int64]*fact.Thread{}
	for _, t := range s.Threads {
		for _, h := range t.Holds {
			owners[h] = t
		}
		if t.LWP.Known {
			byLWP[t.LWP.V] = t
		}
	}
	locks := map[string]*Lock{}
	waits := map[*fact.Thread]*Lock{}
	for _, t := range s.Threads {
		if !waitsForLock(t, owners[t.Waits]) {
			continue
		}
		l := locks[t.Waits]
		if l == nil {
			l = &Lock{Sample: s, Name: t.Waits, Class: t.LockClass, Owner: owners[t.Waits]}
			locks[t.Waits] = l
			s.Locks = append(s.Locks, l)
		}
		if l.Owner == nil && t.OwnerLWP.Known {
			l.Owner, l.OwnerLWP = byLWP[t.OwnerLWP.V], t.OwnerLWP
		}
		l.Waiters = append(l.Waiters, t)
		waits[t] = l
	}
	for _, l := range s.Locks {
		if l.Owner != nil {
			l.Next = waits[l.Owner]
		}
	}
	slices.SortStableFunc(s.Locks, func(a, b *Lock) int { return cmp.Compare(len(b.Waiters), len(a.Waiters)) })
	s.findRoots()
}

// waitsForLock tells a wait for a lock from other waits: a thread that waits on a
// condition or an empty queue names an object, too.
func waitsForLock(t, owner *fact.Thread) bool {
	switch {
	case t.Waits == "", owner == t:
		return false
	case t.Runtime != "jvm", t.State == "BLOCKED", owner != nil:
		return true
	}
	c := t.LockClass
	return strings.HasPrefix(c, "java.util.concurrent.locks.Reentrant") && strings.HasSuffix(c, "Sync") ||
		strings.HasPrefix(c, "java.util.concurrent.locks.StampedLock")
}

// findRoots follows each chain of owners to its end. The locks of a circle have
// the first of them for their root.
func (s *Sample) findRoots() {
	for _, l := range s.Locks {
		var path []*Lock
		at := l
		for at.root == nil && at.Next != nil && !slices.Contains(path, at) {
			path = append(path, at)
			at = at.Next
		}
		root := at.root
		if root == nil {
			root = at
		}
		root.root = root
		for _, p := range path {
			p.root = root
		}
	}
}

// Crossed are locks of native threads whose owners the text does not name, but that
// only threads which wait for another of them can hold: every other thread stands
// where threads without work stand. Nil if there are no such.
func (s *Sample) Crossed() []*Lock {
	if len(s.Locks) < 2 || s.Runtime() == "jvm" { // a JVM finds deadlocks itself
		return nil
	}
	waiting := map[*fact.Thread]bool{}
	for _, l := range s.Locks {
		if l.Owner != nil || l.OwnerLWP.Known {
			return nil
		}
		for _, t := range l.Waiters {
			waiting[t] = true
		}
	}
	for _, t := range s.Threads {
		if does, _ := Does(t); !waiting[t] && !does.Idle() {
			return nil
		}
	}
	return s.Locks
}

// Cycle is the circle of locks that l stands at the head of, nil if none: the
// owner of each waits for the next, and the owner of the last for the first.
func (l *Lock) Cycle() []*Lock {
	if l.root != l || l.Next == nil {
		return nil
	}
	out := []*Lock{l}
	for at := l.Next; at != l; at = at.Next {
		out = append(out, at)
	}
	return out
}

// Head reports whether the chain of owners ends at l: nobody it waits for holds it.
func (l *Lock) Head() bool { return l.root == l }

// Blocked are the threads that wait for l or, through its waiters, for a lock
// behind it.
func (l *Lock) Blocked() []*fact.Thread {
	var out []*fact.Thread
	for _, o := range l.Sample.Locks {
		if o.root == l.root {
			out = append(out, o.Waiters...)
		}
	}
	return out
}

// Entity is the lock's identity: the process and the address.
func (l *Lock) Entity() analyze.Entity {
	return analyze.Entity{Kind: join.KindLock, Key: l.Sample.key() + "/" + l.Name, Name: l.String()}
}

// String is "the OrderBook monitor 0x76ab2", "the lock 0x55e8".
func (l *Lock) String() string {
	switch {
	case l.Class == "":
		return "the mutex " + l.Name
	case strings.HasPrefix(l.Class, "java.util.concurrent.locks."):
		kind, _, _ := strings.Cut(strings.TrimPrefix(l.Class, "java.util.concurrent.locks."), "$")
		return "the " + kind + " " + l.Name
	}
	return "the monitor of " + l.Class + " " + l.Name
}

// InEarlier is the same lock in an earlier sample with at least one waiter in
// common, nil if there is none.
func (l *Lock) InEarlier(samples []*Sample) *Lock {
	for _, s := range samples {
		if s == l.Sample {
			return nil
		}
		for _, o := range s.Locks {
			if o.Name == l.Name && slices.ContainsFunc(o.Waiters, func(t *fact.Thread) bool { return hasThread(l.Waiters, t) }) {
				return o
			}
		}
	}
	return nil
}

func hasThread(list []*fact.Thread, t *fact.Thread) bool {
	return slices.ContainsFunc(list, func(o *fact.Thread) bool { return o.LWP == t.LWP && o.Number == t.Number && o.Name == t.Name })
}
