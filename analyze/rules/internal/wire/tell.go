package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Complaints says in words which logs complain about the group's conversations
// and cites some of the lines; "" and nil if none does.
func (g *Group) Complaints(p *analyze.Pass, most int) (string, []analyze.Evidence) {
	matches := LogsOf(p).Of(g)
	if len(matches) == 0 {
		return "", nil
	}
	type key struct {
		log   fact.ID
		errno string
	}
	counts := map[key]int{}
	var order []key
	var ev []analyze.Evidence
	clocks := join.ClocksOf(p)
	for _, m := range matches {
		k := key{m.Event.At.Artifact, m.Event.Errno}
		if counts[k] == 0 {
			order = append(order, k)
			if len(ev) < most {
				ev = append(ev, m.Cite(clocks, "%s: %s", m.Event.Errno, m.How()))
			}
		}
		counts[k] += max(1, m.Event.Repeat)
	}
	var words []string
	for _, k := range order {
		words = append(words, fmt.Sprintf("%s in %s", join.Count(counts[k], k.errno+" line", k.errno+" lines"), k.log))
	}
	return strings.Join(words, ", "), ev
}

// How says how a line belongs to a packet.
func (m Match) How() string {
	if !m.Timed {
		return m.By
	}
	return fmt.Sprintf("%s, %s the packet in frame %d", m.By, Offset(m.Delta), m.Case.Frame().Packet)
}

// Offset is "2ms after" or "1.2s before".
func Offset(d time.Duration) string {
	if d < 0 {
		return Round(-d).String() + " before"
	}
	return Round(d).String() + " after"
}

// Believed is the confidence of a group: one level more than the packets alone
// give when a log, an independent record, complains about the same conversations.
func (g *Group) Believed(p *analyze.Pass, packets analyze.Confidence) analyze.Confidence {
	for _, m := range LogsOf(p).Of(g) {
		if m.Sure >= analyze.Likely {
			return min(packets+1, analyze.Confirmed)
		}
	}
	return packets
}

// Clients lists the client addresses of the cases; those of one address are
// joined: "127.0.0.1 ports 34870, 34948".
func (g *Group) Clients(most int) string {
	ports := map[string][]string{}
	var hosts []string
	for i, c := range g.Cases {
		if i == most {
			break
		}
		ap := c.Flow.Client()
		h := ap.Addr().String()
		if ports[h] == nil {
			hosts = append(hosts, h)
		}
		ports[h] = append(ports[h], fmt.Sprint(ap.Port()))
	}
	var words []string
	for _, h := range hosts {
		word := "ports"
		if len(ports[h]) == 1 {
			word = "port"
		}
		words = append(words, h+" "+word+" "+strings.Join(ports[h], ", "))
	}
	text := strings.Join(words, "; ")
	if n := len(g.Cases) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// Statement is a line in which a service says where it listens.
type Statement struct {
	Event *fact.LogEvent
	Log   fact.ID
}

// ListenerLogs lists logs of services that say they listen on an address, or on
// its port at every address. The pass must read log_event.
func ListenerLogs(p *analyze.Pass, host, addr string) []Statement {
	want, ok := join.ParseAddrPort(addr)
	if !ok {
		return nil
	}
	hosts := join.HostsOf(p)
	var out []Statement
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(e.Signs, fact.SignListen) || e.Errno != "" || hosts.Of(e.At) != host {
			continue
		}
		for _, a := range e.Listens {
			ap, ok := join.ParseAddrPort(a)
			if !ok {
				ap, ok = join.ParseAddrPort(":" + a)
			}
			if ok && ap.Port() == want.Port() && (ap.Addr() == want.Addr() || ap.Addr().IsUnspecified()) {
				out = append(out, Statement{e, e.At.Artifact})
				break
			}
		}
	}
	return out
}

// LastWords finds what a service's log says about its end: its last error, stop
// or signal after it said that it listens, near a time if the log has any. The
// pass must read log_event.
func LastWords(p *analyze.Pass, listens Statement, from, to time.Time) *fact.LogEvent {
	clocks := join.ClocksOf(p)
	var last *fact.LogEvent
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.At.Artifact != listens.Log || e.At.Line <= listens.Event.At.Line || NetworkErrno(e.Errno) {
			continue
		}
		if !fatal(e) {
			continue
		}
		if at, off, ok := clocks.UTC(e.At.Artifact, e.Time); ok && (at.Before(from.Add(-off)) || at.After(to.Add(off))) {
			continue
		}
		if last == nil || weight(e) >= weight(last) {
			last = e
		}
	}
	return last
}

func fatal(e *fact.LogEvent) bool {
	for _, s := range e.Signs {
		switch s {
		case fact.SignError, fact.SignStop, fact.SignSignal, fact.SignOOM:
			return true
		}
	}
	return e.Level == "fatal"
}

// weight is how much a line says of an end: a fatal one more than an error, of which
// a crash report has one for each thread, and that more than a stop.
func weight(e *fact.LogEvent) int {
	switch {
	case e.Level == "fatal":
		return 2
	case slices.Contains(e.Signs, fact.SignError):
		return 1
	}
	return 0
}

// Draft is a finding about the group with what all classes of resets share: who,
// when, the first resets, and what logs say about them. packets is the confidence
// that the capture alone gives; note says what one reset shows.
func (g *Group) Draft(p *analyze.Pass, packets analyze.Confidence, note func(*Case) string) (f analyze.Finding, complaints string) {
	const resets, lines = 4, 3
	f = analyze.Finding{
		Subject: g.Subject, From: g.From(), To: g.To(), Entities: g.Entities(),
		Confidence: g.Believed(p, packets),
	}
	for _, c := range g.Cases[:min(len(g.Cases), resets)] {
		f.Evidence = append(f.Evidence, analyze.Evidence{Ref: c.Frame(), Note: note(c)}.On(c.At(), fact.Epoch, 0))
	}
	f.Evidence = append(f.Evidence, g.confirming()...)
	complaints, ev := g.Complaints(p, lines)
	f.Evidence = append(f.Evidence, ev...)
	if at := g.End.At; !at.IsZero() {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "%s is %s, by %s", g.End.Addr, g.End.Process, g.End.Link.By))
	}
	return f, complaints
}

// Hurt is the severity of resets: high when several connections of a service die
// or a log complains, medium for a few, low for a single one. A client that resets
// is its own affair unless somebody complains.
func (g *Group) Hurt(several int, complaints string) analyze.Severity {
	switch {
	case complaints == "" && (g.FromClients || len(g.Cases) == 1):
		return analyze.Low
	case g.FromClients || len(g.Cases) < several && complaints == "":
		return analyze.Medium
	}
	return analyze.High
}

// Seen says what logs say and what programs see of a reset.
func Seen(complaints string) string {
	if complaints == "" {
		return "The other side's next read fails with ECONNRESET, its next write with EPIPE or ECONNRESET. No log of the bundle could be tied to it."
	}
	return "The other side's log shows it: " + complaints + "."
}

// Remarks are lines in which another log mentions one of the conversations by its
// client's address and port about when it ended: what the culprit itself says.
// The pass must read log_event.
func (g *Group) Remarks(p *analyze.Pass, most int) []analyze.Evidence {
	byClient := map[netip.AddrPort]*Case{}
	for _, c := range g.Cases {
		byClient[c.Flow.Client()] = c
	}
	clocks := join.ClocksOf(p)
	var out []analyze.Evidence
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if NetworkErrno(e.Errno) || len(out) == most {
			continue
		}
		for _, a := range e.Addresses {
			ap, _ := join.ParseAddrPort(a)
			c := byClient[ap]
			at, off, ok := clocks.UTC(e.At.Artifact, e.Time)
			if c == nil || !ok || at.Sub(c.At()).Abs() > nearby+off {
				continue
			}
			out = append(out, clocks.Date(analyze.Cite(e.At, "a log about the connection of frame %d, %s its RST: %s", c.Frame().Packet, Offset(at.Sub(c.At())), e.Text), e.Time))
			break
		}
	}
	return out
}

// PID is the culprit's process for commands, "PID" if it is unknown.
func (g *Group) PID() string {
	if g.End.Process == nil {
		return "PID"
	}
	return fmt.Sprint(g.End.Process.PID)
}

// Share is "6 of 60 connections".
func (g *Group) Share() string {
	if g.Server == nil || len(g.Server.Flows) < len(g.Cases) {
		return join.Count(len(g.Cases), "connection", "connections")
	}
	return fmt.Sprintf("%d of %s", len(g.Cases), join.Count(len(g.Server.Flows), "connection", "connections"))
}

// Timer is what a timer that was measured at d was set to. Timers fire late, by up
// to a few percent; a little short they look only because the silence is counted
// from the last packet, which may come after what started the timer.
func Timer(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Minute, time.Second, 500 * time.Millisecond, 100 * time.Millisecond} {
		if above := d.Truncate(unit) + unit; above-d <= min(d/200, 50*time.Millisecond)+2*time.Millisecond {
			return above
		}
		if whole := d.Truncate(unit); whole > 0 && d-whole <= min(d/40+20*time.Millisecond, unit/4) {
			return whole
		}
	}
	return Round(d)
}

// Known drops evidence without a frame or a line: what a capture does not show
// cannot be cited.
func Known(list ...analyze.Evidence) []analyze.Evidence {
	return slices.DeleteFunc(list, func(e analyze.Evidence) bool { return e.Packet == 0 && e.Line == 0 })
}

// Tell puts the most telling evidence behind the first item, which shows what
// happened: reports show the first few.
func Tell(f *analyze.Finding, telling ...analyze.Evidence) {
	f.Evidence = slices.Insert(f.Evidence, min(1, len(f.Evidence)), Known(telling...)...)
}
