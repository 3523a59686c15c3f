// Package strace reads system call traces: `strace`, with any of -f, -t, -tt, -ttt,
// -r, -T, -y and -yy, and the tables of -c. One fact sums up each thread.
package strace

import (
	"bytes"
	"context"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads traces of system calls.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "strace",
		Doc:   "Traces of system calls by strace, and its summaries (-c).",
		Emits: []fact.Kind{fact.Trace{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	calls, lines := 0, 0
	text := h.Bytes
	for len(text) > 0 && lines < 60 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			break // the last line may be cut
		}
		text = rest
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 || stackLine(line) {
			continue
		}
		lines++
		if notice(line) || summaryHead(line) {
			return analyze.Certain
		}
		if l, ok := split(line); ok && (l.kind == signal || l.kind == exit || l.kind == resumed || known(l.name)) {
			calls++
		}
	}
	switch {
	case calls >= 2 && calls*2 > lines:
		return analyze.Certain // also of a file named trace.log, with times
	case calls > 0 && calls*2 > lines:
		return analyze.Probably
	}
	return analyze.No
}

// stackLine reports whether line is of a stack that -k prints below a call.
func stackLine(line []byte) bool { return bytes.HasPrefix(line, []byte(" > ")) }

// notice reports whether line is one of strace's own messages.
func notice(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("strace: "))
	return ok && (bytes.HasPrefix(rest, []byte("Process ")) || bytes.HasPrefix(rest, []byte("attach: ")) || bytes.HasPrefix(rest, []byte("[ Process PID=")))
}

// known reports whether a call's name is common enough in any trace to tell a
// trace from program source.
func known(name []byte) bool { return commonCalls[string(name)] }

var commonCalls = map[string]bool{
	"read": true, "write": true, "close": true, "openat": true, "open": true, "futex": true, "epoll_wait": true, "epoll_pwait": true, "epoll_ctl": true,
	"poll": true, "ppoll": true, "select": true, "pselect6": true, "mmap": true, "munmap": true, "mprotect": true, "madvise": true, "brk": true,
	"recvfrom": true, "sendto": true, "recvmsg": true, "sendmsg": true, "accept": true, "accept4": true, "connect": true, "socket": true, "bind": true,
	"listen": true, "getsockopt": true, "setsockopt": true, "execve": true, "clone": true, "clone3": true, "wait4": true, "rt_sigaction": true,
	"rt_sigprocmask": true, "nanosleep": true, "clock_nanosleep": true, "fstat": true, "newfstatat": true, "stat": true, "ioctl": true, "fcntl": true,
	"restart_syscall": true, "writev": true, "readv": true, "pread64": true, "pwrite64": true, "getpid": true, "gettid": true, "kill": true, "tgkill": true,
	"sched_yield": true, "fsync": true, "fdatasync": true, "pread": true, "pwrite": true, "preadv": true, "pwritev": true, "recv": true, "send": true, "epoll_create1": true, "eventfd2": true, "pipe2": true, "dup": true, "exit_group": true, "lseek": true, "access": true,
	"getrandom": true, "timerfd_settime": true, "shutdown": true, "sendfile": true, "getsockname": true, "getpeername": true, "io_uring_enter": true,
}

// maxThreads bounds the threads of one trace, maxFDs the descriptors kept of each.
const (
	maxThreads = 20_000
	maxFDs     = 512
)

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	t := &trace{out: out, modified: in.ModTime, threads: map[int]*thread{}}
	lr := lines.New(r, in.ID())
	for lr.Next() {
		if lr.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line := lr.Bytes()
		switch {
		case len(line) == 0 || stackLine(line):
		case notice(line):
			t.notice(line, lr.Ref())
		case t.table != nil || summaryHead(line):
			t.summary(line, lr.Ref())
		default:
			if !t.line(line, lr.Ref()) && !t.broken(line, lr.Ref()) {
				out.Skip(&analyze.SyntaxError{At: lr.Ref(), Msg: "not a system call"})
			}
		}
	}
	if len(t.order) == 0 && t.table == nil && !t.noticed && lr.Err() == nil {
		return analyze.ErrForeign
	}
	t.emit()
	return lr.Err()
}
