// Package delayedack finds programs that pay a delayed acknowledgement for each
// of their writes.
package delayedack

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

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
			{Name: "share", Default: 0.25, Unit: "share", Doc: "share of a connection's time that such waits take from which they are what the service is slow by"},
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
	if share := waiting(flows); float64(stalls) >= p.Threshold("many") && share >= p.Threshold("share") {
		f.Severity = analyze.High
		f.Detail += fmt.Sprintf("\n\nAt 40 ms each, the waits take %.0f %% of the time of these connections.", 100*share)
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

// delay is the shortest time for which Linux delays an ACK.
const delay = 40 * time.Millisecond

// waiting is the share of the connections' time that goes into the waits.
func waiting(flows []*fact.Flow) float64 {
	var waits, all time.Duration
	for _, f := range flows {
		waits += time.Duration(f.Delayed()) * delay
		all += f.Last().Sub(f.First())
	}
	if all <= 0 {
		return 0
	}
	return min(1, waits.Seconds()/all.Seconds())
}

func cite(f *fact.Flow) analyze.Evidence {
	for _, m := range f.Marks() {
		if strings.Contains(m.Name, "delayed") {
			return wire.At(f, m.Frame, m.Time, "the first of %d waits for a delayed ACK between %s and %s", f.Delayed(), f.Client(), f.Server())
		}
	}
	return wire.At(f, f.Ref().Packet, f.First(), "the connection of %s to %s, with %d waits for a delayed ACK", f.Client(), f.Server(), f.Delayed())
}
