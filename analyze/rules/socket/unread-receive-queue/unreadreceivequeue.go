// Package unreadreceivequeue finds processes that are alive and do not read what
// was sent to them.
package unreadreceivequeue

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

// Rule finds processes that are alive and do not read what was sent to them.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/unread-receive-queue", Title: "unread receive queue", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket"},
		Thresholds: []analyze.Threshold{
			{Name: "bytes", Default: 64 << 10, Unit: "bytes", Doc: "unread bytes of one connection that count"},
			{Name: "buffer_share", Default: 0.8, Unit: "share", Doc: "share of the receive buffer that counts whatever the number of bytes"},
			{Name: "silence", Default: 5000, Unit: "ms", Doc: "time since data arrived (lastrcv) from which the queue is not just busy"},
			{Name: "sockets", Default: 10, Unit: "sockets", Doc: "connections of one process with unread data that count together"},
			{Name: "sockets_share", Default: 0.25, Unit: "share", Doc: "share of the process's connections that these must be, so that a busy instant is none"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "go/leaked-lock", Via: join.KindProcess, Why: "the goroutines that read wait for a lock"},
			{Rule: "go/blocked-holder", Via: join.KindProcess, Why: "the goroutines that read wait for a lock"},
			{Rule: "go/lock-cycle", Via: join.KindProcess, Why: "the goroutines that read are in a deadlock"},
			{Rule: "go/recursive-lock", Via: join.KindProcess, Why: "the goroutines that read are in a deadlock"},
			{Rule: "go/stuck-senders", Via: join.KindProcess, Why: "the goroutines that read wait to hand on what they have"},
			{Rule: "process/stopped", Via: join.KindProcess, Why: "a stopped process reads nothing"},
			{Rule: "thread/stuck", Via: join.KindProcess, Why: "the threads that read do not move"},
			{Rule: "thread/deadlock", Via: join.KindProcess, Why: "the threads that read wait for a lock"},
			{Rule: "thread/blocked-holder", Via: join.KindProcess, Why: "the threads that read wait for a lock"},
			{Rule: "thread/leaked-lock", Via: join.KindProcess, Why: "the threads that read wait for a lock"},
			{Rule: "node/loop-blocked", Via: join.KindProcess, Why: "a blocked event loop reads nothing"},
			{Rule: "incident/stalled-consumer", Via: join.KindProcess, Why: "the consumer stopped reading"},
			{Rule: "tcp/zero-window", Via: join.KindProcess, Why: "the same unread data, seen on the wire"},
		},
		Run: run,
	}
}

// backlog is the connections of one owner with unread data.
type backlog struct {
	*tables.Group
	table   *join.Table
	sockets []*join.Socket // with any unread data
	stuck   []*join.Socket // with much of it, and for long
	full    []*join.Socket // with much of it, at one instant
	bytes   int64
	total   int // connections of the owner, or with the service
	worst   *join.Socket
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	judged := false
	for _, host := range tables.Hosts(socks) {
		for _, t := range socks.Views(host, fact.StateEstablished) {
			if t.Meta.Filter != join.FilterLsof {
				judged = true
				judge(p, socks, t)
			}
		}
	}
	if !judged {
		p.Skip("no table shows connections with their queues", "ss -tanpoemi > ss_tanpoemi.txt")
	}
	return nil
}

func judge(p *analyze.Pass, socks *join.Sockets, t *join.Table) {
	for _, b := range backlogs(p, socks, t) {
		many := float64(len(b.sockets)) >= p.Threshold("sockets") && float64(len(b.sockets)) >= p.Threshold("sockets_share")*float64(b.total)
		p.Note("%s: %s with unread data, %d with much of it, %d of these for long", b.Subject(join.HostsOf(p)), join.Count(len(b.sockets), "connection"), len(b.full), len(b.stuck))
		if len(b.stuck) > 0 || many || len(b.full) > 0 {
			report(p, socks, b, many)
		}
	}
}

// backlogs groups connections with unread data by owner. What waits in an accept
// queue belongs to nobody yet: its data says nothing about a reader.
func backlogs(p *analyze.Pass, socks *join.Sockets, t *join.Table) []*backlog {
	var unread []*join.Socket
	for _, k := range tables.InState(socks, t, fact.StateEstablished) {
		if k.RowIn(t).RecvQ.Or(0) > 0 && !socks.Unaccepted(k) {
			unread = append(unread, k)
		}
	}
	var out []*backlog
	by := map[*join.Process]*backlog{}
	for _, g := range tables.Groups(socks, unread) {
		b := by[g.Owner]
		if b == nil || g.Owner == nil {
			b = &backlog{Group: g, table: t}
			by[g.Owner] = b
			out = append(out, b)
		}
		for _, k := range g.Sockets {
			b.add(p, socks, k)
		}
	}
	for _, k := range tables.InState(socks, t, fact.StateEstablished) {
		for _, b := range out {
			if b.Owner != nil && k.Owner() == b.Owner || b.Owner == nil && (k.Local == b.Service || k.Remote == b.Service) {
				b.total++
			}
		}
	}
	return out
}

func (b *backlog) add(p *analyze.Pass, socks *join.Sockets, k *join.Socket) {
	row := k.RowIn(b.table)
	q := row.RecvQ.V
	b.sockets = append(b.sockets, k)
	b.bytes += q
	if b.worst == nil || q > b.worst.RowIn(b.table).RecvQ.V {
		b.worst = k
	}
	much := float64(q) >= p.Threshold("bytes")
	if m := row.Skmem; m != nil && m.Rcvbuf > 0 {
		// rmem counts overhead as well, so it is what the kernel compares with the buffer.
		much = much || float64(max(m.Rmem, q)) >= p.Threshold("buffer_share")*float64(m.Rcvbuf)
	}
	if !much {
		return
	}
	silent := false
	if i := k.Info(); i != nil && i.LastRcvMS.Known {
		silent = float64(i.LastRcvMS.V) >= p.Threshold("silence")
	}
	if silent || b.unchanged(socks, k, q) || held(socks, k) {
		b.stuck = append(b.stuck, k)
		return
	}
	b.full = append(b.full, k)
}

// held reports whether the sender's table shows that it waits for the window, with
// probes that have become rare.
func held(socks *join.Sockets, k *join.Socket) bool {
	m := socks.Mirror(k)
	if m == nil {
		return false
	}
	t := tables.RunningTimer(m)
	return t != nil && t.Name == "persist" && t.ExpiresMS.Or(0) >= 1000
}

// unchanged reports whether an earlier sample shows the connection with at least
// as much unread.
func (b *backlog) unchanged(socks *join.Sockets, k *join.Socket, q int64) bool {
	for _, e := range socks.Earlier(b.Host, fact.StateEstablished) {
		for _, r := range e.Rows {
			if key, ok := tables.RowKey(r); ok && key == tables.Key(k.Local, k.Remote) && r.RecvQ.Or(0) > 0 && r.RecvQ.V <= q {
				return true
			}
		}
	}
	return false
}

func report(p *analyze.Pass, socks *join.Sockets, b *backlog, many bool) {
	b.Name(p)
	w := b.worst.RowIn(b.table)
	f := analyze.Finding{
		Subject:    b.Subject(join.HostsOf(p)),
		Severity:   analyze.Low,
		Confidence: analyze.Possible,
		Entities:   b.Entities(),
		Fix:        "Find out what the process does instead of reading: a goroutine dump, thread stacks or a profile of its event loop, taken while the queue stands.",
	}
	who := b.Who()
	f.Title = fmt.Sprintf("%s does not read: %d bytes wait in the receive queues of %s, %d of them on %s",
		tables.Sentence(who), b.bytes, join.Count(len(b.sockets), "connection"), w.RecvQ.V, b.worst)
	f.Detail = fmt.Sprintf("Recv-Q of a connection is what has arrived and the process has not read. The largest is %d bytes on %s", w.RecvQ.V, b.worst)
	if m := w.Skmem; m != nil && m.Rcvbuf > 0 {
		f.Detail += fmt.Sprintf(" (%d bytes of memory, of a receive buffer of %d)", m.Rmem, m.Rcvbuf)
	}
	f.Detail += "."
	if i := b.worst.Info(); i != nil && i.LastRcvMS.Known {
		f.Detail += fmt.Sprintf(" Nothing has arrived on it for %.1f s: the window is closed, and the sender waits.", float64(i.LastRcvMS.V)/1000)
	}
	switch {
	case len(b.stuck) > 0:
		f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	case many:
		f.Severity = analyze.Medium
		f.Missing = append(f.Missing, "how long the data has waited: one table shows one instant")
	default:
		f.Missing = append(f.Missing, "how long the data has waited: one table shows one instant")
	}
	if len(b.stuck) == 0 {
		f.Next = append(f.Next, "sleep 10; ss -tanpoemi > ss_tanpoemi_2.txt")
	}
	for i, k := range append(append([]*join.Socket{b.worst}, b.stuck...), b.full...) {
		if i == 4 {
			break
		}
		if i == 0 || k != b.worst {
			f.Evidence = append(f.Evidence, tables.CiteIn(b.table, k, "%d bytes unread on %s", k.RowIn(b.table).RecvQ.V, k))
		}
		if m := socks.Mirror(k); m != nil && i == 0 {
			f.Evidence = append(f.Evidence, m.Cite("the sender's end, %d bytes unsent", m.SendQ().Or(0)))
			if o := m.Owner(); o != nil {
				f.Detail += fmt.Sprintf(" The sender is %s.", o)
			}
		}
	}
	b.Introduce(&f)
	for _, k := range b.sockets[:min(len(b.sockets), 8)] {
		f.Entities = append(f.Entities, k.Entity())
		if m := socks.Mirror(k); m != nil {
			f.Entities = append(f.Entities, m.Entity())
		}
	}
	p.Report(f)
}
