// Package longsyscall finds goroutines that stay in a system call.
package longsyscall

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/long-syscall"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "long system call or cgo", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "minutes", Default: 1, Unit: "minutes", Doc: "that the longest of them is inside"},
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "so many make it medium severity"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/uninterruptible", Via: join.KindProcess, Why: "its threads sleep uninterruptibly in the kernel"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, c := range d.Crowds(key) {
			if c.Minutes() < int64(p.Threshold("minutes")) {
				continue
			}
			report(p, d, c)
		}
	}
	return nil
}

// key is the place of a system call or a C function of the program. Waiting for
// signals, descriptors and subprocesses is what some calls are for.
func key(s *waits.Stack) string {
	if s.Kind != waits.InSyscall || s.Idle != "" || len(s.App) == 0 ||
		s.Has("syscall.Wait4", "syscall.wait4", "syscall.EpollWait", "golang.org/x/sys/unix.EpollWait", "golang.org/x/sys/unix.Select", "golang.org/x/sys/unix.Poll", "internal/syscall/unix.Waitid") {
		return ""
	}
	return s.At(s.Top())
}

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd) {
	s := c.First()
	f := d.Finding("system call at "+s.Where(s.Top()), c)
	f.Severity, f.Confidence = analyze.Low, analyze.Likely
	if c.Count >= int64(p.Threshold("many")) {
		f.Severity = analyze.Medium
	}
	f.Title = fmt.Sprintf("%s%s in a system call or C function for at least %s in %s", are(c.Count), d.In(), join.Count(c.Minutes(), "minute"), s.At(s.Top()))
	call := "the kernel"
	if s.Has("runtime.cgocall") || strings.Contains(s.Frames[s.Top()].Func, "._Cfunc_") {
		call = "C code"
	}
	f.Detail = fmt.Sprintf("Each occupies a thread of the process and waits inside %s: a disk or network file system that does not answer, a device, a lock in a C library. The innermost call: %s. The stack: %s.%s", call, s.Func(0), s.Path(), s.Created())
	f.Fix = "See what the threads wait for in the kernel; put a bound on how many run at once, and a deadline where the call can have one."
	f.Next = append(f.Next, "cat /proc/PID/task/*/wchan", "gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt")
	p.Report(f)
}

func are(n int64) string {
	if n == 1 {
		return "1 goroutine is"
	}
	return fmt.Sprintf("%d goroutines are", n)
}
