// Package acceptqueuefull finds listeners whose program does not accept fast
// enough.
package acceptqueuefull

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds listeners whose program does not accept fast enough.
func Rule() *analyze.Rule {
	via := func(rule, why string) analyze.Mechanism {
		return analyze.Mechanism{Rule: rule, Via: join.KindProcess, Why: why}
	}
	return &analyze.Rule{
		ID: "tcp/accept-queue-full", Title: "accept queue full", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"socket", "flow"},
		Wants: []fact.Kind{"counter", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "attempts", Doc: "attempts that a port leaves hanging while it serves others"},
			{Name: "served", Default: 60, Unit: "seconds", Doc: "how near in time the served ones must be"},
			{Name: "orphans", Default: 1, Unit: "sockets", Doc: "established sockets without inode and owner on a listening port"},
			{Name: "left", Default: 5, Unit: "sockets", Doc: "connections that clients closed before anybody accepted them from which a queue stands still"},
		},
		ExplainedBy: []analyze.Mechanism{
			via("incident/stalled-consumer", "a process that is stuck does not accept"),
			via("go/leaked-lock", "an acceptor that waits for the lock does not accept"),
			via("go/blocked-holder", "an acceptor that waits for the lock does not accept"),
			via("go/lock-cycle", "an acceptor in the cycle does not accept"),
			via("process/stopped", "a stopped process accepts nothing"),
			via("thread/stuck", "threads that do not move take no more connections"),
			via("thread/deadlock", "a thread that waits for the lock does not come back to accept"),
			via("thread/blocked-holder", "a thread that waits for the lock does not come back to accept"),
			via("thread/leaked-lock", "a thread that waits for the lock does not come back to accept"),
			via("node/loop-blocked", "a blocked loop accepts nothing"),
			via("process/fd-limit", "without a free descriptor nothing can be accepted"),
			via("process/uninterruptible", "a process in uninterruptible sleep does not accept"),
		},
		Run: run,
	}
}

// port is a listening port with the signs that its queue is full.
type port struct {
	host     string
	at       netip.AddrPort
	listener *join.Socket   // Recv-Q above Send-Q
	orphans  []*join.Socket // not accepted yet
	left     []*join.Socket // closed by the client before they were accepted
	hanging  []*fact.Flow   // SYN unanswered or SYN-ACK repeated, while others are served
	resets   *wire.Group    // RST right after the handshake
}

func (q *port) signs() int {
	n := 0
	for _, has := range []bool{q.listener != nil, len(q.orphans)+len(q.left) > 0, len(q.hanging) > 0 || q.resets != nil} {
		if has {
			n++
		}
	}
	return n
}

func run(_ context.Context, p *analyze.Pass) error {
	by := map[string]*port{}
	var order []string
	get := func(host string, at netip.AddrPort) *port {
		k := fmt.Sprintf("%s|%d", host, at.Port())
		if by[k] == nil {
			by[k] = &port{host: host, at: at}
			order = append(order, k)
		}
		return by[k]
	}
	tables(p, get)
	for _, s := range wire.Of(p).Servers() {
		at, ok := join.ParseAddrPort(s.Addr)
		if hanging := waiting(p, s); ok && len(hanging) >= int(p.Threshold("flows")) {
			get(s.Host, at).hanging = hanging
		}
	}
	for _, g := range wire.Of(p).Of(wire.Overflow) {
		get(g.Server.Host, g.End.Addr).resets = g
	}
	for _, k := range order {
		report(p, by[k])
	}
	unixQueues(p)
	return nil
}

// tables finds full listeners, and established sockets that no process has
// accepted yet. netstat prints no limit for a listener: its Send-Q is 0.
func tables(p *analyze.Pass, get func(string, netip.AddrPort) *port) {
	s := join.SocketsOf(p)
	for _, k := range s.All {
		if k.Proto != "tcp" {
			continue
		}
		if k.State == fact.StateListen {
			if k.SendQ().Or(0) > 0 && k.RecvQ().Or(0) > k.SendQ().V {
				get(k.Host, k.Local).listener = k
			}
			continue
		}
		if !s.Unaccepted(k) && !rootless(s, k) {
			continue
		}
		if q := get(k.Host, k.Local); k.State == fact.StateCloseWait {
			q.left = append(q.left, k)
		} else {
			q.orphans = append(q.orphans, k)
		}
	}
}

// rootless reports whether an established connection to a listening port has no
// inode, as one that no process has accepted.
func rootless(s *join.Sockets, k *join.Socket) bool {
	in := k.Row().Inode
	return k.State == fact.StateEstablished && len(k.Owners) == 0 && in.Known && in.V == 0 && len(s.Listeners(k.Host, "tcp", k.Local.Port())) > 0
}

// waiting lists attempts that a server left hanging within a minute of others
// that it served.
func waiting(p *analyze.Pass, s *wire.Server) []*fact.Flow {
	near := time.Duration(p.Threshold("served") * float64(time.Second))
	var out []*fact.Flow
	for _, f := range s.Flows {
		switch {
		case f.ToClient.SYNs() >= 3 && s.Accepts(f, near), f.SynUnanswered && f.ToServer.SYNs() >= 2 && wire.Of(p).Crowded(s, f, near):
			out = append(out, f)
		}
	}
	return out
}

func report(p *analyze.Pass, q *port) {
	counter, overflows := overflowed(p, q.host)
	stands := len(q.left) >= int(p.Threshold("left"))
	if q.listener == nil && len(q.hanging) == 0 && len(q.orphans) < int(p.Threshold("orphans")) && q.resets == nil && !stands {
		return
	}
	end := join.FlowsOf(p).At(q.host, "tcp", q.at)
	who := end.String()
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(q.host) + q.at.String(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Entities: append(end.Entities(), join.Port(q.host, int(q.at.Port()))),
	}
	signs := q.signs()
	if counter != nil {
		signs++
	}
	switch {
	case q.listener == nil && len(q.hanging) == 0 && !stands:
		// Only RSTs after handshakes, or orphans, which a busy moment shows too.
		f.Severity, f.Confidence = analyze.Medium, analyze.Possible
		if q.resets == nil && signs == 1 {
			f.Severity = analyze.Low
		}
	case signs > 1:
		f.Confidence = analyze.Confirmed
	}
	p.Note("%s: listener full %v, %d not accepted, %d of clients that left, %d hanging, counter %d", q.at, q.listener != nil, len(q.orphans), len(q.left), len(q.hanging), overflows)
	full := q.listener != nil || len(q.hanging) > 0 || q.resets != nil
	detail := []string{queues + overflow}
	f.Title = fmt.Sprintf("%s does not accept connections fast enough: its accept queue is full", who)
	if !full {
		detail = []string{queues}
		f.Title = fmt.Sprintf("%s does not accept connections fast enough: %d wait in its accept queue", who, len(q.orphans)+len(q.left))
	}
	if q.listener != nil {
		r, limit := q.listener.RecvQ().V, q.listener.SendQ().V
		f.Title += fmt.Sprintf(" (%d waiting, limit %d)", r, limit)
		f.Evidence = append(f.Evidence, q.listener.Cite("LISTEN with Recv-Q %d above its limit %d", r, limit))
	}
	for i, fl := range q.hanging[:min(len(q.hanging), 3)] {
		if i == 0 {
			detail = append(detail, fmt.Sprintf("%d attempts hang while the port serves others.", len(q.hanging)))
			f.From = fl.First()
		}
		f.Evidence = append(f.Evidence, wire.At(fl, fl.Ref().Packet, fl.First(), "SYN of %s, sent %d times; SYN-ACK sent %d times", fl.Client(), fl.ToServer.SYNs(), fl.ToClient.SYNs()))
		f.To = fl.Last()
	}
	if q.resets != nil {
		detail = append(detail, q.reset(p, &f))
	}
	words, ev := q.queued()
	detail, f.Evidence = append(detail, words...), append(f.Evidence, ev...)
	if counter != nil {
		f.Evidence = append(f.Evidence, *counter)
		detail = append(detail, fmt.Sprintf("The kernel counts %d overflows of accept queues.", overflows))
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = "Find what keeps the acceptor on " + q.at.String() + " busy (a lock, a blocked loop, a limit); only for real bursts raise the backlog of listen and net.core.somaxconn."
	f.Next = []string{"ss -ltn 'sport = :" + fmt.Sprint(q.at.Port()) + "'", "nstat -az TcpExtListenOverflows TcpExtListenDrops (twice)"}
	p.Report(f)
}

// What an accept queue is, and what its end means.
const (
	queues   = "The kernel completes handshakes and queues the connections until the program accepts them."
	overflow = " This queue is full, so new attempts are dropped and repeated, or reset: the program does not accept fast enough, or not at all."
)

// reset tells of the connections that were reset right after the handshake.
func (q *port) reset(p *analyze.Pass, f *analyze.Finding) string {
	c := q.resets.Cases[0]
	f.From, f.To = q.resets.From(), q.resets.To()
	f.Evidence = append(f.Evidence, wire.At(c.Flow, c.Reset.Frame, c.At(), "RST right after the handshake, before the server sent anything"))
	words, lines := q.resets.Complaints(p, 2)
	f.Evidence = append(f.Evidence, lines...)
	f.Entities = append(f.Entities, q.resets.Entities()...)
	return fmt.Sprintf("%s reset right after the handshake by a kernel without a socket for it: tcp_abort_on_overflow does this. %s Also possible: a firewall that rejects after the handshake.",
		join.Count(len(q.resets.Cases), "connection was", "connections were"), wire.Seen(words))
}

// queued tells of the connections that the tables show in the queue.
func (q *port) queued() (words []string, ev []analyze.Evidence) {
	for _, k := range q.orphans[:min(len(q.orphans), 3)] {
		ev = append(ev, k.Cite("established, but no process has accepted it: it has no owner"))
	}
	for _, k := range q.left[:min(len(q.left), 3)] {
		ev = append(ev, k.Cite("its client has closed it already, and no process has accepted it: it has no owner"))
	}
	if n := len(q.orphans); n > 0 {
		words = append(words, join.Count(n, "established connection has", "established connections have")+" no owner: nobody has accepted them.")
	}
	if n := len(q.left); n > 0 {
		words = append(words, join.Count(n, "connection in CLOSE_WAIT has", "connections in CLOSE_WAIT have")+" no owner either: their clients left before anybody accepted them. What they sent was acknowledged by the kernel only.")
	}
	return words, ev
}

// overflowed cites the counter of overflows. Counted since boot it only supports
// other signs.
func overflowed(p *analyze.Pass, host string) (*analyze.Evidence, int64) {
	h := join.HostsOf(p)
	for c := range fact.All[fact.Counter](p.Facts) {
		if strings.TrimPrefix(c.Name, "TcpExt") == "ListenOverflows" && c.Value > 0 && h.Of(c.At) == host {
			e := analyze.Cite(c.At, "%d overflows of accept queues since boot", c.Value)
			return &e, c.Value
		}
	}
	return nil, 0
}
