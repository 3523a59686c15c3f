package main

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// DiskFullRule finds services that cannot write because a disk is full.
func DiskFullRule() *analyze.Rule {
	return &analyze.Rule{
		ID:       "acme/disk-full",
		Title:    "disk full",
		Doc:      doc,
		Severity: analyze.High,
		Needs:    []fact.Kind{fact.LogEvent{}.Kind()},
		Thresholds: []analyze.Threshold{
			{Name: "events", Default: 3, Unit: "log events", Doc: "how many failed writes make an incident and not a moment"},
		},
		Run: diskFull,
	}
}

// diskFull reports each log that has enough failed writes. It is a pure function
// of the facts: no clock, no map into the output.
func diskFull(_ context.Context, p *analyze.Pass) error {
	var logs []fact.ID
	events := map[fact.ID][]*fact.LogEvent{}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno != "ENOSPC" {
			continue
		}
		id := e.At.Artifact
		if events[id] == nil {
			logs = append(logs, id)
		}
		events[id] = append(events[id], e)
	}
	for _, id := range logs {
		list := events[id]
		p.Note("%s: %d failed writes, needs %.0f", id, len(list), p.Threshold("events"))
		if float64(len(list)) >= p.Threshold("events") {
			p.Report(finding(p, id, list))
		}
	}
	return nil
}

func finding(p *analyze.Pass, log fact.ID, list []*fact.LogEvent) analyze.Finding {
	hosts, clocks := join.HostsOf(p), join.ClocksOf(p)
	f := analyze.Finding{
		Subject:    string(log),
		Title:      fmt.Sprintf("The service that writes %s cannot write its data: no space left on device, %d times", log, len(list)),
		Detail:     "Every write fails with ENOSPC until space is freed. What the service does meanwhile depends on how it handles the error.",
		Severity:   analyze.High,
		Confidence: analyze.Likely,
		Missing:    []string{"which file system is full, and with what"},
		Next:       []string{"df -h; df -i", "du -xh --max-depth=2 / | sort -h | tail -20"},
		Fix:        "Free space on the file system, then find what fills it: rotate it, bound it or move it.",
		// The entity ties the finding to those of other rules about the same host.
		Entities: []analyze.Entity{hosts.Entity(hosts.OfArtifact(log))},
	}
	for _, e := range list {
		// Clocks knows what a log's wall clock is in UTC, where that can be known.
		ev := clocks.Date(analyze.Cite(e.At, "a write fails"), e.Time)
		if !ev.Time.IsZero() {
			if f.From.IsZero() || ev.Time.Before(f.From) {
				f.From = ev.Time
			}
			if ev.Time.After(f.To) {
				f.To = ev.Time
			}
		}
		f.Evidence = append(f.Evidence, ev)
	}
	return f
}
