package waits

import "slices"

// Verdict is what keeps a lock from its waiters.
type Verdict int

// The verdicts. Each lock has one, so that one fault is told once.
const (
	// LockFollows: its holder waits for another lock, which has the verdict.
	LockFollows Verdict = iota + 1
	// LockCycle: it is in a circle of locks and holders.
	LockCycle
	// LockReadTwice: a reader reads it again behind a pending writer.
	LockReadTwice
	// LockTwice: a goroutine waits for it that holds it itself.
	LockTwice
	// LockHeld: its holder is known and blocked by something that is no lock.
	LockHeld
	// LockBusy: goroutines work under it; waiting is ordinary contention.
	LockBusy
	// LockLeaked: nobody in the dump seems to hold it.
	LockLeaked
)

// longWait is the number of minutes after which waiting is no contention: since Go
// 1.9 a Mutex goes to its longest waiter after a millisecond.
const longWait = 1

// Verdict is what keeps the lock from its waiters.
func (l *Lock) Verdict() Verdict { return l.verdict }

// judge weighs the signs of the lock.
func (l *Lock) judge() Verdict {
	if l.Root() != l {
		return LockFollows
	}
	if len(l.Cycle) > 0 || l.Twice != nil {
		return LockCycle
	}
	best := HolderSign(0)
	if len(l.Holders) > 0 {
		best = l.Holders[0].Sign
	}
	live := HolderSign(0)
	for _, h := range l.Live {
		live = max(live, h.Sign)
		if h.Stack.takesLock() {
			live = HoldsByLine // the lock goes round
		}
	}
	if r := l.Recursion; r != nil && (r.Sign > best || r.Sign == best && r.Writer != nil) {
		switch {
		case r.Writer == nil:
			return LockTwice
		case live >= r.Sign && !l.Lasting():
			return LockBusy // the writer may wait for one that works, and the readers for the writer
		}
		return LockReadTwice
	}
	if live > 0 && !l.Lasting() && live >= best && !l.heldInIO() && !l.heldAtMercy() {
		return LockBusy
	}
	if best > 0 {
		return LockHeld
	}
	if !l.Lasting() && !slices.ContainsFunc(l.Waiters, func(w Waiter) bool { return len(w.Stack.App) > 0 }) {
		return LockBusy // a lock inside the standard library, for a moment
	}
	return LockLeaked
}

// takesLock reports whether a goroutine that can run is inside of Lock: it was woken
// because the lock is free, or has only now come to it.
func (s *Stack) takesLock() bool {
	return s.Kind == Running && (s.sync.lockSlow >= 0 || s.sync.sema >= 0)
}

// pileUp is how many goroutines behind a holder in network IO are no ordinary
// contention: each of them is a request that waits for the one on the wire.
const pileUp = 20

// heldInIO reports whether a crowd waits for a holder that waits for the network.
func (l *Lock) heldInIO() bool {
	return l.Count() >= pileUp && len(l.Holders) > 0 && l.Holders[0].Stack.Kind == OnIO
}

// heldAtMercy reports whether the holder waits for another process to move: what
// others do under such a lock is no ordinary work, however short it has been.
func (l *Lock) heldAtMercy() bool {
	return len(l.Holders) > 0 && l.Holders[0].Stack.AtMercy() != ""
}

// Lasting reports whether the wait is surely long: minutes are printed, or an
// earlier dump shows the same waiter.
func (l *Lock) Lasting() bool { return l.Minutes() >= longWait || l.Persists() }

// Persists reports whether an earlier dump of the process shows one of the waiters
// waiting at the same line.
func (l *Lock) Persists() bool { return l.persists }

// findPersisting looks for the waiters of each lock in the earlier dumps.
func (d *Dump) findPersisting() {
	for _, e := range d.Earlier {
		if e.Grouped {
			continue
		}
		before := map[*Stack]map[int64]bool{} // ids of the same stack in the earlier dump
		for _, l := range d.Locks {
			for _, w := range l.Waiters {
				ids, ok := before[w.Stack]
				if !ok {
					ids = map[int64]bool{}
					if have := e.find(w.Stack); have != nil {
						for _, g := range have.Members {
							ids[g.ID] = true
						}
					}
					before[w.Stack] = ids
				}
				if l.persists = l.persists || ids[w.G.ID]; l.persists {
					break
				}
			}
		}
	}
}
