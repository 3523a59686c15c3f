// Package deviation tells what differs from a healthy bundle or from what an
// inventory states.
package deviation

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// Rule tells what differs from a baseline or an inventory.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "incident/deviation", Title: "different from the baseline", Doc: doc, Severity: analyze.Info,
		AnyOf: []fact.Kind{"baseline", "expected"},
		Wants: []fact.Kind{"deviation", "host_info", "dump", "counter", "log_event"},
		Run:   run,
	}
}

// sorts are what is told of a baseline, in the order in which it is told. Peers and
// connections change from minute to minute; rules of their own judge them.
var sorts = []string{"version", "setting", "limit", "listener", "process", "goroutines", "lock", "open_files", "sockets", "memory"}

// words say what a sort is called before its name.
var words = map[string]string{
	"sockets": "sockets in", "memory": "memory (MiB) of", "open_files": "open files of",
	"goroutines": "goroutines created by", "lock": "goroutines that wait for",
}

func run(_ context.Context, p *analyze.Pass) error {
	versions(p)
	byHost := map[string][]*fact.Deviation{}
	total := 0
	for d := range fact.All[fact.Deviation](p.Facts) {
		total++
		if slices.Contains(sorts, d.What) {
			byHost[d.Host] = append(byHost[d.Host], d)
		}
	}
	p.Note("%d deviations from the baseline", total)
	h := join.HostsOf(p)
	for _, host := range h.Names {
		if list := byHost[host]; len(list) > 0 {
			report(p, h, host, list)
		}
	}
	return nil
}

// told is how many deviations the detail names, and cited how many are cited.
const (
	told  = 20
	cited = 8
)

func report(p *analyze.Pass, h *join.Hosts, host string, list []*fact.Deviation) {
	slices.SortStableFunc(list, func(a, b *fact.Deviation) int { return slices.Index(sorts, a.What) - slices.Index(sorts, b.What) })
	f := analyze.Finding{
		Subject: h.Prefix(host) + "baseline", Severity: analyze.Info, Confidence: analyze.Likely,
		Title: "Since the baseline " + summary(list), Entities: []analyze.Entity{h.Entity(host)},
	}
	if host == "" {
		f.Entities = nil
	}
	var lines []string
	for i, d := range list {
		if i == told {
			lines = append(lines, fmt.Sprintf("and %d more", len(list)-told))
			break
		}
		lines = append(lines, describe(d))
	}
	f.Detail = strings.Join(lines, "\n")
	for _, d := range list[:min(len(list), cited)] {
		if !d.At.IsZero() {
			f.Evidence = append(f.Evidence, analyze.Cite(d.At, "%s", describe(d)))
		}
		if !d.BaselineAt.IsZero() {
			f.Evidence = append(f.Evidence, analyze.Cite(d.BaselineAt, "the baseline's %s", name(d)))
		}
	}
	p.Report(f)
}

// summary counts the deviations by how they differ.
func summary(list []*fact.Deviation) string {
	count := map[string]int{}
	for _, d := range list {
		count[d.How]++
	}
	var parts []string
	for _, how := range []string{analyze.Changed, analyze.Vanished, analyze.Appeared, analyze.Grew, analyze.Shrank} {
		if n := count[how]; n > 0 {
			noun := "things"
			if n == 1 {
				noun = "thing"
			}
			parts = append(parts, fmt.Sprintf("%d %s %s", n, noun, how))
		}
	}
	return strings.Join(parts, ", ")
}

func name(d *fact.Deviation) string {
	word := words[d.What]
	if word == "" {
		word = d.What
	}
	out := word + " " + d.Name
	if d.Of != "" {
		out += " of " + d.Of
	}
	return out
}

func describe(d *fact.Deviation) string {
	switch d.How {
	case analyze.Changed:
		return fmt.Sprintf("%s changed from %s to %s", name(d), d.ValueBefore, d.ValueAfter)
	case analyze.Grew, analyze.Shrank:
		return fmt.Sprintf("%s %s from %d to %d", name(d), d.How, d.Before, d.After)
	}
	return fmt.Sprintf("%s %s", name(d), d.How)
}
