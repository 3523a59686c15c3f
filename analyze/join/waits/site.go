package waits

import (
	"github.com/culprit-dev/culprit/analyze/fact"
)

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
func (d *Dump) learnSites() {
	d.sites, d.calls = siteTable{}, siteTable{}
	for _, l := range d.Locks {
		l.learnLines()
		seen := map[*Stack]int{}
		for _, w := range l.Waiters {
			site := w.Stack.Site
			// More of the same stack would say the same.
			if seen[w.Stack]++; site < 0 || site >= len(w.G.Calls) || seen[w.Stack] > maxAlike {
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
			d.learnCalls(l, w)
		}
	}
}

// learnCalls notes at which lines functions outside of the lock's type call what
// waits for it. They do not hold it there, or the call could never come back.
func (d *Dump) learnCalls(l *Lock, w Waiter) {
	for _, i := range w.Stack.App {
		if i <= w.Stack.Site || i >= len(w.G.Calls) || w.Stack.lockOwner(i) == l.Type {
			continue
		}
		f := w.Stack.Frames[i]
		eachPointer(w.G.Calls[i].Args, func(arg int, p uint64) {
			if off, ok := l.offsetOf(p); ok {
				k := siteKey{f.Func, arg, off}
				d.calls[k] = max(d.calls[k], f.Line)
			}
		})
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
func (d *Dump) passed(f fact.Frame, arg int, off uint64) (passed, known bool) {
	line, ok := d.sites[siteKey{f.Func, arg, off}]
	return ok && f.Line > line, ok
}
