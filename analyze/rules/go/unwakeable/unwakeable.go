// Package unwakeable finds goroutines that nothing can ever wake.
package unwakeable

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/waits"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// ID of the rule.
const ID = "go/unwakeable"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "unwakeable goroutine", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 10, Unit: "goroutines", Doc: "so many at one line make a nil channel high severity"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, s := range d.Stacks {
			if s.Dumper || s.Idle != "" || len(s.App) == 0 {
				continue
			}
			switch s.Kind {
			case waits.OnNilChan:
				p.Report(nilChan(p, d, s))
			case waits.OnNoCases:
				if s.Frames[s.Top()].Func == "main.main" || slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return f.Func == "main.main" }) {
					p.Note("%s is parked by main", s.Label(s.First()))
					continue
				}
				p.Report(noCases(d, s))
			}
		}
	}
	return nil
}

func nilChan(p *analyze.Pass, d *waits.Dump, s *waits.Stack) analyze.Finding {
	f := finding(d, s)
	f.Severity, f.Confidence = analyze.Medium, analyze.Confirmed
	if d.Grouped {
		f.Confidence = analyze.Likely // inferred from program counters
	}
	if s.Count >= int64(p.Threshold("many")) {
		f.Severity = analyze.High
	}
	f.Title = fmt.Sprintf("%s%s is blocked for ever in %s: %s", tables.Sentence(s.Label(s.First())), d.In(), s.At(s.Top()), s.State)
	f.Detail = fmt.Sprintf("The channel is nil. A send or receive on a nil channel never ends, whatever other goroutines do. The stack: %s.", s.Path())
	f.Fix = fmt.Sprintf("Make the channel before %s uses it; where nil is meant to switch a case off, use it inside a select that has other cases.", s.Func(s.Top()))
	return f
}

func noCases(d *waits.Dump, s *waits.Stack) analyze.Finding {
	f := finding(d, s)
	f.Severity, f.Confidence = analyze.Low, analyze.Possible
	f.Title = fmt.Sprintf("%s%s is parked for ever in %s by a select without cases", tables.Sentence(s.Label(s.First())), d.In(), s.At(s.Top()))
	f.Detail = fmt.Sprintf("Nothing can wake it. In main that is a way to keep a program alive; here it keeps a stack and what it refers to. The stack: %s.", s.Path())
	f.Fix = "Return instead, or wait for a context that ends."
	return f
}

func finding(d *waits.Dump, s *waits.Stack) analyze.Finding {
	return analyze.Finding{
		Subject:  s.State + " at " + s.Where(s.Top()) + d.In(),
		Evidence: slices.Concat([]analyze.Evidence{s.Cite(s.First(), s.Top(), "%s, one of %d: %s", s.Label(s.First()), s.Count, s.State)}, d.Link(), d.SupportFor(s)),
		Entities: append(d.Entities(), s.SiteEntity(d.Host, s.Top())),
	}
}
