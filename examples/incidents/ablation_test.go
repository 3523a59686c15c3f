package incidents_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

// known is a bundle whose truth is known: the examples, and the open cases where
// the workplace has them beside the repository.
type known struct {
	name, path string
	healthy    bool
	rules      []string // that may stand first
	never      []string // what no root cause may be about
}

func knownBundles(t *testing.T) []known {
	t.Helper()
	var out []known
	for _, in := range incidents() {
		out = append(out, known{name: in.dir, path: filepath.Join(in.dir, "bundle.tar.gz"), rules: in.rules, never: in.never})
	}
	fixed, err := filepath.Glob("*/fixed.tar.gz")
	require.NoError(t, err)
	for _, path := range fixed {
		out = append(out, known{name: filepath.Dir(path) + "-fixed", path: path, healthy: true})
	}
	if testing.Short() {
		return out
	}
	open, err := filepath.Glob("../../../shared/cases/*.truth.json")
	require.NoError(t, err)
	for _, path := range open {
		out = append(out, truth(t, path))
	}
	return out
}

// innocents are the numbers and addresses in what must not be blamed.
var innocents = regexp.MustCompile(`\d[\d.]*(?::\d+)?`)

// truth reads the truth of an open case; one of several parts counts as one.
func truth(t *testing.T, path string) known {
	t.Helper()
	type part struct {
		Healthy bool     `json:"healthy"`
		Rules   []string `json:"rules"`
		Mention []string `json:"must_mention"`
		Blame   []string `json:"must_not_blame"`
	}
	var all struct {
		part
		AllOf []part `json:"all_of"`
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	name := strings.TrimSuffix(filepath.Base(path), ".truth.json")
	k := known{name: "open/" + name, path: strings.TrimSuffix(path, ".truth.json") + ".tar.gz", healthy: all.Healthy}
	for _, p := range append(all.AllOf, all.part) {
		k.rules = append(k.rules, p.Rules...)
		for _, b := range p.Blame {
			for _, n := range innocents.FindAllString(b, -1) {
				if !slices.ContainsFunc(p.Mention, func(m string) bool { return word(m, n) }) {
					k.never = append(k.never, strings.TrimRight(n, ".:"))
				}
			}
		}
	}
	return k
}

// word reports whether a text has a number or an address as a whole word.
func word(text, w string) bool {
	return regexp.MustCompile(`(^|[^0-9A-Za-z.])` + regexp.QuoteMeta(w) + `($|[^0-9A-Za-z])`).MatchString(text)
}

// TestWithoutOneArtifact removes one artifact after the other from each known
// bundle: the verdict may weaken and must not become wrong, and what would make it
// as strong again stands under "what to collect next".
func TestWithoutOneArtifact(t *testing.T) {
	for _, k := range knownBundles(t) {
		t.Run(k.name, func(t *testing.T) {
			b, full := k.open(t)
			for i, lost := range b.Inputs {
				t.Run(lost.Path, func(t *testing.T) {
					kept := slices.Concat(b.Inputs[:i:i], b.Inputs[i+1:])
					res := analyzed(t, b, kept)
					k.notWrong(t, full, res)
					if weaker(full, res) {
						asksFor(t, res, full, lost.Path)
					}
				})
			}
		})
	}
}

// TestWithoutHalf removes half of the artifacts at a time: every other one, and
// the first or second half by name.
func TestWithoutHalf(t *testing.T) {
	for _, k := range knownBundles(t) {
		t.Run(k.name, func(t *testing.T) {
			b, full := k.open(t)
			n := len(b.Inputs)
			for name, keep := range map[string]func(i int) bool{
				"even": func(i int) bool { return i%2 == 0 }, "odd": func(i int) bool { return i%2 == 1 },
				"first": func(i int) bool { return i < n/2 }, "second": func(i int) bool { return i >= n/2 },
			} {
				t.Run(name, func(t *testing.T) {
					var kept []*analyze.Input
					for i, in := range b.Inputs {
						if keep(i) {
							kept = append(kept, in)
						}
					}
					k.notWrong(t, full, analyzed(t, b, kept))
				})
			}
		})
	}
}

func (k known) open(t *testing.T) (*bundle.Bundle, *analyze.Result) {
	t.Helper()
	b, err := bundle.Open(t.Context(), []string{k.path}, bundle.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	slices.SortFunc(b.Inputs, func(x, y *analyze.Input) int { return strings.Compare(x.Path, y.Path) })
	return b, analyzed(t, b, b.Inputs)
}

func analyzed(t *testing.T, b *bundle.Bundle, inputs []*analyze.Input) *analyze.Result {
	t.Helper()
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{
		Parsers: parsers.All(), Rules: rules.All(), Manifest: b.Manifest, Bundle: analyze.Bundle{Name: b.Name},
	})
	require.NoError(t, err)
	return res
}

// notWrong demands that each root cause is one that may stand first, or part of the
// whole bundle's story, and is not about an innocent; a healthy system stays so.
func (k known) notWrong(t *testing.T, full, res *analyze.Result) {
	t.Helper()
	if k.healthy {
		assert.Contains(t, []analyze.Status{analyze.StatusClean, analyze.StatusInsufficient}, res.Verdict.Status, res.Verdict.Summary)
		return
	}
	told := slices.Clone(k.rules)
	for _, f := range full.Findings {
		if f.Role == analyze.Symptom || f.Role == analyze.RootCause {
			told = append(told, f.Rule)
		}
	}
	for _, id := range res.Verdict.RootCauses {
		f := res.Finding(id)
		assert.Contains(t, told, f.Rule, "a root cause that is no part of the story: %s", f.Title)
		for _, n := range k.never {
			assert.False(t, word(f.Subject, n), "blames %s: %s", n, f.Title)
		}
	}
}

// weaker reports whether the first verdict is another one, or less sure.
func weaker(full, res *analyze.Result) bool {
	if len(full.Verdict.RootCauses) == 0 {
		return false
	}
	if len(res.Verdict.RootCauses) < len(full.Verdict.RootCauses) {
		return true
	}
	was, is := full.Finding(full.Verdict.RootCauses[0]), res.Finding(res.Verdict.RootCauses[0])
	return is.Rule != was.Rule || is.Confidence < was.Confidence
}

// collectedBy are words of the commands that collect what a parser reads.
var collectedBy = map[string]string{
	"pcap": "tcpdump", "sockets": "ss -", "goroutine": "debug/pprof/goroutine", "auditd": "audit.log", "ps": "ps ", "applog": "log",
	"gdb": "gdb", "strace": "strace", "kernlog": "dmesg", "inventory": "inventory", "source": "source", "lsof": "lsof",
	"netstats": "nstat", "limits": "limits", "hostinfo": "date", "metrics": "metrics",
}

// asksFor demands that the report tells how to collect what was lost.
func asksFor(t *testing.T, res, full *analyze.Result, path string) {
	t.Helper()
	i := slices.IndexFunc(full.Artifacts, func(a analyze.ArtifactStatus) bool { return a.Path == path })
	require.GreaterOrEqual(t, i, 0)
	want, ok := collectedBy[full.Artifacts[i].Parser]
	require.True(t, ok, "no command is known for what %q reads", full.Artifacts[i].Parser)
	var b bytes.Buffer
	enc, ok := report.ByName("md")
	require.True(t, ok)
	require.NoError(t, enc.Encode(&b, res, report.Options{}))
	_, next, _ := strings.Cut(b.String(), "## What to collect next")
	next, _, _ = strings.Cut(next, "\n## ")
	assert.Contains(t, next, want, "without %s the verdict is weaker (%s), and the report does not ask for it", path, res.Verdict.Summary)
}
