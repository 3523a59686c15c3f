package analyze_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// TestLimitsAreReportedWhenHit: what a limit leaves out is never left out silently.
func TestLimitsAreReportedWhenHit(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	each := rule("test/each", "", analyze.Low, func(r *analyze.Rule) {
		r.Run = func(_ context.Context, p *analyze.Pass) error {
			for w := range fact.All[word](p.Facts) {
				at := noon.Add(time.Duration(w.At.Line) * time.Second)
				p.Report(analyze.Finding{
					Subject: w.Text, Title: "The word " + w.Text, Severity: analyze.Low, Confidence: analyze.Likely,
					Evidence: []analyze.Evidence{analyze.Cite(w.At, "here").On(at, fact.Epoch, 0)},
				})
			}
			return nil
		}
	})
	cfg := analyze.Config{
		Parsers: []*analyze.Parser{words()}, Rules: []*analyze.Rule{each},
		Limits: analyze.Limits{FindingsPerRule: 3, Timeline: 2},
	}
	res, err := analyze.Run(t.Context(), []*analyze.Input{input("a", "words\nb\nc\nd\ne\n")}, cfg)
	require.NoError(t, err)
	require.Len(t, res.Findings, 3)
	require.Len(t, res.Timeline, 2)
	require.Equal(t, []string{
		"test/each: the first 3 of 5 findings are kept",
		"timeline: the first 2 of 3 events that findings cite are listed",
	}, res.Limits)
}

// TestReadFillsInDefaults: the zero values of a Config mean the same to Read as to Run.
func TestReadFillsInDefaults(t *testing.T) {
	var jobs int
	p := words()
	p.Parse = func(_ context.Context, _ *analyze.Input, out *analyze.Sink) error {
		jobs = out.Jobs()
		analyze.Emit(out, word{At: out.Ref(1, 0, 1)})
		return nil
	}
	facts, err := analyze.Read(t.Context(), []*analyze.Input{input("a", "words\n")}, analyze.Config{Parsers: []*analyze.Parser{p}})
	require.NoError(t, err)
	require.Equal(t, 1, facts.Store.Count("test/word"))
	require.Equal(t, runtime.GOMAXPROCS(0), jobs)
}

func TestReadRefusesMisuse(t *testing.T) {
	_, err := analyze.Read(t.Context(), nil, analyze.Config{Parsers: []*analyze.Parser{nil}})
	require.Error(t, err)
}
