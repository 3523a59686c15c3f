package analyze

import (
	"maps"
	"slices"
	"strconv"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// texts visits every string of a result that can hold text of an artifact, in a
// fixed order.
func (r *Result) texts(visit func(*string)) {
	id := func(a *fact.ID) {
		s := string(*a)
		visit(&s)
		*a = fact.ID(s)
	}
	all := func(list []string) {
		for i := range list {
			visit(&list[i])
		}
	}
	r.Bundle.texts(visit)
	if r.Baseline != nil {
		own := *r.Baseline // shared with the configuration
		r.Baseline = &own
		r.Baseline.texts(visit)
	}
	for _, f := range r.Findings {
		f.texts(visit, id, all)
	}
	visit(&r.Verdict.Summary)
	for i := range r.Timeline {
		id(&r.Timeline[i].Source.Artifact)
		visit(&r.Timeline[i].Text)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Entities)) {
		for i := range r.Entities[kind] {
			visitAll(visit, &r.Entities[kind][i].Key, &r.Entities[kind][i].Name)
		}
	}
	for i := range r.Artifacts {
		visit(&r.Artifacts[i].Path)
		all(r.Artifacts[i].Issues)
	}
	for i := range r.Rules {
		visit(&r.Rules[i].Why)
		r.Rules[i].Next = slices.Clone(r.Rules[i].Next) // shared with the rule
		all(r.Rules[i].Notes)
		all(r.Rules[i].Next)
	}
	for i := range r.Collect {
		c := &r.Collect[i]
		visitAll(visit, &c.Host, &c.What, &c.Command)
	}
	for i := range r.Overridden {
		o := &r.Overridden[i]
		visitAll(visit, &o.Subject, &o.Title, &o.Reason)
	}
	all(r.Limits)
	for i := range r.Census {
		c := &r.Census[i]
		visitAll(visit, &c.Name, &c.Of, &c.Host, &c.Value)
		id(&c.At.Artifact)
	}
}

func visitAll(visit func(*string), fields ...*string) {
	for _, f := range fields {
		visit(f)
	}
}

func (b *Bundle) texts(visit func(*string)) { visitAll(visit, &b.Name, &b.Summary) }

func (f *Finding) texts(visit func(*string), id func(*fact.ID), all func([]string)) {
	visitAll(visit, &f.Subject, &f.Title, &f.Detail, &f.Fix)
	f.Missing, f.Next = slices.Clone(f.Missing), slices.Clone(f.Next)
	all(f.Missing)
	all(f.Next)
	for _, cause := range slices.Sorted(maps.Keys(f.Because)) {
		why := f.Because[cause]
		visit(&why)
		f.Because[cause] = why
	}
	for _, list := range [][]Evidence{f.Evidence, f.Against} {
		for i := range list {
			id(&list[i].Artifact)
			visitAll(visit, &list[i].Note, &list[i].Excerpt)
		}
	}
	for i := range f.Entities {
		visitAll(visit, &f.Entities[i].Key, &f.Entities[i].Name)
	}
}

// redact replaces text in the whole result.
func (s *runState) redact(r *Result, with func(*Pass, []string) func(string) string) {
	var list []string
	r.texts(func(t *string) { list = append(list, *t) })
	replace := with(&Pass{Facts: s.store.View("redaction"), Manifest: s.manifest, rule: &Rule{ID: "redaction"}, run: s}, list)
	r.texts(func(t *string) { *t = replace(*t) })
	r.renew()
}

// renew makes the IDs of findings again after their subjects changed: the hash of
// the old subject would give away an address to whoever tries them all.
func (r *Result) renew() {
	renamed := map[string]string{}
	taken := map[string]bool{}
	for _, f := range r.Findings {
		next := findingID(f.Rule, f.Subject)
		for n := 2; taken[next]; n++ { // two subjects became one
			next = findingID(f.Rule, f.Subject+strconv.Itoa(n))
		}
		taken[next] = true
		renamed[f.ID], f.ID = next, next
	}
	rename := func(ids []string) {
		for i := range ids {
			ids[i] = renamed[ids[i]]
		}
	}
	rename(r.Verdict.RootCauses)
	for _, f := range r.Findings {
		rename(f.Causes)
		rename(f.Raised)
		because := make(map[string]string, len(f.Because))
		for id, why := range f.Because {
			because[renamed[id]] = why
		}
		if f.Because != nil {
			f.Because = because
		}
	}
	for i := range r.Timeline {
		r.Timeline[i].Finding = renamed[r.Timeline[i].Finding]
	}
	for i := range r.Overridden {
		o := &r.Overridden[i]
		if next, ok := renamed[o.Finding]; ok {
			o.Finding = next
		} else {
			o.Finding = findingID(o.Rule, o.Subject)
		}
	}
}
