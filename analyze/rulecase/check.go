package rulecase

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/census"
)

// Run analyses the bundle, against its baseline if it has one.
func (b *Bundle) Run(ctx context.Context, cfg analyze.Config) (*analyze.Result, error) {
	if len(b.Baseline) > 0 {
		base, err := census.Baseline(ctx, analyze.Inputs(b.Baseline, nil), analyze.Config{Parsers: cfg.Parsers, Jobs: cfg.Jobs})
		if err != nil {
			return nil, err
		}
		cfg.Baseline, cfg.Census = base, census.Of
	}
	return analyze.Run(ctx, b.Inputs, cfg)
}

// Problem is one way in which a rule did not do what a bundle wants.
type Problem struct {
	// Line is where the bundle's text says what is wanted, or where that begins.
	Line int
	Msg  string
}

// Check compares what a rule found with what the bundle wants.
func (b *Bundle) Check(id string, res *analyze.Result) []Problem {
	var problems []Problem
	at := b.line
	bad := func(format string, args ...any) {
		problems = append(problems, Problem{at, fmt.Sprintf(format, args...)})
	}
	i := slices.IndexFunc(res.Rules, func(s analyze.RuleStatus) bool { return s.ID == id })
	if i < 0 {
		bad("rule %s is not configured", id)
		return problems
	}
	status := res.Rules[i]
	got := fmt.Sprintf("%s %s (notes: %s)", status.Status, status.Why, strings.Join(status.Notes, "; "))
	if status.Status == analyze.RuleFailed {
		bad("the rule failed: %s", status.Why)
	}
	for _, a := range res.Artifacts {
		if a.Status == analyze.ArtifactFailed || a.Status == analyze.ArtifactUnclaimed {
			bad("artifact %s is %s: %s", a.Path, a.Status, strings.Join(a.Issues, "; "))
		}
	}
	if b.Outcome != "" && (status.Status != b.Outcome || !strings.Contains(status.Why, b.Reason)) {
		bad("want %s %s, got %s", b.Outcome, b.Reason, got)
	}
	var found []*analyze.Finding
	for _, f := range res.Findings {
		if f.Rule == id {
			found = append(found, f)
		}
	}
	for _, w := range b.Want {
		at = w.line
		i := slices.IndexFunc(found, func(f *analyze.Finding) bool { return strings.Contains(f.Subject, w.Subject) })
		if i < 0 {
			bad("no finding about %q; the rule is %s", w.Subject, got)
			continue
		}
		for _, p := range w.check(found[i], res) {
			at = p.Line
			bad("%s: %s", found[i].Subject, p.Msg)
		}
		found = slices.Delete(found, i, i+1)
	}
	at = b.line
	for _, f := range found {
		bad("unwanted finding about %q: %s", f.Subject, f.Title)
	}
	return problems
}

func (w Want) check(f *analyze.Finding, res *analyze.Result) []Problem {
	var out []Problem
	bad := func(word, value, format string, args ...any) {
		out = append(out, Problem{w.lines[word+" "+value], fmt.Sprintf(format, args...)})
	}
	same := func(what, want string, got fmt.Stringer) {
		if want != "" && want != got.String() {
			bad(what, want, "%s is %s, want %s", what, got, want)
		}
	}
	same("severity", w.Severity, f.Severity)
	same("confidence", w.Confidence, f.Confidence)
	same("role", w.Role, f.Role)
	text := Said(f)
	low := strings.ToLower(text)
	for _, s := range w.Says {
		if !strings.Contains(low, strings.ToLower(s)) {
			bad("says", s, "does not say %q:\n%s", s, text)
		}
	}
	for _, s := range w.Silent {
		if strings.Contains(low, strings.ToLower(s)) {
			bad("silent", s, "says %q:\n%s", s, text)
		}
	}
	for _, c := range w.Cites {
		if !cited(f.Evidence, c) {
			bad("cites", c, "no evidence at %s, only %v", c, refs(f.Evidence))
		}
	}
	for _, c := range w.Against {
		if !cited(f.Against, c) {
			bad("against", c, "nothing against it at %s, only %v", c, refs(f.Against))
		}
	}
	for _, rule := range w.Causes {
		if !slices.ContainsFunc(f.Causes, func(id string) bool { c := res.Finding(id); return c != nil && c.Rule == rule }) {
			bad("cause", rule, "no cause of rule %s, only %v", rule, f.Causes)
		}
	}
	return out
}

// Said is everything a finding says.
func Said(f *analyze.Finding) string {
	parts := []string{f.Subject, f.Title, f.Detail, f.Fix}
	for _, e := range slices.Concat(f.Evidence, f.Against) {
		parts = append(parts, e.Note, e.Excerpt)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}

func cited(list []analyze.Evidence, where string) bool {
	return slices.ContainsFunc(list, func(e analyze.Evidence) bool {
		return e.Ref.String() == where || string(e.Artifact) == where
	})
}

func refs(list []analyze.Evidence) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Ref.String())
	}
	return out
}
