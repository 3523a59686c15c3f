package celrule

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
)

const broker = `rule: acme/stuck
title: sockets stuck in CLOSE_WAIT
severity: high
confidence: possible
doc: Our broker never closes sockets after an EOF.
thresholds:
  min: {default: 3, unit: sockets, doc: below this it is a burst}
facts:
  stuck: {kind: socket, where: 'it.state == "CLOSE_WAIT" && has(it.recv_q) && size(it.owners) > 0'}
each: stuck
by: it.owners[0].process
when: size(group) >= limit.min
subject: '"broker " + key'
say: string(size(group)) + " sockets of " + key + " wait for close"
detail: |
  "first: " + group[0].local + ":" +
  group[0].local_port
fix: close the socket
next: [ss -tanp]
`

// sockets is a parser of the test: one socket a line, "state recv_q owner".
func sockets() *analyze.Parser {
	return &analyze.Parser{
		Name: "test", Doc: "test", Emits: []fact.Kind{"socket"},
		Sniff: func(analyze.Head) analyze.Match { return analyze.Sure },
		Parse: func(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
			r, err := in.Open()
			if err != nil {
				return err
			}
			defer r.Close()
			var state, owner string
			var q int64
			for n := 1; ; n++ {
				if _, err := fmt.Fscanln(r, &state, &q, &owner); err != nil {
					return nil
				}
				s := fact.Socket{At: out.Ref(n, 0, 0), Proto: "tcp", State: state, Local: "10.0.0.1", LocalPort: fmt.Sprint(n), Owners: []fact.Owner{{Process: owner}}}
				if q >= 0 {
					s.RecvQ = fact.Some(q)
				}
				analyze.Emit(out, s)
			}
		},
	}
}

func run(t *testing.T, text string, cfg analyze.Config) *analyze.Result {
	t.Helper()
	cfg.Parsers = []*analyze.Parser{sockets()}
	res, err := analyze.Run(t.Context(), []*analyze.Input{analyzetest.Input("ss.txt", []byte(text))}, cfg)
	require.NoError(t, err)
	return res
}

const table = "CLOSE_WAIT 1 broker\nESTABLISHED 0 broker\nCLOSE_WAIT 0 broker\nCLOSE_WAIT -1 broker\nCLOSE_WAIT 0 other\nCLOSE_WAIT 0 broker\n"

func TestRuleFires(t *testing.T) {
	r, err := Parse("broker.yaml", []byte(broker), Options{})
	require.NoError(t, err)
	require.Equal(t, []fact.Kind{"socket"}, r.Needs)
	res := run(t, table, analyze.Config{Rules: []*analyze.Rule{r}})
	require.Len(t, res.Findings, 1)
	f := res.Findings[0]
	require.Equal(t, "broker broker", f.Subject)
	require.Equal(t, "3 sockets of broker wait for close", f.Title)
	require.Equal(t, "first: 10.0.0.1:1", f.Detail)
	require.Equal(t, []int{1, 3, 6}, []int{f.Evidence[0].Line, f.Evidence[1].Line, f.Evidence[2].Line})

	res = run(t, table, analyze.Config{Rules: []*analyze.Rule{r}, Thresholds: map[string]float64{"acme/stuck.min": 4}})
	require.Empty(t, res.Findings)
	require.Equal(t, analyze.RuleClean, res.Rules[0].Status)
	require.Equal(t, []string{"stuck: 4 facts fit"}, res.Rules[0].Notes)
}

func TestFaultsHavePositions(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown field":       {`it.state ==`, `it.sate ==`, `r.yaml:9:35: undefined field 'sate'`},
		"a type that cannot fit": {"when: size(group) >= limit.min", "when: size(group)", `r.yaml:12:7: this is a int, want a bool`},
		"a misspelt threshold":   {"limit.min\nsubject", "limit.mni\nsubject", `r.yaml:12:27: undeclared reference to 'limit.mni'`},
		"a later line":           {"group[0].local_port", "group[0].port", `r.yaml:17:11: undefined field 'port'`},
		"an unknown kind":        {"kind: socket", "kind: sockets", `r.yaml:9:17: no facts of kind "sockets"`},
		"an unknown key":         {"title:", "titel:", `r.yaml:2:1: unknown field "titel"`},
		"an unknown list":        {"each: stuck", "each: stick", `r.yaml:10:7: no list is named "stick"`},
		"a missing part":         {"when: size(group) >= limit.min\n", "", `a rule needs "when"`},
		"a wrong severity":       {"severity: high", "severity: bad", `r.yaml:3:11: unknown severity "bad"`},
	} {
		text := strings.Replace(broker, c.old, c.new, 1)
		require.NotEqual(t, broker, text, name)
		_, err := Parse("r.yaml", []byte(text), Options{})
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestCostIsLimited(t *testing.T) {
	r, err := Parse("r.yaml", []byte(strings.Replace(broker, "when: size(group) >= limit.min",
		"when: stuck.all(a, stuck.all(b, stuck.all(c, a.local_port != '' && b.local_port != '' && c.local_port != '')))", 1)), Options{CostLimit: 1000})
	require.NoError(t, err)
	res := run(t, strings.Repeat("CLOSE_WAIT 1 x\n", 100), analyze.Config{Rules: []*analyze.Rule{r}})
	require.Equal(t, analyze.RuleFailed, res.Rules[0].Status)
	require.Contains(t, res.Rules[0].Why, "cost limit")
}

func TestLoadReadsAFolder(t *testing.T) {
	fsys := fstest.MapFS{
		"a/broker.yaml":  {Data: []byte(broker)},
		"b.yml":          {Data: []byte(strings.Replace(broker, "acme/stuck", "acme/again", 1))},
		"overrides.yaml": {Data: []byte("thresholds: {}")},
		"README.md":      {Data: []byte("no rule")},
	}
	rules, err := Load(fsys, Options{})
	require.NoError(t, err)
	require.Len(t, rules, 2)
	require.Equal(t, "acme/again", rules[0].ID)
	fsys["c.yaml"] = &fstest.MapFile{Data: []byte("rule: x")}
	fsys["d.yaml"] = &fstest.MapFile{Data: []byte("{")}
	_, err = Load(fsys, Options{})
	require.ErrorContains(t, err, "c.yaml:1:1")
	require.ErrorContains(t, err, "d.yaml:1:1")
}

func TestOverrides(t *testing.T) {
	tune, err := ParseOverrides("overrides.yaml", []byte(`
thresholds: {acme/stuck.min: 1}
severity:
  - {rule: acme/stuck, subject: broker broker, severity: low, reason: known}
suppress:
  - {rule: acme/stuck, subject: other, reason: a test program}
`))
	require.NoError(t, err)
	r, err := Parse("broker.yaml", []byte(broker), Options{})
	require.NoError(t, err)
	res := run(t, table, analyze.Config{Rules: []*analyze.Rule{r}, Thresholds: tune.Thresholds, Overrides: tune.Overrides})
	require.Len(t, res.Findings, 1)
	require.Equal(t, analyze.Low, res.Findings[0].Severity)
	require.Len(t, res.Overridden, 2)
	require.Equal(t, analyze.StatusClean, res.Verdict.Status)

	_, err = ParseOverrides("o.yaml", []byte("suppress:\n  - {rule: tcp/refused}\n"))
	require.ErrorContains(t, err, "o.yaml:2:5: an override needs a rule and a reason")
}

func BenchmarkWhere(b *testing.B) {
	r, err := Parse("broker.yaml", []byte(broker), Options{})
	require.NoError(b, err)
	text := []byte(strings.Repeat("ESTABLISHED 0 broker\n", 10_000))
	b.ReportAllocs()
	for b.Loop() {
		_, err := analyze.Run(b.Context(), []*analyze.Input{analyzetest.Input("ss.txt", text)},
			analyze.Config{Parsers: []*analyze.Parser{sockets()}, Rules: []*analyze.Rule{r}})
		require.NoError(b, err)
	}
}

// TestDocumentation loads the rule of the package comment.
func TestDocumentation(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var text strings.Builder
	for line := range strings.Lines(string(source)) {
		if code, ok := strings.CutPrefix(line, "//\t"); ok {
			text.WriteString(code)
		}
	}
	r, err := Parse("doc.yaml", []byte(text.String()), Options{})
	require.NoError(t, err)
	require.Equal(t, "acme/stuck-in-close-wait", r.ID)
}
