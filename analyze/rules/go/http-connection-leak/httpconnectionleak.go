// Package httpconnectionleak finds HTTP clients that pile up connections.
package httpconnectionleak

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/http-connection-leak"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "HTTP client connection leak", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 500, Unit: "connections", Doc: "read loops of HTTP clients"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		var reads, writes, bodies, calls int64
		crowds := d.Crowds(func(s *waits.Stack) string {
			switch {
			case s.Has("net/http.(*persistConn).readLoop"):
				reads += s.Count
				// It waits in a select for the body of a response to be read to its end,
				// and reads while it waits for a response or is at rest.
				if s.Kind == waits.OnSelect {
					bodies += s.Count
				}
				return "read"
			case s.Has("net/http.(*persistConn).writeLoop"):
				writes += s.Count
			case s.Has("net/http.(*persistConn).roundTrip"):
				calls += s.Count
			}
			return ""
		})
		if reads < int64(p.Threshold("many")) {
			if reads > 0 {
				p.Note("%d read loops of HTTP clients, needs %g", reads, p.Threshold("many"))
			}
			continue
		}
		if before, ok := d.Grown(crowds[0].First()); ok && before >= crowds[0].First().Count {
			p.Note("%d read loops of HTTP clients, %d before: steady", reads, before)
			continue
		}
		if 2*calls > reads {
			p.Note("%d read loops of HTTP clients, but %d calls that wait for their response: see go/no-deadline", reads, calls)
			continue
		}
		report(p, d, crowds[0], loops{reads, writes, bodies})
	}
	return nil
}

// loops counts the goroutines of client connections.
type loops struct{ reads, writes, bodies int64 }

// cause says what opened so many, as far as the read loops tell.
func (n loops) cause() string {
	switch {
	case 2*n.bodies > n.reads:
		return "response bodies are not closed"
	case n.bodies == 0:
		return "all are at rest, so each request has a client or transport of its own, or the pool has no limit"
	}
	return "response bodies are not closed, or each request has a client of its own"
}

// agreeing is how many sockets a read loop should have in a table that agrees: tables
// and dumps are not taken at one moment.
const agreeing = 0.9

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd, n loops) {
	reads, writes := n.reads, n.writes
	f := d.Finding("HTTP client connections", c)
	f.Severity, f.Confidence = analyze.High, analyze.Likely
	f.Title = fmt.Sprintf("%d HTTP client connections are open%s: %s", reads, d.In(), n.cause())
	f.Detail = fmt.Sprintf("A net/http client keeps two goroutines for each connection; the dump has %d read loops and %d write loops, of %d goroutines. %d of the read loops wait for a response body to be read to its end and closed; only then does a connection return to the pool. No more than a few calls wait for a response.", reads, writes, d.Total, n.bodies)
	if d.Host != "" || d.Owner.Process != nil {
		if n := connections(p, d); n > 0 {
			f.Detail += fmt.Sprintf(" The socket table has %d connections of the process.", n)
			if float64(n) < agreeing*float64(reads) {
				f.Confidence = analyze.Possible
			}
		}
	}
	f.Fix = "Close and drain every response body, also where the status is not the wanted one; share one http.Client and Transport; set MaxConnsPerHost and IdleConnTimeout."
	f.Next = append(f.Next, "ss -tanp > ss_tanp.txt")
	p.Report(f)
}

// connections counts the process's connected sockets.
func connections(p *analyze.Pass, d *waits.Dump) int {
	n := 0
	for _, s := range join.SocketsOf(p).All {
		if s.Remote.IsValid() && d.Owner.Process != nil && s.Owner() == d.Owner.Process {
			n++
		}
	}
	return n
}
