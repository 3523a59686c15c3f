// Package waitgroup finds WaitGroups that are never done.
package waitgroup

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
const ID = "go/waitgroup"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "WaitGroup never done", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 10, Unit: "goroutines", Doc: "so many at one Wait that nobody can finish make it high severity"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, g := range d.Groups {
			judge(p, d, g)
		}
	}
	return nil
}

func judge(p *analyze.Pass, d *waits.Dump, g *waits.Group) {
	s := g.Stack
	note := func(why string) { p.Note("%s in %s: %s", s.Label(s.First()), s.At(s.Top()), why) }
	asleep := strings.Contains(d.Meta.Cause, "all goroutines are asleep")
	suspect := len(d.Suspects) > 0 && d.Suspects[0].Stack == s
	f := analyze.Finding{Severity: analyze.Medium, Confidence: analyze.Likely}
	switch {
	case g.Locked:
		note("a worker waits for a lock; that lock has its own finding")
		return
	case shared(s) && within(s):
		reportOwnCall(p, d, g)
		return
	case shared(s) && slices.ContainsFunc(d.Groups, func(o *waits.Group) bool { return shared(o.Stack) && within(o.Stack) }):
		note("the shared call that it waits for has its own finding")
		return
	case shared(s) && s.Count > 1 && g.Live != nil && !g.Live.Kind.Lock() && g.Live.Kind != waits.Running:
		reportShared(p, d, g)
		return
	case g.Live != nil:
		note("a worker is " + g.Live.Kind.String() + " in " + g.Live.At(g.Live.Top()))
		return
	case g.Sending != nil:
		note("a worker is blocked in chan send; see go/stuck-senders")
		return
	case len(g.Workers) == 0 && !d.Complete():
		note("the dump is incomplete, a worker may be missing")
		return
	case len(g.Workers) == 0:
		if s.Count >= int64(p.Threshold("many")) {
			f.Severity = analyze.High
		}
	case g.Stopping != "":
		f.Confidence = analyze.Possible
	case asleep:
	case suspect && d.Suspects[0].Score > 0:
		f.Severity, f.Confidence = analyze.Low, analyze.Possible
	default:
		note("its workers wait for work, as in a service at rest")
		return
	}
	fill(&f, d, g)
	p.Report(f)
}

func fill(f *analyze.Finding, d *waits.Dump, g *waits.Group) {
	s := g.Stack
	who := s.Label(s.First())
	if s.Count > 1 {
		who = join.Count(s.Count, "goroutine")
	}
	f.Subject = "WaitGroup at " + s.Where(s.Top()) + d.In()
	f.Missing, f.Next = d.Limits(), d.NextDumps()
	f.Entities = append(d.Entities(), s.SiteEntity(d.Host, s.Top()))
	f.Evidence = append(f.Evidence, s.Cite(s.First(), s.Shown(), "%s %s for the WaitGroup in %s: %s", who, verb(s.Count), s.At(s.Top()), s.Path()))
	if len(g.Workers) == 0 {
		f.Title = fmt.Sprintf("%s%s %s in %s for a WaitGroup that nobody can finish: no goroutine is left to call Done", tables.Sentence(who), d.In(), verb(s.Count), s.At(s.Top()))
		f.Detail = fmt.Sprintf("The stack: %s. No goroutine of the dump has to do with it: none is inside the same type, created by it, or created by the same function. A worker returned without Done, Add counted too many, or Wait stands inside the loop that starts the workers.", s.Path())
		f.Fix = fmt.Sprintf("Call Add before the go statement and `defer wg.Done()` as the first line of the worker (or use WaitGroup.Go); check that Wait in %s stands behind the loop.", s.Func(s.Top()))
	} else {
		w := g.Workers[0]
		f.Title = fmt.Sprintf("%s%s %s in %s for workers that do not end: %s waits %s in %s", tables.Sentence(who), d.In(), verb(s.Count), s.At(s.Top()), w.Label(w.First()), w.Kind, w.At(w.Top()))
		f.Detail = fmt.Sprintf("The stack: %s. The workers that could call Done are blocked themselves: %s.", s.Path(), workers(g))
		if g.Stopping != "" {
			f.Detail += fmt.Sprintf(" %s is there to end something, so this wait is no rest. What its workers wait for is perhaps closed only behind this Wait, or under a lock that is held meanwhile.", g.Stopping)
		}
		f.Fix = fmt.Sprintf("Wake the workers before %s waits: close their channel or cancel their context first, and not under a lock that they need.", s.Func(s.Top()))
		for _, w := range g.Workers[:min(len(g.Workers), 2)] {
			f.Evidence = append(f.Evidence, w.Cite(w.First(), w.Shown(), "%s waits %s in %s", w.Label(w.First()), w.Kind, w.At(w.Top())))
		}
	}
	f.Evidence = slices.Concat(f.Evidence, d.Link(), d.SupportFor(s))
}

func workers(g *waits.Group) string {
	var out []string
	for _, w := range g.Workers {
		out = append(out, fmt.Sprintf("%s %s in %s", join.Count(w.Count, "goroutine"), w.Kind, w.At(w.Top())))
	}
	return waits.List(out, 4)
}

func verb(n int64) string {
	if n == 1 {
		return "waits"
	}
	return "wait"
}
