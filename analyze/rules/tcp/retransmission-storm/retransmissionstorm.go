// Package retransmissionstorm finds paths on which many segments are sent again.
package retransmissionstorm

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds paths on which many segments are sent again.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/retransmission-storm", Title: "retransmission storm", Doc: doc, Severity: analyze.Medium,
		After: []string{"tcp/mtu-blackhole", "tcp/idle-timeout"},
		Needs: []fact.Kind{"flow"},
		Thresholds: []analyze.Threshold{
			{Name: "segments", Default: 10, Unit: "segments", Doc: "retransmissions of one connection"},
			{Name: "share", Default: 0.02, Unit: "share", Doc: "of its data segments"},
			{Name: "repeats", Default: 5, Unit: "times", Doc: "retransmissions towards a side that says nothing any more, whatever their share"},
			{Name: "bad", Default: 0.10, Unit: "share", Doc: "of the data segments from which one or two connections are worth more than a note"},
			{Name: "flows", Default: 3, Unit: "connections", Doc: "connections on one path from which it is not one connection's bad luck"},
			{Name: "heavy", Default: 0.03, Unit: "share", Doc: "of the data segments from which a path that loses them on many connections is at fault"},
			{Name: "many", Default: 10, Unit: "connections", Doc: "connections that lose segments, from which they are many"},
		},
		Run: run,
	}
}

// storm is the connections of one path that suffer.
type storm struct {
	server *wire.Server
	flows  []*fact.Flow
	again  int
	data   int64
	dead   int
}

func run(_ context.Context, p *analyze.Pass) error {
	x := wire.Of(p)
	explained := map[string]bool{}
	for _, rule := range []string{"tcp/mtu-blackhole", "tcp/idle-timeout"} {
		for _, f := range p.Findings(rule) {
			for _, e := range f.Entities {
				if e.Kind == join.KindFlow {
					explained[e.Key] = true
				}
			}
		}
	}
	for _, s := range x.Servers() {
		st := &storm{server: s}
		lost, lossy := 0, 0
		for _, f := range s.Eventful {
			n, data := resent(f), segments(f)
			if n == 0 || !f.Established || closed(f) || explained[join.FlowEntity(s.Host, f.Client(), f.Server()).Key] {
				continue
			}
			dead := dying(p, f, n)
			if dead {
				st.dead++
			}
			if dead || float64(n) >= p.Threshold("share")*float64(data) {
				st.flows = append(st.flows, f)
				st.again += n
				st.data += data
			}
			lost += n
			if float64(n) >= p.Threshold("segments") && float64(n) >= p.Threshold("share")*float64(data) {
				lossy++
			}
		}
		// Loss hits every connection of a path; short ones meet it a few times each.
		spread := func() bool {
			return float64(lost) >= p.Threshold("segments") && len(st.flows) >= int(p.Threshold("flows")) && float64(lost) >= p.Threshold("share")*float64(sent(s))
		}
		if st.dead > 0 || lossy > 0 || spread() {
			report(p, st)
		}
	}
	return nil
}

// resent is the number of retransmissions that lost segments caused: not those of
// data that had arrived, not frames captured twice, and not probes into a closed
// window.
func resent(f *fact.Flow) int {
	n := f.Counts().SpuriousRetransmission
	if c := f.Copies(); c != nil {
		n -= c.SpuriousRetransmission
	}
	return f.Retransmitted() - int(n)
}

// sent is the number of data segments of all connections to a server.
func sent(s *wire.Server) (n int64) {
	for _, f := range s.Flows {
		n += segments(f)
	}
	return n
}

// segments is the number of data segments of a connection on the wire.
func segments(f *fact.Flow) int64 { return oneWay(&f.ToServer) + oneWay(&f.ToClient) }

// oneWay counts those of one direction. A capture on the sending host shows what the
// kernel gave to the card, up to 64 KiB at once, while what is lost and sent again is
// a segment of the size that the peers agreed on.
func oneWay(d *fact.Direction) int64 {
	const usual = 1460
	mss := int64(usual)
	if d.MSS() > 0 {
		mss = min(mss, int64(d.MSS()))
	}
	return max(d.DataPackets(), d.PayloadBytes()/mss)
}

// closed reports whether a connection met a closed window, or a server that had no
// room for it: what is sent again then is no sign of loss.
func closed(f *fact.Flow) bool {
	return f.Counts().ZeroWindow > 0 || len(f.Stalls()) > 0 || f.ToClient.SYNs() > 1
}

// dying reports whether one side repeats and hears nothing any more.
func dying(p *analyze.Pass, f *fact.Flow, n int) bool {
	return float64(n) >= p.Threshold("repeats") && f.Established &&
		(unheard(f, &f.ToServer, &f.ToClient) || unheard(f, &f.ToClient, &f.ToServer))
}

// unheard reports whether one side sent data again and again, with silences between,
// after the other's last word. Data that is merely the last of the capture is no
// sign.
func unheard(f *fact.Flow, from, to *fact.Direction) bool {
	if from.Unacked() == 0 || to.LastFrame() > from.LastDataFrame() {
		return false
	}
	again := 0
	for _, g := range f.Idle() {
		if g.EndedBy == "data" && g.BeforeFrame > to.LastFrame() {
			again++
		}
	}
	return again >= 2
}

func report(p *analyze.Pass, s *storm) {
	slices.SortStableFunc(s.flows, func(a, b *fact.Flow) int { return cmp.Compare(resent(b), resent(a)) })
	share := float64(s.again) / float64(max(1, s.data))
	at, _ := join.ParseAddrPort(s.server.Addr)
	end := join.FlowsOf(p).Server(s.flows[0])
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(s.server.Host) + "path to " + s.server.Addr,
		Severity: analyze.Medium, Confidence: analyze.Possible,
		Title: fmt.Sprintf("Segments between %s and its clients are lost and sent again: %s (%.1f %%) on %s", s.server.Addr,
			join.Count(s.again, "retransmission", "retransmissions"), share*100, join.Count(len(s.flows), "connection", "connections")),
		Entities: []analyze.Entity{join.Endpoint(end.Host, at)},
		Fix:      "Look at the path: interface errors and drops on both hosts, duplex and offload settings, congested or lossy links, policing.",
		Next:     []string{"ip -s link; ethtool -S IFACE", "ss -ti dst " + at.Addr().String()},
	}
	switch {
	case len(s.flows) >= int(p.Threshold("flows")):
		f.Confidence = analyze.Likely
		if share >= p.Threshold("bad") || share >= p.Threshold("heavy") && len(s.flows) >= int(p.Threshold("many")) {
			f.Severity = analyze.High
		}
	case s.dead == 0 && share < p.Threshold("bad"):
		f.Severity = analyze.Low // one connection's bad luck
	}
	p.Note("%s: %d retransmissions among %d data segments on %d connections, %d of them to a silent side", s.server.Addr, s.again, s.data, len(s.flows), s.dead)
	for i, fl := range s.flows {
		if i == 0 || fl.First().Before(f.From) {
			f.From = fl.First()
		}
		if fl.Last().After(f.To) {
			f.To = fl.Last()
		}
		f.Entities = append(f.Entities, join.FlowEntity(s.server.Host, fl.Client(), fl.Server()))
		if i >= 3 {
			continue
		}
		f.Evidence = append(f.Evidence, cite(fl))
	}
	detail := []string{"A sender repeats a segment when its acknowledgement does not come in time. Each one costs the application a round trip at least, and 200 ms or more when the timer had to find it."}
	if s.dead > 0 {
		detail = append(detail, fmt.Sprintf("On %s one side sends again and again and hears nothing from the other: it is gone or cut off.", join.Count(s.dead, "connection", "connections")))
	}
	if where, lost, ev := between(p, s); where != "" {
		detail = append(detail, where)
		f.Evidence = append(f.Evidence, ev...)
		if lost {
			f.Confidence = analyze.Confirmed
		}
	}
	detail = append(detail, "Also possible: the capture itself lost packets; then acknowledgements of segments that it lacks show up (quality/capture).")
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// between says by two captures of the path whether the segments are lost between
// them, and which way.
func between(p *analyze.Pass, s *storm) (words string, some bool, ev []analyze.Evidence) {
	for _, w := range join.PathsOf(p).All {
		if id := s.flows[0].Ref().Artifact; !w.Ordered || id != w.Client && id != w.Server {
			continue
		}
		var lost []string
		for _, way := range []struct {
			to string
			l  join.Loss
		}{{"server", w.ToServer}, {"client", w.ToClient}} {
			if share, some := way.l.Lost(); some {
				lost = append(lost, fmt.Sprintf("%d of %d payload bytes on the way to the %s (%.1f %%)", way.l.Sent-way.l.Arrived, way.l.Sent, way.to, share*100))
			}
		}
		if w.ToServer.Sent+w.ToClient.Sent == 0 {
			continue
		}
		for _, pair := range w.Pairs[:min(len(w.Pairs), 1)] {
			ev = append(ev, analyze.Cite(pair.Here, "%s, nearer to the clients", pair.What), analyze.Cite(pair.There, "the same packet nearer to the server"))
		}
		if len(lost) == 0 {
			return fmt.Sprintf("Nothing is lost between %s and %s: what enters this part of the path leaves it.", w.Client, w.Server), false, ev
		}
		return fmt.Sprintf("Between %s and %s are lost: %s.", w.Client, w.Server, strings.Join(lost, ", and ")), true, ev
	}
	return "", false, nil
}

// cite points at the first retransmission, if the flow kept its frame.
func cite(f *fact.Flow) analyze.Evidence {
	for _, m := range f.Marks() {
		if strings.Contains(m.Name, "retransmission") {
			return wire.At(f, m.Frame, m.Time, "the first of %d retransmissions between %s and %s", resent(f), f.Client(), f.Server())
		}
	}
	return wire.At(f, f.Ref().Packet, f.First(), "the connection of %s to %s, with %d retransmissions", f.Client(), f.Server(), resent(f))
}
