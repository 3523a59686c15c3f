// Package clock reports artifacts whose clocks cannot be compared with others.
package clock

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// Rule reports artifacts whose clocks cannot be compared with others.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "quality/clock", Title: "clocks that do not compare", Doc: doc, Severity: analyze.Low,
		AnyOf: []fact.Kind{"log", "kernel_event", "audit_event"},
		Wants: []fact.Kind{"log_event", "host_info", "flow"},
		Thresholds: []analyze.Threshold{
			{Name: "residual", Default: 1, Unit: "seconds", Doc: "difference that remains after the zone, from which clocks are said to be skewed"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	clocks := join.ClocksOf(p)
	hosts := join.HostsOf(p)
	for _, id := range clocks.Zoneless() {
		c := clocks.Of(id)
		switch {
		case !c.Known:
			unknown(p, hosts, id, c)
		case len(c.Pairs) > 0 && c.Residual.Abs() > time.Duration(p.Threshold("residual")*float64(time.Second)):
			skewed(p, hosts, id, c)
		default:
			p.Note("%s: %s, %s", id, offset(c.Offset), c.Why)
		}
	}
	for l := range fact.All[fact.Log](p.Facts) {
		if !l.First.Known() && l.Lines > 1 {
			p.Note("%s prints no time", l.At.Artifact)
		}
	}
	return nil
}

// first is the first dated line of an artifact.
func first(p *analyze.Pass, id fact.ID) (fact.Ref, bool) {
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.At.Artifact == id && e.Known() {
			return e.At, true
		}
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if e.At.Artifact == id && e.Known() {
			return e.At, true
		}
	}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.At.Artifact == id {
			return e.At, true
		}
	}
	return fact.Ref{}, false
}

// alone reports whether no other artifact of the bundle is dated, so that nothing
// could be compared anyway.
func alone(p *analyze.Pass, id fact.ID) bool {
	for l := range fact.All[fact.Log](p.Facts) {
		if l.At.Artifact != id && l.First.Known() {
			return false
		}
	}
	return !p.Facts.Has("flow") && !p.Facts.Has("audit_event") && !p.Facts.Has("kernel_event")
}

func unknown(p *analyze.Pass, hosts *join.Hosts, id fact.ID, c join.Clock) {
	if alone(p, id) {
		p.Note("%s has no zone, and nothing else is dated", id)
		return
	}
	at, ok := first(p, id)
	if !ok {
		return
	}
	f := analyze.Finding{
		Subject:  string(id),
		Severity: analyze.Low, Confidence: analyze.Confirmed,
		Title:    fmt.Sprintf("The clock of %s cannot be compared with the others: %s", id, c.Why),
		Detail:   "The times in it have no zone. Nothing in it is matched with other artifacts by time.",
		Evidence: []analyze.Evidence{analyze.Cite(at, "a time without a zone")},
		Fix:      "Let the program print its times with a zone, or in UTC.",
		Next:     []string{"date '+%F %T.%N %Z %z' > date.txt on the host, when the bundle is collected"},
		Entities: []analyze.Entity{hosts.Entity(hosts.OfArtifact(id))},
	}
	if len(c.Others) > 0 {
		var list []string
		for _, o := range c.Others[:min(len(c.Others), 6)] {
			list = append(list, offset(o))
		}
		f.Detail = fmt.Sprintf("The times in it have no zone, and several offsets fit equally well: %s. Nothing in it is matched with other artifacts by time.", strings.Join(list, ", "))
	}
	p.Report(f)
}

func skewed(p *analyze.Pass, hosts *join.Hosts, id fact.ID, c join.Clock) {
	f := analyze.Finding{
		Subject:  string(id),
		Severity: analyze.Low, Confidence: analyze.Likely,
		Title:    fmt.Sprintf("The clock of %s is %v off", id, c.Residual.Round(100*time.Millisecond)),
		Detail:   fmt.Sprintf("With %s its events stand %v from where another clock dates them. Times of it are shown with that offset.", offset(c.Offset), c.Residual.Round(time.Millisecond)),
		Entities: []analyze.Entity{hosts.Entity(hosts.OfArtifact(id))},
		Fix:      "Synchronise the clocks of the hosts (NTP).",
	}
	for _, pair := range c.Pairs[:min(len(c.Pairs), 3)] {
		f.Evidence = append(f.Evidence, analyze.Cite(pair.Here, "%s, by this clock", pair.What), analyze.Cite(pair.There, "the same, by another one"))
	}
	f.Evidence = slices.DeleteFunc(f.Evidence, func(e analyze.Evidence) bool { return e.IsZero() })
	if len(f.Evidence) > 0 {
		p.Report(f)
	}
}

// offset is a difference from UTC in words.
func offset(d time.Duration) string {
	// What is added to get UTC is the opposite of how zones are written.
	d = -d
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("UTC%s%02d:%02d", sign, int(d.Hours()), int(d.Minutes())%60)
}
