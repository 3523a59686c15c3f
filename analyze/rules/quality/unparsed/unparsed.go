// Package unparsed says which parts of a bundle were not understood.
package unparsed

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

//go:embed doc.md
var doc string

// Rule says which parts of a bundle were not understood.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "quality/unparsed", Title: "not understood", Doc: doc, Severity: analyze.Info,
		Wants: []fact.Kind{"log"},
		Thresholds: []analyze.Threshold{
			{Name: "share", Default: 0.02, Unit: "share", Doc: "of an artifact's records that were not understood"},
			{Name: "unstamped", Default: 0.2, Unit: "share", Doc: "of a log's events that have no time although others have"},
			{Name: "events", Default: 20, Unit: "events", Doc: "without a time, from which a log is reported"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	var unclaimed []fact.Ref
	for _, a := range p.Facts.Artifacts() {
		switch {
		case a.Unclaimed:
			unclaimed = append(unclaimed, beginning(a.ID))
		case a.Skipped > 0:
			skipped(p, a)
		}
	}
	for l := range fact.All[fact.Log](p.Facts) {
		unstamped(p, l)
	}
	if len(unclaimed) > 0 {
		f := analyze.Finding{
			Subject: "files of no known format", Severity: analyze.Info, Confidence: analyze.Confirmed,
			Title:  fmt.Sprintf("%s of the bundle could not be read: no known format", files(len(unclaimed))),
			Detail: "Nothing in them was considered. If one of them matters, name its parser with --parser, or say in the manifest what it is.",
		}
		for _, at := range unclaimed {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "not read"))
		}
		p.Report(f)
	}
	return nil
}

// beginning stands for a whole artifact: evidence must name a place.
func beginning(id fact.ID) fact.Ref { return fact.Ref{Artifact: id, Line: 1} }

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func skipped(p *analyze.Pass, a fact.Artifact) {
	share := float64(a.Skipped) / float64(a.Skipped+int64(a.Facts))
	if share <= p.Threshold("share") {
		p.Note("%s: %d records not understood, %.1f %%", a.ID, a.Skipped, 100*share)
		return
	}
	f := analyze.Finding{
		Subject: string(a.ID), Severity: analyze.Low, Confidence: analyze.Confirmed,
		Title:  fmt.Sprintf("%d records of %s were not understood (%.0f %%)", a.Skipped, a.ID, 100*share),
		Detail: fmt.Sprintf("The %s parser understood %d records and gave up on %d. What they say is missing from the diagnosis, so absence in this file proves little.", a.Parser, a.Facts, a.Skipped),
	}
	for _, at := range a.SkippedAt {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "not understood"))
	}
	if len(f.Evidence) == 0 {
		f.Evidence = append(f.Evidence, analyze.Cite(beginning(a.ID), "%d records not understood", a.Skipped))
	}
	p.Report(f)
}

func unstamped(p *analyze.Pass, l *fact.Log) {
	share := float64(l.Unstamped) / float64(max(1, l.Lines))
	if float64(l.Unstamped) < p.Threshold("events") || share < p.Threshold("unstamped") {
		return
	}
	p.Report(analyze.Finding{
		Subject: string(l.At.Artifact), Severity: analyze.Info, Confidence: analyze.Confirmed,
		Title:    fmt.Sprintf("%d of the events in %s have no time", l.Unstamped, l.At.Artifact),
		Detail:   "Other events of the log have one. Those without are not matched with other artifacts by time.",
		Evidence: []analyze.Evidence{analyze.Cite(l.At, "%d of %d lines begin an event without a time", l.Unstamped, l.Lines)},
	})
}
