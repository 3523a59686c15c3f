package analyze_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// word is a fact of the tests: one line of a text.
type word struct {
	At   fact.Ref
	Text string
}

func (word) Kind() fact.Kind                 { return "test/word" }
func (w word) Ref() fact.Ref                 { return w.At }
func input(path, text string) *analyze.Input { return analyzetest.Input(path, []byte(text)) }

// words reads texts that begin with "words". The line "panic" makes it panic,
// "bad" is a bad record, "embed X" hands over an artifact with the text X.
func words() *analyze.Parser {
	return &analyze.Parser{
		Name: "words", Doc: "lines of a test", Emits: []fact.Kind{"test/word"},
		Sniff: func(h analyze.Head) analyze.Match {
			if strings.HasPrefix(string(h.Bytes), "words") {
				return analyze.Sure
			}
			return analyze.No
		},
		Parse: parseWords,
	}
}

func parseWords(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	sc := bufio.NewScanner(r)
	var offset int64
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		at := out.Ref(n, offset, len(line))
		offset += int64(len(line)) + 1
		inner, embed := strings.CutPrefix(line, "embed ")
		switch {
		case line == "panic":
			panic("a bug")
		case line == "cut":
			return io.ErrUnexpectedEOF
		case line == "bad":
			out.Skip(&analyze.SyntaxError{At: at, Msg: "bad record"})
		case embed:
			out.Embed(input(in.Path+"!inner", "words\n"+inner))
		default:
			analyze.Emit(out, word{at, line})
		}
	}
	return sc.Err()
}

// rule makes a rule that reports each word equal to text.
func rule(id, text string, sev analyze.Severity, change func(*analyze.Rule)) *analyze.Rule {
	r := &analyze.Rule{
		ID: id, Title: "test", Doc: "test", Severity: sev, Needs: []fact.Kind{"test/word"},
		Run: func(_ context.Context, p *analyze.Pass) error {
			for w := range fact.All[word](p.Facts) {
				if w.Text == text {
					p.Report(analyze.Finding{
						Subject: text, Title: "The word " + text, Severity: sev, Confidence: analyze.Likely,
						Evidence: []analyze.Evidence{analyze.Cite(w.At, "here")},
						Entities: []analyze.Entity{{Kind: "thing", Key: "1"}},
					})
				}
			}
			return nil
		},
	}
	if change != nil {
		change(r)
	}
	return r
}

func run(t *testing.T, inputs []*analyze.Input, rules ...*analyze.Rule) *analyze.Result {
	t.Helper()
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{Parsers: []*analyze.Parser{words()}, Rules: rules})
	require.NoError(t, err)
	return res
}

func status(res *analyze.Result, path string) analyze.ArtifactStatus {
	for _, a := range res.Artifacts {
		if a.Path == path {
			return a
		}
	}
	return analyze.ArtifactStatus{}
}

func TestArtifactsEndInOneOfFiveWays(t *testing.T) {
	res := run(t, []*analyze.Input{
		input("good", "words\nok"), input("panics", "words\npanic"), input("foreign", "\x00\x01"),
		input("cut", "words\nok\ncut"), input("bad", "words\nbad\nbad"), input("empty", ""),
		{Path: "link", Err: errors.New("a symbolic link")},
	}, rule("t/ok", "ok", analyze.High, nil))
	require.Equal(t, analyze.ArtifactParsed, status(res, "good").Status)
	require.Equal(t, analyze.ArtifactUnclaimed, status(res, "foreign").Status)
	require.Equal(t, analyze.ArtifactSkipped, status(res, "empty").Status)
	require.Equal(t, analyze.ArtifactSkipped, status(res, "link").Status)
	require.Equal(t, analyze.ArtifactPartial, status(res, "cut").Status)
	require.Equal(t, 2, status(res, "cut").Facts, "what was read before the cut counts")
	require.Equal(t, analyze.ArtifactPartial, status(res, "panics").Status)
	require.Contains(t, status(res, "panics").Issues[0], "a bug")
	bad := status(res, "bad")
	require.EqualValues(t, 2, bad.Skipped)
	require.Contains(t, bad.Issues[0], "bad:2: bad record")
}

func TestEmbeddedArtifacts(t *testing.T) {
	res := run(t, []*analyze.Input{input("log", "words\nembed secret")}, rule("t/s", "secret", analyze.High, nil))
	require.Equal(t, "log!inner", string(res.Findings[0].Evidence[0].Artifact))
	require.Equal(t, "secret", res.Findings[0].Evidence[0].Excerpt)

	deep := "x"
	for range 6 {
		deep = "embed " + deep
	}
	res = run(t, []*analyze.Input{input("log", "words\n"+deep)}, rule("t/s", "secret", analyze.High, nil))
	require.NotEmpty(t, res.Limits, "nesting has a limit, and the report says so")
}

func TestExcerptsAreTheCitedLinesMadeHarmless(t *testing.T) {
	res := run(t, []*analyze.Input{input("a", "words\nfirst\n\x1b[31mred\u202e\nlast")}, rule("t/l", "last", analyze.High, nil),
		rule("t/r", "\x1b[31mred\u202e", analyze.High, nil))
	got := map[string]string{}
	for _, f := range res.Findings {
		got[f.Rule] = f.Evidence[0].Excerpt
	}
	require.Equal(t, map[string]string{"t/l": "last", "t/r": "red\uFFFD"}, got)
}

func TestRuleStatuses(t *testing.T) {
	fails := func(msg string, run func(*analyze.Pass) error) *analyze.Rule {
		return rule("t/"+msg, "", analyze.Low, func(r *analyze.Rule) {
			r.Run = func(_ context.Context, p *analyze.Pass) error { return run(p) }
		})
	}
	res := run(t, []*analyze.Input{input("a", "words\nok")},
		rule("t/found", "ok", analyze.Low, nil),
		rule("t/clean", "absent", analyze.Low, nil),
		rule("t/needs", "ok", analyze.Low, func(r *analyze.Rule) { r.Needs = []fact.Kind{"flow"} }),
		rule("t/any", "ok", analyze.Low, func(r *analyze.Rule) { r.AnyOf = []fact.Kind{"socket", "goroutine"} }),
		fails("skips", func(p *analyze.Pass) error { p.Skip("the table has no timers", "ss -o"); return nil }),
		fails("panics", func(*analyze.Pass) error { panic("a bug") }),
		fails("errs", func(*analyze.Pass) error { return errors.New("broken") }),
		fails("undeclared", func(p *analyze.Pass) error {
			for range fact.All[fact.Flow](p.Facts) {
			}
			return nil
		}),
		fails("unproven", func(p *analyze.Pass) error {
			p.Report(analyze.Finding{Subject: "x", Title: "x", Severity: analyze.Low, Confidence: analyze.Likely})
			return nil
		}),
	)
	got := map[string]string{}
	for _, r := range res.Rules {
		got[r.ID] = strings.TrimSpace(r.Status + " " + r.Why)
	}
	require.Equal(t, map[string]string{
		"t/found": "finding", "t/clean": "clean",
		"t/needs":      "skipped the bundle has no packet capture",
		"t/any":        "skipped the bundle has no socket table or goroutine dump",
		"t/skips":      "skipped the table has no timers",
		"t/panics":     "failed panic: a bug",
		"t/errs":       "failed broken",
		"t/undeclared": `failed panic: rule t/undeclared reads facts of kind "flow" without declaring it`,
		"t/unproven":   `failed finding "x" without evidence`,
	}, got)
}

func TestRolesFollowFromCauses(t *testing.T) {
	in := []*analyze.Input{input("a", "words\ncause\neffect\nodds\naside")}
	res := run(t, in,
		rule("t/cause", "cause", analyze.Medium, nil),
		rule("t/effect", "effect", analyze.Critical, func(r *analyze.Rule) {
			r.ExplainedBy = []analyze.Mechanism{{Rule: "t/cause", Via: "thing", Why: "a cause has effects"}, {Rule: "t/odds", Via: "thing", Raises: true}}
		}),
		rule("t/odds", "odds", analyze.Low, nil),
		rule("t/aside", "aside", analyze.Low, nil),
	)
	roles := map[string]analyze.Role{}
	for _, f := range res.Findings {
		roles[f.Rule] = f.Role
	}
	require.Equal(t, map[string]analyze.Role{
		"t/cause": analyze.RootCause, "t/effect": analyze.Symptom, "t/odds": analyze.Contributing, "t/aside": analyze.Context,
	}, roles)
	require.Equal(t, analyze.StatusRootCause, res.Verdict.Status)
	require.Equal(t, []string{res.Findings[0].ID}, res.Verdict.RootCauses)
	require.Equal(t, "t/cause", res.Findings[0].Rule)
	i := slices.IndexFunc(res.Findings, func(f *analyze.Finding) bool { return f.Rule == "t/effect" })
	require.Equal(t, map[string]string{res.Findings[0].ID: "a cause has effects"}, res.Findings[i].Because)
}

func TestImpossibleTimesAreForgotten(t *testing.T) {
	r := rule("t/x", "x", analyze.High, nil)
	r.Run = func(_ context.Context, p *analyze.Pass) error {
		at := fact.Ref{Artifact: "a", Line: 2}
		f := analyze.Finding{
			Subject: "x", Title: "x", Severity: analyze.High, Confidence: analyze.Likely,
			From: time.Unix(1<<40, 0), To: time.Unix(1e9, 0),
			Evidence: []analyze.Evidence{analyze.Cite(at, "x").On(time.Unix(-1<<40, 0), fact.Epoch, 0)},
		}
		p.Report(f)
		return nil
	}
	res := run(t, []*analyze.Input{input("a", "words\nx")}, r)
	_, err := json.Marshal(res)
	require.NoError(t, err, "one stamp must not cost the whole report")
	require.True(t, res.Findings[0].From.IsZero())
	require.False(t, res.Findings[0].To.IsZero())
	require.Empty(t, res.Timeline)
}

// A kernel log reaches back for weeks: what the bundle was saved for comes first.
func TestHistoryComesAfterTheIncident(t *testing.T) {
	ended := func(id string, at time.Time, sure analyze.Confidence) *analyze.Rule {
		r := rule(id, "x", analyze.High, nil)
		r.Run = func(_ context.Context, p *analyze.Pass) error {
			p.Report(analyze.Finding{
				Subject: id, Title: id, Severity: analyze.High, Confidence: sure, From: at, To: at,
				Evidence: []analyze.Evidence{analyze.Cite(fact.Ref{Artifact: "a", Line: 2}, "x")},
			})
			return nil
		}
		return r
	}
	tonight := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	first := func(old time.Time, m *analyze.Manifest) string {
		res, err := analyze.Run(t.Context(), []*analyze.Input{input("a", "words\nx")}, analyze.Config{
			Parsers: []*analyze.Parser{words()}, Manifest: m,
			Rules: []*analyze.Rule{ended("t/old", old, analyze.Confirmed), ended("t/tonight", tonight, analyze.Likely)},
		})
		require.NoError(t, err)
		return res.Findings[0].Rule
	}
	require.Equal(t, "t/tonight", first(tonight.AddDate(0, 0, -3), nil))
	before := tonight.Add(-2 * time.Hour)
	require.Equal(t, "t/old", first(before, nil), "the same night: the surer one leads")
	require.Equal(t, "t/tonight", first(before, &analyze.Manifest{From: tonight.Add(-time.Minute), To: tonight}))
	require.Equal(t, "t/old", first(before, &analyze.Manifest{From: before, To: before.Add(time.Minute)}))
}

func TestCircularExplanationsKeepTheFirst(t *testing.T) {
	by := func(other string) func(*analyze.Rule) {
		return func(r *analyze.Rule) { r.ExplainedBy = []analyze.Mechanism{{Rule: other, Via: "thing"}} }
	}
	res := run(t, []*analyze.Input{input("a", "words\nx\ny")},
		rule("t/x", "x", analyze.High, by("t/y")), rule("t/y", "y", analyze.High, by("t/x")))
	require.Len(t, res.Verdict.RootCauses, 1)
}

func TestVerdicts(t *testing.T) {
	in := []*analyze.Input{input("a", "words\nx")}
	require.Equal(t, analyze.StatusClean, run(t, in, rule("t/x", "other", analyze.High, nil)).Verdict.Status)
	require.Equal(t, analyze.StatusClean, run(t, in, rule("t/x", "x", analyze.Low, nil)).Verdict.Status)
	require.Equal(t, analyze.StatusSymptoms, run(t, in, rule("t/x", "x", analyze.Medium, nil)).Verdict.Status)
	require.Equal(t, analyze.StatusRootCause, run(t, in, rule("t/x", "x", analyze.High, nil)).Verdict.Status)
	require.Equal(t, analyze.StatusInsufficient, run(t, in).Verdict.Status)
	require.Equal(t, analyze.StatusInsufficient, run(t, in, rule("quality/x", "x", analyze.Low, nil)).Verdict.Status, "about the bundle only")
}

func TestSameResultForAnyNumberOfJobs(t *testing.T) {
	var in []*analyze.Input
	for i := range 40 {
		in = append(in, input(fmt.Sprintf("f%02d", i*7%40), "words\nok\nembed ok\n"+strings.Repeat("filler\n", i*i)))
	}
	rules := []*analyze.Rule{
		rule("t/ok", "ok", analyze.High, func(r *analyze.Rule) { r.Run = subjectPerArtifact }),
		rule("t/after", "ok", analyze.High, func(r *analyze.Rule) {
			r.After = []string{"t/ok"}
			r.ExplainedBy = []analyze.Mechanism{{Rule: "t/ok", Via: "thing"}}
		}),
	}
	var first *analyze.Result
	for _, jobs := range []int{1, 2, 8, 8, 8} {
		res, err := analyze.Run(t.Context(), in, analyze.Config{Parsers: []*analyze.Parser{words()}, Rules: rules, Jobs: jobs})
		require.NoError(t, err)
		if first == nil {
			first = res
		}
		require.Empty(t, cmp.Diff(first, res))
	}
	require.Len(t, first.Findings, 51, "50 is the limit of findings of one rule")
}

func subjectPerArtifact(_ context.Context, p *analyze.Pass) error {
	for w := range fact.All[word](p.Facts) {
		if w.Text == "ok" {
			p.Report(analyze.Finding{
				Subject: string(w.At.Artifact), Title: "ok", Severity: analyze.High, Confidence: analyze.Likely,
				Evidence: []analyze.Evidence{analyze.Cite(w.At, "here")}, Entities: []analyze.Entity{{Kind: "thing", Key: "1"}},
			})
		}
	}
	return nil
}

func TestMisuseIsAnError(t *testing.T) {
	ok := rule("t/x", "x", analyze.High, nil)
	for name, cfg := range map[string]analyze.Config{
		"two rules of one name": {Rules: []*analyze.Rule{ok, ok}},
		"a circle of rules": {Rules: []*analyze.Rule{
			rule("t/a", "", analyze.Low, func(r *analyze.Rule) { r.After = []string{"t/b"} }),
			rule("t/b", "", analyze.Low, func(r *analyze.Rule) { r.After = []string{"t/a"} }),
		}},
		"a rule without a family": {Rules: []*analyze.Rule{rule("x", "", analyze.Low, nil)}},
		"an unknown threshold":    {Rules: []*analyze.Rule{ok}, Thresholds: map[string]float64{"t/x.none": 1}},
		"two parsers of one name": {Parsers: []*analyze.Parser{words(), words()}},
	} {
		_, err := analyze.Run(t.Context(), nil, cfg)
		require.Error(t, err, name)
	}
	_, err := analyze.Run(t.Context(), []*analyze.Input{input("a", ""), input("a", "")}, analyze.Config{})
	require.Error(t, err, "two inputs of one path")
}

func TestNothingReadable(t *testing.T) {
	in := &analyze.Input{Path: "x", Size: 3, Open: func() (io.ReadCloser, error) { return nil, errors.New("disk error") }}
	res, err := analyze.Run(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{words()}})
	require.ErrorIs(t, err, analyze.ErrUnusable)
	require.Contains(t, res.Artifacts[0].Issues[0], "disk error")
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := analyze.Run(ctx, []*analyze.Input{input("a", "words\nx")}, analyze.Config{Parsers: []*analyze.Parser{words()}})
	require.ErrorIs(t, err, context.Canceled)
}

func TestARuleThatFindsNothingSaysWhatItLookedAt(t *testing.T) {
	quiet := rule("test/quiet", "", analyze.High, func(r *analyze.Rule) {
		r.Thresholds = []analyze.Threshold{{Name: "many", Default: 9, Unit: "words"}}
		r.Run = func(context.Context, *analyze.Pass) error { return nil }
	})
	res := run(t, []*analyze.Input{input("a", "words\nx\n")}, quiet)
	require.Equal(t, analyze.RuleClean, res.Rules[0].Status)
	require.Equal(t, []string{"no candidate among 2 test/word; thresholds: many 9 words"}, res.Rules[0].Notes)
}
