package gdb_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/gdb"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, gdb.Parser(), "testdata/*.txt") }
func TestRobust(t *testing.T) { parsertest.Robust(t, gdb.Parser(), "testdata/mutex.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, gdb.Parser(), "testdata/*.txt") }

// TestFrame: gdb breaks lines at the width of a terminal, and arguments of C++
// hold parentheses, commas and quotes.
func TestFrame(t *testing.T) {
	st, _ := parsertest.Run(t, gdb.Parser(), "bt.txt", []byte(`Thread 1 (Thread 0x7f (LWP 77) "node"):
#0  0x00007f in node::(anonymous namespace)::Loop<int, 3>::run(void (*)(int)) (this=0x1, s=0x2 "a) at b", v={x = 1, y = 2})
    at ../src/loop.cc:12
#1  0x00007e in read () from /lib/x86_64-linux-gnu/libc.so.6
#2  <signal handler called>
#3  main (argc=1, argv=0x7ff) at main.c:3
`))
	threads := parsertest.All[fact.Thread](st)
	require.Len(t, threads, 1)
	th := threads[0]
	assert.Equal(t, "node", th.Runtime)
	assert.EqualValues(t, 77, th.PID.V)
	require.Len(t, th.Frames, 3)
	assert.Equal(t, "node::(anonymous namespace)::Loop<int, 3>::run(void (*)(int))", th.Frames[0].Func)
	assert.Equal(t, []string{"this=0x1", `s=0x2 "a) at b"`, "v={x = 1, y = 2}"}, th.Frames[0].Args)
	assert.Equal(t, "../src/loop.cc", th.Frames[0].File)
	assert.Equal(t, 12, th.Frames[0].Line)
	assert.Equal(t, "/lib/x86_64-linux-gnu/libc.so.6", th.Frames[1].File)
}
