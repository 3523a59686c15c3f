package analyze_test

import (
	"context"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// wanting is a rule that would like to read a kind of fact.
func wanting(id, text string, sev analyze.Severity, wants ...fact.Kind) *analyze.Rule {
	return rule(id, text, sev, func(r *analyze.Rule) { r.Wants = wants })
}

// byFolder takes the folder of an artifact for its host.
func byFolder(*analyze.Pass) func(fact.ID) string {
	return func(id fact.ID) string { return path.Dir(string(id)) }
}

// sockets reads nothing but "sockets", and finds one.
func sockets() *analyze.Parser {
	return &analyze.Parser{
		Name: "sockets", Doc: "one socket", Emits: []fact.Kind{"socket"},
		Sniff: func(h analyze.Head) analyze.Match {
			if string(h.Bytes) == "sockets" {
				return analyze.Sure
			}
			return analyze.No
		},
		Parse: func(_ context.Context, _ *analyze.Input, out *analyze.Sink) error {
			analyze.Emit(out, fact.Socket{At: out.Ref(1, 0, 7)})
			return nil
		},
	}
}

func wantedOf(t *testing.T, rules []*analyze.Rule, inputs ...*analyze.Input) []analyze.Wanted {
	t.Helper()
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{
		Parsers: []*analyze.Parser{words(), sockets()}, Rules: rules, Hosts: byFolder,
	})
	require.NoError(t, err)
	return res.Collect
}

func TestWantedIsWhatTheHostOfTheStoryLacks(t *testing.T) {
	rules := []*analyze.Rule{wanting("t/cause", "cause", analyze.High, "socket", "flow", "flow")}
	got := wantedOf(t, rules, input("a/w", "words\ncause\n"), input("b/w", "words\nfine\n"), input("b/ss", "sockets"))
	want := []analyze.Wanted{
		{Host: "a", What: "packet capture", Command: analyze.HowToCollect("flow"), Worth: analyze.WorthVerdict, Rules: []string{"t/cause"}},
		{Host: "a", What: "socket table", Command: analyze.HowToCollect("socket"), Worth: analyze.WorthVerdict, Rules: []string{"t/cause"}},
	}
	assert.Equal(t, want, got, "what host b has does not help host a")

	got = wantedOf(t, rules, input("a/w", "words\ncause\n"), input("a/ss", "sockets"))
	assert.Equal(t, want[:1], got, "what is there is not asked for")
}

func TestWantedIsOrderedByWorth(t *testing.T) {
	cause := wanting("t/cause", "cause", analyze.High, "thread")
	effect := wanting("t/effect", "effect", analyze.Medium, "flow")
	effect.ExplainedBy = []analyze.Mechanism{{Rule: "t/cause", Via: "thing"}}
	beside := wanting("t/beside", "none", analyze.Medium)
	beside.Needs, beside.ExplainedBy = []fact.Kind{"goroutine"}, effect.ExplainedBy
	apart := wanting("t/apart", "none", analyze.Medium)
	apart.Needs = []fact.Kind{"audit_event"}
	rules := []*analyze.Rule{cause, effect, beside, apart}

	var worths []analyze.Worth
	for _, w := range wantedOf(t, rules, input("w", "words\ncause\neffect\n")) {
		worths = append(worths, w.Worth)
	}
	assert.Equal(t, []analyze.Worth{analyze.WorthVerdict, analyze.WorthStory, analyze.WorthBeside}, worths)

	got := wantedOf(t, rules, input("w", "words\nfine\n"))
	require.Len(t, got, 2, "without a cause, what rules need that could not judge")
	assert.Equal(t, analyze.WorthRule, got[0].Worth)
	assert.Equal(t, []string{"t/apart"}, got[0].Rules)
	assert.Empty(t, got[0].Host)
}

func TestWantedIsNotAskedTwice(t *testing.T) {
	r := wanting("t/cause", "cause", analyze.High, "thread")
	run := r.Run
	r.Run = func(ctx context.Context, p *analyze.Pass) error {
		for w := range fact.All[word](p.Facts) {
			if w.Text == "cause" {
				p.Report(analyze.Finding{
					Subject: "s", Title: "T", Severity: analyze.High, Confidence: analyze.Likely,
					Evidence: []analyze.Evidence{analyze.Cite(w.At, "here")}, Next: []string{"gdb -p 17 -batch"},
				})
				return nil
			}
		}
		return run(ctx, p)
	}
	assert.Empty(t, wantedOf(t, []*analyze.Rule{r}, input("w", "words\ncause\n")))
}
