package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/celrule"
	"github.com/culprit-dev/culprit/parsers"
)

func TestRule(t *testing.T) {
	analyzetest.Rule(t, "testdata", "acme/disk-full", parsers.All(), []*analyze.Rule{DiskFullRule()})
}

// The rules of the folder rules are for people without a compiler, who run their
// cases with `analyze rules test`; here they are Go tests.
func TestRulesInYAML(t *testing.T) {
	own, err := celrule.Load(os.DirFS("rules"), celrule.Options{Folder: "rules"})
	require.NoError(t, err)
	require.NotEmpty(t, own)
	for _, r := range own {
		analyzetest.Rule(t, filepath.Join("rules", "testdata", filepath.FromSlash(r.ID)), r.ID, parsers.All(), own)
	}
	text, err := os.ReadFile(filepath.Join("rules", celrule.OverridesFile))
	require.NoError(t, err)
	tuning, err := celrule.ParseOverrides(celrule.OverridesFile, text)
	require.NoError(t, err)
	assert.NotEmpty(t, tuning.Thresholds)
	assert.Len(t, tuning.Overrides, 2)
}

func TestRun(t *testing.T) {
	log := "2026-11-21T08:31:00.100Z ERROR write wal: no space left on device\n2026-11-21T08:31:01.100Z ERROR write wal: no space left on device\n"
	file := filepath.Join(t.TempDir(), "orders.log")
	require.NoError(t, os.WriteFile(file, []byte(log), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{file}))
	assert.Contains(t, out.String(), "no space left on device, 2 times", "the program lowers the threshold to two")
	assert.Error(t, run(t.Context(), &out, nil))
}
