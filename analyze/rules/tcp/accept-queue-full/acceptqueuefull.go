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
	listener *join.Socket // Recv-Q above Send-Q
	orphans  []*join.Socket
	hanging  []*fact.Flow // SYN unanswered or SYN-ACK repeated, while others are served
	resets   *wire.Group  // RST right after the handshake
}

func (q *port) signs() int {
	n := 0
	for _, has := range []bool{q.listener != nil, len(q.orphans) > 0, len(q.hanging) > 0 || q.resets != nil} {
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
		if k.State != fact.StateEstablished || len(k.Owners) > 0 || len(s.Listeners(k.Host, "tcp", k.Local.Port())) == 0 {
			continue
		}
		if in := k.Row().Inode; in.Known && in.V == 0 {
			q := get(k.Host, k.Local)
			q.orphans = append(q.orphans, k)
		}
	}
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
	if q.listener == nil && len(q.hanging) == 0 && len(q.orphans) < int(p.Threshold("orphans")) && q.resets == nil {
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
	case q.listener == nil && len(q.hanging) == 0:
		// Only RSTs after handshakes, or orphans, which a busy moment shows too.
		f.Severity, f.Confidence = analyze.Medium, analyze.Possible
		if q.resets == nil && signs == 1 {
			f.Severity = analyze.Low
		}
	case signs > 1:
		f.Confidence = analyze.Confirmed
	}
	p.Note("%s: listener full %v, %d not accepted, %d hanging, counter %d", q.at, q.listener != nil, len(q.orphans), len(q.hanging), overflows)
	detail := []string{"The kernel completes handshakes and queues the connections until the program accepts them. This queue is full, so new attempts are dropped and repeated, or reset: the program does not accept fast enough, or not at all."}
	f.Title = fmt.Sprintf("%s does not accept connections fast enough: its accept queue is full", who)
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
		c := q.resets.Cases[0]
		f.From, f.To = q.resets.From(), q.resets.To()
		f.Evidence = append(f.Evidence, wire.At(c.Flow, c.Reset.Frame, c.At(), "RST right after the handshake, before the server sent anything"))
		words, lines := q.resets.Complaints(p, 2)
		f.Evidence = append(f.Evidence, lines...)
		detail = append(detail, fmt.Sprintf("%s reset right after the handshake by a kernel without a socket for it: tcp_abort_on_overflow does this. %s Also possible: a firewall that rejects after the handshake.",
			join.Count(len(q.resets.Cases), "connection was", "connections were"), wire.Seen(words)))
		f.Entities = append(f.Entities, q.resets.Entities()...)
	}
	for _, k := range q.orphans[:min(len(q.orphans), 3)] {
		f.Evidence = append(f.Evidence, k.Cite("established, but no process has accepted it: no inode, no owner"))
	}
	if n := len(q.orphans); n > 0 {
		detail = append(detail, join.Count(n, "established connection has", "established connections have")+" no inode and no owner: nobody has accepted them.")
	}
	if counter != nil {
		f.Evidence = append(f.Evidence, *counter)
		detail = append(detail, fmt.Sprintf("The kernel counts %d overflows of accept queues.", overflows))
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = "Find what keeps the acceptor on " + q.at.String() + " busy (a lock, a blocked loop, a limit); only for real bursts raise the backlog of listen and net.core.somaxconn."
	f.Next = []string{"ss -ltn 'sport = :" + fmt.Sprint(q.at.Port()) + "'", "nstat -az TcpExtListenOverflows TcpExtListenDrops (twice)"}
	p.Report(f)
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
