package wire

import (
	"cmp"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// idleTimeouts finds connections that die after one silence. A RST that comes out
// of the silence measures the timer itself; one that answers the next packet, or
// no answer at all, only bounds it, so that survivors of longer silences refute it.
func (x *Index) idleTimeouts() {
	byPeer := map[addrKey][]*Case{}
	var keys []addrKey
	put := func(c *Case) {
		k := x.peer(c)
		if byPeer[k] == nil {
			keys = append(keys, k)
		}
		byPeer[k] = append(byPeer[k], c)
	}
	for _, c := range x.Cases {
		if g, ok := c.gapBefore(c.Flow.ToServer.LastDataFrame()); ok && c.Class == Abort && c.lastMoment() {
			c.Provoked, c.Idle, c.IdleFrame = true, g.Duration, g.BeforeFrame
			put(c)
		} else if c.spontaneous() || c.provokedIdle() {
			put(c)
		}
	}
	for _, f := range x.Eventful {
		if x.byFlow[f] != nil {
			continue
		}
		if c := silent(f); c != nil {
			put(c)
		}
	}
	for _, k := range keys {
		var timed, bounded []*Case
		for _, c := range byPeer[k] {
			if c.Provoked {
				bounded = append(bounded, c)
			} else {
				timed = append(timed, c)
			}
		}
		for _, c := range cluster(timed, idleSpread, 100*time.Millisecond) {
			c.Class = IdleTimeout
		}
		x.boundedIdle(bounded)
	}
}

// boundedIdle decides about connections on which the first packet after a silence
// met a RST or nothing. A peer that was restarted looks the same, but takes all
// connections with it: for a timer, some must survive shorter silences, and some
// older one must go on after the first death. Where nothing but silence answers, it
// may as well be that no one moment lies in all the fatal silences: a device that
// lost its state once did it at one moment, and a host that did so sends RST.
func (x *Index) boundedIdle(cases []*Case) {
	if len(cases) < idleFlows {
		return
	}
	shortest := cases[0].Idle
	since, death := cases[0].fatal()
	mute := true
	for _, c := range cases {
		from, to := c.fatal()
		shortest, death = min(shortest, c.Idle), first(death, to)
		if from.After(since) {
			since = from
		}
		mute = mute && c.Reset == nil
	}
	goesOn := mute && since.After(death)
	seen := map[*Server]bool{}
	for _, c := range cases {
		s := x.Server(c.Flow)
		if seen[s] {
			continue
		}
		seen[s] = true
		d, _, _ := x.Survived(s)
		if d < minIdle || d >= shortest {
			return
		}
		goesOn = goesOn || s.goesOn(death)
	}
	if !goesOn {
		return
	}
	for _, c := range cases {
		if c.Class == None {
			x.add(c)
		}
		c.Class = IdleTimeout
	}
}

// fatal is when the silence began that a conversation did not survive, and when it
// ended.
func (c *Case) fatal() (from, to time.Time) {
	for _, g := range c.Flow.Idle() {
		if g.BeforeFrame == c.IdleFrame {
			return g.From, g.From.Add(g.Duration)
		}
	}
	return c.At().Add(-c.Idle), c.At()
}

// goesOn reports whether a conversation that began before a moment exchanged payload
// after it.
func (s *Server) goesOn(at time.Time) bool {
	return slices.ContainsFunc(s.Flows, func(f *fact.Flow) bool {
		return f.First().Before(at) && f.ToServer.LastData().After(at) && f.ToClient.LastData().After(at)
	})
}

// Survived is the longest silence after which a conversation with a server went
// on, and where it stands.
func (x *Index) Survived(s *Server) (longest time.Duration, f *fact.Flow, gap *fact.Gap) {
	if s == nil {
		return 0, nil, nil
	}
	for _, fl := range s.Eventful {
		for i := range fl.Idle() {
			g := &fl.Idle()[i]
			if g.Probed || g.Duration <= longest || g.EndedBy != "data" || !survived(fl, g) {
				continue
			}
			longest, f, gap = g.Duration, fl, g
		}
	}
	return longest, f, gap
}

// survived reports whether the other side said something after the silence that
// was no RST.
func survived(f *fact.Flow, g *fact.Gap) bool {
	for _, r := range f.Resets() {
		if r.AfterFrame == g.AfterFrame || r.Frame == g.AfterFrame {
			return false
		}
	}
	if g.EndedFrom == "server" {
		return f.ToServer.LastFrame() > g.AfterFrame
	}
	// A bare ACK to the first payload is no sign of life: the RST may follow it.
	return f.ToClient.LastDataFrame() > g.AfterFrame
}

// cluster is the largest set of cases whose silences differ by no more than the
// spread, if it is large enough.
func cluster(cases []*Case, spread float64, slack time.Duration) []*Case {
	sorted := slices.Clone(cases)
	slices.SortStableFunc(sorted, func(a, b *Case) int { return cmp.Compare(a.Idle, b.Idle) })
	var best []*Case
	j := 0
	for i := range sorted {
		limit := sorted[i].Idle + time.Duration(float64(sorted[i].Idle)*spread) + slack
		for j < len(sorted) && sorted[j].Idle <= limit {
			j++
		}
		if j-i > len(best) {
			best = sorted[i:j]
		}
	}
	if len(best) < idleFlows {
		return nil
	}
	return best
}
