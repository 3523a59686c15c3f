package gdb

import (
	"bytes"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// core is one entry of `coredumpctl info`: whose core it is and the signal it died
// of, above the stacks.
//
//	         PID: 12345 (shop)
//	      Signal: 11 (SEGV)
//	   Timestamp: Sat 2026-11-21 09:12:55 UTC (2min ago)
//	Command Line: /srv/shop -p 8080
//	     Message: Process 12345 (shop) of user 1001 dumped core.
//
//	              Stack trace of thread 12345:
//	              #0  0x00007f1 raise (libc.so.6 + 0x3bd52)
type core struct {
	proc fact.Process
	died fact.LogEvent
}

// coreBegin is the process of a line "PID: 12345 (shop)", zero for others.
func coreBegin(line []byte) (pid int64, comm string) {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("PID: "))
	num, comm, named := strings.Cut(string(rest), " (")
	if !ok || !named || !strings.HasSuffix(comm, ")") || strings.Trim(num, "0123456789") != "" {
		return 0, ""
	}
	return number([]byte(num)), strings.TrimSuffix(comm, ")")
}

// coreThread reports whether line is "Stack trace of thread 12345:".
func coreThread(line []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("Stack trace of thread "))
	return ok && number(rest) > 0 && rest[len(rest)-1] == ':'
}

// coredump takes a line of coredumpctl and reports whether it is one.
func (d *dump) coredump(line []byte, at fact.Ref) bool {
	if pid, comm := coreBegin(line); pid > 0 {
		d.endCore()
		d.core = &core{
			proc: fact.Process{At: at, PID: int(pid), Command: comm, CommandCut: true},
			died: fact.LogEvent{At: at, Level: "error", Source: "systemd-coredump", PIDs: []int{int(pid)}, Signs: []string{fact.SignSignal, fact.SignStop}},
		}
		d.cur, d.form = nil, nil
		return true
	}
	if d.core == nil {
		return false
	}
	if coreThread(line) {
		rest := bytes.TrimLeft(line, " ")[len("Stack trace of thread "):]
		d.begin(&fact.Thread{At: at, Runtime: "native", PID: fact.Some(int64(d.core.proc.PID)), LWP: fact.Some(number(rest))}, (*dump).coreFrame)
		return true
	}
	if d.form != nil {
		return false
	}
	key, value, _ := strings.Cut(strings.TrimLeft(string(line), " "), ": ")
	switch key {
	case "Signal":
		if _, name, ok := strings.Cut(value, "("); ok {
			d.core.died.Signal = "SIG" + strings.TrimPrefix(strings.TrimSuffix(name, ")"), "SIG")
		}
	case "Timestamp":
		_, day, _ := strings.Cut(value, " ") // "Sat 2026-11-21 09:12:55 UTC (2min ago)"
		if s, n := stamp.Parse([]byte(day), stamp.Unknown); n > 0 {
			d.core.died.Time = s.Time(time.Time{})
		}
	case "UID":
		d.core.proc.User, _, _ = strings.Cut(value, " ")
	case "Command Line":
		d.core.proc.Command, d.core.proc.CommandCut = value, false
	case "Hostname":
		d.core.died.Host = value
	case "Message":
		d.core.died.At, d.core.died.Text = at, value
	}
	return true
}

// coreFrame takes a frame below a thread.
func (d *dump) coreFrame(line []byte, at fact.Ref) {
	f, ok := nativeFrame(bytes.TrimLeft(line, " "))
	if !ok {
		return
	}
	if len(f.Args) == 1 && strings.Contains(f.Args[0], " + 0x") {
		f.File, _, _ = strings.Cut(f.Args[0], " + 0x") // the module, and where in it
		f.Args = nil
	}
	if f.Func == "n/a" {
		f.Func = "??"
	}
	d.frame(f, at)
}

// endCore hands over whose core it is; its threads follow with all others.
func (d *dump) endCore() {
	c := d.core
	d.core = nil
	if c == nil {
		return
	}
	analyze.Emit(d.out, c.proc)
	if c.died.Text != "" {
		analyze.Emit(d.out, c.died)
	}
}
