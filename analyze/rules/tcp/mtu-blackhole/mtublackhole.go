// Package mtublackhole finds paths that swallow large segments.
package mtublackhole

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds paths that swallow large segments.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/mtu-blackhole", Title: "MTU black hole", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"icmp_error"},
		Thresholds: []analyze.Threshold{
			{Name: "retransmissions", Default: 3, Unit: "segments", Doc: "repeats of large segments without progress"},
			{Name: "flows", Default: 2, Unit: "connections", Doc: "connections on one path that suffer"},
			{Name: "repeats", Default: 5, Unit: "segments", Doc: "repeats on one connection that count as much"},
			{Name: "large", Default: 0.9, Unit: "share", Doc: "of the MSS from which a segment is large"},
			{Name: "offload", Default: 9000, Unit: "bytes", Doc: "segments above it are cut by the network card later; they tell nothing"},
		},
		Run: run,
	}
}

// stuck is a connection whose large segments do not arrive.
type stuck struct {
	flow   *fact.Flow
	sender string // client or server
	size   int
	mtu    *fact.ICMPError
}

func run(_ context.Context, p *analyze.Pass) error {
	tooBig := map[[2]netip.AddrPort]*fact.ICMPError{}
	for e := range fact.All[fact.ICMPError](p.Facts) {
		if e.Type == 3 && e.Code == 4 || e.Type == 2 && e.Code == 0 {
			src, _ := join.ParseAddrPort(e.Src)
			dst, _ := join.ParseAddrPort(e.Dst)
			if k := [2]netip.AddrPort{src, dst}; tooBig[k] == nil {
				tooBig[k] = e
			}
		}
	}
	for _, s := range wire.Of(p).Servers() {
		var list []stuck
		repeats := 0
		for _, f := range s.Eventful {
			if k, ok := judge(p, f); ok {
				k.mtu = tooBig[[2]netip.AddrPort{f.Server(), f.Client()}]
				if k.sender == "client" {
					k.mtu = tooBig[[2]netip.AddrPort{f.Client(), f.Server()}]
				}
				list = append(list, k)
				repeats = max(repeats, f.Retransmitted())
			}
		}
		if len(list) == 0 {
			continue
		}
		p.Note("%s: large segments stuck on %d connections, at most %d repeats", s.Addr, len(list), repeats)
		if !alive(s, list) {
			p.Note("%s: nothing at all passes any more while they are repeated: see tcp/retransmission-storm", s.Addr)
			continue
		}
		if float64(len(list)) >= p.Threshold("flows") || float64(repeats) >= p.Threshold("repeats") {
			report(p, s, list)
		}
	}
	return nil
}

// judge reports whether one side's large segments are repeated without progress
// although the handshake and smaller segments went through.
func judge(p *analyze.Pass, f *fact.Flow) (stuck, bool) {
	if !f.Established || float64(f.Retransmitted()) < p.Threshold("retransmissions") || f.Counts().ZeroWindow > 0 {
		return stuck{}, false
	}
	for _, k := range []struct {
		name        string
		sender, rcv fact.Direction
	}{{"client", f.ToServer, f.ToClient}, {"server", f.ToClient, f.ToServer}} {
		mss := k.rcv.MSS() // what the receiver allows
		d := k.sender
		switch {
		case mss == 0 || d.MaxSegment() == 0 || float64(d.MaxSegment()) > p.Threshold("offload"):
		case float64(d.MaxSegment()) < p.Threshold("large")*float64(mss-12):
		case d.Unacked() < int64(d.MaxSegment()):
		case k.rcv.Packets() == 0 || k.rcv.LastFrame() == 0 || passed(f, &d):
		default:
			return stuck{flow: f, sender: k.name, size: d.MaxSegment()}, true
		}
	}
	return stuck{}, false
}

// passed reports whether large segments got through before: then it is no matter of
// their size. Repeats count as segments that did not.
func passed(f *fact.Flow, d *fact.Direction) bool {
	segments := d.DataPackets() - int64(f.Retransmitted())
	acked := d.PayloadBytes() - d.Unacked() - int64(f.Retransmitted()*d.MaxSegment())
	return segments > 0 && acked >= int64(2*d.MaxSegment()) && acked/segments >= int64(d.MaxSegment()/2)
}

// alive reports whether the path carried anything while the segments were stuck: the
// receiver says something after the first repeat, or a handshake succeeds after it.
func alive(s *wire.Server, list []stuck) bool {
	if len(list) > 1 {
		return true // each had its own handshake
	}
	for _, k := range list {
		rcv := k.flow.ToClient
		if k.sender == "server" {
			rcv = k.flow.ToServer
		}
		for _, m := range k.flow.Marks() {
			if !strings.Contains(m.Name, "retransmission") || m.From != k.sender {
				continue
			}
			if rcv.LastFrame() > m.Frame || k.mtu != nil {
				return true
			}
			for _, f := range s.Flows {
				if f.Established && f.First().After(m.Time) {
					return true
				}
			}
		}
	}
	return false
}

func report(p *analyze.Pass, s *wire.Server, list []stuck) {
	at, _ := join.ParseAddrPort(s.Addr)
	first := list[0]
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(s.Host) + "path to " + s.Addr,
		Severity: analyze.High, Confidence: analyze.Likely,
		Title: fmt.Sprintf("Large segments of the %s do not get through between %s and its clients: %s stuck at %d bytes", first.sender, s.Addr,
			join.Count(len(list), "connection is", "connections are"), first.size),
		Entities: []analyze.Entity{join.Endpoint(s.Host, at)},
		Fix:      "Lower the MTU or clamp the MSS at the tunnel or VPN on this path, and let ICMP \"fragmentation needed\" pass.",
		Next:     []string{"tracepath -n " + at.Addr().String(), "ping -M do -s 1472 " + at.Addr().String()},
	}
	var icmp *fact.ICMPError
	for i, k := range list {
		if i == 0 || k.flow.First().Before(f.From) {
			f.From = k.flow.First()
		}
		if k.flow.Last().After(f.To) {
			f.To = k.flow.Last()
		}
		if icmp == nil {
			icmp = k.mtu
		}
		f.Entities = append(f.Entities, join.FlowEntity(s.Host, k.flow.Client(), k.flow.Server()))
		if i < 3 {
			d := k.flow.ToServer
			if k.sender == "server" {
				d = k.flow.ToClient
			}
			f.Evidence = append(f.Evidence, wire.At(k.flow, d.LastDataFrame(), d.LastData(), "payload of the %s is sent again without progress (%d retransmissions); its largest segment has %d bytes, %d bytes stay unacknowledged", k.sender, k.flow.Retransmitted(), k.size, d.Unacked()))
		}
	}
	detail := []string{"The handshake and small segments pass in both directions; full-sized ones are repeated and never acknowledged. Somewhere on the path the MTU is smaller, and the message that would say so does not arrive."}
	if icmp != nil {
		f.Confidence = analyze.Confirmed
		f.Evidence = append(f.Evidence, analyze.Cite(icmp.At, "%s of %s, MTU %d", icmp.Text, icmp.From, icmp.MTU).On(icmp.Time, fact.Epoch, 0))
		detail[0] = fmt.Sprintf("The handshake and small segments pass in both directions; full-sized ones are repeated and never acknowledged. %s says that the path takes %d bytes only, but the sender goes on.", icmp.From, icmp.MTU)
	}
	detail = append(detail, "Also possible: random loss that hits long segments more often; then some would get through.")
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}
