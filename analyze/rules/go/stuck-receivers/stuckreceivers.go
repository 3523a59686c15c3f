// Package stuckreceivers finds goroutines that wait for a value or a signal that
// will not come.
package stuckreceivers

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// ID of the rule.
const ID = "go/stuck-receivers"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "stuck receivers", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group", "baseline"},
		Thresholds: []analyze.Threshold{
			{Name: "score", Default: 4, Unit: "points", Doc: "so many points make a passive wait a suspect"},
			{Name: "hint", Default: 1, Unit: "points", Doc: "so many make it a hint, with severity info"},
			{Name: "many", Default: 10, Unit: "goroutines", Doc: "so many at one line, for the minutes below, make it medium severity"},
			{Name: "baseline", Default: 3, Unit: "times", Doc: "as many as a healthy bundle has from the same place are no rest any more"},
			{Name: "minutes", Default: 10, Unit: "minutes", Doc: "see many"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		if len(d.Suspects) > 0 {
			judge(p, d)
		}
	}
	return nil
}

// judge reports the likeliest suspect of a dump. The others look no different from
// goroutines at rest and are only counted.
func judge(p *analyze.Pass, d *waits.Dump) {
	u := likeliest(p, d)
	if u == nil {
		return
	}
	s := u.Stack
	if s.Kind == waits.OnGroup || s.Kind == waits.Parked {
		return
	}
	many := s.Count >= int64(p.Threshold("many")) && s.Minutes() >= int64(p.Threshold("minutes")) && s.Kind != waits.OnSelect
	timedOut := strings.HasPrefix(d.Meta.Cause, "panic: test timed out")
	if u.Score < int(p.Threshold("hint")) && u.Firm == "" && !many {
		p.Note("%s is the likeliest of %d passive waits, with %d points of %g", s.At(s.Top()), len(d.Suspects), u.Score, p.Threshold("hint"))
		return
	}
	f := analyze.Finding{
		Subject:  fmt.Sprintf("%s at %s%s", strings.TrimPrefix(s.Kind.String(), "in "), s.Where(s.Top()), d.In()),
		Severity: analyze.Low, Confidence: analyze.Possible,
		Title:    title(d, u, int(p.Threshold("score"))),
		Detail:   detail(d, u),
		Missing:  append(d.Limits(), "a wait for a value looks the same in a goroutine that is idle and in one that nobody will wake"),
		Entities: append(d.Entities(), s.SiteEntity(d.Host, s.Top())),
		Fix:      "Close the channel or send on every way out of whoever should wake it, also on errors; select on a context as well; signal a Cond under its lock, and after the state has changed.",
		Next:     append(d.NextDumps(), "curl -s 'http://HOST:PORT/debug/pprof/goroutineleak?debug=2' > goroutineleak.txt"),
	}
	f.Evidence = append(f.Evidence, s.Cite(s.First(), s.Shown(), "%s waits %s in %s: %s", s.Label(s.First()), s.Kind, s.At(s.Top()), s.Path()))
	if g := s.First(); g.CreatedBy != "" {
		f.Evidence = append(f.Evidence, analyze.Cite(g.CreatedByAt(), "created by %s", waits.ShortFunc(g.CreatedBy)))
	}
	if o := u.Parent; o != nil {
		f.Evidence = append(f.Evidence, o.Cite(o.First(), o.Top(), "%s, which started it, waits in %s", o.Label(o.First()), o.At(o.Top())))
	}
	if send := u.Sender; send != nil {
		o := send.Stacks[0]
		f.Evidence = append(f.Evidence, o.Cite(o.First(), o.Top(), "%s is blocked in chan send in %s: the stuck goroutine serves that code", o.Label(o.First()), o.At(o.Top())))
	}
	f.Evidence = slices.Concat(f.Evidence, d.Link(), d.SupportFor(s))
	switch {
	case s.Members[0].Leaked:
		f.Severity, f.Confidence = analyze.Medium, analyze.Confirmed
	case u.Firm != "":
		f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	case timedOut, many:
		f.Severity = analyze.Medium
	case u.Score < int(p.Threshold("score")):
		f.Severity = analyze.Info
	}
	p.Report(f)
}

// likeliest is the first suspect that a healthy baseline does not have as well, nil
// if it has all of them. A wait without a way out is told whatever a baseline has.
func likeliest(p *analyze.Pass, d *waits.Dump) *waits.Suspect {
	for _, u := range d.Suspects {
		h, ok := d.HealthyOf(p, u.Stack.Origin())
		if u.Firm != "" || !ok || h.N == 0 || float64(d.FromOrigin(u.Stack.Origin())) >= p.Threshold("baseline")*float64(h.N) {
			return u
		}
		p.Note("%s is in the healthy baseline, too: %d from %s", u.Stack.At(u.Stack.Top()), h.N, u.Stack.Origin())
	}
	return nil
}

func title(d *waits.Dump, u *waits.Suspect, score int) string {
	s := u.Stack
	who := s.Label(s.First())
	verb := "waits"
	if s.Count > 1 {
		who, verb = join.Count(s.Count, "goroutine"), "wait"
	}
	what := map[waits.Kind]string{
		waits.OnRecv: "to receive", waits.OnSelect: "in a select", waits.OnCond: "for a Cond to be signalled",
	}[s.Kind]
	sure := "perhaps for ever"
	switch {
	case u.Firm != "":
		sure = "for ever"
	case u.Score < score:
		sure = "which is the wait to look at first if something hangs"
	}
	return fmt.Sprintf("%s%s %s %s in %s, %s", tables.Sentence(who), d.In(), verb, what, s.At(s.Top()), sure)
}

func detail(d *waits.Dump, u *waits.Suspect) string {
	var b strings.Builder
	s := u.Stack
	fmt.Fprintf(&b, "The stack: %s.", s.Path())
	if u.Firm != "" {
		fmt.Fprintf(&b, " It cannot be woken: %s.", u.Firm)
	}
	if len(u.Why) > 0 {
		fmt.Fprintf(&b, " Among the %d waits of this dump that could be idling, this one stands out: %s.", len(d.Suspects), strings.Join(u.Why, "; "))
	}
	var others []string
	for _, o := range d.Suspects[1:] {
		others = append(others, fmt.Sprintf("%s (%s)", o.Stack.At(o.Stack.Top()), o.Stack.Kind))
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, "\n\nOther passive waits, from likely to unlikely: %s.", waits.List(others, 3))
	}
	return b.String()
}
