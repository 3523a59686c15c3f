package strace

import (
	"bytes"
	"strconv"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// trace is the state of one artifact.
type trace struct {
	out      *analyze.Sink
	modified time.Time
	threads  map[int]*thread
	order    []*thread
	table    *fact.Trace // of -c
	noticed  bool        // strace's own messages were seen
	attached []int       // the processes it says it attached to
	// attachedAt is where it says so first.
	attachedAt fact.Ref
}

// notice takes one of strace's own messages.
func (t *trace) notice(line []byte, at fact.Ref) {
	t.noticed = true
	if rest, ok := bytes.CutPrefix(line, []byte("strace: Process ")); ok && bytes.Contains(rest, []byte(" attached")) && len(t.attached) < 2 {
		if len(t.attached) == 0 {
			t.attachedAt = at
		}
		t.attached = append(t.attached, atoi(rest[:digits(rest)]))
	}
}

// thread sums up one thread.
type thread struct {
	fact.Trace
	open    map[int]int // descriptor to index of FDs, of the file it is now
	pending pending     // the call it is inside
	busy    bool
	longest time.Duration
	timed   bool
}

// pending is an unfinished call with what its first line told.
type pending struct {
	name string
	args []byte
	at   fact.Ref
}

func (t *trace) thread(pid int, at fact.Ref) *thread {
	th := t.threads[pid]
	if th == nil {
		if len(t.order) >= maxThreads {
			return nil
		}
		th = &thread{Trace: fact.Trace{At: at, PID: pid, ByCall: map[string]int64{}, Errors: map[string]int64{}}, open: map[int]int{}}
		t.threads[pid] = th
		t.order = append(t.order, th)
	}
	return th
}

// line takes one record; it returns false for a line that is none.
func (t *trace) line(line []byte, at fact.Ref) bool {
	l, ok := split(line)
	if !ok {
		return false
	}
	th := t.thread(l.pid, at)
	if th == nil {
		return true
	}
	if when := l.time.Time(t.modified); when.Known() {
		if !th.First.Known() {
			th.First = when
		}
		th.Last = when
	}
	switch l.kind {
	case signal:
		if name := string(l.name); len(th.Signals) < 64 {
			th.Signals = append(th.Signals, name)
		}
	case exit:
		th.Exited, th.busy = string(l.name), false
	case unfinished:
		th.pending = pending{name: string(l.name), args: append(th.pending.args[:0], l.args...), at: at}
		th.busy = true
	case resumed:
		args, start := l.args, at
		if th.busy && th.pending.name == string(l.name) {
			args, start = append(th.pending.args, l.args...), th.pending.at
		}
		th.busy = false
		th.call(&l, args, start)
	default:
		th.busy = false
		th.call(&l, l.args, at)
	}
	return true
}

// broken takes a line into which strace's own message was printed: what stands
// before it is a call that goes on later, and the end of that line comes alone.
func (t *trace) broken(line []byte, at fact.Ref) bool {
	if i := bytes.Index(line, []byte("strace: Process ")); i > 0 {
		return t.line(append(bytes.Clone(line[:i]), "<unfinished ...>"...), at)
	}
	rest := string(bytes.TrimSpace(line))
	return rest == "<unfinished ...>" || rest == "<detached ...>"
}

// call counts a finished call.
func (th *thread) call(l *record, args []byte, at fact.Ref) {
	th.Calls++
	count(th.ByCall, l.name, nil)
	ret, errno := result(l.ret)
	if errno != nil {
		count(th.Errors, l.name, errno)
	}
	if l.timed && l.took >= th.longest {
		th.longest, th.timed = l.took, true
		th.Longest = string(l.name)
	}
	switch string(l.name) {
	case "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "epoll_wait_old":
		th.Waits++
		switch {
		case errno != nil:
		case ret == 0:
			th.TimedOut++
		case ret > 0:
			th.Ready++
		}
	case "read", "recvfrom", "recvmsg", "readv", "recv", "pread64", "recvmmsg":
		th.io(args, at, ret > 0, true)
	case "write", "sendto", "sendmsg", "writev", "send", "pwrite64", "sendmmsg":
		th.io(args, at, ret > 0, false)
	case "close":
		delete(th.open, fdOf(args))
	case "open", "openat", "openat2", "creat":
		if ret >= 0 && errno == nil {
			th.opened(int(ret), path(args))
		}
	case "accept", "accept4":
		if ret >= 0 && errno == nil {
			th.accepted(int(ret), fdOf(args), peer(args))
		}
	case "connect":
		if p := peer(args); p != "" {
			th.opened(fdOf(args), p)
		}
	}
}

// count adds to a counter without allocating for names that are there already.
func count(m map[string]int64, name, errno []byte) {
	if errno == nil {
		if _, ok := m[string(name)]; ok || len(m) < 512 {
			m[string(name)]++
		}
		return
	}
	var buf [64]byte
	key := append(append(append(buf[:0], name...), ' '), errno...)
	if _, ok := m[string(key)]; ok || len(m) < 512 {
		m[string(key)]++
	}
}

// result reads "77", "-1 EAGAIN (...)", "0x7f..", "?" and "22<socket:[1]>".
func result(b []byte) (ret int64, errno []byte) {
	b = bytes.TrimSpace(b)
	if rest, ok := bytes.CutPrefix(b, []byte("-1 ")); ok {
		n := 0
		for n < len(rest) && (rest[n]-'A' < 26 || rest[n] == '_' || rest[n]-'0' <= 9) {
			n++
		}
		return -1, rest[:n]
	}
	if n := digits(b); n > 0 && n < 19 && (n == len(b) || b[n] != 'x') {
		v, _ := strconv.ParseInt(string(b[:n]), 10, 64)
		return v, nil
	}
	return -1, nil
}

// fdOf is the descriptor that the arguments begin with, -1 without one.
func fdOf(args []byte) int {
	n := digits(args)
	if n == 0 || n > 9 {
		return -1
	}
	return atoi(args[:n])
}

// fd is the entry of a descriptor, as it is now.
func (th *thread) fd(n int, name string) *fact.TraceFD {
	if i, ok := th.open[n]; ok && (name == "" || th.FDs[i].Name == "" || th.FDs[i].Name == name) {
		if th.FDs[i].Name == "" {
			th.FDs[i].Name = name
		}
		return &th.FDs[i]
	}
	if len(th.FDs) >= maxFDs {
		return nil
	}
	th.open[n] = len(th.FDs)
	th.FDs = append(th.FDs, fact.TraceFD{FD: n, Name: name})
	return &th.FDs[len(th.FDs)-1]
}

// opened notes what a descriptor is from now on.
func (th *thread) opened(n int, name string) {
	if n < 0 {
		return
	}
	delete(th.open, n)
	th.fd(n, name)
}

// accepted notes a connection and the listening descriptor that it came from.
func (th *thread) accepted(n, listener int, name string) {
	th.opened(n, name)
	if i, ok := th.open[n]; ok && listener >= 0 {
		th.FDs[i].Listener = fact.Some(int64(listener))
	}
}

// io counts a read or a write that moved data.
func (th *thread) io(args []byte, at fact.Ref, moved, read bool) {
	n := fdOf(args)
	if n < 0 || !moved {
		return
	}
	f := th.fd(n, fdName(args))
	if f == nil {
		return
	}
	if !read {
		f.Writes++
		if f.FirstWrite.IsZero() {
			f.FirstWrite = at
		}
		return
	}
	f.Reads++
	if f.FirstRead.IsZero() {
		f.FirstRead = at
	}
	f.LastRead = at
}

// unfinished notes the call that the thread was inside at the end, and on what.
func (th *thread) unfinished() {
	p := &th.pending
	th.Unfinished = p.name
	n := fdOf(p.args)
	if n < 0 || !takesFD(p.name) {
		return
	}
	th.UnfinishedFD, th.UnfinishedName = fact.Some(int64(n)), fdName(p.args)
	if i, ok := th.open[n]; ok && th.UnfinishedName == "" {
		th.UnfinishedName = th.FDs[i].Name
	}
}

// takesFD reports whether a call's first argument is a descriptor, among the calls
// that a thread can be stuck in.
func takesFD(call string) bool {
	switch call {
	case "read", "recvfrom", "recvmsg", "readv", "recv", "pread64", "recvmmsg", "write", "sendto", "sendmsg", "writev", "send", "pwrite64", "sendmmsg",
		"accept", "accept4", "connect", "close", "epoll_wait", "epoll_pwait", "epoll_pwait2", "fsync", "fdatasync", "flock", "fcntl", "ioctl", "sendfile", "splice":
		return true
	}
	return false
}

// fdName is what -y prints behind the descriptor: 22<socket:[145699]>. -yy prints
// both ends, with "->" inside.
func fdName(args []byte) string {
	n := digits(args)
	if n >= len(args) || args[n] != '<' {
		return ""
	}
	rest := args[n+1:]
	for i := 0; i < len(rest) && i < 200; i++ {
		if rest[i] == '>' && (i == 0 || rest[i-1] != '-') {
			return string(rest[:i])
		}
	}
	return ""
}

// path is the first string of the arguments.
func path(args []byte) string {
	_, rest, ok := bytes.Cut(args, []byte{'"'})
	if !ok {
		return ""
	}
	p, _, ok := bytes.Cut(rest, []byte{'"'})
	if !ok || len(p) > 200 {
		return ""
	}
	return string(p)
}

// peer is the address in {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}.
func peer(args []byte) string {
	_, rest, ok := bytes.Cut(args, []byte("port=htons("))
	if !ok {
		return ""
	}
	n := digits(rest)
	port := string(rest[:n])
	for _, key := range []string{`sin_addr=inet_addr("`, `inet_pton(AF_INET6, "`} {
		if _, a, ok := bytes.Cut(args, []byte(key)); ok {
			addr, _, _ := bytes.Cut(a, []byte{'"'})
			if bytes.IndexByte(addr, ':') >= 0 {
				return "[" + string(addr) + "]:" + port
			}
			return string(addr) + ":" + port
		}
	}
	return ""
}

// emit hands over the threads in the order of their first lines.
func (t *trace) emit() {
	for _, th := range t.order {
		if th.busy {
			th.unfinished()
		}
		if th.timed {
			th.LongestMS = fact.Some(float64(th.longest) / float64(time.Millisecond))
		}
		if th.PID == 0 && len(t.order) == 1 && len(t.attached) == 1 {
			th.PID = t.attached[0] // without -f only the message names the process
		}
		if len(th.Errors) == 0 {
			th.Errors = nil
		}
		analyze.Emit(t.out, th.Trace)
	}
	if len(t.order) == 0 && t.table == nil && len(t.attached) > 0 {
		// strace's messages went to a file of their own: it tells whom the trace
		// beside it is of.
		analyze.Emit(t.out, fact.Trace{At: t.attachedAt, PID: t.attached[0]})
	}
	if t.table != nil && len(t.table.ByCall) > 0 {
		analyze.Emit(t.out, *t.table)
	}
	if len(t.order) >= maxThreads {
		t.out.Note("more than %d threads: the rest is not read", maxThreads)
		t.out.Partial()
	}
}
