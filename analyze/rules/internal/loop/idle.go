package loop

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/threads"
)

// waits are the calls in which an idle event loop stands.
var waits = map[string]bool{
	"epoll_wait": true, "epoll_pwait": true, "epoll_pwait2": true, "poll": true, "ppoll": true, "select": true, "pselect6": true, "kevent": true,
}

// Plain is a function's name without the decorations of libc.
func Plain(fn string) string {
	fn = strings.TrimPrefix(fn, "__GI_")
	fn, _, _ = strings.Cut(fn, "@")
	return strings.TrimLeft(fn, "_")
}

// Waiting reports whether the thread stands in the event loop's wait for events,
// and names the call. A wait that a handler makes, for a synchronous child process
// for example, is none: the loop that called the handler gets no turn meanwhile.
func Waiting(t *fact.Thread) (call string, ok bool) {
	if call = waitCall(t); call == "" {
		return "", false
	}
	_, inside := handler(t)
	return call, !inside
}

// waitCall is the call for events that the thread stands in, "" if it is in none.
func waitCall(t *fact.Thread) string {
	if t == nil {
		return ""
	}
	for i, f := range t.Frames[:min(len(t.Frames), 4)] {
		if fn := Plain(f.Func); waits[fn] {
			return fn
		}
		// Deeper down it is the loop that called the handler which runs now.
		if f.Func == "uv__io_poll" && i < 2 {
			return f.Func
		}
	}
	return ""
}

// handler finds the frame that a loop called and below which the thread waits for
// events of its own: Node's synchronous child processes, which turn a loop of their
// own, JavaScript, or a Python function that is none of the loop's.
func handler(t *fact.Thread) (at fact.Frame, ok bool) {
	for _, f := range t.Frames {
		switch {
		case strings.Contains(f.Func, "SyncProcessRunner"), strings.HasPrefix(f.Func, "Builtins_JSEntry"):
			return f, true
		case pythonLoop(f) != "":
			return at, ok
		case t.Runtime == "python" && !slices.ContainsFunc(loopFiles, func(part string) bool { return strings.Contains(f.File, part) }):
			at, ok = f, true // the outermost is the program's own
		}
	}
	return fact.Frame{}, false
}

// loopFiles are what Python's event loops consist of.
var loopFiles = []string{"selectors.py", "asyncio/", "gevent/", "tornado/", "twisted/", "trio/", "uvloop/"}

// Busy describes what a main thread runs instead of waiting for events: the first
// frame that says something to a reader. ok is false when it waits, or when the
// frames do not tell.
func Busy(t *fact.Thread) (at fact.Frame, ok bool) {
	if t == nil || len(t.Frames) == 0 {
		return fact.Frame{}, false
	}
	if call := waitCall(t); call != "" {
		return handler(t)
	}
	if i, own := threads.OwnFrame(t); own && t.Runtime == "python" {
		return t.Frames[i], true
	}
	for _, f := range t.Frames {
		// Compiled JavaScript has no symbols.
		if f.Func != "??" && !strings.HasPrefix(f.Func, "0x") {
			return f, true
		}
	}
	return t.Frames[0], true
}

// OneThread reports whether requests are handled on the main thread: the process
// turns a known event loop, or nothing shows another thread.
func (p *Process) OneThread() bool {
	if p.Kind() != "" {
		return true
	}
	for _, st := range p.Stacks {
		if len(st.Threads) > 1 {
			return false
		}
	}
	for _, tr := range p.Traces {
		if len(tr.Threads) > 1 {
			return false
		}
	}
	return true
}

// IsWait reports whether a system call is a loop's wait for events.
func IsWait(call string) bool { return waits[call] }

// loops are functions that turn an event loop, by what a person calls the loop. A
// program whose main thread stands below one of them does all its work there.
var loops = map[string]string{
	"uv_run": "libuv", "aeMain": "Redis", "aeProcessEvents": "Redis",
	"ngx_process_events_and_timers": "nginx", "ngx_worker_process_cycle": "nginx", "ngx_single_process_cycle": "nginx",
	"event_base_loop": "libevent", "event_base_dispatch": "libevent", "ev_run": "libev", "g_main_loop_run": "GLib", "run_poll_loop": "HAProxy",
}

// pythonLoops are source files of Python's event loops.
var pythonLoops = map[string]string{
	"asyncio/base_events.py": "asyncio", "gevent/hub.py": "gevent", "tornado/ioloop.py": "Tornado", "twisted/internet/base.py": "Twisted", "trio/_core/_run.py": "Trio",
}

// Kind says which event loop the process turns on its main thread: "Node",
// "asyncio", "Redis"; "" if none is known.
func (p *Process) Kind() string {
	for _, st := range p.Stacks {
		if st.Runtime() == "node" {
			return "Node"
		}
		if st.Main == nil {
			continue
		}
		for _, f := range st.Main.Frames {
			if k := cmp.Or(loops[f.Func], pythonLoop(f)); k != "" {
				return k
			}
		}
	}
	switch name := p.Name(); {
	case strings.HasPrefix(name, "node"), p.Comm == "node":
		return "Node"
	case name == "redis-server":
		return "Redis"
	}
	return ""
}

// pythonLoop names the event loop whose source file a frame is of, "" if none.
func pythonLoop(f fact.Frame) string {
	for file, k := range pythonLoops {
		if strings.HasSuffix(f.File, file) {
			return k
		}
	}
	return ""
}

// Turning reports whether a trace shows the loop coming back to its wait again and
// again: it is not stuck inside anything.
func (t *Trace) Turning() bool {
	m := t.Main
	return m != nil && m.Waits >= 3 && m.TimedOut+m.Ready >= 3
}

// IO sums up what the whole process did with one descriptor.
type IO struct {
	fact.TraceFD
	// Port is the local port of the socket behind it, 0 if unknown.
	Port int
	Row  fact.Ref // what ties the descriptor to the port
}

// Descriptors are the sockets that the traced process read or wrote. Files that it
// opened meanwhile are left out.
func (t *Trace) Descriptors() []IO {
	var out []IO
	type file struct {
		fd   int
		name string
	}
	index := map[file]int{}
	for _, th := range t.Threads {
		for _, fd := range th.FDs {
			if strings.HasPrefix(fd.Name, "/") || strings.HasPrefix(fd.Name, "pipe:") || strings.HasPrefix(fd.Name, "anon_inode:") || fd.FD <= 2 {
				continue
			}
			key := file{fd.FD, fd.Name}
			i, ok := index[key]
			if !ok {
				index[key] = len(out)
				out = append(out, IO{TraceFD: fd})
				continue
			}
			have := &out[i]
			if !have.Listener.Known {
				have.Listener = fd.Listener
			}
			have.Reads += fd.Reads
			have.Writes += fd.Writes
			if have.FirstRead.IsZero() {
				have.FirstRead = fd.FirstRead
			}
			if !fd.LastRead.IsZero() {
				have.LastRead = fd.LastRead
			}
			if have.FirstWrite.IsZero() {
				have.FirstWrite = fd.FirstWrite
			}
		}
	}
	return out
}

// Idle is the evidence that the process's event loop is healthy: it stands in its
// wait, or comes back to it again and again. samples counts moments seen.
func (p *Process) Idle() (samples int, ev []analyze.Evidence) {
	for _, tr := range p.Traces {
		if tr.Turning() {
			samples += 3
			m := tr.Main
			ev = append(ev, analyze.Cite(m.At, "strace of pid %d: its loop came back from its wait for events (epoll) %d times, %d of them with nothing to do", p.PID, m.TimedOut+m.Ready, m.TimedOut))
		}
	}
	for _, st := range p.Stacks {
		call, ok := Waiting(st.Main)
		if !ok {
			continue
		}
		samples++
		at := st.Main.At
		if len(st.Main.Frames) > 0 {
			at = st.Main.Frames[0].At
		}
		ev = append(ev, analyze.Cite(at, "the main thread of pid %d is idle: it waits for events in %s", p.PID, call))
	}
	return samples, ev
}
