// Package establishedleak finds connections that are kept open though nobody uses
// them any more.
package establishedleak

import (
	"context"
	_ "embed"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds connections that are kept open though nobody uses them any more.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/established-leak", Title: "leaked ESTABLISHED sockets", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket", "metric", "limit", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "sockets", Default: 1000, Unit: "sockets", Doc: "silent connections of one process with one service from which the number alone is suspicious"},
			{Name: "unmatched", Default: 200, Unit: "sockets", Doc: "connections to a backend for which a proxy has no client, from which it is a leak"},
			{Name: "unmatched_many", Default: 500, Unit: "sockets", Doc: "the same, from which the leak is severe whether or not it is seen growing"},
			{Name: "ratio", Default: 10, Unit: "times", Doc: "a proxy's connections to a backend for each connection of a client"},
			{Name: "timer_ratio", Default: 20, Unit: "times", Doc: "connections without a timer for each one with a timer"},
			{Name: "silent_share", Default: 0.9, Unit: "share", Doc: "share of connections without a timer and with empty queues"},
			{Name: "limit_share", Default: 0.8, Unit: "share", Doc: "share of the process's limit of open files"},
			{Name: "growth", Default: 1.5, Unit: "times", Doc: "growth between samples, or of a metric, that counts as growth"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "go/leaked-lock", Via: join.KindProcess, Why: "a goroutine that waits for a lock never closes its connection"},
			{Rule: "go/blocked-holder", Via: join.KindProcess, Why: "a goroutine that waits for a lock never closes its connection"},
			{Rule: "go/lock-cycle", Via: join.KindProcess, Why: "a goroutine in a deadlock never closes its connection"},
			{Rule: "go/http-connection-leak", Via: join.KindProcess, Why: "response bodies that are not closed keep their connections"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	judged, timers := false, false
	for _, host := range tables.Hosts(socks) {
		for _, t := range socks.Views(host, fact.StateEstablished) {
			judged = true
			list := collect(p, socks, t)
			for _, l := range list {
				timers = timers || l.timersKnown
				if v, ok := l.judge(p); ok {
					report(p, l, v)
				}
			}
			timers = timers || len(list) == 0 || small(p, list)
		}
	}
	switch {
	case !judged:
		p.Skip("no table shows connections, only listeners", "ss -tanpoe > ss_tanpoe.txt")
	case !timers:
		p.Skip("no table shows timers (ss without -o or -e), so that used and abandoned connections look alike", "ss -tanpoe > ss_tanpoe.txt")
	}
	return nil
}

// small reports whether no group is large enough for timers to matter: then the
// rule has judged without them.
func small(p *analyze.Pass, list []*leak) bool {
	for _, l := range list {
		if float64(l.silent) >= p.Threshold("unmatched") {
			return false
		}
	}
	return true
}

// leak is the ESTABLISHED connections of one process with one service.
type leak struct {
	*tables.Group
	table       *join.Table
	timersKnown bool
	// silent have empty queues and no running timer (as far as timers are known);
	// timed have one.
	silent, timed int
	quiet         int            // with empty queues, whatever their timers
	examples      []*join.Socket // silent ones
	// fronts are the connections of clients with the process, on all services it
	// offers; front is one of them and frontOn their service.
	fronts int
	front  *join.Socket
	proxy  bool // the process, or the host where owners are unknown, has such a service
	// backs are the connections that the process itself opened, the largest group of
	// them to backend.
	backs   int
	backend *tables.Group
	// back is who holds the other ends on this host.
	back    *join.Process
	paired  int
	far     *join.Socket
	oldest  int64 // longest silence in ms, from lastrcv and lastsnd; -1 if not shown
	median  int64
	grown   *tables.Growth
	limit   *fact.Limit
	earlier *join.Table
	before  int // connections of this group in the earlier sample
}

// verdict says which sign decided.
type verdict struct {
	oneWay     bool // many connections to a backend, few clients
	otherWay   bool // many clients, few connections to a backend
	many       bool // the number alone, against those with timers
	fullLimit  bool
	grows      bool
	confidence analyze.Confidence
	severity   analyze.Severity
}

// judge weighs the signs. A large number of idle connections is ordinary for many
// services; a leak shows in connections nobody is behind any more, in growth, or
// in a limit that is nearly reached.
func (l *leak) judge(p *analyze.Pass) (verdict, bool) {
	n := float64(l.silent)
	v := verdict{}
	mostly := n >= p.Threshold("silent_share")*float64(len(l.Sockets))
	v.oneWay = l.Client && l.proxy && mostly && n >= p.Threshold("unmatched") && n >= p.Threshold("ratio")*float64(max(l.fronts, 1))
	v.many = l.timersKnown && mostly && n >= p.Threshold("sockets") && n >= p.Threshold("timer_ratio")*float64(max(l.timed, 1))
	v.fullLimit = l.timersKnown && mostly && l.limit != nil && l.limit.Soft.Known && n >= p.Threshold("limit_share")*float64(l.limit.Soft.V)
	v.grows = l.grown != nil || l.before > 0 && n >= p.Threshold("growth")*float64(l.before)
	q := float64(l.quiet)
	v.otherWay = !l.Client && l.grown != nil && l.backend != nil && q >= p.Threshold("unmatched_many") && q >= p.Threshold("ratio")*float64(l.backs)
	if n >= p.Threshold("unmatched") {
		p.Note("%s: %d silent connections, %d with a timer, %d of clients; one-way %t, many %t, near the limit %t, growing %t",
			l.Subject(join.HostsOf(p)), l.silent, l.timed, l.fronts, v.oneWay, v.many, v.fullLimit, v.grows)
	}
	switch {
	case v.otherWay:
		v.severity, v.confidence = analyze.High, analyze.Likely
	case v.oneWay && (v.grows || v.many || v.fullLimit):
		v.severity, v.confidence = analyze.High, analyze.Likely
		if v.grows && v.many {
			v.confidence = analyze.Confirmed
		}
	case v.oneWay:
		// A pool of connections that are kept for later looks like this, too.
		v.severity, v.confidence = analyze.Low, analyze.Possible
		if n >= p.Threshold("unmatched_many") {
			v.severity = analyze.High
		}
		if l.timersKnown {
			v.confidence = analyze.Likely
		}
	case v.fullLimit || v.many && v.grows:
		v.severity, v.confidence = analyze.High, analyze.Likely
	default:
		// Many silent connections alone may be a big healthy service.
		v.severity, v.confidence = analyze.Low, analyze.Possible
		return v, v.many && l.Client
	}
	return v, true
}
