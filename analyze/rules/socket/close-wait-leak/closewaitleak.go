// Package closewaitleak finds processes that do not close connections which their
// peers have closed.
package closewaitleak

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds processes that do not close connections which their peers have closed.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/close-wait-leak", Title: "CLOSE_WAIT leak", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket", "flow", "metric", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "sockets", Default: 50, Unit: "sockets", Doc: "CLOSE_WAIT sockets of one process from which it is a leak"},
			{Name: "share", Default: 0.2, Unit: "share", Doc: "share of a process's sockets in CLOSE_WAIT that is suspicious"},
			{Name: "share_min", Default: 10, Unit: "sockets", Doc: "CLOSE_WAIT sockets below which the share says nothing"},
			{Name: "persisting", Default: 3, Unit: "sockets", Doc: "the same connections in CLOSE_WAIT in two samples from which it is a leak"},
			{Name: "flows", Default: 10, Unit: "flows", Doc: "captured conversations that only one side closed which confirm a leak"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "go/leaked-lock", Via: join.KindProcess, Why: "a goroutine that waits for a lock never comes to close its connection"},
			{Rule: "go/blocked-holder", Via: join.KindProcess, Why: "a goroutine that waits for a lock never comes to close its connection"},
			{Rule: "go/lock-cycle", Via: join.KindProcess, Why: "a goroutine in a deadlock never comes to close its connection"},
			{Rule: "go/recursive-lock", Via: join.KindProcess, Why: "a goroutine in a deadlock never comes to close its connection"},
			{Rule: "process/stopped", Via: join.KindProcess, Why: "a stopped process closes nothing"},
			{Rule: "thread/stuck", Via: join.KindProcess, Why: "a thread that does not move never closes its connection"},
			{Rule: "thread/deadlock", Via: join.KindProcess, Why: "a thread that waits for a lock never comes to close its connection"},
			{Rule: "thread/blocked-holder", Via: join.KindProcess, Why: "a thread that waits for a lock never comes to close its connection"},
			{Rule: "thread/leaked-lock", Via: join.KindProcess, Why: "a thread that waits for a lock never comes to close its connection"},
			{Rule: "node/loop-blocked", Via: join.KindProcess, Why: "a blocked event loop does not see that the peer closed"},
			{Rule: "node/silent-service", Via: join.KindProcess, Why: "a service that lost its requests does not close their connections"},
		},
		Run: run,
	}
}

// leak is the CLOSE_WAIT sockets of one process, or of one service where no table
// names owners.
type leak struct {
	*tables.Group
	table      *join.Table
	total      int // sockets of the process in the table, CLOSE_WAIT included
	eof        int // Recv-Q 0: the end was read, close was not called
	unreadEOF  int // Recv-Q 1: the end itself was not read
	unread     int // Recv-Q > 1: data was not read
	persisting []*join.Socket
	earlier    *join.Table
	flows      []*fact.Flow
	grown      *tables.Growth
	services   int // other services of the process with such sockets
	// workers are further processes of the same program that leak towards the same
	// service.
	workers []*join.Process
}

// who is the owner in a sentence, with the number of its fellow workers.
func (l *leak) who() string {
	if n := len(l.workers); n > 0 {
		return fmt.Sprintf("%s with %s", l.Who(), join.Count(n, "more worker"))
	}
	return l.Who()
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	judged := false
	for _, host := range tables.Hosts(socks) {
		for _, t := range socks.Views(host, fact.StateCloseWait) {
			judged = true
			for _, l := range leaks(p, socks, t) {
				if l.enough(p) {
					report(p, l)
				}
			}
			peers(p, socks, t)
		}
	}
	if !judged {
		p.Skip("no table shows connections, only listeners", "ss -tanpoe > ss_tanpoe.txt")
	}
	return nil
}

// leaks groups the CLOSE_WAIT sockets of a table by owner; a process's groups
// with several services are one leak, told by its largest. A socket that waits in
// an accept queue cannot be closed by anybody yet: it is no leak.
func leaks(p *analyze.Pass, socks *join.Sockets, t *join.Table) []*leak {
	var out []*leak
	byOwner := map[*join.Process]*leak{}
	byService := map[string]*leak{}
	closed := slices.DeleteFunc(tables.InState(socks, t, fact.StateCloseWait), socks.Unaccepted)
	for _, g := range tables.Groups(socks, closed) {
		service := g.Service.String()
		if l := byOwner[g.Owner]; l != nil && g.Owner != nil {
			l.Sockets = append(l.Sockets, g.Sockets...)
			l.services++
			continue
		}
		if l := byService[service]; l != nil && g.Owner == nil && !g.Client {
			// Rows without an owner: they belong to the listener's.
			l.Sockets = append(l.Sockets, g.Sockets...)
			continue
		}
		l := &leak{Group: g, table: t}
		out = append(out, l)
		byOwner[g.Owner] = l
		if !g.Client {
			byService[service] = l
		}
	}
	out = mergeWorkers(p, out)
	for _, l := range out {
		l.look(p, socks)
	}
	return out
}

// mergeWorkers makes one leak of those of several workers of a program, where each
// alone would be too small to count.
func mergeWorkers(p *analyze.Pass, list []*leak) []*leak {
	key := func(l *leak) string {
		if l.Owner == nil || float64(len(l.Sockets)) >= p.Threshold("sockets") {
			return ""
		}
		return fmt.Sprintf("%s %s %t", l.Owner.Name(), l.Service, l.Client)
	}
	first := map[string]*leak{}
	var out []*leak
	for _, l := range list {
		k := key(l)
		have := first[k]
		if k == "" || have == nil {
			out = append(out, l)
			first[k] = l
			continue
		}
		have.Sockets = append(have.Sockets, l.Sockets...)
		have.workers = append(have.workers, l.Owner)
	}
	return out
}

// look counts what the sockets show.
func (l *leak) look(p *analyze.Pass, socks *join.Sockets) {
	for _, k := range l.Sockets {
		switch q := k.RowIn(l.table).RecvQ; {
		case !q.Known:
		case q.V == 0:
			l.eof++
		case q.V == 1:
			l.unreadEOF++
		default:
			l.unread++
		}
	}
	l.total = len(l.Sockets)
	for _, k := range socks.Shown(l.table) {
		same := l.Owner != nil && (k.Owner() == l.Owner || k.Owner() != nil && slices.Contains(l.workers, k.Owner())) || l.Owner == nil && !l.Client && k.Local == l.Service || l.Owner == nil && l.Client && k.Remote == l.Service
		if same && k.Proto == "tcp" && k.State != fact.StateCloseWait && k.State != fact.StateListen && k.State != fact.StateTimeWait {
			l.total++
		}
	}
	l.compareEarlier(socks)
	l.Name(p)
	if pr := l.Process(); pr != nil {
		l.grown = tables.Growing(p, l.Host, pr, float64(len(l.Sockets))/2, 1.5)
	}
	if l.Client {
		return
	}
	for _, f := range wire.Of(p).Flows {
		// The client said that it is done, the server never did.
		if f.Server() == l.Service && f.ToServer.FIN && !f.ToClient.FIN && len(f.Resets()) == 0 {
			l.flows = append(l.flows, f)
		}
	}
}

// compareEarlier finds the connections that were in CLOSE_WAIT before already.
func (l *leak) compareEarlier(socks *join.Sockets) {
	for _, e := range socks.Earlier(l.Host, fact.StateCloseWait) {
		before := map[string]bool{}
		for _, r := range e.Rows {
			if key, ok := tables.RowKey(r); ok && r.State == fact.StateCloseWait {
				before[key] = true
			}
		}
		for _, k := range l.Sockets {
			if before[tables.Key(k.Local, k.Remote)] {
				l.persisting = append(l.persisting, k)
			}
		}
		if len(l.persisting) > 0 {
			l.earlier = e
			return
		}
	}
}

// enough decides whether it is a leak and not a moment of ordinary closing.
func (l *leak) enough(p *analyze.Pass) bool {
	n, share := len(l.Sockets), float64(len(l.Sockets))/float64(max(l.total, 1))
	many := float64(n) >= p.Threshold("sockets")
	large := float64(n) >= p.Threshold("share_min") && share >= p.Threshold("share")
	persists := float64(len(l.persisting)) >= p.Threshold("persisting")
	p.Note("%s: %d of %d sockets in CLOSE_WAIT (a leak from %.0f, or from %.0f with a share of %.0f%%), %d of them in an earlier sample",
		l.Subject(join.HostsOf(p)), n, l.total, p.Threshold("sockets"), p.Threshold("share_min"), 100*p.Threshold("share"), len(l.persisting))
	return many || large || persists
}

func report(p *analyze.Pass, l *leak) {
	n := len(l.Sockets)
	where := "on " + l.Service.String()
	if l.Client {
		where = "to " + l.Service.String()
	}
	f := analyze.Finding{
		Subject:    l.Subject(join.HostsOf(p)),
		Title:      fmt.Sprintf("%s does not close its connections: %s %s are in CLOSE_WAIT, closed by the peer only", tables.Sentence(l.who()), join.Count(n, "socket"), where),
		Severity:   analyze.Low,
		Confidence: analyze.Possible,
		Entities:   l.Entities(),
		Fix: "Close the connection on every path: when reading ends (EOF, 'end', a read of 0 bytes) and on errors. In Node, a server with allowHalfOpen must " +
			"call end() itself; in Go, defer conn.Close() and close response bodies; give reads a deadline so that a stuck reader ends too.",
	}
	for _, w := range l.workers[:min(len(l.workers), 8)] {
		f.Entities = append(f.Entities, w.Entity())
	}
	f.Detail = l.detail()
	captured := float64(len(l.flows)) >= p.Threshold("flows")
	if float64(n) >= p.Threshold("sockets") || l.grown != nil && captured {
		f.Severity, f.Confidence = analyze.High, analyze.Likely
	}
	switch {
	case float64(len(l.persisting)) >= p.Threshold("persisting"):
		f.Severity, f.Confidence = max(f.Severity, analyze.Medium), analyze.Confirmed
	case captured, l.grown != nil && f.Confidence == analyze.Likely:
		f.Severity, f.Confidence = max(f.Severity, analyze.Medium), analyze.Confirmed
	default:
		f.Missing = append(f.Missing, "a second table a minute later, which would show the same connections again")
		f.Next = append(f.Next, "sleep 60; ss -tanpoe state close-wait > ss_close-wait_2.txt")
	}
	f.Evidence = l.evidence(p)
	l.Introduce(&f)
	if l.Owner == nil {
		f.Missing = append(f.Missing, "the owner of the sockets: the tables were taken without -p or without the right to see it")
		f.Next = append(f.Next, "ss -tanp state close-wait")
	}
	if l.grown != nil {
		f.From, f.To = l.grown.Span(p)
	}
	p.Report(f)
}
