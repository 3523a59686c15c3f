package waits

import (
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// buildGraph finds locks, holders, cycles and chains of the dump, which must be the
// one to judge.
func (d *Dump) buildGraph() {
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
	d.findRoots()
	d.findTwice()
	for _, l := range d.Locks {
		l.root.Blocked += l.Count()
		l.verdict = l.judge()
	}
}

// link sets which lock the holder of each lock waits for.
func (d *Dump) link() {
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

// findRoots finds for each lock the one at the end of its chain of holders. All
// locks of a cycle have the first of them for their root. It is linear: a hostile
// dump may have a chain of all its locks.
func (d *Dump) findRoots() {
	for _, cycle := range d.components() {
		first := cycle[0]
		for _, l := range cycle {
			if l.rank < first.rank {
				first = l
			}
		}
		for _, l := range cycle {
			l.root = first
		}
		first.findCycle()
	}
	for _, l := range d.Locks {
		var path []*Lock
		for l.root == nil && l.Next != nil {
			path = append(path, l)
			l = l.Next
		}
		if l.root == nil {
			l.root = l
		}
		for _, p := range path {
			p.root = l.root
		}
	}
}

// components are the strongly connected sets of two or more locks, by Tarjan's
// algorithm without recursion.
func (d *Dump) components() [][]*Lock {
	type visit struct {
		l    *Lock
		edge int
	}
	var out [][]*Lock
	index, low, on := map[*Lock]int{}, map[*Lock]int{}, map[*Lock]bool{}
	var stack []*Lock
	enter := func(l *Lock) visit {
		index[l] = len(index) + 1
		low[l] = index[l]
		on[l] = true
		stack = append(stack, l)
		return visit{l: l}
	}
	for _, start := range d.Locks {
		if index[start] != 0 || len(start.nexts) == 0 {
			continue
		}
		todo := []visit{enter(start)}
		for len(todo) > 0 {
			v := &todo[len(todo)-1]
			if v.edge < len(v.l.nexts) {
				next := v.l.nexts[v.edge]
				v.edge++
				if index[next] == 0 {
					todo = append(todo, enter(next))
				} else if on[next] {
					low[v.l] = min(low[v.l], index[next])
				}
				continue
			}
			l := v.l
			todo = todo[:len(todo)-1]
			if len(todo) > 0 {
				from := todo[len(todo)-1].l
				low[from] = min(low[from], low[l])
			}
			if low[l] != index[l] {
				continue
			}
			at := len(stack) - 1
			for stack[at] != l {
				at--
			}
			if set := stack[at:]; len(set) > 1 {
				out = append(out, slices.Clone(set))
			}
			for _, done := range stack[at:] {
				on[done] = false
			}
			stack = stack[:at]
		}
	}
	return out
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
			if _, seen := from[next]; !seen {
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

// findTwice looks, among waiters of whose lock only the type is known, for a
// function that waits at two lines. Who waits at the later one is past the first,
// and two or more of them are what two locks taken in opposite order look like.
func (d *Dump) findTwice() {
	for _, l := range d.Locks {
		if l.Trust > LockByType || len(l.Holders) > 0 || l.Recursion != nil {
			continue
		}
		first := map[string]int{}
		for _, s := range l.Stacks() {
			if s.Site < 0 {
				continue
			}
			if f := s.Frames[s.Site]; first[f.Func] == 0 || f.Line < first[f.Func] {
				first[f.Func] = f.Line
			}
		}
		for _, s := range l.Stacks() {
			if s.Site >= 0 && s.Count > 1 && s.Frames[s.Site].Line > first[s.Frames[s.Site].Func] {
				l.Twice = s
				break
			}
		}
	}
}

// Root is the lock at the end of the chain of holders that wait for locks. In a
// cycle it is the cycle's first lock.
func (l *Lock) Root() *Lock { return l.root }

// Waits is the lock that a goroutine waits for, nil if none.
func (d *Dump) Waits(g *fact.Goroutine) *Lock { return d.waits[g] }
