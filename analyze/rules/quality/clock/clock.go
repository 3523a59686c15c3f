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
		AnyOf: []fact.Kind{"log", "kernel_event", "audit_event", "flow"},
		Wants: []fact.Kind{"log_event", "host_info"},
		Thresholds: []analyze.Threshold{
			{Name: "residual", Default: 1, Unit: "seconds", Doc: "difference that remains after the zone, from which clocks are said to be skewed"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	clocks := join.ClocksOf(p)
	hosts := join.HostsOf(p)
	for _, k := range clocks.Skews() {
		apart(p, hosts, k)
	}
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

// apart reports a host or capture whose clock is off that of the others, or cannot
// be compared with it.
func apart(p *analyze.Pass, hosts *join.Hosts, k *join.Skew) {
	limit := time.Duration(p.Threshold("residual") * float64(time.Second))
	if k.Known && k.Offset.Abs() <= limit {
		p.Note("the clocks of %s and %s agree within %v: %s", k.Clock, k.Reference, max(k.Offset.Abs(), k.Uncertainty).Round(time.Microsecond), k.Why)
		return
	}
	f := analyze.Finding{
		Subject: k.Clock, Severity: analyze.Low, Confidence: analyze.Confirmed,
		Fix:      "Synchronise the clocks of the hosts (NTP).",
		Next:     []string{"date '+%F %T.%N %Z %z' on both hosts in the same moment; chronyc tracking"},
		Entities: []analyze.Entity{hosts.Entity(k.Clock)},
	}
	if k.Known {
		f.Title = fmt.Sprintf("The clock of %s is %s that of %s", k.Clock, against(k.Offset), k.Reference)
		f.Detail = fmt.Sprintf("%s (give or take %v). The times of %s are shown as that clock would have dated them.", upper(k.Why), k.Uncertainty.Round(time.Microsecond), k.Clock)
		for _, pair := range k.Pairs[:min(len(k.Pairs), 3)] {
			f.Evidence = append(f.Evidence, analyze.Cite(pair.Here, "%s, by this clock", pair.What), analyze.Cite(pair.There, "the same by the other clock, %v later", pair.Difference.Round(time.Microsecond)))
		}
	} else {
		f.Title = fmt.Sprintf("The clocks of %s and %s cannot be compared: %s", k.Clock, k.Reference, k.Why)
		f.Detail = "Their times stand side by side as each clock prints them. Nothing of the one is matched with the other by time."
		f.Fix = "State the offset in culprit.yaml (hosts: clock:), and synchronise the clocks of the hosts (NTP)."
		if len(k.Others) > 0 {
			var list []string
			for _, o := range k.Others[:min(len(k.Others), 6)] {
				list = append(list, fmt.Sprintf("%+v", o.Round(time.Millisecond)))
			}
			f.Detail = fmt.Sprintf("Several offsets fit equally well: %s. %s", strings.Join(list, ", "), f.Detail)
		}
		if at, ok := anyTime(p, hosts, k.Clock); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "a time by the clock of %s", k.Clock))
		}
		if len(k.Others) == 0 {
			f.Severity = analyze.Info // most hosts are synchronised
		}
	}
	if len(f.Evidence) > 0 {
		p.Report(f)
	}
}

// against says where a clock stands that needs an offset.
func against(d time.Duration) string {
	if d < 0 {
		return fmt.Sprintf("%v ahead of", (-d).Round(time.Millisecond))
	}
	return fmt.Sprintf("%v behind", d.Round(time.Millisecond))
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// anyTime is a position that a clock dates.
func anyTime(p *analyze.Pass, hosts *join.Hosts, clock string) (fact.Ref, bool) {
	of := func(r fact.Ref) bool { return hosts.Of(r) == clock || string(r.Artifact) == clock }
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if of(e.At) && e.Known() {
			return e.At, true
		}
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		if of(f.Ref()) {
			return f.Ref(), true
		}
	}
	return fact.Ref{}, false
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
