package profile

import (
	"bytes"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/parsers/pprof"
)

// TestCollector checks that the share of the garbage collector in a CPU profile is
// context: of severity info, and no cause.
func TestCollector(t *testing.T) {
	for share, findings := range map[int64]int{40: 1, 10: 0} {
		res, err := analyze.Run(t.Context(), []*analyze.Input{analyzetest.Input("cpu.pb.gz", cpuProfile(t, share))}, analyze.Config{Parsers: []*analyze.Parser{pprof.Parser()}, Rules: []*analyze.Rule{Rule()}})
		require.NoError(t, err)
		require.Len(t, res.Findings, findings)
		require.Empty(t, res.Verdict.RootCauses)
		for _, f := range res.Findings {
			require.Equal(t, analyze.Info, f.Severity)
			require.Equal(t, "The garbage collector took 40 % of the processor time while cpu.pb.gz was recorded", f.Title)
		}
	}
}

// cpuProfile has so many percent of its time below the collector's workers.
func cpuProfile(t *testing.T, percent int64) []byte {
	t.Helper()
	work, mark := &profile.Function{ID: 1, Name: "main.work", Filename: "/src/main.go"}, &profile.Function{ID: 2, Name: "runtime.gcBgMarkWorker"}
	at := func(id uint64, fn *profile.Function) *profile.Location {
		return &profile.Location{ID: id, Line: []profile.Line{{Function: fn, Line: 7}}}
	}
	a, b := at(1, work), at(2, mark)
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000,
		Sample: []*profile.Sample{
			{Location: []*profile.Location{a}, Value: []int64{100 - percent, (100 - percent) * 10_000_000}},
			{Location: []*profile.Location{b}, Value: []int64{percent, percent * 10_000_000}},
		},
		Location: []*profile.Location{a, b}, Function: []*profile.Function{work, mark},
	}
	var out bytes.Buffer
	require.NoError(t, p.Write(&out))
	return out.Bytes()
}
