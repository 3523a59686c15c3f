// Package disjointtime tells when artifacts of one host do not cover the same
// time, so that what one shows cannot be the other's doing.
package disjointtime

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// ID is the rule's identity.
const ID = "quality/disjoint-time"

// Rule finds captures that do not overlap the logs and trails beside them.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "disjoint times", Doc: doc, Severity: analyze.Low,
		Needs: []fact.Kind{"capture"},
		AnyOf: []fact.Kind{"log", "audit_trail"},
		Thresholds: []analyze.Threshold{
			{Name: "gap", Default: 60, Unit: "seconds", Doc: "distance between two artifacts from which they are said to be apart"},
		},
		Run: run,
	}
}

// span is the time that an artifact covers.
type span struct {
	at       fact.Ref
	from, to time.Time
}

// gap is the distance between two spans, zero if they overlap.
func (s span) gap(o span) time.Duration {
	return max(0, s.from.Sub(o.to), o.from.Sub(s.to))
}

func run(_ context.Context, p *analyze.Pass) error {
	hosts := join.HostsOf(p)
	captures, others := spans(p)
	limit := time.Duration(p.Threshold("gap") * float64(time.Second))
	for _, c := range captures {
		var apart []span
		overlap := false
		for _, o := range others {
			if hosts.Of(o.at) != hosts.Of(c.at) {
				continue
			}
			if c.gap(o) > limit {
				apart = append(apart, o)
			} else {
				overlap = true
			}
		}
		p.Note("%s: %d artifacts of its host lie apart", c.at.Artifact, len(apart))
		// One old log beside several that overlap is ordinary; a capture that
		// overlaps nothing was taken at another time.
		if overlap || len(apart) == 0 {
			continue
		}
		report(p, c, apart)
	}
	return nil
}

func report(p *analyze.Pass, c span, apart []span) {
	slices.SortStableFunc(apart, func(a, b span) int { return cmp.Compare(c.gap(a), c.gap(b)) })
	nearest := apart[0]
	f := analyze.Finding{
		Subject: string(c.at.Artifact),
		Title: fmt.Sprintf("The capture %s does not overlap in time with any log or audit trail of its host; %s is nearest, %s away",
			c.at.Artifact, nearest.at.Artifact, c.gap(nearest).Round(time.Second)),
		Detail: "What the capture shows cannot be matched with log lines or signals by their time. Either it was taken before or after the incident, or a clock is wrong.",
		From:   c.from, To: c.to, Severity: analyze.Low, Confidence: analyze.Likely,
		Evidence: []analyze.Evidence{
			analyze.Cite(c.at, "the capture covers %s to %s", clock(c.from), clock(c.to)).On(c.from, fact.Epoch, 0),
		},
		Next: []string{"date '+%F %T %z' > date.txt", "capture again while the service fails"},
	}
	for _, o := range apart[:min(3, len(apart))] {
		f.Evidence = append(f.Evidence, analyze.Cite(o.at, "covers %s to %s", clock(o.from), clock(o.to)))
	}
	p.Report(f)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// spans lists what captures cover, and what logs and audit trails with a known
// clock do.
func spans(p *analyze.Pass) (captures, others []span) {
	clocks := join.ClocksOf(p)
	for c := range fact.All[fact.Capture](p.Facts) {
		if !c.First.IsZero() {
			at := c.At
			at.Packet = max(at.Packet, 1)
			skew := clocks.Skew(at.Artifact)
			captures = append(captures, span{at, c.First.Add(skew), c.Last.Add(skew)})
		}
	}
	add := func(at fact.Ref, first, last fact.Time) {
		from, _, ok1 := clocks.UTC(at.Artifact, first)
		to, _, ok2 := clocks.UTC(at.Artifact, last)
		if ok1 && ok2 {
			at.Line = max(at.Line, 1)
			others = append(others, span{at, from, to})
		}
	}
	for l := range fact.All[fact.Log](p.Facts) {
		add(l.At, l.First, l.Last)
	}
	for t := range fact.All[fact.AuditTrail](p.Facts) {
		add(t.At, t.First, t.Last)
	}
	return captures, others
}
