package gdb

import (
	"bytes"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// pyspyProcess reports whether line is `Process 1234: python app.py` of py-spy.
func pyspyProcess(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("Process "))
	i := bytes.IndexByte(rest, ':')
	return ok && i > 0 && i < 10 && number(rest) > 0 && len(rest) > i+1 && rest[i+1] == ' '
}

// pythonThread reports whether line begins a thread of py-spy or faulthandler:
//
//	Thread 1234 (idle): "MainThread"
//	Thread 0x00007f12 (most recent call first):
//	Current thread 0x00007f12 [MainThread] (most recent call first):
func pythonThread(line []byte) bool {
	if bytes.Contains(line, []byte("(most recent call first):")) {
		return bytes.HasPrefix(line, []byte("Thread 0x")) || bytes.HasPrefix(line, []byte("Current thread 0x"))
	}
	rest, ok := bytes.CutPrefix(line, []byte("Thread "))
	if !ok {
		return false
	}
	i := bytes.Index(rest, []byte(" ("))
	if i < 1 || i > 24 {
		return false
	}
	state, _, ok := bytes.Cut(rest[i+2:], []byte(")"))
	return ok && (bytes.HasPrefix(state, []byte("idle")) || bytes.HasPrefix(state, []byte("active")))
}

func pythonHeader(line []byte, at fact.Ref) *fact.Thread {
	t := &fact.Thread{At: at, Runtime: "python", Name: quoted(line)}
	if bytes.Contains(line, []byte("(most recent")) {
		i := bytes.Index(line, []byte("0x"))
		id, _, _ := bytes.Cut(line[i:], []byte(" "))
		t.Name = string(id)
		if _, rest, ok := bytes.Cut(line, []byte("[")); ok {
			name, _, _ := bytes.Cut(rest, []byte("]"))
			t.Name = string(name)
		}
		return t
	}
	rest := line[len("Thread "):]
	if n := number(rest); n > 0 && !bytes.HasPrefix(rest, []byte("0x")) {
		t.LWP = fact.Some(n)
	}
	_, state, _ := bytes.Cut(rest, []byte("("))
	s, _, _ := bytes.Cut(state, []byte(")"))
	t.State = string(s)
	return t
}

// python takes a frame: `    read (socket.py:705)` or `  File "a.py", line 12 in f`.
func (d *dump) python(line []byte, at fact.Ref) {
	if line[0] != ' ' {
		return
	}
	text := strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, `File "`); ok {
		file, rest, ok := strings.Cut(rest, `", line `)
		if !ok {
			return
		}
		f := fact.Frame{File: file, Line: int(number([]byte(rest)))}
		if _, fn, ok := strings.Cut(rest, " in "); ok {
			f.Func = fn
		}
		d.frame(f, at)
		return
	}
	fn, where, ok := strings.Cut(text, " (")
	if !ok || !strings.HasSuffix(where, ")") || strings.ContainsAny(fn, ":= ") {
		return // a local variable, or "Arguments:"
	}
	f := fact.Frame{Func: fn}
	f.File, f.Line = fileLine(strings.TrimSuffix(where, ")"))
	d.frame(f, at)
}
