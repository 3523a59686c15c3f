package join

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestSampleOrder(t *testing.T) {
	s := &Samples{arts: map[fact.ID]fact.Artifact{}}
	for _, pair := range [][2]fact.ID{
		{"ps_axjf_before.txt", "ps_axjf_after.txt"},
		{"dump_t0.txt", "dump_t1.txt"},
		{"ss_2.txt", "ss_10.txt"},
		{"ps.txt", "ps-after.txt"},
		{"before/ps.txt", "after/ps.txt"},
		{"gdb_812.txt", "gdb_812_2.txt"}, // the second sample
	} {
		require.Negative(t, s.Compare(pair[0], pair[1]), pair)
		require.Positive(t, s.Compare(pair[1], pair[0]), pair)
		require.True(t, s.Apart(pair[0], pair[1]), pair)
	}
	for _, pair := range [][2]fact.ID{
		{"9.txt", "10.txt"}, // somebody numbered the files
		{"case/9.txt", "case/10.txt"},
		{"ss_tanp.txt", "netstat_anp.txt"},
		{"strace_4178.txt", "strace_4189.txt"}, // pids, not samples
		{"goroutine_debug1.txt", "goroutine.txt"},
	} {
		require.False(t, s.Apart(pair[0], pair[1]), pair)
	}
}

func TestNaturalOrder(t *testing.T) {
	require.Negative(t, naturalCompare("a2", "a10"))
	require.Negative(t, naturalCompare("a0", "a1"))
	require.Zero(t, naturalCompare("a", "a"))
	require.Negative(t, naturalCompare("a", "ab"))
}

func TestProcessTablesAreOrderedByThePsThatPrintedThem(t *testing.T) {
	var w world
	w.ps("9.txt", 9000, 1, "ps axjf")
	w.ps("10.txt", 8000, 1, "/bin/ps axjf")
	s := derive(&w, &samples)
	require.Positive(t, s.Compare("9.txt", "10.txt"))
	require.True(t, s.Apart("9.txt", "10.txt"))
}
