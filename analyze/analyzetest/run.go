package analyzetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/census"
)

// Rules runs every rule over the bundles in its folder below root, as subtests
// named after the rule and the bundle. A rule's folder is its ID.
func Rules(t *testing.T, root string, parsers []*analyze.Parser, rules []*analyze.Rule) {
	for _, r := range rules {
		t.Run(r.ID, func(t *testing.T) {
			t.Parallel()
			Rule(t, filepath.Join(root, filepath.FromSlash(r.ID), "testdata"), r.ID, parsers, rules)
		})
	}
}

// Rule runs one rule, by its ID, over the bundles in dir, together with all other
// rules. There must be at least one bundle on which it fires and one on which it
// stays quiet.
func Rule(t *testing.T, dir, id string, parsers []*analyze.Parser, rules []*analyze.Rule) {
	for _, kind := range []string{"fires", "quiet"} {
		files, err := filepath.Glob(filepath.Join(dir, kind+"*.txtar"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no %s*.txtar", dir, kind)
		}
		for _, file := range files {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				one(t, file, id, kind == "fires", parsers, rules)
			})
		}
	}
}

func one(t *testing.T, file, id string, fires bool, parsers []*analyze.Parser, rules []*analyze.Rule) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if fires != (len(b.Want) > 0) {
		t.Fatalf("%s: fires* must want a finding, quiet* must want clean or skipped", file)
	}
	res, err := b.Run(t.Context(), analyze.Config{Parsers: parsers, Rules: rules, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range b.Check(id, res) {
		t.Error(problem)
	}
}

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

// Check compares what a rule found with what the bundle wants; each problem is
// one sentence.
func (b *Bundle) Check(id string, res *analyze.Result) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	i := slices.IndexFunc(res.Rules, func(s analyze.RuleStatus) bool { return s.ID == id })
	if i < 0 {
		return []string{fmt.Sprintf("rule %s is not configured", id)}
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
		i := slices.IndexFunc(found, func(f *analyze.Finding) bool { return strings.Contains(f.Subject, w.Subject) })
		if i < 0 {
			bad("no finding about %q; the rule is %s", w.Subject, got)
			continue
		}
		for _, p := range w.check(found[i], res) {
			bad("%s: %s", found[i].Subject, p)
		}
		found = slices.Delete(found, i, i+1)
	}
	for _, f := range found {
		bad("unwanted finding about %q: %s", f.Subject, f.Title)
	}
	return problems
}

func (w Want) check(f *analyze.Finding, res *analyze.Result) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	same := func(what, want string, got fmt.Stringer) {
		if want != "" && want != got.String() {
			bad("%s is %s, want %s", what, got, want)
		}
	}
	same("severity", w.Severity, f.Severity)
	same("confidence", w.Confidence, f.Confidence)
	same("role", w.Role, f.Role)
	text := Said(f)
	low := strings.ToLower(text)
	for _, s := range w.Says {
		if !strings.Contains(low, strings.ToLower(s)) {
			bad("does not say %q:\n%s", s, text)
		}
	}
	for _, s := range w.Silent {
		if strings.Contains(low, strings.ToLower(s)) {
			bad("says %q:\n%s", s, text)
		}
	}
	for _, c := range w.Cites {
		if !cited(f.Evidence, c) {
			bad("no evidence at %s, only %v", c, refs(f.Evidence))
		}
	}
	for _, c := range w.Against {
		if !cited(f.Against, c) {
			bad("nothing against it at %s, only %v", c, refs(f.Against))
		}
	}
	for _, rule := range w.Causes {
		if !slices.ContainsFunc(f.Causes, func(id string) bool { c := res.Finding(id); return c != nil && c.Rule == rule }) {
			bad("no cause of rule %s, only %v", rule, f.Causes)
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
