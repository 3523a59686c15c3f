package join

import (
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// buildGraph finds locks, holders, cycles and chains of the dump, which must be the
// one to judge.
func (d *WaitDump) buildGraph() {
	d.byID = make(map[int64]*fact.Goroutine)
	for _, s := range d.Stacks {
		for _, g := range s.Members {
			d.byID[g.ID] = g
		}
	}
	d.creator = map[string]bool{}
	for _, s := range d.Stacks {
		for _, f := range s.Frames {
			d.creator[f.Func] = true
		}
	}
	d.findLocks()
	d.findPersisting()
	d.learnSites()
	d.findHolders()
	d.link()
	for _, l := range d.Locks {
		l.findCycle()
	}
	d.countBlocked()
	for _, l := range d.Locks {
		l.verdict = l.judge()
	}
}

// link sets which lock the holder of each lock waits for.
func (d *WaitDump) link() {
	for _, l := range d.Locks {
		if l.Recursion != nil && l.Recursion.Sign == HoldsByLine {
			continue
		}
		for _, h := range l.Holders {
			if next := d.waits[h.G]; next != nil && next != l && !slices.Contains(l.nexts, next) {
				l.nexts = append(l.nexts, next)
			}
		}
		if len(l.nexts) > 0 {
			l.Next = l.nexts[0]
		}
	}
}

// findCycle finds the shortest way from the lock through holders back to itself.
func (l *Lock) findCycle() {
	from := map[*Lock]*Lock{}
	todo := []*Lock{l}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		for _, next := range at.nexts {
			if next == l {
				for c := at; c != nil; c = from[c] {
					l.Cycle = append(l.Cycle, c)
				}
				slices.Reverse(l.Cycle)
				return
			}
			if _, seen := from[next]; !seen && next != l {
				from[next] = at
				todo = append(todo, next)
			}
		}
	}
}

// HolderToward is the holder of l that waits for next, and true if there is one.
func (l *Lock) HolderToward(next *Lock) (Holder, bool) {
	for _, h := range l.Holders {
		if l.dump.waits[h.G] == next {
			return h, true
		}
	}
	return Holder{}, false
}

// Root is the lock at the end of the chain of holders that wait for locks. In a
// cycle it is the cycle's first lock.
func (l *Lock) Root() *Lock {
	seen := map[*Lock]bool{}
	for at := l; ; at = at.Next {
		if len(at.Cycle) > 0 {
			root := at
			for _, c := range at.Cycle {
				if c.rank < root.rank {
					root = c
				}
			}
			return root
		}
		if at.Next == nil || seen[at] {
			return at
		}
		seen[at] = true
	}
}

// maxChain bounds how far a chain of locks is followed when the blocked are
// counted.
const maxChain = 64

// countBlocked counts for each lock the goroutines that wait for it directly or
// because a holder of theirs does.
func (d *WaitDump) countBlocked() {
	for _, l := range d.Locks {
		l.Blocked += l.Count()
		seen := map[*Lock]bool{l: true}
		for at := l.Next; at != nil && !seen[at] && len(seen) < maxChain; at = at.Next {
			seen[at] = true
			at.Blocked += l.Count()
		}
	}
}

// Waits is the lock that a goroutine waits for, nil if none.
func (d *WaitDump) Waits(g *fact.Goroutine) *Lock { return d.waits[g] }
