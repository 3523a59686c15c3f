// Package abort finds live connections that one side tears down with a RST.
package abort

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds live connections that one side tears down with a RST.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/abort", Title: "connections aborted", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event", "counter"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "aborts of one service from which they are no accident"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/oom-kill", Via: join.KindProcess, Why: "the kernel resets connections of a killed process"},
			{Rule: "process/signal-sender", Via: join.KindProcess, Why: "the kernel resets connections of a killed process"},
			{Rule: "process/exec-maxbuffer", Via: join.KindProcess, Why: "the kernel resets connections of a killed process"},
			{Rule: "process/operator-kill", Via: join.KindProcess, Why: "the kernel resets connections of a killed process"},
			{Rule: "process/supervisor-stop", Via: join.KindProcess, Why: "the kernel resets connections of a stopped process"},
			{Rule: "go/runtime-verdict", Via: join.KindProcess, Why: "the kernel resets connections of a crashed process"},
			{Rule: "log/tls-failure", Via: join.KindFlow, Why: "a client ends the connection when it does not accept the certificate"},
			{Rule: "tcp/accept-queue-full", Via: join.KindEndpoint, Why: "connections that were never accepted are reset when the listener ends"},
			{Rule: "tcp/accept-queue-full", Via: join.KindPort, Why: "connections that were never accepted are reset when the listener ends"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	x := wire.Of(p)
	left := 0
	for _, c := range x.Cases {
		if c.Class == wire.Left {
			left++
		}
	}
	if left > 0 {
		p.Note("%s after an orderly end of the connection: no abort", join.Count(left, "RST", "RSTs"))
	}
	for _, g := range x.Of(wire.Abort) {
		if g.Death() && !g.ManyDied() {
			p.Note("%s: %s lost when the service ended: see tcp/refused", g.Subject, join.Count(len(g.Cases), "connection was", "connections were"))
			continue
		}
		report(p, g)
	}
	return nil
}

// counts are the variants of an abort, by what the aborter had before it.
type counts struct{ unread, unanswered, quiet int }

func count(g *wire.Group) (n counts) {
	for _, c := range g.Cases {
		switch {
		case c.Unread > 0 && c.FromServer:
			n.unread++
		case c.Flow.Turns.Unanswered != nil && !c.FromServer:
			n.unanswered++
		default:
			n.quiet++
		}
	}
	return n
}

func report(p *analyze.Pass, g *wire.Group) {
	n, several := count(g), int(p.Threshold("flows"))
	words, last := []string(nil), []analyze.Evidence(nil)
	if g.Death() {
		words, last = lastWords(p, g)
	}
	f, complaints := g.Draft(p, analyze.Likely, note)
	f.Severity = g.Hurt(several, complaints)
	if !g.Death() && n.quiet == len(g.Cases) && (complaints == "" || !g.Cases[0].FromServer) {
		// Everything was answered, and nobody complains: connections that were of no
		// more use to anybody. Some servers end all of theirs so. Or it was the client
		// that waited for nothing: what the server logs then is no loss to anybody.
		f.Severity = analyze.Low
	}
	waited, still := g.Standstill()
	if complaints == "" && (still || g.Death() && g.AtEdge() && len(words) == 0) {
		f.Severity = analyze.Low
	}
	p.Note("%s: %d aborted, %d of them with unread payload, severity %s", g.Subject, len(g.Cases), n.unread, f.Severity)
	f.Title = title(g, n)
	wire.Tell(&f, g.Remarks(p, 2)...)
	f.Evidence = append(f.Evidence, lastPayload(g.Cases[0])...)
	detail := []string{mechanism(g, n), wire.Seen(complaints), "Clients: " + g.Clients(12) + "."}
	switch {
	case g.Death():
		detail = append(detail, words...)
		wire.Tell(&f, last...)
		if g.AtEdge() {
			detail = append(detail, "The capture ends here. Also possible: whoever took it stopped the service then.")
		}
	case still:
		detail = append(detail, fmt.Sprintf("All of it is one moment: the server had stood still (the first of these requests waited %v), each connection had been idle before its request, and others were served afterwards. A process that is held up (a blocked loop, a debugger, SIGSTOP) runs its idle timer before it reads when it goes on.", wire.Round(waited)))
	default:
		detail = append(detail, competing(g, n))
		ev := counter(p, g, n)
		if f.Evidence = append(f.Evidence, ev...); ev == nil {
			f.Missing = append(f.Missing, "what the process did: the RST alone does not tell a close with unread data from a deliberate one")
			f.Next = append(f.Next, "nstat -az TcpExtTCPAbortOnClose TcpExtTCPAbortOnData TcpExtTCPAbortOnLinger", "strace -f -e trace=close,shutdown,setsockopt -p "+g.PID())
		}
	}
	if both := g.Both(); both != "" {
		detail = append(detail, both)
	}
	f.Detail, f.Fix = strings.Join(detail, "\n\n"), fix(g, n)
	p.Report(f)
}

func note(c *wire.Case) string {
	s := fmt.Sprintf("RST,ACK of %s to %s", c.Culprit(), c.Victim())
	if c.FromServer && c.Unread > 0 {
		s += fmt.Sprintf("; %d bytes of the client came since the server last sent anything", c.Unread)
	}
	return s
}

// lastPayload cites the last payload of the victim before the RST.
func lastPayload(c *wire.Case) []analyze.Evidence {
	d := c.Flow.ToServer
	if !c.FromServer {
		d = c.Flow.ToClient
	}
	if d.LastDataFrame() == 0 {
		return nil
	}
	return []analyze.Evidence{wire.At(c.Flow, d.LastDataFrame(), d.LastData(), "the last payload of %s before the RST", c.Victim())}
}

func title(g *wire.Group, n counts) string {
	switch {
	case g.Death():
		return fmt.Sprintf("The process behind %s ended and its connections were reset (RST): %s", g.Who(), g.Share())
	case g.FromClients:
		return fmt.Sprintf("%s aborts its connections to %s with RST: %s", g.Who(), g.Server.Addr, g.Share())
	case n.unread*2 > len(g.Cases):
		return fmt.Sprintf("%s aborts connections with RST while the client's data is not dealt with: %s", g.Who(), g.Share())
	}
	return fmt.Sprintf("%s aborts live connections with RST: %s", g.Who(), g.Share())
}

func mechanism(g *wire.Group, n counts) string {
	const form = "The RST carries ACK, the window and the options of the live connection, and no FIN of that side came before: a socket was torn down by the process that held it."
	switch {
	case g.Death():
		return join.Count(len(g.Cases), "connection", "connections") + " ended within a second, and afterwards nobody is accepted any more. This is what a kernel does to the connections of a process that dies: those with unread data get RST at once, the others FIN, and then RST at the next write."
	case g.FromClients && n.unanswered > 0:
		return fmt.Sprintf("%s In %d of %d cases the client still waited for an answer: it gave up (a time-out or a cancelled call).", form, n.unanswered, len(g.Cases))
	case n.unread > 0:
		var bytes int64
		for _, c := range g.Cases {
			bytes = max(bytes, c.Unread)
		}
		return fmt.Sprintf("%s In %d of %d cases the client had sent payload (up to %d bytes) since the server's last one, and the server answered none of it. A kernel sends RST in place of FIN when a process closes a socket whose receive queue still holds unread data.", form, n.unread, len(g.Cases), bytes)
	}
	if g.FromClients {
		return form + " The client waited for nothing: it closed before it had read all that came, or on purpose, as cancelled downloads and simple health checks do."
	}
	return form + " Everything that the other side had sent was answered before."
}

func competing(g *wire.Group, n counts) string {
	switch {
	case g.FromClients:
		return "Also possible: the client's process was killed, or a proxy in the client's place dropped the call."
	case n.unread > 0:
		return "Also possible: the service read the data and destroys the connection on purpose (SO_LINGER 0, socket.destroy, resetAndDestroy). Both leave the same RST."
	}
	if c := g.Cases[0]; c.Idle >= 5*time.Second {
		return fmt.Sprintf("Also possible: an idle timer of about %v at %s. Fewer than three connections died after the same silence, which is too few to tell.", wire.Round(c.Idle), c.Culprit())
	}
	return "Also possible: data that had arrived in the last moment and was not read, or a proxy at this address that lost its own upstream."
}

// counter cites a kernel counter that says why sockets of this host were reset.
func counter(p *analyze.Pass, g *wire.Group, n counts) []analyze.Evidence {
	if g.FromClients || n.unread == 0 {
		return nil
	}
	h := join.HostsOf(p)
	for c := range fact.All[fact.Counter](p.Facts) {
		if strings.TrimPrefix(c.Name, "TcpExt") == "TCPAbortOnClose" && c.Value > 0 && h.Of(c.At) == g.End.Host {
			return []analyze.Evidence{analyze.Cite(c.At, "the kernel counts %d connections that a process closed with unread data", c.Value)}
		}
	}
	return nil
}

// lastWords says how the log of a service that died ends.
func lastWords(p *analyze.Pass, g *wire.Group) (words []string, ev []analyze.Evidence) {
	for _, l := range wire.ListenerLogs(p, g.End.Host, g.End.Addr.String()) {
		e := wire.LastWords(p, l, g.From().Add(-5*time.Second), g.To().Add(5*time.Second))
		if e == nil {
			continue
		}
		ev = append(ev, join.ClocksOf(p).Date(analyze.Cite(e.At, "the service's last words: %s", e.Text), e.Time))
		words = append(words, fmt.Sprintf("The service's log %s ends with: %s", l.Log, e.Text))
	}
	return words, ev
}

func fix(g *wire.Group, n counts) string {
	switch {
	case g.Death():
		return "Find out why the process ended (its log, exit status, the kernel log); clients should retry calls that are safe to repeat."
	case g.FromClients:
		return "Look at the time-outs and cancellations of " + g.Who() + ". If they are too short, lengthen them; if not, look at why the answers are late."
	case n.unread > 0:
		return "In the service on " + g.End.Addr.String() + ", read or drain what the client still sends before closing, or answer first and half-close (shutdown of the write side); tell clients the limit."
	}
	return "In the service on " + g.End.Addr.String() + ", end connections with close or shutdown instead of destroying them."
}
