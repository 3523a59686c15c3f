package auditd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/auditd"
	"github.com/culprit-dev/culprit/parsers/auditd/internal/trail"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func generated(t testing.TB, o trail.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, trail.Write(&b, o))
	return b.Bytes()
}

func read(t testing.TB, log []byte, jobs int) *analyze.Facts {
	t.Helper()
	in := &analyze.Input{Path: "audit.log", Size: int64(len(log)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(log)), nil
	}}
	f, err := analyze.Read(context.Background(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{auditd.Parser()}, Jobs: jobs})
	require.NoError(t, err)
	return f
}

// TestJobs: more goroutines change nothing.
func TestJobs(t *testing.T) {
	log := generated(t, trail.Options{Lines: 150_000, Enriched: true, Node: "web-1"})
	facts := func(jobs int) string {
		f := read(t, log, jobs)
		return fmt.Sprint(f.Artifacts) + string(parsertest.Lines(t, f.Store))
	}
	one := facts(1)
	for _, jobs := range []int{2, 3, 8} {
		if n := facts(jobs); n != one {
			t.Errorf("facts differ: %d bytes of them with one job, %d with %d", len(one), len(n), jobs)
		}
	}
}

// TestLatest: of too many events the latest are kept, and the programs of those
// that a signal was about.
func TestLatest(t *testing.T) {
	exec := func(n, ppid, pid int, program string) string {
		return fmt.Sprintf(`type=SYSCALL msg=audit(1795000000.%03d:%d): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=%d pid=%d auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=3 comm="%s" exe="/usr/bin/%s" key="exec"`+"\n",
			n%1000, n, ppid, pid, program, program)
	}
	var log bytes.Buffer
	log.WriteString(exec(1, 900, 901, "watchdog"))
	log.WriteString(exec(2, 901, 902, "pkill"))
	log.WriteString(exec(3, 1, 903, "server"))
	log.WriteString(exec(4, 1, 904, "bystander"))
	log.WriteString(`type=SYSCALL msg=audit(1795000000.000:30000): arch=c000003e syscall=62 success=yes exit=0 a0=387 a1=f a2=0 a3=0 items=0 ppid=901 pid=902 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=3 comm="pkill" exe="/usr/bin/pkill" key="kill"` + "\n")
	log.WriteString(`type=OBJ_PID msg=audit(1795000000.000:30000): opid=903 oauid=-1 ouid=0 oses=-1 ocomm="server"` + "\n")
	for n := range 20_000 {
		log.WriteString(exec(40_000+n, 1, 10_000+n, "job"))
	}

	f := read(t, log.Bytes(), 1)
	programs := map[string]int{}
	var order []int
	for e := range fact.All[fact.AuditEvent](f.Store.View("test", "audit_event")) {
		programs[e.Comm]++
		order = append(order, e.At.Line)
	}
	assert.Equal(t, 1, programs["watchdog"])
	assert.Equal(t, 2, programs["pkill"], "its execve and its kill")
	assert.Equal(t, 1, programs["server"])
	assert.Zero(t, programs["bystander"])
	assert.InDelta(t, 8<<10, programs["job"], 200)
	assert.True(t, slices.IsSorted(order))
	assert.Equal(t, 20_006, order[len(order)-1])
	assert.Len(t, f.Artifacts[0].Issues, 1)
}

func BenchmarkParse(b *testing.B) {
	log := generated(b, trail.Options{Lines: 100_000})
	for _, jobs := range []int{1, 2} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			for b.Loop() {
				read(b, log, jobs)
			}
		})
	}
}
