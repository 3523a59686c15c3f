// Package dump says what goroutine dumps cannot tell.
package dump

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
const ID = "quality/dump"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "limits of the goroutine dumps", Doc: doc, Severity: analyze.Info,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	elided := elidedIn(p)
	for _, d := range waits.Of(p).Dumps {
		switch {
		case d.Meta.Cut:
			f := finding(d, "cut")
			f.Severity = analyze.Low
			f.Title = fmt.Sprintf("The goroutine dump%s is cut: goroutines are missing, so that a lock without a holder proves nothing", d.In())
			f.Detail = "Either the file ends inside a stack, or it has exactly 64 MiB, where pprof stops whatever is left. Rules do not conclude from what is absent in it."
			f.Next = []string{"curl -s 'http://HOST:PORT/debug/pprof/goroutine' > goroutine.pb.gz", "kill -QUIT PID   (ends the program)"}
			p.Report(f)
		case d.Grouped:
			f := finding(d, "grouped")
			f.Title = fmt.Sprintf("The bundle has only grouped goroutine profiles%s: no addresses of locks, no waiting times, no ids", d.In())
			f.Detail = fmt.Sprintf("%s: %d goroutines in %d groups. Which lock it is and who holds it cannot be told from it.", d.Meta.Form, d.Total, len(d.Stacks))
			f.Next = d.NextDumps()
			p.Report(f)
		}
		if g := elided[d.Meta.At.Artifact]; g != nil {
			p.Note("%s: the runtime left out frames of goroutine %d and perhaps others", d.Meta.At.Artifact, g.ID)
		}
		if len(d.Earlier) == 0 {
			p.Note("%s: one dump; a second one would show what lasts", d.Meta.At.Artifact)
		}
	}
	return nil
}

// elidedIn is the first goroutine of each artifact whose stack has a gap.
func elidedIn(p *analyze.Pass) map[fact.ID]*fact.Goroutine {
	out := map[fact.ID]*fact.Goroutine{}
	for g := range fact.All[fact.Goroutine](p.Facts) {
		if g.Elided && out[g.At.Artifact] == nil {
			out[g.At.Artifact] = g
		}
	}
	return out
}

func finding(d *waits.Dump, what string) analyze.Finding {
	return analyze.Finding{
		Subject:  string(d.Meta.At.Artifact) + " (" + what + ")",
		Severity: analyze.Info, Confidence: analyze.Confirmed,
		Evidence: []analyze.Evidence{analyze.Cite(d.Meta.At, "%s dump, %s", d.Meta.Form, join.Count(d.Total, "goroutine"))},
		Entities: d.Entities(),
	}
}
