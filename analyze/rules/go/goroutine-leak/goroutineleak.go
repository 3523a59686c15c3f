// Package goroutineleak finds places that create goroutines which never end.
package goroutineleak

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
)

// ID of the rule.
const ID = "go/goroutine-leak"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "goroutine leak", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group", "baseline"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 1000, Unit: "goroutines", Doc: "so many at one line are a leak"},
			{Name: "some", Default: 200, Unit: "goroutines", Doc: "so many are one when they are also the share below, or grow"},
			{Name: "share", Default: 0.5, Unit: "share", Doc: "of all goroutines"},
			{Name: "growth", Default: 1.2, Unit: "times", Doc: "growth between two dumps that counts"},
			{Name: "contexts", Default: 50, Unit: "goroutines", Doc: "that package context started for contexts nobody has cancelled"},
			{Name: "baseline", Default: 3, Unit: "times", Doc: "as many as the healthy bundle has from the same place"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "go/no-deadline", Via: join.KindSite, Why: "calls that never end keep their goroutines"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, c := range d.Crowds(line) {
			judge(p, d, c)
		}
		contexts(p, d)
	}
	return nil
}

// line is the line of the application at which a stack waits, "" for one that is no
// leak by itself. Locks and sends have rules of their own; IO is a crowd of
// connections.
func line(s *waits.Stack) string {
	if s.Idle != "" || len(s.App) == 0 || !(s.Kind.Passive() || s.Kind == waits.OnNoCases) {
		return ""
	}
	return s.Kind.String() + s.At(s.Top())
}

func judge(p *analyze.Pass, d *waits.Dump, c *waits.Crowd) {
	s := c.First()
	before, known := d.Grown(s)
	grown := known && float64(s.Count) >= p.Threshold("growth")*float64(before) && s.Count > before
	some := c.Count >= int64(p.Threshold("some"))
	share := float64(c.Count) / float64(max(d.Total, 1))
	steady := known && !grown
	leaked := s.Members[0].Leaked && c.Count > 1
	usual, risen := compare(p, d, s)
	switch {
	case leaked, some && grown:
	case steady:
		p.Note("%d goroutines in %s, %d before: steady", c.Count, s.At(s.Top()), before)
		return
	case usual != "":
		p.Note("%d goroutines in %s: %s", c.Count, s.At(s.Top()), usual)
		return
	case some && risen != nil:
	case some && pool(c):
		p.Note("%d goroutines in %s were started together and take turns: a pool", c.Count, s.At(s.Top()))
		return
	case c.Count >= int64(p.Threshold("many")), some && share >= p.Threshold("share"):
	default:
		return
	}
	f := analyze.Finding{
		Subject:  "goroutines at " + s.Where(s.Top()) + d.In(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Title:    title(d, c, before, grown),
		Detail:   detail(d, c, before, grown),
		Missing:  d.Limits(),
		Entities: append(d.Entities(), s.SiteEntity(d.Host, s.Top())),
		Fix:      fmt.Sprintf("Bound the goroutines started %sand give the wait in %s a way out: a context, a closed channel, a deadline.", createdAt(s), s.Func(s.Top())),
		Next:     d.NextDumps(),
	}
	for _, st := range c.Stacks[:min(len(c.Stacks), 3)] {
		f.Evidence = append(f.Evidence, st.Cite(st.First(), st.Shown(), "%s, one of %d with this stack: %s in %s", st.Label(st.First()), st.Count, st.Kind, st.At(st.Top())))
	}
	if g := s.First(); g.CreatedBy != "" {
		f.Evidence = append(f.Evidence, analyze.Cite(g.CreatedByAt(), "created by %s", waits.ShortFunc(g.CreatedBy)))
	}
	f.Evidence = slices.Concat(f.Evidence, d.Link(), d.SupportFor(s))
	if risen != nil {
		f.Detail += "\n\n" + risen.Note + "."
		f.Evidence = append(f.Evidence, *risen)
	}
	switch {
	case leaked, grown:
		f.Confidence = analyze.Confirmed
		if !some {
			f.Severity = analyze.Medium
		}
	case d.Grouped && risen == nil:
		// Without ids a pool of workers looks the same.
		f.Confidence, f.Severity = analyze.Possible, analyze.Low
		f.Missing = append(f.Missing, "ids and ages of the goroutines (debug=2): a pool of workers looks the same in a grouped profile")
	case share < p.Threshold("share") && risen == nil:
		f.Confidence = analyze.Possible
	}
	p.Report(f)
}

// compare says what a baseline tells of the place that starts the goroutines of a
// stack: usual is set where the healthy bundle has about as many, risen cites that
// it has few.
func compare(p *analyze.Pass, d *waits.Dump, s *waits.Stack) (usual string, risen *analyze.Evidence) {
	origin := s.Origin()
	h, ok := d.HealthyOf(p, origin)
	if !ok {
		return "", nil
	}
	now := d.FromOrigin(origin)
	if h.N > 0 && float64(now) < p.Threshold("baseline")*float64(h.N) {
		return fmt.Sprintf("the baseline has %d from %s, now there are %d", h.N, origin, now), nil
	}
	e := analyze.Cite(h.At, "%s has started %s that are alive; in the healthy baseline there were %d", origin, join.Count(now, "goroutine"), h.N)
	return "", &e
}

func title(d *waits.Dump, c *waits.Crowd, before int64, grown bool) string {
	s := c.First()
	t := fmt.Sprintf("Goroutine leak%s: %s wait %s in %s", d.In(), join.Count(c.Count, "goroutine"), strings.TrimPrefix(s.Kind.String(), "waiting "), s.At(s.Top()))
	if grown {
		t += fmt.Sprintf(", %d more than in the earlier dump", s.Count-before)
	}
	return t
}

func detail(d *waits.Dump, c *waits.Crowd, before int64, grown bool) string {
	var b strings.Builder
	s := c.First()
	fmt.Fprintf(&b, "%d of the %d goroutines of the dump wait %s at one line, %s. The stack: %s.", c.Count, d.Total, s.Kind, s.At(s.Top()), s.Path())
	if at := createdAt(s); at != "" {
		fmt.Fprintf(&b, " They were started %s.", strings.TrimSpace(at))
	}
	if m := s.Minutes(); m > 0 {
		fmt.Fprintf(&b, " The oldest waits for at least %s.", join.Count(m, "minute"))
	}
	if grown {
		fmt.Fprintf(&b, "\n\nThe earlier dump has %d of them.", before)
	}
	if s.Members[0].Leaked {
		b.WriteString("\n\nThe goroutine leak profile marks them as leaked: nothing alive can wake them.")
	}
	return b.String()
}

// createdAt is "by main.serve at main.go:20 ", or nothing.
func createdAt(s *waits.Stack) string {
	g := s.First()
	if g.CreatedBy == "" {
		return ""
	}
	at := "by " + waits.ShortFunc(g.CreatedBy)
	if g.CreatedByFile != "" {
		at += fmt.Sprintf(" at %s:%d", g.CreatedByFile[strings.LastIndexAny(g.CreatedByFile, `/\`)+1:], g.CreatedByLine)
	}
	return at + " "
}
