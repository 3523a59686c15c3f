package diff_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/diff"
	"github.com/culprit-dev/culprit/analyze/fact"
)

func leak(pid, n int) *analyze.Finding {
	return &analyze.Finding{
		ID: fmt.Sprintf("socket/close-wait-leak#%08x", pid), Rule: "socket/close-wait-leak", Subject: fmt.Sprintf("process %d (broker)", pid),
		Title:    fmt.Sprintf("Process %d (broker) keeps %d sockets in CLOSE_WAIT", pid, n),
		Severity: analyze.High, Confidence: analyze.Likely, Role: analyze.RootCause,
		Entities: []analyze.Entity{{Kind: "process", Key: fmt.Sprint(pid), Name: "broker"}},
		Evidence: []analyze.Evidence{{Ref: fact.Ref{Artifact: "ss.txt", Line: 2}}},
	}
}

func result(findings ...*analyze.Finding) *analyze.Result {
	return &analyze.Result{Findings: findings, Rules: []analyze.RuleStatus{
		{ID: "socket/close-wait-leak", Status: analyze.RuleClean}, {ID: "tcp/refused", Status: analyze.RuleSkipped, Why: "the bundle has no packet capture"},
	}}
}

func compare(before, after *analyze.Result) *diff.Diff {
	return diff.Results(before, after, analyze.DefaultTolerance())
}

func TestAFindingSurvivesARestart(t *testing.T) {
	d := compare(result(leak(100, 80)), result(leak(28311, 82)))
	assert.Empty(t, d.Findings, "another pid, and a count within the tolerance")
	assert.Equal(t, 1, d.Same)

	d = compare(result(leak(100, 80)), result(leak(28311, 800)))
	assert.Equal(t, []diff.Change{{What: "count", Before: "80", After: "800"}}, d.Findings[0].Changes)
	assert.Equal(t, analyze.SeverityUnset, d.Worst(), "more of the same is shown, but is no new finding")

	worse := leak(28311, 80)
	worse.Severity, worse.Confidence = analyze.Critical, analyze.Confirmed
	d = compare(result(leak(100, 80)), result(worse))
	assert.Equal(t, []diff.Change{{"severity", "high", "critical"}, {"confidence", "likely", "confirmed"}}, d.Findings[0].Changes)
	assert.Equal(t, analyze.Critical, d.Worst())
}

func TestNewAndGone(t *testing.T) {
	other := leak(5, 80)
	other.Rule, other.ID, other.Subject, other.Entities = "tcp/refused", "tcp/refused#00000001", "127.0.0.1:80", nil
	d := compare(result(leak(100, 80)), result(other))
	assert.Len(t, d.Findings, 2)
	assert.Equal(t, diff.New, d.Findings[0].How)
	assert.Equal(t, "the bundle has no packet capture", d.Findings[0].Unjudged, "the earlier bundle could not show it")
	assert.Equal(t, diff.Gone, d.Findings[1].How)
	assert.Empty(t, d.Findings[1].Unjudged, "the rule ran and found nothing: it is really gone")
	assert.Equal(t, analyze.High, d.Worst())
}

func TestRates(t *testing.T) {
	at := func(hour int) fact.Time {
		return fact.Time{T: time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC), Basis: fact.LocalZone}
	}
	census := func(n int64, when fact.Time) *analyze.Result {
		r := result()
		r.Census = []analyze.Count{{What: "goroutines", N: n, Time: when}, {What: "goroutines", Name: "main.serve (main.go:9)", Of: "broker", N: n, Time: when}}
		return r
	}
	d := compare(census(100, at(8)), census(700, at(10)))
	assert.Len(t, d.Entities, 1)
	assert.Equal(t, analyze.Grew, d.Entities[0].How)
	assert.Equal(t, diff.Pair{Before: 100, After: 700}, d.Entities[0].Count)
	assert.Equal(t, 300.0, d.Entities[0].PerHour)
	assert.Equal(t, 0.0, compare(census(100, fact.Time{}), census(700, at(10))).Entities[0].PerHour, "one bundle does not say when")
	assert.Equal(t, []diff.Gap{{What: "goroutines", Only: "after"}}, compare(result(), census(7, at(9))).NotCompared)
}

func ExampleResults() {
	before := &analyze.Result{Census: []analyze.Count{
		{What: "open_files", N: 120}, {What: "open_files", Name: "broker", N: 120},
	}}
	after := &analyze.Result{Census: []analyze.Count{
		{What: "open_files", N: 990}, {What: "open_files", Name: "broker", N: 990},
	}, Findings: []*analyze.Finding{leak(4711, 870)}}

	d := diff.Results(before, after, analyze.DefaultTolerance())
	for _, f := range d.Findings {
		fmt.Println(f.How, f.Rule, f.Title)
	}
	for _, e := range d.Entities {
		fmt.Println(e.How, e.What, e.Name, e.Count.Before, e.Count.After)
	}
	// Output:
	// new socket/close-wait-leak Process 4711 (broker) keeps 870 sockets in CLOSE_WAIT
	// grew open_files broker 120 990
}
