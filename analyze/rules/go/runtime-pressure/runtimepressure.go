// Package runtimepressure finds goroutines held up by the garbage collector or the scheduler.
package runtimepressure

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/runtime-pressure"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "GC or scheduler pressure", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "assists", Default: 10, Unit: "goroutines", Doc: "in garbage collection work"},
			{Name: "share", Default: 0.1, Unit: "share", Doc: "of all goroutines in it"},
			{Name: "least", Default: 5, Unit: "goroutines", Doc: "below which the share does not count"},
			{Name: "runnable", Default: 200, Unit: "goroutines", Doc: "ready to run"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		gc := one(d.Crowds(func(s *waits.Stack) string { return ifKind(s, s.Kind == waits.OnGC) }))
		if gc != nil {
			share := float64(gc.Count) / float64(d.Total)
			if gc.Count >= int64(p.Threshold("assists")) || share >= p.Threshold("share") && gc.Count >= int64(p.Threshold("least")) {
				report(p, d, gc, "in garbage collection work", "allocating goroutines must help the collector before they go on: the heap grows faster than it is collected, or the memory limit is near",
					"Look at a heap profile for what allocates and what stays; raise GOMEMLIMIT or GOGC if memory is there.", "curl -s 'http://HOST:PORT/debug/pprof/heap' > heap.pb.gz")
			} else {
				p.Note("%d goroutines in garbage collection work of %d", gc.Count, d.Total)
			}
		}
		ready := one(d.Crowds(func(s *waits.Stack) string { return ifKind(s, s.State == "runnable") }))
		if ready == nil {
			continue
		}
		if ready.Count >= int64(p.Threshold("runnable")) {
			report(p, d, ready, "runnable and not running", "there is more work than processors: a CPU quota, a busy loop, too few GOMAXPROCS",
				"Look at a CPU profile and at the cgroup's CPU throttling.", "curl -s 'http://HOST:PORT/debug/pprof/profile?seconds=10' > cpu.pb.gz")
		} else {
			p.Note("%d runnable goroutines, needs %g", ready.Count, p.Threshold("runnable"))
		}
	}
	return nil
}

func ifKind(s *waits.Stack, ok bool) string {
	if !ok || len(s.App) == 0 {
		return ""
	}
	return "all"
}

func one(c []*waits.Crowd) *waits.Crowd {
	if len(c) == 0 {
		return nil
	}
	return c[0]
}

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd, doing, why, fix, next string) {
	s := c.First()
	f := d.Finding(doing, c)
	// One dump may have been taken in the middle of a collection.
	f.Severity, f.Confidence = analyze.Low, analyze.Possible
	if before, ok := d.Grown(s); ok && before > 1 {
		f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	}
	f.Title = fmt.Sprintf("%s%s are %s", join.Count(c.Count, "goroutine"), d.In(), doing)
	f.Detail = fmt.Sprintf("Of %d goroutines %d are %s, most in %s: %s.", d.Total, c.Count, doing, s.At(s.Top()), why)
	f.Fix = fix
	f.Next = append(f.Next, next)
	p.Report(f)
}
