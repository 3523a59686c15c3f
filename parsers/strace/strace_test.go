package strace_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/strace"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, strace.Parser(), "testdata/*.txt") }
func TestRobust(t *testing.T) { parsertest.Robust(t, strace.Parser(), "testdata/plain.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, strace.Parser(), "testdata/*.txt") }

// TestStderr: strace's own messages alone say whom another file is a trace of.
func TestStderr(t *testing.T) {
	st, status := parsertest.Run(t, strace.Parser(), "err.txt", []byte("strace: Process 712 attached with 7 threads\nstrace: Process 712 detached\n"))
	assert.Equal(t, analyze.ArtifactParsed, status.Status)
	all := parsertest.All[fact.Trace](st)
	require.Len(t, all, 1)
	assert.Equal(t, 712, all[0].PID)
	assert.Zero(t, all[0].Calls)
}

// TestPending: a call that a signal handler or a detach leaves open is named.
func TestPending(t *testing.T) {
	st, _ := parsertest.Run(t, strace.Parser(), "t.txt", []byte("[pid    7] 1795225255.100000 read(3, \"a\", 10) = 1 <0.250000>\n[pid    7] 1795225256.100000 futex(0x1, FUTEX_WAIT, 2, NULL <unfinished ...>\n[pid    8] 1795225256.200000 close(3) = -1 EBADF (Bad file descriptor) <0.000010>\n"))
	all := parsertest.All[fact.Trace](st)
	require.Len(t, all, 2)
	assert.Equal(t, "futex", all[0].Unfinished)
	assert.Equal(t, 250.0, all[0].LongestMS.V)
	assert.Equal(t, "read", all[0].Longest)
	assert.Equal(t, fact.Epoch, all[0].First.Basis)
	assert.Equal(t, map[string]int64{"close EBADF": 1}, all[1].Errors)
}

// TestDetached: the message of the detach stands in the middle of the call that the
// process is inside, and the end of the broken line comes alone.
func TestDetached(t *testing.T) {
	st, status := parsertest.Run(t, strace.Parser(), "t.txt", []byte("strace: Process 22467 attached\n10:06:32.412573 writev(1<pipe:[3325204]>, [{iov_base=\"row\", iov_len=208}], 2strace: Process 22467 detached\n <detached ...>\n"))
	assert.Zero(t, status.Skipped)
	all := parsertest.All[fact.Trace](st)
	require.Len(t, all, 1)
	assert.Equal(t, "writev", all[0].Unfinished)
	assert.Equal(t, "pipe:[3325204]", all[0].UnfinishedName)
	assert.Equal(t, 22467, all[0].PID)
}
