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
		for _, f := range s.Flows {
			if explained[join.FlowEntity(s.Host, f.Client(), f.Server()).Key] {
				continue
			}
			lost, dead := judge(p, f)
			if !lost && !dead {
				continue
			}
			st.flows = append(st.flows, f)
			st.again += resent(f)
			st.data += f.ToServer.DataPackets() + f.ToClient.DataPackets()
			if dead {
				st.dead++
			}
		}
		if len(st.flows) > 0 {
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

// judge reports whether a connection loses segments, and whether one side is not
// there any more. A connection that met a closed window is left out: what is sent
// again then is a probe.
func judge(p *analyze.Pass, f *fact.Flow) (lost, dead bool) {
	n := resent(f)
	if f.Counts().ZeroWindow > 0 || len(f.Stalls()) > 0 {
		return false, false
	}
	data := f.ToServer.DataPackets() + f.ToClient.DataPackets()
	lost = float64(n) >= p.Threshold("segments") && data > 0 && float64(n) >= p.Threshold("share")*float64(data)
	unheard := f.ToServer.Unacked() > 0 && f.ToClient.LastFrame() < f.ToServer.LastDataFrame() ||
		f.ToClient.Unacked() > 0 && f.ToServer.LastFrame() < f.ToClient.LastDataFrame()
	return lost, float64(n) >= p.Threshold("repeats") && unheard && f.Established
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
			wire.Count(s.again, "retransmission", "retransmissions"), share*100, wire.Count(len(s.flows), "connection", "connections")),
		Entities: []analyze.Entity{join.Endpoint(end.Host, at)},
		Fix:      "Look at the path: interface errors and drops on both hosts, duplex and offload settings, congested or lossy links, policing.",
		Next:     []string{"ip -s link; ethtool -S IFACE", "ss -ti dst " + at.Addr().String()},
	}
	switch {
	case len(s.flows) >= int(p.Threshold("flows")):
		f.Confidence = analyze.Likely
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
		detail = append(detail, fmt.Sprintf("On %s one side sends again and again and hears nothing from the other: it is gone or cut off.", wire.Count(s.dead, "connection", "connections")))
	}
	detail = append(detail, "Also possible: the capture itself lost packets; then acknowledgements of segments that it lacks show up (quality/capture).")
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
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
