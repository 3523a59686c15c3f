// Package networkerrno ties network errors in logs to the packets that caused
// them.
package networkerrno

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule ties network errors in logs to the packets that caused them.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "log/network-errno", Title: "network error in a log", Doc: doc, Severity: analyze.Medium,
		After: tcpRules(),
		Needs: []fact.Kind{"log_event"},
		Wants: []fact.Kind{"flow", "icmp_error"},
		Thresholds: []analyze.Threshold{
			{Name: "lines", Default: 3, Unit: "lines", Doc: "unexplained lines of one log that are worth a finding at medium"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "log/tls-failure", Via: join.KindEndpoint, Why: "a peer that does not accept the certificate ends the connection"},
			{Rule: "log/tls-failure", Via: join.KindFile, Why: "a peer that does not accept the certificate ends the connection"},
		},
		Run: run,
	}
}

// rule is the rule that reports a class of conversations.
func rule(class wire.Class) string {
	switch class {
	case wire.Refused:
		return "tcp/refused"
	case wire.Overflow:
		return "tcp/accept-queue-full"
	case wire.Abort:
		return "tcp/abort"
	case wire.WriteAfterClose:
		return "tcp/write-after-close"
	case wire.KeepaliveRace:
		return "tcp/keepalive-race"
	case wire.IdleTimeout:
		return "tcp/idle-timeout"
	case wire.Middlebox:
		return "tcp/middlebox-reset"
	case wire.HalfOpen:
		return "tcp/half-open"
	}
	return ""
}

func tcpRules() []string {
	out := []string{"tcp/connect-blackhole", "tcp/unanswered-request"}
	for c := wire.Refused; c <= wire.HalfOpen; c++ {
		out = append(out, rule(c))
	}
	return out
}

// complaint is the lines of one log with one errno and one explanation.
type complaint struct {
	log     fact.ID
	errno   string
	group   *wire.Group      // the conversations behind them, nil if none
	cause   string           // ID of the finding behind them, "" if none
	left    bool             // the other side merely left early
	matches []wire.Match     // with a packet
	events  []*fact.LogEvent // all
}

func (c *complaint) lines() int {
	n := 0
	for _, e := range c.events {
		n += max(1, e.Repeat)
	}
	return n
}

func run(_ context.Context, p *analyze.Pass) error {
	l := wire.LogsOf(p)
	by := map[string]*complaint{}
	var list []*complaint
	get := func(e *fact.LogEvent, key string) *complaint {
		k := fmt.Sprintf("%s|%s|%s", e.At.Artifact, e.Errno, key)
		if by[k] == nil {
			by[k] = &complaint{log: e.At.Artifact, errno: e.Errno}
			list = append(list, by[k])
		}
		by[k].events = append(by[k].events, e)
		return by[k]
	}
	x := wire.Of(p)
	for _, m := range l.Matches {
		g := x.GroupOf(m.Case)
		key := "left"
		if g != nil {
			key = fmt.Sprint(g.Class, g.Subject)
		}
		c := get(m.Event, key)
		c.group, c.left = g, g == nil
		c.cause = findingOf(p, g)
		c.matches = append(c.matches, m)
	}
	for _, e := range l.Unmatched {
		id := byAddress(p, e)
		get(e, "address "+id).cause = id
	}
	for _, e := range l.Ambiguous {
		get(e, "ambiguous")
	}
	p.Note("%d lines tied to packets, %d without a packet, %d fit conversations of several culprits", len(l.Matches), len(l.Unmatched), len(l.Ambiguous))
	for _, c := range list {
		report(p, c)
	}
	return nil
}

// findingOf is the finding about a group of conversations.
func findingOf(p *analyze.Pass, g *wire.Group) string {
	if g == nil {
		return ""
	}
	if g.Death() && !g.ManyDied() {
		// A few connections that were lost when a service ended belong to that story.
		for _, f := range p.Findings("tcp/refused") {
			if f.Has(join.KindEndpoint, join.Endpoint(g.End.Host, g.End.Addr).Key) {
				return f.ID
			}
		}
	}
	for _, f := range p.Findings(rule(g.Class)) {
		if strings.HasSuffix(f.Subject, g.Subject) {
			return f.ID
		}
	}
	return ""
}

// byAddress finds an earlier finding about an address that a line names: the
// capture may not show this very attempt.
func byAddress(p *analyze.Pass, e *fact.LogEvent) string {
	host := join.HostsOf(p).Of(e.At)
	for _, id := range explains(e.Errno) {
		for _, f := range p.Findings(id) {
			for _, a := range e.Addresses {
				if ap, ok := join.ParseAddrPort(a); ok && f.Has(join.KindEndpoint, join.Endpoint(host, ap).Key) {
					return f.ID
				}
			}
		}
	}
	return ""
}

func explains(errno string) []string {
	switch errno {
	case "ECONNREFUSED":
		return []string{"tcp/refused"}
	case "ETIMEDOUT":
		return []string{"tcp/connect-blackhole", "tcp/idle-timeout", "tcp/unanswered-request", "tcp/accept-queue-full", "tcp/half-open"}
	}
	return []string{"tcp/abort", "tcp/write-after-close", "tcp/keepalive-race", "tcp/idle-timeout", "tcp/middlebox-reset", "tcp/half-open", "tcp/accept-queue-full"}
}

func report(p *analyze.Pass, c *complaint) {
	hosts, clocks := join.HostsOf(p), join.ClocksOf(p)
	first, last := c.events[0], c.events[len(c.events)-1]
	f := analyze.Finding{
		Subject:  hosts.Prefix(hosts.Of(first.At)) + fmt.Sprintf("%s in %s", c.errno, c.log),
		Severity: analyze.Medium, Confidence: analyze.Possible,
		Entities: entities(p, c),
	}
	if at, _, ok := clocks.UTC(first.At.Artifact, first.Time); ok {
		f.From = at
	}
	if at, _, ok := clocks.UTC(last.At.Artifact, last.Time); ok {
		f.To = at
	}
	for i, e := range c.events[:min(len(c.events), 3)] {
		note := c.errno
		if i < len(c.matches) {
			note = c.errno + ": " + c.matches[i].How()
		}
		f.Evidence = append(f.Evidence, clocks.Date(analyze.Cite(e.At, "%s", note), e.Time))
	}
	n := join.Count(c.lines(), "line", "lines")
	switch {
	case c.left:
		early(c, &f, n)
	case c.group != nil:
		explained(c, &f, n)
		f.Severity = min(f.Severity, severityOf(p, c.cause))
	default:
		unexplained(p, c, &f, n)
	}
	f.Detail = strings.TrimSpace(f.Detail + "\n\n" + clockWords(clocks, c.log))
	if c.cause != "" {
		f.Causes = []string{c.cause}
	}
	p.Report(f)
}

// severityOf is the severity of the finding that a log's lines are the trace of: a
// trace is no worse than what left it.
func severityOf(p *analyze.Pass, cause string) analyze.Severity {
	for _, rule := range tcpRules() {
		for _, f := range p.Findings(rule) {
			if f.ID == cause {
				return f.Severity
			}
		}
	}
	return analyze.Critical
}

// entities are the log's writer and the addresses that the lines name.
func entities(p *analyze.Pass, c *complaint) []analyze.Entity {
	host := join.HostsOf(p).Of(c.events[0].At)
	out := []analyze.Entity{{Kind: join.KindFile, Key: string(c.log), Name: string(c.log)}}
	for _, pr := range join.ProcessesOf(p).OnHost(host) {
		if slices.Contains(pr.Logs, c.log) {
			out = append(out, pr.Entity())
		}
	}
	if c.group != nil {
		out = append(out, join.Endpoint(c.group.End.Host, c.group.End.Addr))
		return out
	}
	seen := map[string]bool{}
	for _, e := range c.events {
		for _, a := range e.Addresses {
			if ap, ok := join.ParseAddrPort(a); ok && !seen[a] && len(seen) < 8 {
				seen[a] = true
				out = append(out, join.Endpoint(host, ap))
			}
		}
	}
	return out
}

// means says what an errno tells a program.
func means(errno string) string {
	switch errno {
	case "ECONNREFUSED":
		return "ECONNREFUSED is the answer to a connection attempt that was refused."
	case "ECONNRESET":
		return "ECONNRESET is what a read returns after a RST arrived; the error stands at the reader, the cause at the sender of the RST."
	case "EPIPE":
		return "EPIPE is what a write returns on a connection that a RST has ended, or that this side has shut down itself."
	case "ETIMEDOUT":
		return "ETIMEDOUT means that packets were repeated until the kernel gave up: nobody said no, nobody answered."
	case "ECONNABORTED":
		return "ECONNABORTED means that the connection ended before or while it was accepted."
	case "EHOSTUNREACH", "EHOSTDOWN":
		return errno + " means that nobody on the last stretch answers for the address (ARP, neighbour discovery), or that a router or firewall said so: no packet reached a program."
	}
	return ""
}

// explained fills a finding whose lines belong to conversations with one culprit.
func explained(c *complaint, f *analyze.Finding, n string) {
	g := c.group
	f.Subject += " from " + g.Subject
	f.Title = fmt.Sprintf("%s in %s is the trace of what %s did: %s", c.errno, c.log, g.Who(), n)
	for i, m := range c.matches {
		f.Confidence = max(f.Confidence, m.Sure)
		if i < 3 && m.Timed {
			f.Evidence = append(f.Evidence, analyze.Evidence{Ref: m.Case.Frame(), Note: fmt.Sprintf("the packet behind %s", m.Event.At)}.On(m.Case.At(), fact.Epoch, 0))
		}
	}
	frames := map[*wire.Case]bool{}
	for _, m := range c.matches {
		frames[m.Case] = true
	}
	f.Detail = fmt.Sprintf("%s\n\n%s tied to %d of the %s that the capture shows (%s).", means(c.errno), n, len(frames), join.Count(len(g.Cases), "conversation", "conversations"), c.matches[0].By)
	f.Fix = "Act on the cause, not on this log: the writer only reports it."
}

// early fills a finding whose lines belong to peers that left in an orderly way.
func early(c *complaint, f *analyze.Finding, n string) {
	f.Subject += " after an orderly end"
	f.Severity = analyze.Low
	f.Title = fmt.Sprintf("%s in %s comes from peers that had left already: %s", c.errno, c.log, n)
	for i, m := range c.matches {
		if i < 3 {
			f.Evidence = append(f.Evidence, analyze.Evidence{Ref: m.Case.Frame(), Note: fmt.Sprintf("the packet behind %s", m.Event.At)}.On(m.Case.At(), fact.Epoch, 0))
		}
	}
	f.Detail = means(c.errno) + " Here the RST came after a FIN: the peer had said that it was done, and did not wait for the rest. That is ordinary."
	f.Fix = "Log it at a lower level."
}

// unexplained fills a finding whose lines no packet explains; a socket table can
// still explain a refusal.
func unexplained(p *analyze.Pass, c *complaint, f *analyze.Finding, n string) {
	f.Title = fmt.Sprintf("%s in %s: %s, for which the bundle has no packet", c.errno, c.log, n)
	f.Detail = means(c.errno)
	f.Missing = []string{"a capture of the writer's connections at that time"}
	f.Next = []string{"tcpdump -i any -s 128 -w tcp.pcap 'tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0'", "ss -tanpoe"}
	f.Fix = "Capture the connections that the log names and look at who sends the RST."
	if c.lines() < int(p.Threshold("lines")) {
		f.Severity = analyze.Low
	}
	if c.cause != "" {
		f.Subject += " (same address)"
		f.Title = fmt.Sprintf("%s in %s names an address that is known to fail: %s", c.errno, c.log, n)
		f.Missing, f.Next = nil, nil
		f.Confidence = analyze.Likely
		f.Fix = "Act on the cause, not on this log: the writer only reports it."
		return
	}
	switch c.errno {
	case "ECONNREFUSED":
		nobodyListens(p, c, f, n)
		rejected(p, c, f, n)
	case "EHOSTUNREACH", "EHOSTDOWN":
		unreachable(p, c, f, n)
	}
}

// nobodyListens explains refusals without a capture: the table of listeners lacks
// the address that the log names.
func nobodyListens(p *analyze.Pass, c *complaint, f *analyze.Finding, n string) {
	host, s := join.HostsOf(p).Of(c.events[0].At), join.SocketsOf(p)
	for _, e := range c.events {
		for _, a := range e.Addresses {
			ap, ok := join.ParseAddrPort(a)
			if !ok {
				continue
			}
			on, local := host, ap.Addr().IsLoopback()
			if h, known := s.HostOf(ap.Addr()); known {
				on, local = h, true
			}
			table, complete := s.CompleteListeners(on)
			if !local || !complete || s.Listener(on, "tcp", ap) != nil {
				continue
			}
			f.Subject = join.HostsOf(p).Prefix(on) + ap.String()
			f.Title = fmt.Sprintf("Nothing listens on %s, and %s says ECONNREFUSED: %s", ap, c.log, n)
			f.Severity, f.Confidence = analyze.High, analyze.Likely
			f.Entities = append(f.Entities, join.Port(on, int(ap.Port())))
			f.Evidence = append(f.Evidence, analyze.Cite(table, "no LISTEN row for port %d in this table", ap.Port()))
			f.Detail += fmt.Sprintf("\n\nThe socket table %s has no LISTEN row for port %d.", table.Artifact, ap.Port())
			for _, l := range s.Listeners(on, "tcp", ap.Port()) {
				f.Evidence = append(f.Evidence, l.Cite("the port is open on %s only", l.Local))
				f.Detail += " The port is open on another address: " + l.Describe() + "."
			}
			for _, st := range wire.ListenerLogs(p, on, ap.String()) {
				f.Evidence = append(f.Evidence, analyze.Cite(st.Event.At, "the service that listened there: %s", st.Event.Text))
				if e := wire.LastWords(p, st, f.From.AddDate(-1, 0, 0), f.To.AddDate(1, 0, 0)); e != nil {
					f.Evidence = append(f.Evidence, analyze.Cite(e.At, "its last words: %s", e.Text))
					f.Detail += fmt.Sprintf(" The log of the service that listened there, %s, ends with: %s", st.Log, e.Text)
				}
			}
			f.Fix = "Find out why the service on " + ap.String() + " does not run, and start it; or correct the address."
			f.Missing, f.Next = nil, []string{"ss -ltnp"}
			return
		}
	}
}

// clockWords states the offset of the log's clock where one was used.
func clockWords(clocks *join.Clocks, log fact.ID) string {
	k := clocks.Of(log)
	if !k.Known || k.Offset == 0 {
		return ""
	}
	return fmt.Sprintf("The times of %s are taken as %v away from UTC: %s.", log, k.Offset, k.Why)
}
