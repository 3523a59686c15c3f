package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// cite merges the dated evidence of all findings into the timeline.
func (r *Result) cite(limit int) {
	out := []TimelineEntry{}
	for _, f := range r.Findings {
		for _, e := range f.Evidence {
			if e.Time.IsZero() {
				continue
			}
			text := e.Note
			if text == "" {
				text = e.Excerpt
			}
			out = append(out, TimelineEntry{Time: e.Time, Basis: e.Basis, Uncertainty: e.Uncertainty, Source: e.Ref, Text: text, Finding: f.ID})
		}
	}
	slices.SortStableFunc(out, compareEntries)
	out = slices.CompactFunc(out, func(a, b TimelineEntry) bool { return a.Source == b.Source && a.Text == b.Text })
	if len(out) > limit {
		r.Limits = append(r.Limits, fmt.Sprintf("timeline: the first %d of %d events that findings cite are listed", limit, len(out)))
		out = out[:limit]
	}
	r.Timeline = out
}

func compareEntries(a, b TimelineEntry) int {
	return cmp.Or(a.Time.Compare(b.Time), a.Source.Compare(b.Source), cmp.Compare(a.Text, b.Text))
}

// everything adds to the timeline what else the bundle dates. What a finding cites
// keeps the finding's words.
func (s *runState) everything(res *Result, cfg *Config) {
	defer func() {
		if v := recover(); v != nil {
			res.Limits = append(res.Limits, fmt.Sprintf("timeline: only what the findings cite, since listing the rest failed: %v", v))
		}
	}()
	from, to := s.incident(res)
	p := &Pass{Facts: s.store.View("timeline"), Manifest: s.manifest, rule: &Rule{ID: "timeline"}, run: s}
	all, left := cfg.Timeline(p, from, to, cfg.Limits.Events)
	type place struct {
		artifact     fact.ID
		line, packet int
	}
	at := func(r fact.Ref) place { return place{r.Artifact, r.Line, r.Packet} }
	cited := map[place]bool{}
	for _, e := range res.Timeline {
		cited[at(e.Source)] = true
	}
	all = slices.DeleteFunc(all, func(e TimelineEntry) bool { return cited[at(e.Source)] || possible(e.Time).IsZero() })
	res.Timeline = append(res.Timeline, all...)
	slices.SortStableFunc(res.Timeline, compareEntries)
	res.Limits = append(res.Limits, left...)
}

// incident is the time that the stories cite, or without any story all findings.
func (s *runState) incident(res *Result) (from, to time.Time) {
	for _, least := range []Role{Symptom, RoleUnset} {
		for _, e := range res.Timeline {
			if f := res.Finding(e.Finding); f == nil || f.Role < least {
				continue
			}
			if from.IsZero() {
				from = e.Time
			}
			to = e.Time
		}
		if !to.IsZero() {
			return from, to
		}
	}
	return from, to
}
