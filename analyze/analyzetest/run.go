// Package analyzetest runs the cases of rules (package rulecase) as Go tests.
package analyzetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/rulecase"
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
	b, err := rulecase.Parse(text)
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
		t.Errorf("%s:%d: %s", file, problem.Line, problem.Msg)
	}
}

// Input is an input with the given content.
func Input(path string, content []byte) *analyze.Input { return rulecase.Input(path, content) }

// CompileCapture makes a capture of its notation; see package rulecase.
func CompileCapture(text []byte) ([]byte, error) { return rulecase.CompileCapture(text) }
