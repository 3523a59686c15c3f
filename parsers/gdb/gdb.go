// Package gdb reads the stacks of threads as text: gdb's `thread apply all bt` and
// `bt`, pstack and eu-stack, jstack, `py-spy dump`, Python's faulthandler and the
// stacks of coredumpctl.
package gdb

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// Parser reads stacks of threads.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "gdb",
		Doc:   "Stacks of threads: gdb backtraces, pstack, eu-stack, jstack, py-spy dump, faulthandler, coredumpctl info.",
		Emits: []fact.Kind{fact.Thread{}.Kind(), fact.Process{}.Kind(), fact.LogEvent{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	text := h.Bytes
	before := 0      // dated lines
	crashed := false // faulthandler ends a log with the stacks of a crash
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		line = bytes.TrimRight(line, "\r")
		if _, n := stamp.Parse(line, stamp.Unknown); n > 0 {
			before++
		}
		if pid, _ := coreBegin(line); pid > 0 && bytes.Contains(text, []byte("Signal: ")) && bytes.Contains(text, []byte("Executable: ")) {
			return analyze.Certain
		}
		crashed = crashed || bytes.HasPrefix(line, []byte("Fatal Python error"))
		switch {
		case jvmBegin(line), nativeThread(line), infoThreads(line), eustackThread(line), pythonThread(line), pyspyProcess(line):
			if before > 3 || before > 0 && crashed {
				return analyze.Probably // a stack within something else, such as a log
			}
			return analyze.Certain
		case inferior(line) > 0:
			return analyze.Probably
		}
		if _, ok := nativeFrame(line); ok && bytes.HasPrefix(line, []byte("#0 ")) {
			return analyze.Probably
		}
	}
	return analyze.No
}

// maxThreads and maxFrames bound what one artifact may hold.
const (
	maxThreads = 200_000
	maxFrames  = 1000
)

// dump is the state of one artifact being read.
type dump struct {
	out     *analyze.Sink
	threads []*fact.Thread
	rows    []*fact.Thread // of info threads
	cur     *fact.Thread
	pid     int64
	form    func(d *dump, line []byte, at fact.Ref) // of the thread being read
	locked  bool                                    // in jstack's list of owned synchronizers
	// contended is the lock of a JVM's verdict whose owner comes next, typed what
	// gdb was told to print, mutexes what it printed.
	contended, typed string
	core             *core // of coredumpctl, the one being read
	mutexes          []mutex
}

// parse reads the artifact line by line. Threads are handed over at the end,
// because gdb names the process in its last line.
func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	d := &dump{out: out}
	lr := lines.New(r, in.ID())
	for lr.Next() {
		if lr.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		d.line(lr.Bytes(), lr.Ref())
		if len(d.threads)+len(d.rows) >= maxThreads {
			out.Note("more than %d threads: the rest is not read", maxThreads)
			out.Partial()
			break
		}
	}
	if len(d.threads) == 0 {
		d.threads = d.rows
	}
	cores := d.core != nil
	d.endCore()
	if len(d.threads) == 0 && !cores && lr.Err() == nil {
		return analyze.ErrForeign
	}
	d.emit()
	return lr.Err()
}

// line takes one line: the beginning of a thread, of a process, or a part of the
// thread being read.
func (d *dump) line(line []byte, at fact.Ref) {
	switch {
	case len(line) == 0, d.coredump(line, at):
		return
	case nativeThread(line):
		d.begin(nativeHeader(line, at), (*dump).native)
	case eustackThread(line):
		d.begin(eustackHeader(line, at), (*dump).native)
	case jvmThread(line):
		d.begin(jvmHeader(line, at), (*dump).jvm)
	case pythonThread(line):
		d.begin(pythonHeader(line, at), (*dump).python)
	case infoThreads(line):
		d.cur, d.form = nil, (*dump).infoRow
	case inferior(line) > 0:
		d.pid = inferior(line)
	case pyspyProcess(line):
		d.pid = number(line[len("Process "):])
	case bytes.HasPrefix(line, []byte("PID ")):
		d.pid = number(line[len("PID "):])
	case foundDeadlock(line):
		d.cur, d.form = nil, (*dump).deadlock
	case d.printed(line):
	case d.form == nil:
		// `bt` without threads: the first frame begins one.
		if f, ok := nativeFrame(line); ok && bytes.HasPrefix(line, []byte("#0")) {
			d.begin(&fact.Thread{At: at, Runtime: "native"}, (*dump).native)
			d.frame(f, at)
		}
	default:
		d.form(d, line, at)
	}
}

func (d *dump) begin(t *fact.Thread, form func(*dump, []byte, fact.Ref)) {
	d.cur, d.form, d.locked = t, form, false
	d.threads = append(d.threads, t)
}

// frame adds a call to the current thread.
func (d *dump) frame(f fact.Frame, at fact.Ref) {
	if len(d.cur.Frames) < maxFrames {
		f.At = at
		d.cur.Frames = append(d.cur.Frames, f)
	}
}

// emit settles what only the whole dump tells, and hands the threads over.
func (d *dump) emit() {
	runtime := ""
	for _, t := range d.threads {
		if r := runtimeOf(t); r != "" {
			runtime = r
		}
	}
	d.settleMutexes()
	holders := map[string]fact.Int{}
	for _, t := range d.threads {
		for _, h := range t.Holds {
			holders[h] = t.LWP
		}
	}
	pid := d.pid
	for _, t := range d.threads {
		// The thread that runs main has the number of its process.
		if pid == 0 && t.LWP.Known && runsMain(t) {
			pid = t.LWP.V
		}
	}
	for _, t := range d.threads {
		if t.Runtime == "native" && runtime != "" {
			t.Runtime = runtime
		}
		if pid > 0 && !t.PID.Known {
			t.PID = fact.Some(pid)
		}
		if owner := holders[t.Waits]; owner.Known {
			t.OwnerLWP = owner
		}
		analyze.Emit(d.out, *t)
	}
}

// runtimeOf tells a program's runtime by functions that only it has.
func runtimeOf(t *fact.Thread) string {
	if t.Runtime != "native" {
		return ""
	}
	for _, f := range t.Frames {
		switch {
		case strings.HasPrefix(f.Func, "node::"):
			return "node"
		case strings.HasPrefix(f.Func, "runtime.") && strings.HasSuffix(f.File, ".go"), strings.HasPrefix(f.Func, "runtime.goexit"), strings.HasPrefix(f.Func, "runtime.futex"):
			return "go"
		case strings.HasPrefix(f.Func, "_PyEval_"), strings.HasPrefix(f.Func, "PyEval_"), strings.HasPrefix(f.Func, "Py_RunMain"):
			return "python"
		case strings.HasPrefix(f.Func, "JavaMain"), strings.HasPrefix(f.Func, "JavaThread::"):
			return "jvm"
		}
	}
	if t.Name == "node" {
		return "node"
	}
	return ""
}

func runsMain(t *fact.Thread) bool {
	for i := len(t.Frames) - 1; i >= 0 && i >= len(t.Frames)-3; i-- {
		switch fn := t.Frames[i].Func; {
		case fn == "_start", fn == "main", strings.HasPrefix(fn, "__libc_start"), fn == "runtime.rt0_go", strings.HasPrefix(fn, "_rt0_"):
			return true
		}
	}
	return false
}

// number reads the decimal digits at the beginning of b.
func number(b []byte) int64 {
	v := int64(0)
	for i, c := range b {
		if c-'0' > 9 || i > 9 {
			break
		}
		v = v*10 + int64(c-'0')
	}
	return v
}

// fileLine splits "/src/a.c:12".
func fileLine(s string) (string, int) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0
	}
	n := number([]byte(s[i+1:]))
	if n == 0 || path.Base(s[:i]) == "." {
		return s, 0
	}
	return s[:i], int(n)
}
