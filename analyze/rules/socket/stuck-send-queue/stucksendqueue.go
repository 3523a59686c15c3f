// Package stucksendqueue finds connections whose peer does not take what is sent.
package stucksendqueue

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds connections whose peer does not take what is sent.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/stuck-send-queue", Title: "stuck send queue", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket"},
		Thresholds: []analyze.Threshold{
			{Name: "retries", Default: 3, Unit: "retries", Doc: "retransmissions or back-offs in a row from which the peer or the path is dead"},
			{Name: "probe", Default: 1000, Unit: "ms", Doc: "time to the next window probe, or since data was last sent, from which the window is not just briefly closed"},
			{Name: "limited", Default: 0.2, Unit: "share", Doc: "share of the busy time limited by the peer's window (rwnd_limited)"},
			{Name: "bytes", Default: 64 << 10, Unit: "bytes", Doc: "unsent bytes that count without a timer that says more"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "socket/unread-receive-queue", Via: join.KindSocket, Why: "the peer's process does not read"},
			{Rule: "tcp/zero-window", Via: join.KindEndpoint, Why: "the peer has closed its window"},
			{Rule: "tcp/zero-window", Via: join.KindFlow, Why: "the peer has closed its window"},
			{Rule: "tcp/connect-blackhole", Via: join.KindEndpoint, Why: "nothing comes back from there"},
			{Rule: "tcp/retransmission-storm", Via: join.KindEndpoint, Why: "the path loses segments"},
			{Rule: "incident/stalled-consumer", Via: join.KindEndpoint, Why: "the consumer stopped reading"},
		},
		Run: run,
	}
}

// cause is what a stuck connection waits for.
type cause int

const (
	none   cause = iota
	window       // the peer's window is closed: its process does not read
	path         // retransmissions are not acknowledged: peer or path is dead
	same         // as much unsent as in an earlier sample, nothing says why
)

// stuck is the connections of one owner with one peer.
type stuck struct {
	*tables.Group
	table   *join.Table
	by      map[cause][]*join.Socket
	bytes   int64
	worst   *join.Socket
	why     cause
	retries int
	kept    int // as long in an earlier sample
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	judged, timers := false, false
	for _, host := range tables.Hosts(socks) {
		for _, t := range socks.Views(host, fact.StateEstablished) {
			if t.Meta.Filter == join.FilterLsof {
				continue
			}
			judged = true
			timers = timers || t.Meta.HasTimers
			for _, s := range collect(p, socks, t) {
				report(p, socks, s)
			}
		}
	}
	switch {
	case !judged:
		p.Skip("no table shows connections with their queues", "ss -tanpoei > ss_tanpoei.txt")
	case !timers:
		p.Skip("no table shows timers, so that a queue in motion and a stuck one look alike", "ss -tanpoei > ss_tanpoei.txt")
	}
	return nil
}

func collect(p *analyze.Pass, socks *join.Sockets, t *join.Table) []*stuck {
	var list []*join.Socket
	for _, k := range tables.InState(socks, t, fact.StateEstablished) {
		if k.RowIn(t).SendQ.Or(0) > 0 {
			list = append(list, k)
		}
	}
	var out []*stuck
	for _, g := range tables.Groups(socks, list) {
		s := &stuck{Group: g, table: t, by: map[cause][]*join.Socket{}}
		for _, k := range g.Sockets {
			s.add(p, socks, k)
		}
		for _, c := range []cause{same, path, window} {
			if len(s.by[c]) > 0 {
				s.why = c
			}
		}
		p.Note("%s with %s: %d of %d connections with unsent data are stuck", s.Subject(join.HostsOf(p)), s.Service, len(s.by[window])+len(s.by[path])+len(s.by[same]), len(g.Sockets))
		if s.why != none {
			out = append(out, s)
		}
	}
	return out
}

// add classifies one connection by its timer and its tcp_info.
func (s *stuck) add(p *analyze.Pass, socks *join.Sockets, k *join.Socket) {
	row := k.RowIn(s.table)
	q := row.SendQ.V
	retries := 0
	c := none
	if t := tables.RunningTimer(k); t != nil {
		retries = t.Retrans
		// The probe timer begins at a fifth of a second and doubles.
		if t.Name == "persist" && t.ExpiresMS.Or(0) >= p.Threshold("probe") {
			c = window
		}
	}
	if i := k.Info(); i != nil {
		retries = max(retries, int(i.Backoff.Or(0)))
		waits := float64(i.LastSndMS.Or(0)) >= p.Threshold("probe")
		if i.RwndLimited.Or(0) >= p.Threshold("limited") && waits {
			c = window
		}
		if t := tables.RunningTimer(k); t != nil && t.Name == "persist" && retries > 1 {
			c = window
		}
	}
	much := float64(q) >= p.Threshold("bytes")
	if m := socks.Mirror(k); m != nil && m.RecvQ().Or(0) > 0 && much {
		c = window // its other end has a full receive queue
	}
	if c == none && float64(retries) >= p.Threshold("retries") {
		c = path
	}
	kept := much && s.unchanged(socks, k, q)
	if c == none && kept {
		c = same
	}
	if c == none {
		return
	}
	if kept {
		s.kept++
	}
	s.by[c] = append(s.by[c], k)
	s.bytes += q
	s.retries = max(s.retries, retries)
	if s.worst == nil || q > s.worst.RowIn(s.table).SendQ.V {
		s.worst = k
	}
}

// unchanged reports whether an earlier sample shows the same queue, and no more
// was acknowledged since.
func (s *stuck) unchanged(socks *join.Sockets, k *join.Socket, q int64) bool {
	for _, e := range socks.Earlier(s.Host, fact.StateEstablished) {
		for _, r := range e.Rows {
			key, ok := tables.RowKey(r)
			if !ok || key != tables.Key(k.Local, k.Remote) || r.SendQ.Or(0) == 0 || r.SendQ.V > q {
				continue
			}
			now, then := k.Info(), r.TCPInfo
			moved := now != nil && then != nil && now.BytesAcked.Or(0) > then.BytesAcked.Or(0)
			return !moved
		}
	}
	return false
}

func report(p *analyze.Pass, socks *join.Sockets, s *stuck) {
	s.Name(p)
	all := append(append(append([]*join.Socket(nil), s.by[window]...), s.by[path]...), s.by[same]...)
	who := s.Who()
	peer := s.worst.Remote
	f := analyze.Finding{
		Subject:    s.Subject(join.HostsOf(p)) + " to " + peerName(s),
		Severity:   analyze.Medium,
		Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s cannot get rid of what it sends to %s: %d bytes wait in the send queues of %s",
			tables.Sentence(who), peerName(s), s.bytes, join.Count(len(all), "connection")),
		Entities: []analyze.Entity{join.Endpoint(s.Host, peer), join.Endpoint(s.Host, s.Service)},
	}
	if pr := s.Process(); pr != nil {
		f.Entities = append(f.Entities, pr.Entity())
	}
	switch s.why {
	case window:
		f.Detail = "The peer has closed its window or nearly so: it acknowledges, but its process does not read. The cause is there, not on the path."
		f.Fix = "Look at the peer's process: why does it not read? Here, set a write deadline and bound what may queue for one peer."
	case path:
		f.Detail = fmt.Sprintf("What was sent is retransmitted without an answer, up to %d times in a row: the peer is gone or the path loses everything.", s.retries)
		f.Fix = "Check the path and whether the peer still exists; set TCP_USER_TIMEOUT or a write deadline so that the connection ends."
	default:
		f.Detail = "The queue was as long in an earlier sample and nothing was acknowledged since."
		f.Fix = "Look at the peer; set a write deadline."
		f.Confidence = analyze.Possible
	}
	if s.why == window && s.kept > 0 && 2*s.kept >= len(s.Sockets) {
		// The same in two samples, and no single slow client of many.
		f.Severity = analyze.High
		f.Detail += " It was the same in an earlier sample."
	}
	for i, k := range all {
		m := socks.Mirror(k)
		if i < 4 {
			f.Evidence = append(f.Evidence, tables.CiteIn(s.table, k, "%d bytes unsent on %s%s", k.RowIn(s.table).SendQ.V, k, timerWords(k)))
		}
		if i < 16 {
			f.Entities = append(f.Entities, k.Entity())
			if m != nil {
				f.Entities = append(f.Entities, m.Entity())
			}
		}
		if m != nil && i == 0 {
			f.Evidence = append(f.Evidence, m.Cite("the other end, %d bytes unread", m.RecvQ().Or(0)))
			if o := m.Owner(); o != nil {
				f.Detail += fmt.Sprintf(" The other end belongs to %s.", o)
			}
		}
	}
	s.Introduce(&f)
	p.Report(f)
}

// peerName is the service for a client, and for a server its client, or its
// clients, since each has a port of its own.
func peerName(s *stuck) string {
	if s.Client {
		return s.Service.String()
	}
	if n := len(s.by[window]) + len(s.by[path]) + len(s.by[same]); n == 1 {
		return fmt.Sprintf("%s, a client of %s", s.worst.Remote, s.Service)
	}
	return "clients of " + s.Service.String()
}

func timerWords(k *join.Socket) string {
	t := tables.RunningTimer(k)
	if t == nil {
		return ""
	}
	return fmt.Sprintf(", timer %s, %d retries", t.Name, t.Retrans)
}
