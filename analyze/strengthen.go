package analyze

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// strengthen tells each finding that leads a story and is not confirmed what the
// bundle lacks that could have made it surer: what its own rule reads if present,
// and what rules need that are tied to it by a mechanism, for they would have
// shown its cause or its effect.
func (s *runState) strengthen(all []*Finding, rules []*Rule) {
	for _, f := range all {
		i := slices.IndexFunc(rules, func(r *Rule) bool { return r.ID == f.Rule })
		if i < 0 || len(f.Causes) > 0 || f.Severity < Medium || f.Confidence >= Confirmed {
			continue
		}
		s.want(f, rules[i], rules[i].Wants)
		for _, r := range neighbours(rules[i], rules) {
			s.want(f, r, slices.Concat(r.Needs, r.AnyOf))
		}
	}
}

// records are kinds that can lift a finding: independent records of the same
// moment, rather than settings or words about the host.
var records = []fact.Kind{
	"socket", "process", "flow", "goroutine", "audit_event", "log_event", "kernel_event", "expected", "source_call",
}

// want adds the commands that collect those of a rule's kinds that the bundle
// lacks, unless the finding asks for the tool already.
func (s *runState) want(f *Finding, r *Rule, kinds []fact.Kind) {
	for _, k := range kinds {
		if s.store.Count(k) > 0 || !slices.Contains(records, k) {
			continue
		}
		c := collect(r, k)
		asked := slices.ContainsFunc(f.Next, func(have string) bool { return tool(have) == tool(c) })
		if c != "" && !asked {
			f.Next = append(f.Next, c)
		}
	}
}

// tool is the program that a command runs.
func tool(command string) string {
	words := strings.Fields(command)
	if len(words) > 2 && words[0] == "timeout" {
		words = words[2:]
	}
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// neighbours are the rules that may explain what a rule finds, those whose
// findings it explains, and those that a composite joins with it, by their IDs.
func neighbours(r *Rule, rules []*Rule) []*Rule {
	var ids []string
	for _, m := range r.ExplainedBy {
		ids = append(ids, m.Rule)
	}
	for _, o := range rules {
		if slices.ContainsFunc(o.ExplainedBy, func(m Mechanism) bool { return m.Rule == r.ID }) {
			ids = append(ids, o.ID)
		}
		if slices.Contains(o.After, r.ID) {
			ids = append(ids, o.After...)
		}
	}
	out := slices.DeleteFunc(slices.Clone(rules), func(o *Rule) bool { return o == r || !slices.Contains(ids, o.ID) })
	slices.SortFunc(out, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}
