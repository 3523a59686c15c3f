package auditd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/auditd"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// busy is a log as a busy host writes it: mostly execs and opens, some kills.
func busy(events int) []byte {
	var log bytes.Buffer
	for i := range events {
		stamp := fmt.Sprintf("audit(%d.%03d:%d)", 1700000000+i/50, i%1000, i)
		subject := fmt.Sprintf("ppid=1 pid=%d auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=3", 1000+i)
		call, args := 59, "a0=55 a1=56 a2=57 a3=58"
		switch i % 10 {
		case 1, 2, 3:
			call, args = 257, "a0=ffffff9c a1=56 a2=80000 a3=0"
		case 4:
			call, args = 62, "a0=3e8 a1=f a2=0 a3=0"
		}
		fmt.Fprintf(&log, "type=SYSCALL msg=%s: arch=c000003e syscall=%d success=yes exit=0 %s items=2 %s comm=\"app\" exe=\"/usr/bin/app\" key=\"k\"\n", stamp, call, args, subject)
		fmt.Fprintf(&log, "type=CWD msg=%s: cwd=\"/srv/app\"\n", stamp)
		fmt.Fprintf(&log, "type=PATH msg=%s: item=0 name=\"/usr/bin/app\" inode=247766 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL\n", stamp)
		fmt.Fprintf(&log, "type=PROCTITLE msg=%s: proctitle=6170700031\n", stamp)
	}
	return log.Bytes()
}

func input(log []byte) *analyze.Input {
	return &analyze.Input{Path: "audit.log", Size: int64(len(log)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(log)), nil
	}}
}

// TestJobs: decoding on a second goroutine changes nothing.
func TestJobs(t *testing.T) {
	log := busy(20000)
	read := func(jobs int) string {
		f, err := analyze.Read(context.Background(), []*analyze.Input{input(log)}, analyze.Config{Parsers: []*analyze.Parser{auditd.Parser()}, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(f.Artifacts) + string(parsertest.Lines(t, f.Store))
	}
	if one, four := read(1), read(4); one != four {
		t.Errorf("facts differ: %d bytes of them with one job, %d with four", len(one), len(four))
	}
}

func BenchmarkParse(b *testing.B) {
	log := busy(20000)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := analyze.Read(context.Background(), []*analyze.Input{input(log)}, analyze.Config{Parsers: []*analyze.Parser{auditd.Parser()}}); err != nil {
			b.Fatal(err)
		}
	}
}
