// Package writeafterclose finds clients that write to a connection that the
// server has closed.
package writeafterclose

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds clients that write to a connection that the server has closed.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/write-after-close", Title: "write after close", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "late writes to one service from which they are no accident"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, g := range wire.Of(p).Of(wire.WriteAfterClose) {
		report(p, g)
	}
	return nil
}

func report(p *analyze.Pass, g *wire.Group) {
	f, complaints := g.Draft(p, analyze.Likely, func(c *wire.Case) string {
		return fmt.Sprintf("RST of %s: its socket is gone when the payload of %s arrives, %v after its FIN", c.Culprit(), c.Victim(), wire.Round(c.Late))
	})
	f.Severity = g.Hurt(int(p.Threshold("flows")), complaints)
	shortest, longest := g.Cases[0].Late, g.Cases[0].Late
	var idle []time.Duration
	for _, c := range g.Cases {
		shortest, longest = min(shortest, c.Late), max(longest, c.Late)
		if c.Idle >= time.Second {
			idle = append(idle, c.Idle)
		}
	}
	slices.Sort(idle)
	p.Note("%s: %d late writes, %s after the FIN", g.Subject, len(g.Cases), span(shortest, longest))
	f.Title = fmt.Sprintf("Clients write to connections that %s has already closed, and get RST: %s", g.Who(), g.Share())
	c := g.Cases[0]
	f.Evidence = append(f.Evidence, wire.Known(
		wire.At(c.Flow, c.Flow.ToClient.FINFrame(), c.Flow.ToClient.FINTime(), "FIN of %s", c.Flow.Server()),
		wire.At(c.Flow, c.Flow.ToServer.LastDataFrame(), c.Flow.ToServer.LastData(), "payload of %s, %v later", c.Flow.Client(), wire.Round(c.Late)))...)
	detail := []string{
		fmt.Sprintf("The server sent FIN and closed; the client's kernel knew that, but the client sent payload %s later. The server's kernel has no socket for it any more and answers with RST. The client's write still succeeds; its next read fails with ECONNRESET, its next write with EPIPE.", span(shortest, longest)),
		wire.Seen(complaints), "Clients: " + g.Clients(12) + ".",
	}
	if n := len(idle); n > 0 {
		detail = append(detail, fmt.Sprintf("In %d of %d cases the server closed after the connection had been idle for %s: pooled connections that its idle time-out ends, and that the client uses again although their end had long been announced.", n, len(g.Cases), span(idle[0], idle[n-1])))
	}
	detail = append(detail, "A server that closes only its write side may receive more, but then it acknowledges the payload; this one did not.")
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = "In the client of " + g.Server.Addr + ", treat the end of the stream as the end of the connection: stop writing, take it out of the pool, open a new one. If the server closes too early for its clients, lengthen its time-out."
	p.Report(f)
}

func span(a, b time.Duration) string {
	if wire.Round(a) == wire.Round(b) {
		return wire.Round(a).String()
	}
	return fmt.Sprintf("%v to %v", wire.Round(a), wire.Round(b))
}
