// Package idletimeout finds addresses at which connections die after one and the
// same silence.
package idletimeout

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds addresses at which connections die after one and the same silence.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/idle-timeout", Title: "idle timeout", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "deaths after one silence from which a timer is likely"},
			{Name: "gap", Default: 0.10, Unit: "share", Doc: "where a packet provokes the RST: by how much the shortest fatal silence may exceed the longest survived one for a likely timer"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, g := range wire.Of(p).Of(wire.IdleTimeout) {
		if len(g.Cases) < int(p.Threshold("flows")) {
			p.Note("%s: %d connections died after a silence, needs %v", g.Subject, len(g.Cases), p.Threshold("flows"))
			continue
		}
		report(p, g)
	}
	return nil
}

// timing is what the silences say about the timer.
type timing struct {
	shortest, longest time.Duration // of the fatal silences
	// measured: the RST came out of the silence, so the silence is the timer.
	measured bool
	// given is the timer that the culprit itself states, zero if it states none.
	given    time.Duration
	survived time.Duration // the longest silence that a connection outlived
	flow     *fact.Flow
	gap      *fact.Gap
}

func measure(p *analyze.Pass, g *wire.Group) timing {
	t := timing{shortest: g.Cases[0].Idle, measured: true}
	for _, c := range g.Cases {
		t.shortest, t.longest = min(t.shortest, c.Idle), max(t.longest, c.Idle)
		if c.Provoked {
			t.measured = false
		}
	}
	t.survived, t.flow, t.gap = wire.Of(p).Survived(g.Server)
	return t
}

// timer is the best guess.
func (t timing) timer() time.Duration {
	if t.given > 0 {
		return t.given
	}
	return wire.Timer(t.shortest)
}

// words is the timer in words.
func (t timing) words() string {
	if t.measured || t.given > 0 {
		return t.timer().String()
	}
	return fmt.Sprintf("between %v and %v", wire.Round(t.survived), wire.Round(t.shortest))
}

func report(p *analyze.Pass, g *wire.Group) {
	t := measure(p, g)
	stated := configured(p, g, &t)
	f, complaints := g.Draft(p, t.sure(p.Threshold("gap")), note)
	f.Severity = g.Hurt(int(p.Threshold("flows")), complaints)
	p.Note("%s: %d died after %v to %v of silence, longest survived %v", g.Subject, len(g.Cases), wire.Round(t.shortest), wire.Round(t.longest), wire.Round(t.survived))
	how := "with RST"
	if g.Cases[0].Reset == nil {
		how = "without a word"
	}
	after := "after an idle time of " + t.words()
	if t.measured {
		after = "as soon as they are idle for " + t.words()
	}
	f.Title = fmt.Sprintf("%s cuts connections %s %s: %s", g.Who(), how, after, join.Count(len(g.Cases), "connection", "connections"))
	if n := len(g.Upstream); n > 0 {
		f.Title += fmt.Sprintf(", and %d of its own to %s", n, g.Upstream[0].Flow.Server())
	}
	detail := []string{mechanism(g, t), wire.Seen(complaints), "Clients: " + g.Clients(24) + "."}
	switch {
	case t.flow == nil:
		detail = append(detail, "No connection to it outlived a silence in this capture, so there is no counter-check.")
	case t.survived < t.shortest:
		f.Evidence = append(f.Evidence, wire.At(t.flow, t.gap.AfterFrame, t.gap.From.Add(t.gap.Duration), "a connection goes on after %v of silence, the longest that survived", wire.Round(t.survived)))
		detail = append(detail, fmt.Sprintf("Connections that pause no longer than %v go on; those that pause for %v or more die.", wire.Round(t.survived), wire.Round(t.shortest)))
	default:
		f.Against = append(f.Against, wire.At(t.flow, t.gap.AfterFrame, t.gap.From.Add(t.gap.Duration), "a connection goes on after %v of silence, longer than the shortest fatal one", wire.Round(t.survived)))
		f.Confidence = f.Confidence.Lower()
	}
	if len(stated) > 0 && len(f.Against) == 0 {
		f.Confidence = analyze.Confirmed // packets and the culprit's own word agree
	}
	wire.Tell(&f, stated...)
	f.Detail = strings.Join(detail, "\n\n")
	timer := t.timer()
	f.Fix = fmt.Sprintf("Use a keep-alive shorter than the idle timeout: TCP keepalive or a heartbeat at most every %v, or let the clients' pools close connections before %v of idleness. Or raise the idle timeout on %s above the clients' longest pause.", wire.Round(timer/2), timer, g.End.Addr)
	p.Report(f)
}

// sure: a RST out of the silence measures the timer; otherwise survivors must
// bound it closely.
func (t timing) sure(gap float64) analyze.Confidence {
	if t.measured || t.survived > 0 && float64(t.shortest-t.survived) <= gap*float64(t.shortest) {
		return analyze.Likely
	}
	return analyze.Possible
}

func note(c *wire.Case) string {
	switch {
	case c.Reset == nil:
		return fmt.Sprintf("%s sends again and again after %v of silence and gets no answer", c.Victim(), wire.Round(c.Idle))
	case c.Provoked:
		return fmt.Sprintf("RST of %s to the first packet after %v of silence", c.Culprit(), wire.Round(c.Idle))
	}
	return fmt.Sprintf("RST of %s to %s after %v of silence", c.Culprit(), c.Victim(), wire.Round(c.Idle))
}

func mechanism(g *wire.Group, t timing) string {
	var s string
	switch {
	case g.Cases[0].Reset == nil:
		s = fmt.Sprintf("%d connections were silent for %v to %v; what was sent then was never answered, only repeated. A device on the way (NAT, firewall, balancer) had dropped their state.", len(g.Cases), wire.Round(t.shortest), wire.Round(t.longest))
		s += hints(t)
	case t.measured:
		s = fmt.Sprintf("%d connections got a RST %v to %v after their last payload, with nothing outstanding and no FIN before. The RSTs come out of the silence, at the same time after it each: a timer of about %s at %s does that.", len(g.Cases), wire.Round(t.shortest), wire.Round(t.longest), t.words(), g.End.Addr)
	default:
		s = fmt.Sprintf("The first packet after %v to %v of silence was answered with RST on %d connections: the state had been dropped while they were idle.", wire.Round(t.shortest), wire.Round(t.longest), len(g.Cases)) + hints(t)
	}
	if both := g.Both(); both != "" {
		s += " " + both
	}
	return s
}

// hints names usual timers between the survived and the fatal silence.
func hints(t timing) string {
	var fit []string
	for _, s := range []int{60, 75, 120, 180, 240, 300, 350, 600, 900, 3600, 7200} {
		if d := time.Duration(s) * time.Second; d > t.survived && d <= t.shortest {
			fit = append(fit, d.String())
		}
	}
	if len(fit) == 0 {
		return ""
	}
	return " Usual timers in that range: " + strings.Join(fit, ", ") + "."
}

// configured cites where the culprit's command line or log states the timer.
func configured(p *analyze.Pass, g *wire.Group, t *timing) []analyze.Evidence {
	var out []analyze.Evidence
	if pr := g.End.Process; pr != nil && len(pr.Rows) > 0 {
		if d, ok := t.stated(pr.Command, false); ok {
			t.given = d
			out = append(out, analyze.Cite(pr.Rows[0].At, "its command line has the timer: %s", pr.Command))
		}
	}
	clocks := join.ClocksOf(p)
	for _, l := range wire.ListenerLogs(p, g.End.Host, g.End.Addr.String()) {
		if d, ok := t.stated(l.Event.Text, true); ok {
			t.given = d
			out = append(out, clocks.Date(analyze.Cite(l.Event.At, "its log states the timer: %s", l.Event.Text), l.Event.Time))
		}
	}
	return out
}

// fits reports whether a duration can be the timer.
func (t timing) fits(d time.Duration) bool {
	if t.measured {
		return d == wire.Timer(t.shortest)
	}
	return d > t.survived && d <= t.shortest
}

// stated finds a duration in a text that can be the timer: "8s", or a number of
// seconds or milliseconds behind a word for a time-out. strict wants the word in
// any case; so does a timer that is only known between bounds.
func (t timing) stated(text string, strict bool) (time.Duration, bool) {
	named := false
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;=()[]\"'", r) }) {
		low := strings.ToLower(w)
		if strings.Contains(low, "timeout") || strings.Contains(low, "time-out") || strings.Contains(low, "idle") || strings.Contains(low, "keepalive") {
			named = true
			continue
		}
		if d, err := time.ParseDuration(low); err == nil && t.fits(d) && (named || !strict && t.measured) {
			return d, true
		}
		n, err := strconv.ParseInt(low, 10, 32)
		if err != nil || !named {
			continue
		}
		for _, unit := range []time.Duration{time.Second, time.Millisecond} {
			if d := time.Duration(n) * unit; t.fits(d) {
				return d, true
			}
		}
	}
	return 0, false
}
