package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// kinds are all kinds of facts that a rule reads.
func (r *Rule) kinds() []fact.Kind { return slices.Concat(r.Needs, r.AnyOf, r.Wants) }

// missing are the kinds of facts without which a rule cannot run.
func (s *runState) missing(r *Rule) []fact.Kind {
	out := slices.DeleteFunc(slices.Clone(r.Needs), func(k fact.Kind) bool { return s.store.Count(k) > 0 })
	if !slices.ContainsFunc(r.AnyOf, func(k fact.Kind) bool { return s.store.Count(k) > 0 }) {
		out = append(out, r.AnyOf...)
	}
	return out
}

// lacks says which inputs a rule misses, and how to collect them.
func (s *runState) lacks(r *Rule) (why string, next []string) {
	var missing []string
	for _, k := range r.Needs {
		if s.store.Count(k) == 0 {
			missing = append(missing, kindWords(k))
			next = append(next, collect(r, k))
		}
	}
	if len(r.AnyOf) > 0 && !slices.ContainsFunc(r.AnyOf, func(k fact.Kind) bool { return s.store.Count(k) > 0 }) {
		var oneOf []string
		for _, k := range r.AnyOf {
			oneOf = append(oneOf, kindWords(k))
			next = append(next, collect(r, k))
		}
		missing = append(missing, strings.Join(oneOf, " or "))
	}
	if len(missing) == 0 {
		return "", nil
	}
	slices.Sort(next)
	next = slices.DeleteFunc(slices.Compact(next), func(s string) bool { return s == "" })
	return "the bundle has no " + strings.Join(missing, ", no "), next
}

// examined says what a rule looked through that found nothing and noted nothing:
// no fact came near enough for a comparison.
func (s *runState) examined(r *Rule) string {
	var read []string
	for _, k := range slices.Concat(r.Needs, r.AnyOf, r.Wants) {
		if n := s.store.Count(k); n > 0 {
			read = append(read, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(k), "_", " ")))
		}
	}
	note := "no candidate among " + strings.Join(read, ", ")
	var limits []string
	for _, t := range r.Thresholds {
		v, ok := s.thresholds[r.ID+"."+t.Name]
		if !ok {
			v = t.Default
		}
		limits = append(limits, strings.TrimRight(fmt.Sprintf("%s %g %s", t.Name, v, t.Unit), " "))
	}
	if len(limits) > 0 {
		note += "; thresholds: " + strings.Join(limits, ", ")
	}
	return note
}
