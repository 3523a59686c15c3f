// Package delayedack finds programs that pay a delayed acknowledgement for each
// of their writes.
package delayedack

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds programs that pay a delayed acknowledgement for each of their writes.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/delayed-ack", Title: "Nagle meets delayed ACK", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"flow"},
		Thresholds: []analyze.Threshold{
			{Name: "stalls", Default: 5, Unit: "stalls", Doc: "waits for a delayed ACK on one connection"},
			{Name: "many", Default: 50, Unit: "stalls", Doc: "waits to one service from which it slows the service down"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, s := range wire.Of(p).Servers() {
		var flows []*fact.Flow
		stalls := 0
		for _, f := range s.Eventful {
			if float64(f.Delayed()) >= p.Threshold("stalls") {
				flows = append(flows, f)
				stalls += f.Delayed()
			}
		}
		if len(flows) > 0 {
			report(p, s, flows, stalls)
		}
	}
	return nil
}

func report(p *analyze.Pass, s *wire.Server, flows []*fact.Flow, stalls int) {
	end := join.FlowsOf(p).Server(flows[0])
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(s.Host) + s.Addr,
		Severity: analyze.Low, Confidence: analyze.Likely,
		From: flows[0].First(), To: flows[0].Last(),
		Title:    fmt.Sprintf("Small writes on connections to %s wait for a delayed ACK: %d times on %s", s.Addr, stalls, join.Count(len(flows), "connection", "connections")),
		Entities: end.Entities(),
		Detail:   "A small segment is sent, nothing happens for about 40 ms (or 200 ms), then comes a bare ACK and at once the next small segment. The sender's Nagle algorithm holds the second write back until the first is acknowledged, and the receiver's kernel delays that acknowledgement because its program has nothing to answer yet.",
		Fix:      "Write a request in one piece, or set TCP_NODELAY on the sender's socket.",
	}
	if float64(stalls) >= p.Threshold("many") {
		f.Severity = analyze.Medium
	}
	p.Note("%s: %d waits on %d connections", s.Addr, stalls, len(flows))
	for i, fl := range flows {
		if fl.Last().After(f.To) {
			f.To = fl.Last()
		}
		if i < 3 {
			f.Evidence = append(f.Evidence, cite(fl))
		}
	}
	p.Report(f)
}

func cite(f *fact.Flow) analyze.Evidence {
	for _, m := range f.Marks() {
		if strings.Contains(m.Name, "delayed") {
			return wire.At(f, m.Frame, m.Time, "the first of %d waits for a delayed ACK between %s and %s", f.Delayed(), f.Client(), f.Server())
		}
	}
	return wire.At(f, f.Ref().Packet, f.First(), "the connection of %s to %s, with %d waits for a delayed ACK", f.Client(), f.Server(), f.Delayed())
}
