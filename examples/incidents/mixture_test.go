package incidents_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
)

// TestTwoIncidents reads each two examples as one bundle of two hosts, in a folder
// each. Both culprits must be named, each with its host's artifacts, and nobody
// else: nothing may be joined across the two by pids or loopback addresses.
func TestTwoIncidents(t *testing.T) {
	all := incidents()
	for i, a := range all {
		for _, b := range all[i+1:] {
			t.Run(a.dir+"+"+b.dir, func(t *testing.T) {
				res := together(t, filepath.Join(a.dir, "bundle.tar.gz"), filepath.Join(b.dir, "bundle.tar.gz"))
				require.Len(t, res.Verdict.RootCauses, 2, res.Verdict.Summary)
				for host, in := range map[string]incident{"host-a": a, "host-b": b} {
					i := slices.IndexFunc(res.Verdict.RootCauses, func(id string) bool {
						f := res.Finding(id)
						return slices.Contains(in.rules, f.Rule) && folder(f.Evidence[0].Artifact) == host
					})
					if !assert.GreaterOrEqual(t, i, 0, "nothing names the culprit of %s: %s", in.dir, res.Verdict.Summary) {
						continue
					}
					lead := res.Finding(res.Verdict.RootCauses[i])
					for _, w := range in.says {
						assert.Contains(t, story(res, lead), w)
					}
					for _, e := range slices.Concat(lead.Evidence, lead.Against) {
						assert.Equal(t, host, folder(e.Artifact), "evidence of another host for %s", lead.Title)
					}
				}
			})
		}
	}
}

// TestIncidentAndHealthy reads each example beside a healthy system: the verdict
// must be that of the example alone.
func TestIncidentAndHealthy(t *testing.T) {
	fixed, err := filepath.Glob("*/fixed.tar.gz")
	require.NoError(t, err)
	for _, in := range incidents() {
		for _, well := range fixed {
			if filepath.Dir(well) == in.dir {
				continue // the same system before and after the fix is no second host
			}
			t.Run(in.dir+"+"+filepath.Dir(well), func(t *testing.T) {
				check(t, together(t, filepath.Join(in.dir, "bundle.tar.gz"), well), in.rules, in.says, in.never)
			})
		}
	}
}

// folder is the first element of an artifact's path.
func folder(id fact.ID) string {
	first, _, _ := strings.Cut(string(id), "/")
	return first
}

// together analyses bundles as the folders host-a, host-b of one.
func together(t *testing.T, paths ...string) *analyze.Result {
	t.Helper()
	var inputs []*analyze.Input
	for i, path := range paths {
		b, err := bundle.Open(t.Context(), []string{path}, bundle.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, b.Close()) })
		for _, in := range b.Inputs {
			moved := *in
			moved.Path = "host-" + string(rune('a'+i)) + "/" + in.Path
			inputs = append(inputs, &moved)
		}
	}
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{Parsers: parsers.All(), Rules: rules.All()})
	require.NoError(t, err)
	return res
}
