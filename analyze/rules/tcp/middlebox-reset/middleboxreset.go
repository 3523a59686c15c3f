// Package middleboxreset finds resets that do not come from the address that they
// carry.
package middleboxreset

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds resets that do not come from the address that they carry.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/middlebox-reset", Title: "reset by a middlebox", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "forged resets from which they are no accident"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	x := wire.Of(p)
	for _, c := range x.Cases {
		if c.Class != wire.Middlebox && len(c.Odd) > 0 {
			p.Note("frame %d: %s; not enough to call the RST forged", c.Frame().Packet, strings.Join(c.Odd, "; "))
		}
	}
	for _, g := range x.Of(wire.Middlebox) {
		report(p, g)
	}
	return nil
}

func report(p *analyze.Pass, g *wire.Group) {
	f, complaints := g.Draft(p, analyze.Likely, func(c *wire.Case) string {
		return fmt.Sprintf("RST with the address of %s: %s", c.Culprit(), strings.Join(c.Odd, "; "))
	})
	f.Subject = "device in front of " + g.Subject
	f.Severity = g.Hurt(int(p.Threshold("flows")), complaints)
	if g.FromClients && complaints != "" {
		f.Severity = analyze.High // a device that resets is not the client's own affair
	}
	p.Note("%s: %d forged resets", g.Subject, len(g.Cases))
	addr := g.Server.Addr
	f.Title = fmt.Sprintf("A device between the clients and %s resets connections in its name: %s", addr, g.Share())
	c := g.Cases[0]
	if d := c.Flow.ToClient; c.FromServer && d.LastFrame() > c.Reset.Frame {
		f.Evidence = append(f.Evidence, wire.At(c.Flow, d.LastFrame(), c.Flow.Last(), "%s still sends after the RST that it is said to have sent", addr))
	}
	var ttl string
	if c.Reset.UsualTTLPackets > 0 {
		ttl = fmt.Sprintf(" RST: TTL %d, IP-ID %d, window %d. Other packets of the same address: TTL %d.", c.Reset.TTL, c.Reset.IPID, c.Reset.Window, c.Reset.UsualTTL)
	}
	f.Detail = strings.Join([]string{
		fmt.Sprintf("The RSTs carry the address of %s but do not look like its packets: %s.%s A firewall, intrusion prevention system, proxy or NAT on the way made them. The process on %s did not close these connections.", g.Subject, strings.Join(c.Odd, "; "), ttl, addr),
		wire.Seen(complaints), "Clients: " + g.Clients(12) + ".",
		"Also possible: the server runs behind a load balancer that answers in its name by design.",
	}, "\n\n")
	if missing := lacking(c); missing != nil {
		f.Evidence = append(f.Evidence, missing...)
		f.Confidence = min(f.Confidence+1, analyze.Confirmed)
		f.Detail += fmt.Sprintf("\n\nThe device stands between the points where %s and %s were captured.", c.Frame().Artifact, c.Between[0].Ref().Artifact)
		f.Fix = "Look at the policy, connection limits and time-outs of the devices between these two points."
		p.Report(f)
		return
	}
	f.Missing = []string{"a capture on the other side of the device: the RST is in one and not in the other"}
	f.Next = []string{"tcpdump -i any -w other-side.pcap host " + g.End.Addr.Addr().String(), "nft list ruleset"}
	f.Fix = "Find the device by its hop distance (the RST's TTL) and look at its policy, connection limits and time-outs."
	p.Report(f)
}

// lacking cites the conversation in a capture that was taken nearer to the address
// that the RST carries and does not show it.
func lacking(c *wire.Case) []analyze.Evidence {
	var out []analyze.Evidence
	for _, o := range c.Between {
		d := o.ToClient
		if !c.FromServer {
			d = o.ToServer
		}
		out = append(out, wire.At(o, max(d.LastFrame(), o.Ref().Packet), time.Time{}, "the last packet of %s on this connection, captured nearer to it: no RST follows", c.Culprit()))
	}
	return out
}
