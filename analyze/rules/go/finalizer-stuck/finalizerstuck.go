// Package finalizerstuck finds a finalizer or cleanup that blocks.
package finalizerstuck

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/finalizer-stuck"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "finalizer or cleanup stuck", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "minutes", Default: 1, Unit: "minutes", Doc: "a finalizer that runs or sleeps so long counts, too"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, s := range d.Stacks {
			if !s.Has("runtime.runfinq", "runtime.runFinalizers", "runtime.runCleanups", "runtime.(*cleanupQueue).dequeue", "runtime.unique_runtime_registerUniqueMapCleanup.func2") || len(s.App) == 0 {
				continue
			}
			if s.Kind.Live() && s.Minutes() < int64(p.Threshold("minutes")) {
				p.Note("a finalizer runs in %s", s.At(s.Top()))
				continue
			}
			report(p, d, s)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, s *waits.Stack) {
	f := d.Finding("finalizer at "+s.Where(s.Top()), &waits.Crowd{Stacks: []*waits.Stack{s}, Count: s.Count})
	f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	if s.Minutes() >= int64(p.Threshold("minutes")) {
		f.Severity = analyze.High
	}
	f.Title = fmt.Sprintf("The runtime's finalizer goroutine%s is blocked in %s: nothing that has a finalizer is freed any more", d.In(), s.At(s.Top()))
	f.Detail = fmt.Sprintf("One goroutine runs all finalizers in turn. It is %s inside a finalizer of the program: %s. Until it goes on, every object with a finalizer (files, connections, C memory) stays.", s.Kind, s.Path())
	f.Fix = "Never lock, send or do IO in a finalizer or cleanup; hand the work to another goroutine, and close what has a Close explicitly."
	p.Report(f)
}
