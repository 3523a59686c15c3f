package waits

import (
	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Leaver is a goroutine that panicked inside a function of a lock's type, was
// caught, and may have left the lock behind.
type Leaver struct {
	G     *fact.Goroutine
	Stack *Stack
	Frame int // the function of the type
	// Same is set when the function's receiver is the lock's object: its address is
	// printed at both places.
	Same bool
}

// LeaverOf finds who may have left a lock behind: the stack of a panic that was
// caught, as net/http and other servers print it. One with the lock's own object
// comes before one of which no object is known; other objects are none. ok is false
// if the bundle has none.
func LeaverOf(p *analyze.Pass, l *Lock) (found Leaver, ok bool) {
	if l.Type == "" {
		return found, false
	}
	hosts := join.HostsOf(p)
	for g := range fact.All[fact.Goroutine](p.Facts) {
		if g.State != "running" {
			continue
		}
		at, same, fits := l.leftAt(g)
		if !fits || ok && (found.Same || !same) || hosts.Of(g.At) != l.dump.Host {
			continue
		}
		found, ok = Leaver{G: g, Stack: &Stack{Frames: g.Frames, Members: []*fact.Goroutine{g}, Count: 1, State: g.State, Kind: Running}, Frame: at, Same: same}, true
	}
	return found, ok
}

// leftAt is the innermost function of the lock's type that a panic went through.
func (l *Lock) leftAt(g *fact.Goroutine) (frame int, same, ok bool) {
	start := PanicFrame(g)
	if start <= 0 {
		return 0, false, false
	}
	thrown := false
	for _, f := range g.Frames[:start] {
		thrown = thrown || f.Func == "panic" || f.Func == "runtime.gopanic"
	}
	for i := start; thrown && i < len(g.Frames); i++ {
		if lockOwnerOf(g.Frames[i].Func) != l.Type {
			continue
		}
		p, known := arg(g, i)
		if !known || l.Object == 0 && l.Addr == 0 {
			return i, false, true
		}
		_, same = l.offsetOf(p)
		return i, same, same
	}
	return 0, false, false
}
