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
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
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
// bundle: the verdict may weaken and must not become wrong, and what was lost stands
// under "what to collect next", unless another artifact of its kind is left.
func TestWithoutOneArtifact(t *testing.T) {
	for _, k := range knownBundles(t) {
		t.Run(k.name, func(t *testing.T) {
			b, full := k.open(t)
			read, err := analyze.Read(t.Context(), b.Inputs, analyze.Config{Parsers: parsers.All(), Manifest: b.Manifest})
			require.NoError(t, err)
			all := read.Store.View("test").Artifacts()
			for i, lost := range b.Inputs {
				t.Run(lost.Path, func(t *testing.T) {
					kept := slices.Concat(b.Inputs[:i:i], b.Inputs[i+1:])
					res := analyzed(t, b, kept)
					k.notWrong(t, full, res)
					if parser := onlyOne(all, lost.Path); parser != "" && concerned(full, lost.Path) {
						asksFor(t, res, parser)
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
		Parsers: parsers.All(), Rules: rules.All(), Manifest: b.Manifest, Bundle: analyze.Bundle{Name: b.Name}, Hosts: join.HostOf,
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
	cited := map[fact.Ref]bool{}
	for _, f := range full.Findings {
		if f.Role == analyze.Symptom || f.Role == analyze.RootCause {
			told = append(told, f.Rule)
			for _, e := range f.Evidence {
				cited[e.Ref] = true
			}
		}
	}
	for _, id := range res.Verdict.RootCauses {
		f := res.Finding(id)
		// What the whole story only cites, such as a program's last words, may be all
		// that is left of it.
		if !cited[f.Evidence[0].Ref] {
			assert.Contains(t, told, f.Rule, "a root cause that is no part of the story: %s", f.Title)
		}
		for _, n := range k.never {
			assert.False(t, word(f.Subject, n), "blames %s: %s", n, f.Title)
		}
	}
}

// collectedBy are words of the commands that collect what a parser reads.
var collectedBy = map[string]string{
	"pcap": "tcpdump", "sockets": "ss -", "goroutine": `debug/pprof/goroutine\?debug=2`, "auditd": "audit.log", "ps": "ps ", "applog": "journalctl -u",
	"gdb": "gdb", "strace": "strace", "kernlog": "dmesg", "inventory": "INVENTORY", "source": "SOURCE", "lsof": "lsof",
	"netstats": "nstat", "limits": "limits|sysctl", "hostinfo": "date", "metrics": "metrics",
}

// onlyOne is the parser of an artifact if no other one of its host is of its kind.
func onlyOne(all []fact.Artifact, path string) string {
	i := slices.IndexFunc(all, func(a fact.Artifact) bool { return a.ID == fact.ID(path) })
	if i < 0 || !slices.Contains(all[i].Kinds, all[i].Main) {
		return ""
	}
	lost := all[i]
	for _, a := range all {
		if a.ID != lost.ID && hostOf(string(a.ID)) == hostOf(path) && slices.Contains(a.Kinds, lost.Main) {
			return ""
		}
	}
	return lost.Parser
}

// concerned reports whether a root cause cites the host that an artifact is of: nothing
// is missed on a host where nothing is wrong.
func concerned(full *analyze.Result, path string) bool {
	return slices.ContainsFunc(full.Verdict.RootCauses, func(id string) bool {
		return slices.ContainsFunc(full.Finding(id).Evidence, func(e analyze.Evidence) bool { return hostOf(string(e.Artifact)) == hostOf(path) })
	})
}

// hostOf is the host's folder in the mixtures, which keep one for each.
func hostOf(path string) string {
	host, _, ok := strings.Cut(path, "/")
	if !ok || !strings.HasPrefix(host, "host-") {
		return ""
	}
	return host
}

// asksFor demands that the report tells how to collect what a parser reads.
func asksFor(t *testing.T, res *analyze.Result, parser string) {
	t.Helper()
	want, ok := collectedBy[parser]
	require.True(t, ok, "no command is known for what %q reads", parser)
	var b bytes.Buffer
	enc, ok := report.ByName("md")
	require.True(t, ok)
	require.NoError(t, enc.Encode(&b, res, report.Options{}))
	_, next, _ := strings.Cut(b.String(), "## What to collect next")
	next, _, _ = strings.Cut(next, "\n## ")
	assert.Regexp(t, want, next, "the report does not ask for what %s reads (%s)", parser, res.Verdict.Summary)
}
