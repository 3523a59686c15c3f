package waits

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Send is goroutines blocked in a send at one line.
type Send struct {
	// Stacks are the distinct stacks, largest first; they agree in the frame that
	// sends.
	Stacks []*Stack
	Count  int64
	// Live is a relative that works: perhaps the consumer, slow. Nil if none.
	Live *Stack
	// Consumer is a relative that waits to receive from something else: if it is the
	// one that should receive here, its wait is the fault. Nil if none.
	Consumer *Stack
	Leaked   bool
	// Behind is another send of which the goroutine should receive here: it does not
	// come back to receive before its own value is taken. Nil if there is none.
	Behind *Send
}

// sends groups blocked senders by the line that sends.
func (k *kinship) sends() []*Send {
	var out []*Send
	index := map[string]*Send{}
	for _, s := range k.d.Stacks {
		if !s.Kind.Sends() || k.locked[s] {
			continue
		}
		key := s.At(s.Top())
		send := index[key]
		if send == nil {
			send = &Send{}
			index[key] = send
			out = append(out, send)
		}
		send.Stacks = append(send.Stacks, s)
		send.Count += s.Count
		send.Leaked = send.Leaked || s.Members[0].Leaked
	}
	for _, send := range out {
		slices.SortStableFunc(send.Stacks, func(a, b *Stack) int { return cmp.Compare(b.Count, a.Count) })
		for _, s := range send.Stacks[:min(len(send.Stacks), maxAlike)] {
			for _, o := range k.relatives(s) {
				switch {
				case o.Kind.Live() && !o.mainAsleep() && !sendsNext(o, s):
					send.Live = cmp.Or(send.Live, o)
				case o.Kind == OnRecv && consumes(o, s) && !k.creates(o, s):
					send.Consumer = cmp.Or(send.Consumer, o)
				}
			}
		}
	}
	for _, send := range out[:min(len(out), maxRelatives)] {
		for _, other := range out[:min(len(out), maxRelatives)] {
			if other != send && send.Live == nil && serves(other.Stacks[0], send.Stacks[0]) {
				send.Behind = other
			}
		}
	}
	for _, send := range out {
		s := send.Stacks[0]
		if k.d.Grouped && send.Live == nil {
			// Such a dump prints no creators, which tell relatives from strangers.
			send.Live = k.d.LiveIn([]string{PackageOf(s.Frames[s.Top()].Func)})
		}
		if s.Kind == OnPipe && send.Live == nil {
			send.Live = k.d.copier()
		}
	}
	slices.SortStableFunc(out, func(a, b *Send) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(weight(b), weight(a)))
	})
	return out
}

// copier is a stack that hands on what it reads, and works: perhaps from a pipe
// that somebody writes to. Nil if there is none.
func (d *Dump) copier() *Stack {
	for _, s := range d.Stacks {
		if s.Kind.Live() && s.Has("io.copyBuffer", "net/http.(*transferWriter).") {
			return s
		}
	}
	return nil
}

// sendsNext reports whether o works in the function of the blocked sender s, before
// or at the line that sends: it is another sender on its way, and nobody who could
// receive. Behind the send it may hold a slot of a semaphore and give it back.
func sendsNext(o, s *Stack) bool {
	at := s.Frames[s.Top()]
	return slices.ContainsFunc(o.Frames, func(f fact.Frame) bool {
		return f.Func == at.Func && f.File == at.File && f.Line <= at.Line
	})
}

// weight orders senders of equal number: without a partner first, then by depth.
func weight(s *Send) int {
	n := len(s.Stacks[0].App)
	if s.Live == nil && s.Consumer == nil {
		n += 100
	}
	return n
}

// serves reports whether o, itself blocked in a send, is inside the loop of the type
// whose method s has called to send: the loop that takes what s hands over.
func serves(o, s *Stack) bool {
	if o.Top() == s.Top() && sameApp(o, s) {
		return false
	}
	if s.owner(s.outermost()) == o.owner(o.outermost()) {
		// Loops of one type: what one of them calls holds up who feeds it, and not the
		// other way round.
		if o.Top() == o.outermost() {
			return false
		}
	} else if s.Top() == s.outermost() {
		return false
	}
	return o.owner(o.outermost()) == s.owner(s.Top()) && strings.Contains(o.Frames[o.outermost()].Func, "(*")
}

// consumes reports whether o could be the loop that serves the sender s: it waits
// in the function that its go statement started, or in a closure, of a type that
// the sender is inside of.
func consumes(o, s *Stack) bool {
	top := o.Top()
	if top != o.outermost() && !strings.Contains(o.Frames[top].Func, ".func") {
		return false
	}
	if s.Top() == s.outermost() {
		// The sender is a worker of its own, not somebody who called in.
		return false
	}
	return slices.ContainsFunc(s.App, func(i int) bool { return s.Owners[i] == o.Owners[top] })
}
