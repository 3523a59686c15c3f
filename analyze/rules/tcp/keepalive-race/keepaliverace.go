// Package keepaliverace finds requests that cross the FIN of a server that closes
// an idle connection.
package keepaliverace

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds requests that cross the FIN of a server that closes an idle connection.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/keepalive-race", Title: "keep-alive race", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "races after the same silence from which the server's timer is likely"},
			{Name: "spread", Default: 1, Unit: "seconds", Doc: "by how much each of these silences may differ from the middle"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, g := range wire.Of(p).Of(wire.KeepaliveRace) {
		report(p, g)
	}
	return nil
}

func report(p *analyze.Pass, g *wire.Group) {
	idle := make([]time.Duration, len(g.Cases))
	for i, c := range g.Cases {
		idle[i] = c.Idle
	}
	slices.Sort(idle)
	shortest, longest, median := idle[0], idle[len(idle)-1], idle[len(idle)/2]
	several := int(p.Threshold("flows"))
	spread := time.Duration(p.Threshold("spread") * float64(time.Second))
	sure := analyze.Possible
	if len(idle) >= several && longest-shortest <= 2*spread {
		sure = analyze.Likely
	}
	p.Note("%s: %d races after %v to %v of silence", g.Subject, len(idle), wire.Round(shortest), wire.Round(longest))
	f, complaints := g.Draft(p, sure, func(c *wire.Case) string {
		if c.Flow.ToClient.FINFrame() == 0 {
			return fmt.Sprintf("RST of %s in place of a FIN after %v of silence: a request had arrived that it did not read", c.Culprit(), wire.Round(c.Idle))
		}
		return fmt.Sprintf("RST of %s to the request that crossed its FIN after %v of silence", c.Culprit(), wire.Round(c.Idle))
	})
	f.Severity = g.Hurt(several, complaints)
	f.Title = fmt.Sprintf("%s closes connections that are idle for %v while clients use them again; requests that cross the close get RST: %s", g.Who(), wire.Timer(median), g.Share())
	c := g.Cases[0]
	f.Evidence = append(f.Evidence, wire.Known(
		wire.At(c.Flow, c.IdleFrame, time.Time{}, "the last packet before the silence of %v", wire.Round(c.Idle)),
		wire.At(c.Flow, c.Flow.ToClient.FINFrame(), c.Flow.ToClient.FINTime(), "FIN of the server, which gives the idle connection up"),
		wire.At(c.Flow, c.Flow.ToServer.LastDataFrame(), c.Flow.ToServer.LastData(), "the client's next request, sent without knowing of the end"))...)
	detail := []string{
		fmt.Sprintf("The connections had served requests and then been silent for %v to %v (median %v). The server's keep-alive timer closed them with FIN in the very moment in which a client took one for its next request. The request meets a closed socket, the server's kernel answers with RST, and the client sees ECONNRESET or \"socket hang up\" for a request that no server has read.", wire.Round(shortest), wire.Round(longest), wire.Round(median)),
		wire.Seen(complaints), "Clients: " + g.Clients(12) + ".",
	}
	switch {
	case len(idle) < several:
		detail = append(detail, fmt.Sprintf("Also possible: the server closed for another reason than its timer; %s is too few to know.", join.Count(len(idle), "race", "races")))
	case sure == analyze.Possible:
		detail = append(detail, "Also possible: the server closed for another reason than its timer; the silences differ too much for one.")
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = fmt.Sprintf("Make the idle time-out of the service on %s longer than that of its clients and balancers (in Node: server.keepAliveTimeout, with headersTimeout above it), or make the clients drop idle connections before %v; retry requests that are safe to repeat.", g.Server.Addr, wire.Timer(median))
	p.Report(f)
}
