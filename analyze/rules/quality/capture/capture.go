// Package capture says what a packet capture cannot show.
package capture

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule says what a packet capture cannot show.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "quality/capture", Title: "limits of a capture", Doc: doc, Severity: analyze.Low,
		Needs: []fact.Kind{"capture"},
		Wants: []fact.Kind{"flow"},
		Thresholds: []analyze.Threshold{
			{Name: "oneway", Default: 0.5, Unit: "share", Doc: "of the conversations that show one direction only"},
			{Name: "flows", Default: 3, Unit: "conversations", Doc: "fewer are no sample"},
			{Name: "undecoded", Default: 0.02, Unit: "share", Doc: "of the packets that could not be decoded"},
			{Name: "duplicates", Default: 0.05, Unit: "share", Doc: "of the packets that were captured twice"},
			{Name: "lost", Default: 0.01, Unit: "share", Doc: "of the data segments that were acknowledged but not captured"},
			{Name: "headers", Default: 96, Unit: "bytes", Doc: "a snap length below it may cut headers and options"},
		},
		Run: run,
	}
}

// limit is one thing that a capture cannot show.
type limit struct {
	severity  analyze.Severity
	what, why string
	at        int // frame that shows it, 0 for the capture as a whole
	next      string
}

func run(_ context.Context, p *analyze.Pass) error {
	for c := range fact.All[fact.Capture](p.Facts) {
		if limits := look(p, c); len(limits) > 0 {
			report(p, c, limits)
		}
	}
	return nil
}

func look(p *analyze.Pass, c *fact.Capture) []limit {
	var out []limit
	add := func(s analyze.Severity, at int, next, what, why string, args ...any) {
		out = append(out, limit{s, fmt.Sprintf(what, args...), why, at, next})
	}
	share := func(n, of int64) float64 { return float64(n) / float64(max(1, of)) }
	tcp, oneway := directions(p, c)
	enough := float64(tcp) >= p.Threshold("flows")
	if enough && share(oneway, tcp) >= p.Threshold("oneway") {
		add(analyze.Low, 0, "tcpdump -i any -s 0 -w both.pcap (on an interface that sees both directions)",
			"%d of %d conversations show one direction only", "what is missing may have been sent in the other direction", oneway, tcp)
	}
	if n := c.Drops.Or(0); n > 0 {
		add(analyze.Low, 0, "tcpdump -B 65536 -s 128 -w small.pcap", "the capturing host dropped %d packets", "missing packets look like loss on the wire", n)
	}
	if c.Evicted > 0 {
		add(analyze.Low, 0, "", "%d conversations were given up early because there are too many at once", "their ends are unknown", c.Evicted)
	}
	if c.Packets > 0 && share(c.Undecoded, c.Packets) > p.Threshold("undecoded") {
		add(analyze.Low, 0, "", "%d of %d packets could not be decoded", "nothing is known of their conversations", c.Undecoded, c.Packets)
	}
	if c.Cut {
		add(analyze.Info, int(c.Packets), "", "the file ends inside a record", "the capture was copied while it was written, or the disk was full")
	}
	if c.Packets > 0 && share(c.Duplicates, c.Packets) > p.Threshold("duplicates") {
		add(analyze.Info, 0, "", "%d of %d packets were captured twice", "they are counted once", c.Duplicates, c.Packets)
	}
	if c.Snaplen > 0 && float64(c.Snaplen) < p.Threshold("headers") && c.Truncated > 0 {
		add(analyze.Low, 0, "tcpdump -s 128 -w headers.pcap", "a snap length of %d bytes cuts headers", "TCP options and inner headers of tunnels are missing", c.Snaplen)
	}
	out = append(out, flows(p, c, enough)...)
	for _, g := range wire.Of(p).Of(wire.Abort) {
		if first := g.Cases[0]; g.Death() && g.AtEdge() && first.Flow.Ref().Artifact == c.At.Artifact {
			add(analyze.Info, first.Frame().Packet, "", "it ends as %d connections of %s are reset", "what followed is not shown: a crash looks the same as a service that is stopped together with the capture", len(g.Cases), g.End.Addr)
		}
	}
	p.Note("%s: %d packets, %d conversations, %d of %d TCP ones one-way, %d packets cut short by a snap length of %d", c.At.Artifact, c.Packets, c.Flows, oneway, tcp, c.Truncated, c.Snaplen)
	return out
}

// directions counts TCP conversations, and those that show one direction although
// there was another: a SYN that nobody answers has none.
func directions(p *analyze.Pass, c *fact.Capture) (tcp, oneway int64) {
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Ref().Artifact != c.At.Artifact || f.Proto() != "tcp" {
			continue
		}
		tcp++
		if f.ToClient.Packets() == 0 && f.ToServer.Packets() > int64(f.ToServer.SYNs()) || f.ToServer.Packets() == 0 {
			oneway++
		}
	}
	return tcp, oneway
}

// flows looks for what single conversations show: captured in the middle, or with
// segments that were acknowledged and never seen.
func flows(p *analyze.Pass, c *fact.Capture, enough bool) []limit {
	var out []limit
	var tcp, started, unseen, data int64
	first := 0
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Ref().Artifact != c.At.Artifact || f.Proto() != "tcp" {
			continue
		}
		tcp++
		if slices.Contains(f.Partial(), "no start") {
			started++
		}
		n := int64(f.Counts().ACKedLostSegment)
		if f.Copies() != nil {
			n -= int64(f.Copies().ACKedLostSegment)
		}
		if n > 0 && first == 0 {
			first = f.Ref().Packet
		}
		unseen += n
		data += f.ToServer.DataPackets() + f.ToClient.DataPackets()
	}
	if enough && tcp > 0 && started*2 > tcp {
		out = append(out, limit{analyze.Info, fmt.Sprintf("%d of %d conversations began before the capture", started, tcp),
			"window scale and MSS are unknown for them, and who is the client is told by ports", 0, ""})
	}
	if data > 0 && float64(unseen) > p.Threshold("lost")*float64(data) && unseen >= 10 {
		out = append(out, limit{analyze.Low, fmt.Sprintf("%d segments were acknowledged but are not in the capture", unseen),
			"the capture lost packets that the network did not", first, "tcpdump -B 65536 -s 128 -w small.pcap"})
	}
	return out
}

func report(p *analyze.Pass, c *fact.Capture, limits []limit) {
	f := analyze.Finding{
		Subject:  string(c.At.Artifact),
		Severity: analyze.Info, Confidence: analyze.Confirmed,
		From: c.First, To: c.Last,
		Title:    fmt.Sprintf("%s does not show everything: %s", c.At.Artifact, limits[0].what),
		Entities: []analyze.Entity{{Kind: "file", Key: string(c.At.Artifact), Name: string(c.At.Artifact)}},
		Fix:      "Read conclusions from what is absent in this capture with care, or capture again.",
	}
	var detail []string
	for _, l := range limits {
		f.Severity = max(f.Severity, l.severity)
		detail = append(detail, fmt.Sprintf("%s%s: %s.", strings.ToUpper(l.what[:1]), l.what[1:], l.why))
		at := c.At
		at.Packet = max(1, l.at)
		f.Evidence = append(f.Evidence, analyze.Cite(at, "%s", l.what))
		if l.next != "" {
			f.Next = append(f.Next, l.next)
		}
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}
