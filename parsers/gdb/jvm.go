package gdb

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// jvmBegin reports whether line is the head of a thread dump of a JVM.
func jvmBegin(line []byte) bool { return bytes.HasPrefix(line, []byte("Full thread dump ")) }

// jvmThread reports whether line is
//
//	"pool-1-thread-2" #14 prio=5 os_prio=0 cpu=1.2ms elapsed=9s tid=0x7f nid=0x1a2b waiting for monitor entry  [0x7f]
func jvmThread(line []byte) bool {
	return line[0] == '"' && (bytes.Contains(line, []byte(" tid=0x")) || bytes.Contains(line, []byte(" nid=")))
}

func jvmHeader(line []byte, at fact.Ref) *fact.Thread {
	t := &fact.Thread{At: at, Runtime: "jvm", Name: quoted(line)}
	if i := bytes.Index(line, []byte("\" #")); i > 0 {
		t.Number = int(number(line[i+3:]))
	}
	if i := bytes.Index(line, []byte(" nid=")); i > 0 {
		word, _, _ := strings.Cut(string(line[i+5:]), " ")
		if n, err := strconv.ParseInt(word, 0, 64); err == nil {
			t.LWP = fact.Some(n)
		}
	}
	return t
}

// jvm takes a line of a JVM thread.
func (d *dump) jvm(line []byte, at fact.Ref) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.HasPrefix(text, "java.lang.Thread.State: "):
		d.cur.State, _, _ = strings.Cut(text[len("java.lang.Thread.State: "):], " ")
	case strings.HasPrefix(text, "at "):
		d.frame(jvmFrame(text[3:]), at)
	case strings.HasPrefix(text, "- locked <"):
		d.holds(text)
	case strings.HasPrefix(text, "- waiting to lock <"), strings.HasPrefix(text, "- parking to wait for "), strings.HasPrefix(text, "- waiting on <"), strings.HasPrefix(text, "- waiting to re-lock"):
		if d.cur.Waits == "" {
			d.cur.Waits, d.cur.LockClass = monitor(text), class(text)
		}
	case strings.HasPrefix(text, "Locked ownable synchronizers"):
		d.locked, d.cur.Synchronizers = true, true
	case d.locked && strings.HasPrefix(text, "- <"):
		d.holds(text)
	case strings.HasPrefix(text, "JNI global"):
		d.cur, d.form = nil, nil // what follows repeats threads
	}
}

// holds adds a monitor; one that the thread waits on with Object.wait is locked in
// the text and given back in fact.
func (d *dump) holds(text string) {
	if m := monitor(text); m != "" && m != d.cur.Waits {
		d.cur.Holds = append(d.cur.Holds, m)
	}
}

func monitor(text string) string {
	_, rest, ok := strings.Cut(text, "<")
	if !ok {
		return ""
	}
	m, _, _ := strings.Cut(rest, ">")
	return m
}

// class reads "java.lang.Object" in "- locked <0x7> (a java.lang.Object)".
func class(text string) string {
	_, rest, ok := strings.Cut(text, "(a ")
	if !ok {
		return ""
	}
	c, _, _ := strings.Cut(rest, ")")
	return c
}

// jvmFrame reads "java.base@17/java.net.SocketInputStream.read(SocketInputStream.java:186)".
func jvmFrame(s string) fact.Frame {
	fn, rest, ok := strings.Cut(s, "(")
	f := fact.Frame{Func: fn}
	// A module or loader may precede the class; a lambda's class holds a slash.
	if i := strings.LastIndexByte(fn, '/'); i >= 0 && !strings.Contains(fn[:i], "$") {
		f.Func = fn[i+1:]
	}
	if ok {
		rest = strings.TrimSuffix(rest, ")")
		if _, file, ok := strings.Cut(rest, "/"); ok { // java.base@17/Object.java:338
			rest = file
		}
		f.File, f.Line = fileLine(rest)
	}
	return f
}
