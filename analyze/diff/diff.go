// Package diff compares two results of the same system: which findings are new,
// gone or changed, and what appeared, vanished or grew. It goes by rules, entities
// and counts and not by text, so that two bundles in which every pid, port and
// address in memory differs can still be equal.
package diff

import (
	"cmp"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Schema identifies the JSON form of a Diff.
const Schema = "culprit/diff/v1"

// The ways in which a finding differs.
const (
	New     = "new"
	Gone    = "gone"
	Changed = "changed"
)

// Diff is what differs between two results.
type Diff struct {
	Schema string `json:"schema"`
	Before Side   `json:"before"`
	After  Side   `json:"after"`
	// Findings that are new, gone or changed, in the order of the later result, and
	// the gone ones behind them. Same is how many are in both and equal.
	Findings []Finding `json:"findings"`
	Same     int       `json:"same"`
	// Entities that appeared, vanished, grew, shrank or changed.
	Entities []Entity `json:"entities"`
	// NotCompared says what only one of the two could show.
	NotCompared []Gap `json:"not_compared"`
}

// Side is one of the two results.
type Side struct {
	Bundle  analyze.Bundle  `json:"bundle"`
	Verdict analyze.Verdict `json:"verdict"`
	// Taken is when the bundle was collected, zero if it does not say.
	Taken time.Time `json:"taken,omitzero"`
}

// Finding is a finding that one of the results lacks, or that differs.
type Finding struct {
	How string `json:"how"`
	// Rule, Subject and Title are those of the later finding, of a gone one the
	// earlier.
	Rule     string           `json:"rule"`
	Subject  string           `json:"subject"`
	Title    string           `json:"title"`
	Severity analyze.Severity `json:"severity"`
	// BeforeID and AfterID are the findings' IDs in the two results.
	BeforeID string `json:"before_id,omitempty"`
	AfterID  string `json:"after_id,omitempty"`
	// Changes of a finding that both have.
	Changes []Change `json:"changes,omitempty"`
	// Unjudged says why the other result could not have this finding: its rule
	// could not judge there.
	Unjudged string `json:"unjudged,omitempty"`
	// Evidence is the first position that shows it.
	Evidence fact.Ref `json:"evidence,omitzero"`
}

// Change is one property of a finding that differs.
type Change struct {
	What   string `json:"what"` // severity, confidence, role, count
	Before string `json:"before"`
	After  string `json:"after"`
}

// Entity is something that appeared, vanished, grew, shrank or changed its value.
type Entity struct {
	How   string `json:"how"`
	What  string `json:"what"`
	Name  string `json:"name,omitempty"`
	Of    string `json:"of,omitempty"`
	Host  string `json:"host,omitempty"`
	Count Pair   `json:"count,omitzero"`
	Value *Texts `json:"value,omitempty"`
	// PerHour is the rate of change, where both bundles say when they were taken.
	PerHour float64 `json:"per_hour,omitempty"`
	// Evidence is where it stands in the bundles.
	BeforeAt fact.Ref `json:"before_at,omitzero"`
	AfterAt  fact.Ref `json:"after_at,omitzero"`
}

// Pair is a count in both bundles.
type Pair struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// Texts is a value in both bundles.
type Texts struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Gap is something that could not be compared.
type Gap struct {
	What string `json:"what"`
	// Only is "before" or "after": the one that shows it.
	Only string `json:"only"`
}

// Results compares two results. Counts are compared where both results have a
// census (analyze.Config.Census); differences within the tolerance are none.
func Results(before, after *analyze.Result, t analyze.Tolerance) *Diff {
	d := &Diff{
		Schema: Schema, Before: side(before), After: side(after),
		Findings: []Finding{}, Entities: []Entity{}, NotCompared: []Gap{},
	}
	d.findings(before, after, t)
	d.entities(before.Census, after.Census, t)
	d.gaps(before.Census, after.Census)
	return d
}

// Worst is the highest severity of a finding that is new or became worse.
func (d *Diff) Worst() analyze.Severity {
	worst := analyze.SeverityUnset
	for _, f := range d.Findings {
		if f.How == New || f.How == Changed && f.worse() {
			worst = max(worst, f.Severity)
		}
	}
	return worst
}

func side(r *analyze.Result) Side {
	s := Side{Bundle: r.Bundle, Verdict: r.Verdict}
	if s.Verdict.RootCauses == nil {
		s.Verdict.RootCauses = []string{}
	}
	for _, c := range r.Census {
		if c.Time.Known() && c.T.After(s.Taken) {
			s.Taken = c.T
		}
	}
	return s
}

func (d *Diff) entities(before, after []analyze.Count, t analyze.Tolerance) {
	for _, v := range analyze.Deviations(before, after, t) {
		c := v.Count()
		e := Entity{How: v.How, What: c.What, Name: c.Name, Of: c.Of, Host: c.Host, BeforeAt: v.Before.At, AfterAt: v.After.At}
		if v.Before.N != 0 || v.After.N != 0 {
			e.Count = Pair{v.Before.N, v.After.N}
		}
		if v.Before.Value != v.After.Value {
			e.Value = &Texts{v.Before.Value, v.After.Value}
		}
		if v.How == analyze.Grew || v.How == analyze.Shrank {
			e.PerHour = perHour(v)
		}
		d.Entities = append(d.Entities, e)
	}
}

// perHour is the rate of a change, 0 where the times do not say.
func perHour(v analyze.Deviation) float64 {
	span := v.After.T.Sub(v.Before.T)
	if !v.Before.Time.Known() || !v.After.Time.Known() || span < time.Minute {
		return 0
	}
	return float64(v.After.N-v.Before.N) / span.Hours()
}

// gaps lists the sorts that only one census shows.
func (d *Diff) gaps(before, after []analyze.Count) {
	sorts := func(list []analyze.Count) []string {
		var out []string
		for _, c := range list {
			out = append(out, c.What)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	a, b := sorts(before), sorts(after)
	for _, what := range a {
		if !slices.Contains(b, what) {
			d.NotCompared = append(d.NotCompared, Gap{what, "before"})
		}
	}
	for _, what := range b {
		if !slices.Contains(a, what) {
			d.NotCompared = append(d.NotCompared, Gap{what, "after"})
		}
	}
	slices.SortFunc(d.NotCompared, func(x, y Gap) int { return cmp.Or(cmp.Compare(x.What, y.What), cmp.Compare(x.Only, y.Only)) })
}
