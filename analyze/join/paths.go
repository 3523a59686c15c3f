package join

import (
	"fmt"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Path is two captures that show the same connections.
type Path struct {
	// Client is the capture nearer to the clients, Server the one nearer to the
	// servers; Ordered is false where that could not be told, or differs from
	// connection to connection.
	Client, Server fact.ID
	Ordered        bool
	Connections    int
	// Hops: routers stand between the two, by the TTLs.
	Hops bool
	// Offset is added to the times of Client to get those of Server, give or take
	// Uncertainty: packets in both directions bound it. Residual is the median
	// difference of single connections from it, Pairs are packets that prove it.
	Offset, Uncertainty, Residual time.Duration
	Pairs                         []Pair
	// RTT is the shortest time from one capture to the other and back.
	RTT time.Duration
	// ToServer and ToClient compare what was sent into the path with what came out.
	ToServer, ToClient Loss
}

// Loss is payload that one capture saw enter a path and the other saw leave it, of
// connections that both show from beginning to end; repeated payload counts each
// time. SYNs are segments of handshakes.
type Loss struct{ Sent, Arrived, SYNsSent, SYNsArrived int64 }

// Lost is the share of the payload that was lost, and whether any was.
func (l Loss) Lost() (share float64, some bool) {
	if l.Sent == 0 || l.Arrived >= l.Sent {
		return 0, false
	}
	return float64(l.Sent-l.Arrived) / float64(l.Sent), true
}

// Paths holds the pairs of captures that show the same connections.
type Paths struct{ All []*Path }

var paths = analyze.Derived[*Paths]{
	Name:  "paths",
	Needs: []fact.Kind{"flow"},
	Build: buildPaths,
}

// PathsOf returns the pairs of captures of one path.
func PathsOf(p *analyze.Pass) *Paths { return paths.Of(p) }

// Between is what is known about two captures, nil if they have no connection in
// common; offset is added to times of a to get those of b.
func (ps *Paths) Between(a, b fact.ID) (path *Path, offset time.Duration) {
	for _, w := range ps.All {
		switch {
		case w.Client == a && w.Server == b:
			return w, w.Offset
		case w.Client == b && w.Server == a:
			return w, -w.Offset
		}
	}
	return nil, 0
}

// sample is what one connection says about the clocks of two captures: the offset
// lies between low and high.
type sample struct {
	a, b      *fact.Flow
	low, high time.Duration
}

func (s sample) middle() time.Duration { return s.low + (s.high-s.low)/2 }

func buildPaths(p *analyze.Pass) *Paths {
	type pair struct{ a, b fact.ID }
	samples := map[pair][]sample{}
	ahead := map[pair]int{} // connections with a nearer to the client, less the others
	var order []pair
	for _, k := range ConnectionsOf(p).All {
		for i, a := range k.Flows {
			for _, b := range k.Flows[i+1:] {
				if a.Ref().Artifact == b.Ref().Artifact {
					continue
				}
				x, y := a, b
				if y.Ref().Artifact < x.Ref().Artifact {
					x, y = y, x
				}
				at := pair{x.Ref().Artifact, y.Ref().Artifact}
				if samples[at] == nil {
					order = append(order, at)
				}
				samples[at] = append(samples[at], sample{a: x, b: y})
				ahead[at] -= nearer(x, y)
			}
		}
	}
	out := &Paths{}
	for _, at := range order {
		w := &Path{Client: at.a, Server: at.b, Ordered: ahead[at] != 0, Connections: len(samples[at])}
		if ahead[at] < 0 {
			w.Client, w.Server = at.b, at.a
			for i := range samples[at] {
				s := &samples[at][i]
				s.a, s.b = s.b, s.a
			}
		}
		w.measure(samples[at])
		w.compare(samples[at])
		out.All = append(out.All, w)
	}
	return out
}

// astray is how far the offset that one connection gives may be from that of the
// others; what is farther was not the same connection.
const astray = time.Second

// measure finds the offset of the clocks. A packet to the server passes the server's
// side later than the client's by the offset and its way, one to the client by the
// offset less its way: the offset lies between the least of the first and the
// greatest of the second.
func (w *Path) measure(list []sample) {
	var known []sample
	for _, s := range list {
		d := passages(s.a, s.b)
		round := max(s.a.HandshakeRTT(), s.b.HandshakeRTT())
		switch {
		case len(d.there) > 0 && len(d.back) > 0:
			s.low, s.high = slices.Max(d.back), slices.Min(d.there)
		case len(d.there) > 0:
			s.high = slices.Min(d.there)
			s.low = s.high - round
		case len(d.back) > 0:
			s.low = slices.Max(d.back)
			s.high = s.low + round
		default:
			continue
		}
		known = append(known, s)
	}
	if len(known) == 0 {
		w.Connections = 0
		return
	}
	slices.SortStableFunc(known, func(a, b sample) int { return int(max(-1, min(1, a.middle()-b.middle()))) })
	median := known[len(known)/2].middle()
	known = slices.DeleteFunc(known, func(s sample) bool { return (s.middle() - median).Abs() > astray })
	w.Connections = len(known)
	low, high := known[0].low, known[0].high
	rest := make([]time.Duration, len(known))
	for i, s := range known {
		low, high = max(low, s.low), min(high, s.high)
		rest[i] = (s.middle() - median).Abs()
		if width := s.high - s.low; width > 0 && (w.RTT == 0 || width < w.RTT) {
			w.RTT = width
		}
	}
	slices.Sort(rest)
	w.Residual = rest[len(rest)/2]
	w.Offset, w.Uncertainty = median, max(w.RTT/2, w.Residual)
	if high >= low {
		w.Offset, w.Uncertainty = low+(high-low)/2, (high-low)/2
	}
	w.Hops = known[0].a.ToServer.TTL() != known[0].b.ToServer.TTL()
	w.prove(known)
}

// prove keeps packets of a few connections that both captures date.
func (w *Path) prove(list []sample) {
	const most = 3
	slices.SortStableFunc(list, func(a, b sample) int { return a.a.Ref().Compare(b.a.Ref()) })
	for _, s := range list {
		a, b := s.a, s.b
		if len(w.Pairs) == most || !a.ClientISN().Known || !b.ClientISN().Known {
			continue
		}
		w.Pairs = append(w.Pairs, Pair{Here: a.Ref(), There: b.Ref(), Difference: b.First().Sub(a.First()),
			What: fmt.Sprintf("SYN of %s with sequence number %d", a.Client(), a.ClientISN().V)})
	}
	for _, s := range list {
		if len(w.Pairs) > 0 {
			return
		}
		for _, r := range s.a.Resets() {
			for _, o := range s.b.Resets() {
				if r.From == o.From && r.Seq == o.Seq && len(w.Pairs) == 0 {
					w.Pairs = append(w.Pairs, Pair{Here: s.a.Frame(r.Frame), There: s.b.Frame(o.Frame), Difference: o.Time.Sub(r.Time),
						What: fmt.Sprintf("RST with sequence number %d", r.Seq)})
				}
			}
		}
		if f, o := s.a.ToServer, s.b.ToServer; f.FIN && o.FIN && len(w.Pairs) == 0 {
			w.Pairs = append(w.Pairs, Pair{Here: s.a.Frame(f.FINFrame()), There: s.b.Frame(o.FINFrame()), Difference: o.FINTime().Sub(f.FINTime()), What: "FIN of " + s.a.Client().String()})
		}
	}
}

// compare counts what entered the path on one side and did not leave it on the
// other. Segments are cut and merged by offloads, payload is not.
func (w *Path) compare(list []sample) {
	if !w.Ordered {
		return
	}
	add := func(l *Loss, sent, arrived *fact.Direction) {
		l.Sent += sent.PayloadBytes()
		l.Arrived += arrived.PayloadBytes()
		l.SYNsSent += int64(sent.SYNs())
		l.SYNsArrived += int64(arrived.SYNs())
	}
	for _, s := range list {
		if !whole(s.a) || !whole(s.b) {
			continue
		}
		add(&w.ToServer, &s.a.ToServer, &s.b.ToServer)
		add(&w.ToClient, &s.b.ToClient, &s.a.ToClient)
	}
}

// whole reports whether a capture shows a connection from beginning to end.
func whole(f *fact.Flow) bool {
	return f.ClientISN().Known && f.Closer() != "" && len(f.Partial()) == 0
}
