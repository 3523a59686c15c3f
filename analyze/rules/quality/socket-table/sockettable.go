// Package sockettable says what the socket tables of a bundle cannot tell.
package sockettable

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule says what the socket tables of a bundle cannot tell.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "quality/socket-table", Title: "limits of the socket tables", Doc: doc, Severity: analyze.Info,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket"},
		Run:   run,
	}
}

// gap is one thing that no table of a host shows.
type gap struct {
	what, effect, next string
	at                 fact.Ref
	n                  int
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	for _, host := range tables.Hosts(socks) {
		if gaps := find(p, socks, host); len(gaps) > 0 {
			report(p, host, gaps)
		}
	}
	return nil
}

// find compares what the tables of a host's latest moment show together.
func find(p *analyze.Pass, socks *join.Sockets, host string) []gap {
	var shown fact.SocketTable
	shown.Numeric = true
	var first, named *join.Table
	moment := -1
	for _, t := range socks.Tables {
		if t.Host == host {
			moment = max(moment, t.Moment)
		}
	}
	for _, t := range socks.Tables {
		if t.Host != host || t.Moment != moment {
			continue
		}
		if first == nil {
			first = t
		}
		m := t.Meta
		shown.HasOwners = shown.HasOwners || m.HasOwners
		shown.HasTimers = shown.HasTimers || m.HasTimers && m.HasConnections
		shown.HasConnections = shown.HasConnections || m.HasConnections
		shown.HasListeners = shown.HasListeners || m.HasListeners && m.Tool != join.FilterLsof
		if !m.Numeric && named == nil {
			named = t
		}
	}
	if first == nil {
		return nil
	}
	at := first.Meta.At
	var out []gap
	if !shown.HasConnections {
		out = append(out, gap{"connections", "only listeners can be judged", "ss -tanpoe > ss_tanpoe.txt", at, 0})
	}
	if !shown.HasListeners {
		out = append(out, gap{"listeners", "that a port has no listener cannot be concluded", "ss -tlnp > ss_tlnp.txt", at, 0})
	}
	if !shown.HasOwners {
		out = append(out, gap{"owners", "sockets cannot be tied to processes", "sudo ss -tanp > ss_tanp.txt", at, 0})
	}
	if shown.HasConnections && !shown.HasTimers {
		out = append(out, gap{"timers", "used and abandoned connections look alike", "ss -tanoe > ss_tanoe.txt", at, 0})
	}
	if named != nil && !anotherNumeric(socks, host, moment) {
		out = append(out, gap{"numbers", "names in place of addresses and ports cannot be joined", "ss -tanp (with -n)", named.Meta.At, 0})
	}
	if c, n := cut(p, host); n > 0 {
		out = append(out, gap{"whole addresses", fmt.Sprintf("%s cut to the column's width and are not joined", was(n)), "netstat -anpW, or ss", c, n})
	}
	return out
}

func was(n int) string {
	if n == 1 {
		return "1 row is"
	}
	return fmt.Sprintf("%d rows are", n)
}

// anotherNumeric reports whether some table of the moment has numbers for the
// connections.
func anotherNumeric(socks *join.Sockets, host string, moment int) bool {
	for _, t := range socks.Tables {
		if t.Host == host && t.Moment == moment && t.Meta.Numeric && t.Meta.Rows > 0 {
			return true
		}
	}
	return false
}

// cut finds TCP and UDP rows whose addresses the tool cut.
func cut(p *analyze.Pass, host string) (at fact.Ref, n int) {
	h := join.HostsOf(p)
	for s := range fact.All[fact.Socket](p.Facts) {
		if s.Cut && h.Of(s.At) == host {
			if n == 0 {
				at = s.At
			}
			n++
		}
	}
	return at, n
}

func report(p *analyze.Pass, host string, gaps []gap) {
	h := join.HostsOf(p)
	f := analyze.Finding{
		Subject: h.Prefix(host) + "socket tables", Severity: analyze.Info, Confidence: analyze.Confirmed,
		Fix:      "Collect the tables with all options, as root: ss -tanpoemi.",
		Entities: []analyze.Entity{h.Entity(host)},
	}
	var what, effects []string
	for _, g := range gaps {
		what = append(what, g.what)
		effects = append(effects, fmt.Sprintf("Without %s, %s.", g.what, g.effect))
		f.Evidence = append(f.Evidence, analyze.Cite(g.at, "no %s here", g.what))
		f.Next = append(f.Next, g.next)
	}
	f.Title = "The socket tables do not show " + strings.Join(what, ", ")
	f.Detail = strings.Join(effects, "\n")
	p.Report(f)
}
