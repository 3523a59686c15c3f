// Package incidents_test runs the program over the incident bundles of this folder
// and holds their reports to what really happened.
package incidents_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

//go:generate go test . -run ^TestIncidents$ -update

var (
	update    = flag.Bool("update", false, "write the beginnings of the reports into the READMEs")
	reproduce = flag.Bool("reproduce", false, "run the reproduce.sh scripts and analyse what they collect")
)

// incident is what really happened, and what the report must say of it.
type incident struct {
	dir string
	// rules may stand first.
	rules []string
	// says are words that the first story must contain.
	says []string
	// never are words that no root cause may have in its title or subject.
	never []string
	// fresh are words for the first story of a bundle that reproduce.sh just made.
	fresh []string
}

func incidents() []incident {
	return []incident{
		{
			dir: "lock-leak", rules: []string{"go/leaked-lock", "incident/stalled-consumer"},
			says:  []string{"0x3f57a702000", "3989", "quotepushd", "zero window"},
			never: []string{"3964", "4005", "4012", "cycle"},
			fresh: []string{"tickerd", "Publish"},
		},
		{
			dir: "socket-leak", rules: []string{"socket/established-leak"},
			says:  []string{"3286", "127.0.0.1:9527", "ESTAB"},
			never: []string{"CLOSE_WAIT", "TIME_WAIT", "3268 ", "3305"},
			fresh: []string{"ESTAB", "127.0.0.1:"},
		},
		{
			dir: "exec-maxbuffer", rules: []string{"process/exec-maxbuffer", "incident/signal-cascade"},
			says:  []string{"29986", "30000", "SIGTERM", "maxBuffer"},
			never: []string{"operator", "memory"},
			fresh: []string{"SIGTERM", "maxBuffer"},
		},
		{
			dir: "econnreset-unread", rules: []string{"tcp/abort"},
			says:  []string{"ECONNRESET", "127.0.0.1:8124", "RST"},
			never: []string{"1555", "refused", "idle"},
		},
		{
			dir: "hung-backend", rules: []string{"node/silent-service", "tcp/unanswered-request"},
			says:  []string{"4189", "6062", "chat-server-2"},
			never: []string{"4178", "6061"},
		},
		{
			dir: "stale-peers", rules: []string{"socket/unexpected-peer"},
			says:  []string{"10.40.0.27", "10.40.0.28"},
			never: []string{"10.40.0.11", "10.40.0.12", "10.40.0.13", "10.40.0.14", "10.40.0.101"},
		},
	}
}

func TestIncidents(t *testing.T) {
	for _, in := range incidents() {
		t.Run(in.dir, func(t *testing.T) {
			res := run(t, filepath.Join(in.dir, "bundle.tar.gz"))
			check(t, res, in.rules, in.says, in.never)
			readme(t, filepath.Join(in.dir, "README.md"), res)
		})
	}
}

// TestFixed reads bundles of the same systems with the fault corrected: as busy, as
// many connections, the same late tick. Nothing in them is worth a warning.
func TestFixed(t *testing.T) {
	all, err := filepath.Glob("*/fixed.tar.gz")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, path := range all {
		t.Run(filepath.Dir(path), func(t *testing.T) {
			clean(t, run(t, path))
		})
	}
}

func clean(t *testing.T, res *analyze.Result) {
	t.Helper()
	assert.Equal(t, analyze.StatusClean, res.Verdict.Status, res.Verdict.Summary)
	for _, r := range res.Rules {
		assert.NotEqual(t, analyze.RuleFailed, r.Status, "%s: %s", r.ID, r.Why)
	}
}

func byDir(t *testing.T, dir string) incident {
	t.Helper()
	i := slices.IndexFunc(incidents(), func(i incident) bool { return i.dir == dir })
	require.GreaterOrEqual(t, i, 0, dir)
	return incidents()[i]
}

func run(t *testing.T, path string) *analyze.Result {
	t.Helper()
	b, err := bundle.Open(t.Context(), []string{path}, bundle.Options{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, b.Close()) }()
	res, err := analyze.Run(t.Context(), b.Inputs, analyze.Config{
		Parsers: parsers.All(), Rules: rules.All(), Manifest: b.Manifest,
		Bundle: analyze.Bundle{Name: b.Name},
	})
	require.NoError(t, err)
	return res
}

// check demands that the first root cause is one of the rules, that its story has
// the words, and that no root cause is about an innocent.
func check(t *testing.T, res *analyze.Result, want, says, never []string) {
	t.Helper()
	require.Equal(t, analyze.StatusRootCause, res.Verdict.Status, res.Verdict.Summary)
	first := res.Finding(res.Verdict.RootCauses[0])
	assert.Contains(t, want, first.Rule, first.Title)
	assert.Len(t, res.Verdict.RootCauses, 1, "one incident is one story: %s", res.Verdict.Summary)
	text := story(res, first)
	for _, w := range says {
		if !strings.Contains(text, w) {
			t.Errorf("the story of %q does not mention %q", first.Title, w)
		}
	}
	for _, id := range res.Verdict.RootCauses {
		f := res.Finding(id)
		for _, w := range never {
			assert.NotContains(t, f.Title+" "+f.Subject, w)
		}
	}
}

// story is all text of a finding and of what it explains.
func story(res *analyze.Result, lead *analyze.Finding) string {
	var b strings.Builder
	told := []string{}
	for todo := []*analyze.Finding{lead}; len(todo) > 0; todo = todo[1:] {
		f := todo[0]
		if slices.Contains(told, f.ID) {
			continue
		}
		told = append(told, f.ID)
		b.WriteString(strings.Join(append([]string{f.Title, f.Subject, f.Detail, f.Fix}, f.Missing...), "\n") + "\n")
		for _, e := range slices.Concat(f.Evidence, f.Against) {
			b.WriteString(e.Note + "\n" + e.Excerpt + "\n")
		}
		for _, other := range res.Findings {
			if slices.Contains(other.Causes, f.ID) {
				todo = append(todo, other)
			}
		}
	}
	return b.String()
}

const (
	readmeBegin = "<!-- report -->\n"
	readmeEnd   = "<!-- end -->\n"
	readmeLines = 20
)

// readme compares the beginning of the report with the one shown in a README.
func readme(t *testing.T, path string, res *analyze.Result) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), readmeBegin)
	shown, after, ok2 := strings.Cut(rest, readmeEnd)
	require.True(t, ok && ok2, "%s has no place for the report", path)
	var b bytes.Buffer
	enc, ok := report.ByName("text")
	require.True(t, ok)
	require.NoError(t, enc.Encode(&b, res, report.Options{}))
	lines := strings.Split(b.String(), "\n")
	lines = lines[:min(len(lines), readmeLines)]
	// The evidence begins with an indent of four; its order changes more often.
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "    ") }); i >= 0 {
		lines = lines[:i]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	want := "```text\n" + strings.Join(lines, "\n") + "\n```\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+readmeBegin+want+readmeEnd+after), 0o644))
		return
	}
	if diff := cmp.Diff(strings.Split(shown, "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("%s does not show how the report begins today (-shown +report); write it with -update:\n%s", path, diff)
	}
}

func scripts(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*/reproduce/reproduce.sh")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestScriptsAreValid(t *testing.T) {
	for _, s := range append(scripts(t), "lib.sh") {
		out, err := exec.CommandContext(t.Context(), "sh", "-n", s).CombinedOutput()
		assert.NoError(t, err, "%s: %s", s, out)
	}
}

// TestReproduce makes each incident anew and demands the same verdict.
func TestReproduce(t *testing.T) {
	if !*reproduce {
		t.Skip("runs the incidents for a minute: go test ./examples/incidents -reproduce")
	}
	for _, s := range scripts(t) {
		dir := filepath.Dir(filepath.Dir(s))
		t.Run(dir, func(t *testing.T) {
			in := byDir(t, dir)
			out := filepath.Join(t.TempDir(), "bundle.tar.gz")
			if said := collect(t, s, "-o", out); strings.Contains(said, "auditd cannot be used") {
				t.Skip("without an audit log the sender of a signal is not named")
			}
			check(t, run(t, out), in.rules, in.fresh, nil)
			collect(t, s, "-f", "-o", out)
			clean(t, run(t, out))
		})
	}
}

func collect(t *testing.T, script string, args ...string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "./"+script, args...).CombinedOutput()
	t.Logf("%s", said)
	require.NoError(t, err)
	return string(said)
}
