// Package refused finds addresses on which nobody accepts connections.
package refused

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
	crashsawtooth "github.com/culprit-dev/culprit/analyze/rules/process/crash-sawtooth"
)

//go:embed doc.md
var doc string

// Rule finds addresses on which nobody accepts connections.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/refused", Title: "connections refused", Doc: doc, Severity: analyze.High,
		After: []string{"tcp/abort", crashsawtooth.ID},
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"icmp_error", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "attempts", Default: 3, Unit: "attempts", Doc: "refusals from which an address counts as down"},
			{Name: "restart", Default: 10, Unit: "seconds", Doc: "an address that is back after so long was started or restarted"},
			{Name: "outage", Default: 60, Unit: "seconds", Doc: "an address that is back after so long had a short outage"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/oom-kill", Via: join.KindProcess, Why: "a killed process listens no more"},
			{Rule: "process/signal-sender", Via: join.KindProcess, Why: "a killed process listens no more"},
			{Rule: "process/exec-maxbuffer", Via: join.KindProcess, Why: "a killed process listens no more"},
			{Rule: "process/operator-kill", Via: join.KindProcess, Why: "a killed process listens no more"},
			{Rule: "process/supervisor-stop", Via: join.KindProcess, Why: "a stopped process listens no more"},
			{Rule: "go/runtime-verdict", Via: join.KindProcess, Why: "a crashed process listens no more"},
			{Rule: crashsawtooth.ID, Via: join.KindProcess, Why: "nothing listens between an end and the next start"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	x := wire.Of(p)
	for _, class := range []wire.Class{wire.Fallback, wire.Scan} {
		n := 0
		for _, c := range x.Cases {
			if c.Class == class {
				n++
			}
		}
		if n > 0 && class == wire.Fallback {
			p.Note("%s on one address family while the other answered: no outage", join.Count(n, "attempt was refused", "attempts were refused"))
		} else if n > 0 {
			p.Note("%d refusals of one source that tried many ports: a scan, no outage", n)
		}
	}
	for _, g := range x.Of(wire.Refused) {
		report(p, g)
		passedOn(p, g)
	}
	return nil
}

// outage is what the other conversations with the address say about a refusal.
type outage struct {
	*wire.Group
	// before is the last conversation that was accepted before the first refusal,
	// after the first one since the last refusal; between counts those amid.
	before, after *fact.Flow
	between       int
	firewall      string // why it is a firewall's answer, "" if it is not
	listener      *join.Socket
	elsewhere     []*join.Socket
	table         fact.Ref
	hasTable      bool
}

func look(p *analyze.Pass, g *wire.Group) *outage {
	o := &outage{Group: g}
	for _, f := range g.Server.Flows {
		switch {
		case !f.Established:
		case f.First().Before(g.From()):
			o.before = f
		case f.First().After(g.To()):
			if o.after == nil {
				o.after = f
			}
		default:
			o.between++
		}
	}
	o.firewall = firewall(wire.Of(p), g)
	s := join.SocketsOf(p)
	o.table, o.hasTable = s.CompleteListeners(g.End.Host)
	if _, known := s.HostOf(g.End.Addr.Addr()); !known && !g.End.Addr.Addr().IsLoopback() && !fromItself(g) {
		// The table is of another machine: what it lacks says nothing.
		o.hasTable = false
	}
	if o.hasTable {
		o.listener = s.Listener(g.End.Host, "tcp", g.End.Addr)
		if o.listener == nil {
			o.elsewhere = s.Listeners(g.End.Host, "tcp", g.End.Addr.Port())
		}
	}
	return o
}

// fromItself reports whether the attempts come from the address that refuses them:
// then it is one of the host's own, whatever its tables show of it.
func fromItself(g *wire.Group) bool {
	for _, c := range g.Cases {
		if c.Flow.Client().Addr() == g.End.Addr.Addr() {
			return true
		}
	}
	return false
}

// firewall says why a refusal is not the kernel's word that nobody listens: an
// ICMP message, which Linux never sends for a closed TCP port, or a RST with a
// TTL unlike that of the host's other packets.
func firewall(x *wire.Index, g *wire.Group) string {
	icmp, odd, usual, unseen := 0, 0, 0, 0
	var nearer *fact.Capture
	var e *fact.ICMPError
	var r *fact.Reset
	for _, c := range g.Cases {
		if c.ICMP != nil {
			icmp++
			e = c.ICMP
			continue
		}
		if by := x.Unseen(c.Flow, c.At()); by != nil {
			unseen, nearer = unseen+1, by
		}
		if ttl := x.TTL(c.Flow.Ref().Artifact, g.End.Addr.Addr()); ttl > 0 && c.Reset.TTL != ttl {
			odd++
			r, usual = c.Reset, ttl
		}
	}
	switch {
	case icmp*2 > len(g.Cases):
		return fmt.Sprintf("the answer is an ICMP message of %s (%s), which a host does not send for a closed TCP port", e.From, e.Text)
	case nearer != nil && unseen == len(g.Cases)-icmp:
		return fmt.Sprintf("%s, captured nearer to the server at that time, shows none of the attempts", nearer.At.Artifact)
	case r != nil && odd == len(g.Cases)-icmp:
		return fmt.Sprintf("the RSTs carry TTL %d, other packets of the address TTL %d", r.TTL, usual)
	}
	return ""
}

func report(p *analyze.Pass, g *wire.Group) {
	o := look(p, g)
	n := len(g.Cases)
	complaints, lines := g.Complaints(p, 3)
	f := analyze.Finding{
		Subject: g.Subject, From: g.From(), To: g.To(), Entities: g.Entities(),
		Title:      o.title(),
		Severity:   o.severity(p, complaints != ""),
		Confidence: g.Believed(p, analyze.Likely),
	}
	p.Note("%s: %d refused, %d accepted amid, severity %s", g.Subject, n, o.between, f.Severity)
	f.Evidence = append(f.Evidence, o.frames()...)
	f.Evidence = append(f.Evidence, lines...)
	detail := []string{o.mechanism()}
	if complaints != "" {
		detail = append(detail, "The clients' logs show it: "+complaints+".")
	}
	detail = append(detail, o.history())
	words, ev := traces(p, g)
	detail, f.Evidence = append(detail, words...), append(f.Evidence, ev...)
	words, ev = o.owner(p)
	detail = append(detail, words...)
	wire.Tell(&f, ev...)
	detail, f.Against = o.listeners(detail, &f)
	if len(f.Against) > 0 {
		f.Confidence = f.Confidence.Lower()
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = o.fix()
	f.Causes = append(deaths(p, g), restarts(p, g)...)
	if !o.hasTable {
		f.Missing = append(f.Missing, "a socket table of the host of "+g.End.Addr.String()+", to see who listens there")
		f.Next = append(f.Next, "ss -ltnp")
	}
	p.Report(f)
}

func (o *outage) title() string {
	n := len(o.Cases)
	attempts := join.Count(n, "attempt was refused", "attempts were refused")
	switch {
	case o.firewall != "":
		return fmt.Sprintf("Connections to %s are rejected by a firewall: %s", o.Server.Addr, attempts)
	case len(o.elsewhere) > 0:
		return fmt.Sprintf("Nothing listens on %s: %s; port %d is open on %s only", o.Server.Addr, attempts, o.End.Addr.Port(), o.elsewhere[0].Local)
	case o.after != nil:
		return fmt.Sprintf("Nothing listened on %s for %v: %s", o.Server.Addr, wire.Round(o.after.First().Sub(o.From())), attempts)
	case o.before != nil:
		return fmt.Sprintf("Nothing listens on %s any more: %s", o.Server.Addr, attempts)
	}
	return fmt.Sprintf("Nothing listens on %s: %s", o.Server.Addr, attempts)
}

// severity is high for an address that stays down or comes and goes, medium for
// one that came back after a while or was tried once or twice with consequences,
// low for the moments of a start or restart, whatever its clients log then, and
// for a lone attempt that nobody complained about: a person's own try.
func (o *outage) severity(p *analyze.Pass, complaints bool) analyze.Severity {
	n, down := float64(len(o.Cases)), o.To().Sub(o.From()).Seconds()
	back := o.after != nil && o.between == 0
	switch {
	case n < p.Threshold("attempts") && !complaints, back && down <= p.Threshold("restart"):
		return analyze.Low
	case n < p.Threshold("attempts"), back && (!complaints || down <= p.Threshold("outage")):
		return analyze.Medium
	}
	return analyze.High
}

func (o *outage) mechanism() string {
	if o.firewall != "" {
		return "The connection attempts do not reach a listener: " + o.firewall + ". A rule with REJECT does this; the client sees ECONNREFUSED or a similar errno at once."
	}
	return "Each SYN is answered by a RST in place of a SYN-ACK: the host is up and reachable, and its kernel has no listener for this address and port. The client sees ECONNREFUSED. No connection was established, so nothing was reset or lost on the way."
}

// history says when the address was last and next accepted.
func (o *outage) history() string {
	var s []string
	s = append(s, fmt.Sprintf("%s in %v, from %s.", join.Count(len(o.Cases), "refusal", "refusals"), wire.Round(o.To().Sub(o.From())), o.Clients(6)))
	switch {
	case o.before != nil:
		s = append(s, fmt.Sprintf("The last connection that it accepted before that began %v before the first refusal.", wire.Round(o.From().Sub(o.before.First()))))
	default:
		s = append(s, "The capture shows no connection that it accepted before.")
	}
	if o.between > 0 {
		s = append(s, join.Count(o.between, "connection was accepted", "connections were accepted")+" amid the refusals: it restarts again and again, or several processes or machines share the address.")
	}
	if o.after != nil {
		s = append(s, fmt.Sprintf("It accepted again %v after the last refusal.", wire.Round(o.after.First().Sub(o.To()))))
	}
	return strings.Join(s, " ")
}

// frames cites the first and last refusal with the SYN before it, and the
// conversations around the outage.
func (o *outage) frames() []analyze.Evidence {
	first, last := o.Cases[0], o.Cases[len(o.Cases)-1]
	ev := []analyze.Evidence{
		analyze.Evidence{Ref: first.Frame(), Note: "the first refusal: " + answer(first) + " to the SYN of frame " + fmt.Sprint(first.Flow.Ref().Packet)}.On(first.At(), fact.Epoch, 0),
	}
	if last != first {
		ev = append(ev, analyze.Evidence{Ref: last.Frame(), Note: "the last refusal: " + answer(last)}.On(last.At(), fact.Epoch, 0))
	}
	ev = append(ev, wire.At(first.Flow, first.Flow.Ref().Packet, first.Flow.First(), "SYN of %s to %s", first.Flow.Client(), first.Flow.Server()))
	if o.before != nil {
		ev = append(ev, wire.At(o.before, o.before.Ref().Packet, o.before.First(), "the last connection that %s accepted before", o.Server.Addr))
	}
	if o.after != nil {
		ev = append(ev, wire.At(o.after, o.after.Ref().Packet, o.after.First(), "%s accepts again", o.Server.Addr))
	}
	return ev
}

func answer(c *wire.Case) string {
	if c.ICMP != nil {
		return fmt.Sprintf("ICMP %q of %s", c.ICMP.Text, c.ICMP.From)
	}
	return fmt.Sprintf("RST of %s", c.Flow.Server())
}

// owner says who used to listen there and what its log says about its end.
func (o *outage) owner(p *analyze.Pass) (words []string, ev []analyze.Evidence) {
	clocks := join.ClocksOf(p)
	from := o.From().Add(-time.Minute)
	if o.before != nil {
		from = o.before.First().Add(-time.Second)
	}
	told := map[fact.ID]bool{}
	for _, s := range wire.ListenerLogs(p, o.End.Host, o.Server.Addr) {
		if told[s.Log] {
			continue // a service that was started again says so again
		}
		told[s.Log] = true
		ev = append(ev, clocks.Date(analyze.Cite(s.Event.At, "the service that listened there: %s", s.Event.Text), s.Event.Time))
		e := wire.LastWords(p, s, from, o.From().Add(5*time.Second))
		if e == nil {
			words = append(words, fmt.Sprintf("%s is the log of the service that listened there; it says nothing about its end.", s.Log))
			continue
		}
		ev = append(ev, clocks.Date(analyze.Cite(e.At, "its last words: %s", e.Text), e.Time))
		words = append(words, fmt.Sprintf("%s is the log of the service that listened there. It ends with: %s", s.Log, e.Text))
	}
	if pr := o.End.Process; pr != nil {
		state := "no process table of the bundle has it"
		if len(pr.Rows) > 0 {
			state = "it is still in the process table"
		}
		if pr.Gone {
			state = "it is gone from the later process table"
		}
		words = append(words, fmt.Sprintf("The listener was %s (%s); %s.", pr, o.End.Link.By, state))
	}
	return words, ev
}

// listeners adds what the socket table says.
func (o *outage) listeners(detail []string, f *analyze.Finding) ([]string, []analyze.Evidence) {
	switch {
	case !o.hasTable:
	case len(o.elsewhere) > 0:
		l := o.elsewhere[0]
		f.Evidence = append(f.Evidence, l.Cite("the port is open on %s only", l.Local))
		detail = append(detail, fmt.Sprintf("The port is open on another address: %s. A listener bound to one address does not accept connections to the others.", l.Describe()))
		if o := l.Owner(); o != nil {
			f.Entities = append(f.Entities, o.Entity())
		}
	case o.listener == nil:
		f.Evidence = append(f.Evidence, analyze.Cite(o.table, "no LISTEN row for port %d in this table", o.End.Addr.Port()))
		detail = append(detail, fmt.Sprintf("The socket table %s has no LISTEN row for port %d.", o.table.Artifact, o.End.Addr.Port()))
		f.Confidence = min(f.Confidence+1, analyze.Confirmed)
	default:
		e := o.listener.Cite("somebody listens on %s in this table", o.listener.Local)
		if o.after != nil || o.firewall != "" {
			f.Evidence = append(f.Evidence, e)
			return detail, nil
		}
		detail = append(detail, fmt.Sprintf("The socket table shows a listener: %s. Either the table was taken before or after the outage, or a firewall answers in its place.", o.listener.Describe()))
		return detail, []analyze.Evidence{e}
	}
	return detail, nil
}

func (o *outage) fix() string {
	addr := o.Server.Addr
	switch {
	case o.firewall != "":
		return "Permit the clients in the firewall that rejects them, or stop them from calling " + addr + "."
	case len(o.elsewhere) > 0:
		return fmt.Sprintf("Bind the service to %s (or to all addresses) instead of %s, or let the clients call %s.", addr, o.elsewhere[0].Local, o.elsewhere[0].Local)
	case o.before != nil:
		return "Find out why the service on " + addr + " ended (its log, exit status, the kernel log), and have a supervisor restart it; clients should back off and retry."
	}
	return "Start the service on " + addr + ", or correct the address that the clients call."
}
