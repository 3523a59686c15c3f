package wire

import (
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze/join"
)

// deaths marks connections that ended together because their server's process
// did: they end within a moment, and afterwards nobody is accepted any more.
func (x *Index) deaths() {
	dying := map[*Server][]*Case{}
	for _, c := range x.Cases {
		if c.mayDie() {
			s := x.Server(c.Flow)
			dying[s] = append(dying[s], c)
		}
	}
	for _, s := range x.Servers() {
		cases := dying[s]
		if len(cases) == 0 {
			continue
		}
		ends := x.lastEnds(s, cases)
		at, last := slices.MinFunc(ends, time.Time.Compare), slices.MaxFunc(ends, time.Time.Compare)
		switch refused, tried := x.after(s, last); {
		case refused:
		case tried || !x.vanished(s, ends, last, len(cases)):
			continue
		}
		for _, c := range cases {
			if !first(c.Flow.ToClient.FINTime(), c.At()).Before(at) {
				c.Class, c.Death = Abort, true
			}
		}
	}
}

// lastEnds is when connections of a server ended in its last moment: those of the
// cases, and those that it closed in order.
func (x *Index) lastEnds(s *Server, cases []*Case) []time.Time {
	var ends []time.Time
	var last time.Time
	early := func(t time.Time) bool { return last.Sub(t) > deathWindow }
	add := func(t time.Time) {
		if early(t) {
			return
		}
		if t.After(last) {
			last = t
		}
		if len(ends) == cap(ends) {
			ends = slices.DeleteFunc(ends, early)
		}
		ends = append(ends, t)
	}
	for _, c := range cases {
		add(first(c.Flow.ToClient.FINTime(), c.At()))
	}
	for _, f := range s.Flows {
		if f.Closer() == "server" && !f.ToClient.FINTime().IsZero() && (len(f.Resets()) == 0 || !x.byFlow[f].mayDie()) {
			add(f.ToClient.FINTime())
		}
	}
	return slices.DeleteFunc(ends, early)
}

// mayDie reports whether a case can be one of a dying process.
func (c *Case) mayDie() bool {
	return c != nil && c.FromServer && (c.Class == Abort || c.Class == WriteAfterClose)
}

// first is the earlier of two times, the zero time counting as unknown.
func first(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// after says what became of the attempts after a moment: whether the next one was
// refused, and whether there was any.
func (x *Index) after(s *Server, at time.Time) (refused, tried bool) {
	for _, f := range s.Flows {
		if !f.First().After(at) {
			continue
		}
		tried = true
		if c := x.byFlow[f]; c != nil && c.Class == Refused {
			return true, true
		}
		if f.Established {
			return false, true
		}
	}
	return false, tried
}

// vanished is the judgement when nobody tried again: several connections end in
// one instant, as only the end of a process does, and not as others had ended all
// along; and no table shows that somebody listens.
func (x *Index) vanished(s *Server, ends []time.Time, last time.Time, abnormal int) bool {
	n := 0
	for _, t := range ends {
		if last.Sub(t) <= deathInstant {
			n++
		}
	}
	if n < deathFlows || n*2 <= abnormal {
		return false
	}
	ap, ok := join.ParseAddrPort(s.Addr)
	return ok && x.sockets.Listener(s.Host, "tcp", ap) == nil
}

// Standstill reports whether all resets of a group are one moment of a server that
// had stood still: requests that came at different times, each on a connection that
// had been idle before, lie unread when its idle timer goes off, and older
// connections go on to be served. It returns how long the first of them had waited.
func (g *Group) Standstill() (waited time.Duration, ok bool) {
	if g.FromClients || g.Death() || g.To().Sub(g.From()) > deathInstant || !g.Server.goesOn(g.To()) {
		return 0, false
	}
	for _, c := range g.Cases {
		if _, idle := c.gapBefore(c.Flow.ToServer.LastDataFrame()); !idle || c.Unread == 0 || c.Flow.Turns.Answers() == 0 {
			return 0, false
		}
		waited = max(waited, c.At().Sub(c.Flow.ToServer.LastData()))
	}
	return waited, waited > crossing
}

// edge is how near to the end of a capture something happens of which it cannot
// show the sequel.
const edge = time.Second

// AtEdge reports whether all of it happened in the last moment of a capture. Who
// stops a service and the capture together leaves the same packets as a crash.
func (g *Group) AtEdge() bool {
	for _, c := range g.Cases {
		at := g.x.captures[c.Flow.Ref().Artifact]
		if at == nil || at.Last.Sub(c.At()) > edge || c.At().Sub(at.First) < 10*edge {
			return false
		}
	}
	return true
}
