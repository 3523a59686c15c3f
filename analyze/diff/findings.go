package diff

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// findings pairs the findings of both results and notes how they differ.
func (d *Diff) findings(before, after *analyze.Result, t analyze.Tolerance) {
	partner := pair(before.Findings, after.Findings)
	gone := map[*analyze.Finding]bool{}
	for _, f := range before.Findings {
		gone[f] = true
	}
	for _, f := range after.Findings {
		old := partner[f]
		if old == nil {
			d.Findings = append(d.Findings, finding(New, f, unjudged(before, f.Rule), "", f.ID))
			continue
		}
		delete(gone, old)
		if list := changes(old, f, t); len(list) > 0 {
			out := finding(Changed, f, "", old.ID, f.ID)
			out.Changes = list
			d.Findings = append(d.Findings, out)
			continue
		}
		d.Same++
	}
	for _, f := range before.Findings {
		if gone[f] {
			d.Findings = append(d.Findings, finding(Gone, f, unjudged(after, f.Rule), f.ID, ""))
		}
	}
}

func finding(how string, f *analyze.Finding, unjudged, before, after string) Finding {
	out := Finding{
		How: how, Rule: f.Rule, Subject: f.Subject, Title: f.Title, Severity: f.Severity,
		BeforeID: before, AfterID: after, Unjudged: unjudged,
	}
	if len(f.Evidence) > 0 {
		out.Evidence = f.Evidence[0].Ref
	}
	return out
}

// unjudged is why a rule could not judge a bundle, "" if it could.
func unjudged(r *analyze.Result, rule string) string {
	for _, st := range r.Rules {
		if st.ID == rule {
			if st.Status == analyze.RuleSkipped || st.Status == analyze.RuleFailed {
				return st.Why
			}
			return ""
		}
	}
	return "the rule was not part of the run"
}

// pair finds for each later finding the earlier one about the same thing: the same
// ID, else a finding of the same rule about entities of the same names, else one
// whose subject is the same but for numbers.
func pair(before, after []*analyze.Finding) map[*analyze.Finding]*analyze.Finding {
	out := map[*analyze.Finding]*analyze.Finding{}
	used := map[*analyze.Finding]bool{}
	for _, same := range []func(*analyze.Finding) string{
		func(f *analyze.Finding) string { return f.ID },
		names,
		func(f *analyze.Finding) string { return f.Rule + "\x00" + mask(f.Subject) },
	} {
		waiting := map[string][]*analyze.Finding{}
		for _, f := range before {
			if k := same(f); k != "" && !used[f] {
				waiting[k] = append(waiting[k], f)
			}
		}
		for _, f := range after {
			k := same(f)
			if list := waiting[k]; out[f] == nil && k != "" && len(list) > 0 {
				out[f], used[list[0]] = list[0], true
				waiting[k] = list[1:]
			}
		}
	}
	return out
}

// lasting are the kinds of entities whose name or key outlives a restart.
var lasting = map[string]bool{"host": true, "process": true, "endpoint": true, "port": true, "site": true, "unit": true, "file": true}

// names is the rule and the lasting names of what a finding is about, "" if it has
// none.
func names(f *analyze.Finding) string {
	var out []string
	for _, e := range f.Entities {
		if !lasting[e.Kind] {
			continue
		}
		name := e.Name
		if name == "" && e.Kind != "process" {
			name = e.Key
		}
		if name != "" {
			out = append(out, e.Kind+" "+name)
		}
	}
	if len(out) == 0 {
		return ""
	}
	slices.Sort(out)
	return f.Rule + "\x00" + strings.Join(slices.Compact(out), "\x00")
}

// numbers are decimal and hexadecimal ones; addresses in memory are such.
var numbers = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?`)

func mask(s string) string { return numbers.ReplaceAllString(s, "#") }

// changes lists how a finding differs from its earlier one.
func changes(old, f *analyze.Finding, t analyze.Tolerance) []Change {
	var out []Change
	add := func(what, before, after string) {
		if before != after {
			out = append(out, Change{what, before, after})
		}
	}
	add("severity", old.Severity.String(), f.Severity.String())
	add("confidence", old.Confidence.String(), f.Confidence.String())
	add("role", old.Role.String(), f.Role.String())
	return append(out, figures(old, f, t)...)
}

// figures are the counts in two titles that say the same but for their numbers,
// where they differ by more than the tolerance. A number that stands in the subject
// or in an entity is an identity and no count.
func figures(old, f *analyze.Finding, t analyze.Tolerance) []Change {
	if mask(old.Title) != mask(f.Title) {
		return nil
	}
	a, b := numbers.FindAllString(old.Title, -1), numbers.FindAllString(f.Title, -1)
	var out []Change
	for i := range a {
		x, err1 := strconv.ParseFloat(a[i], 64)
		y, err2 := strconv.ParseFloat(b[i], 64)
		if err1 != nil || err2 != nil || identity(old, a[i]) || identity(f, b[i]) {
			continue
		}
		if low, high := min(x, y), max(x, y); high-low >= float64(t.Least) && high >= t.Factor*math.Max(low, 1) {
			out = append(out, Change{"count", a[i], b[i]})
		}
	}
	return out
}

func identity(f *analyze.Finding, number string) bool {
	in := func(s string) bool { return slices.Contains(numbers.FindAllString(s, -1), number) }
	return in(f.Subject) || slices.ContainsFunc(f.Entities, func(e analyze.Entity) bool { return in(e.Key) || in(e.Name) })
}

// worse reports whether a finding that both results have is worse now: a higher
// severity.
func (f *Finding) worse() bool {
	for _, c := range f.Changes {
		if c.What != "severity" {
			continue
		}
		var a, b analyze.Severity
		return a.UnmarshalText([]byte(c.Before)) == nil && b.UnmarshalText([]byte(c.After)) == nil && b > a
	}
	return false
}
