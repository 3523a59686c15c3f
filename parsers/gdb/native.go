package gdb

import (
	"bytes"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// nativeThread reports whether line is a header of gdb or pstack:
//
//	Thread 7 (Thread 0x7f5ca21e46c0 (LWP 4200) "node"):
//	Thread 1 (LWP 24352 "marketd"):
//	Thread 1 (process 812):
func nativeThread(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("Thread "))
	if !ok {
		return false
	}
	i := bytes.Index(rest, []byte(" ("))
	return i > 0 && i < 8 && number(rest) > 0 && bytes.HasSuffix(bytes.TrimRight(line, " "), []byte("):")) &&
		(bytes.Contains(rest, []byte("LWP ")) || bytes.Contains(rest, []byte("(process ")) || bytes.Contains(rest, []byte("(Thread ")))
}

func nativeHeader(line []byte, at fact.Ref) *fact.Thread {
	t := &fact.Thread{At: at, Runtime: "native", Number: int(number(line[len("Thread "):]))}
	for _, key := range []string{"LWP ", "process "} {
		if i := bytes.Index(line, []byte(key)); i > 0 && !t.LWP.Known {
			t.LWP = fact.Some(number(line[i+len(key):]))
		}
	}
	t.Name = quoted(line)
	return t
}

// quoted is the first text in double quotes.
func quoted(line []byte) string {
	_, rest, ok := bytes.Cut(line, []byte{'"'})
	if !ok {
		return ""
	}
	name, _, ok := bytes.Cut(rest, []byte{'"'})
	if !ok {
		return ""
	}
	return string(name)
}

// eustackThread reports whether line is "TID 4189:" of eu-stack.
func eustackThread(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("TID "))
	return ok && number(rest) > 0 && bytes.HasSuffix(rest, []byte(":"))
}

func eustackHeader(line []byte, at fact.Ref) *fact.Thread {
	return &fact.Thread{At: at, Runtime: "native", LWP: fact.Some(number(line[len("TID "):]))}
}

// infoThreads reports whether line is the heading of `info threads`.
func infoThreads(line []byte) bool {
	return bytes.HasPrefix(line, []byte("  Id   Target Id ")) && bytes.HasSuffix(bytes.TrimRight(line, " "), []byte("Frame"))
}

// infoRow takes a row of `info threads`. Where a backtrace follows, that has more.
func (d *dump) infoRow(line []byte, at fact.Ref) {
	t, f, ok := row(line, at)
	if !ok {
		return
	}
	d.cur = t
	d.frame(f, at)
	d.rows = append(d.rows, t)
}

// row reads a row of `info threads`, which has the innermost frame:
//
//   - 1    Thread 0x7f15e21e0740 (LWP 17137) "dead" futex_wait (private=0) at futex.h:146
//     2    LWP 17141 "dead" 0x00007f15e226f482 in ?? ()
func row(line []byte, at fact.Ref) (t *fact.Thread, frame fact.Frame, ok bool) {
	rest := bytes.TrimLeft(bytes.TrimPrefix(line, []byte("*")), " ")
	n := number(rest)
	if n == 0 || len(line) < 2 || line[0] != '*' && line[0] != ' ' {
		return nil, frame, false
	}
	_, rest, _ = bytes.Cut(rest, []byte(" "))
	rest = bytes.TrimLeft(rest, " ")
	i := bytes.Index(rest, []byte("LWP "))
	if i < 0 || i > 40 || !bytes.HasPrefix(rest, []byte("Thread 0x")) && i > 0 {
		return nil, frame, false
	}
	t = &fact.Thread{At: at, Runtime: "native", Number: int(n), LWP: fact.Some(number(rest[i+len("LWP "):])), Name: quoted(rest)}
	rest = bytes.TrimLeft(rest[i+len("LWP "):], "0123456789)")
	rest = bytes.TrimPrefix(bytes.TrimLeft(rest, " "), []byte(`"`+t.Name+`"`))
	frame, ok = nativeFrame(append([]byte("#0  "), bytes.TrimLeft(rest, " ")...))
	return t, frame, ok
}

// inferior is the process number in "[Inferior 1 (process 4189) detached]" and
// "Attaching to process 4189", zero for other lines.
func inferior(line []byte) int64 {
	for _, p := range []string{"[Inferior 1 (process ", "Attaching to process ", "Attaching to program: "} {
		if rest, ok := bytes.CutPrefix(line, []byte(p)); ok {
			if i := bytes.Index(rest, []byte("process ")); p == "Attaching to program: " && i >= 0 {
				rest = rest[i+len("process "):]
			}
			return number(rest)
		}
	}
	return 0
}

// native takes a line of a native thread: a frame, or the rest of one that gdb
// broke at the width of a terminal.
func (d *dump) native(line []byte, at fact.Ref) {
	if f, ok := nativeFrame(line); ok {
		d.frame(f, at)
		d.lockOf()
		return
	}
	if n := len(d.cur.Frames); n > 0 && (line[0] == ' ' || line[0] == '\t') {
		last := &d.cur.Frames[n-1]
		if rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("at ")); ok && last.File == "" {
			last.File, last.Line = fileLine(string(rest))
		}
	}
}

// nativeFrame reads "#3  0x00007f5ca1caecff in do_futex_wait (sem=0x1) at f.c:111",
// without the address for the innermost frame of a function with line numbers,
// and eu-stack's "#0  0x00007f5ca1caecff do_futex_wait".
func nativeFrame(line []byte) (fact.Frame, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("#"))
	if !ok || len(rest) == 0 || rest[0]-'0' > 9 {
		return fact.Frame{}, false
	}
	n := 0
	for n < len(rest) && rest[n]-'0' <= 9 {
		n++
	}
	if n > 6 || n >= len(rest) || rest[n] != ' ' {
		return fact.Frame{}, false
	}
	rest = bytes.TrimLeft(rest[n:], " ")
	if bytes.HasPrefix(rest, []byte("0x")) {
		_, after, _ := bytes.Cut(rest, []byte(" "))
		rest = bytes.TrimLeft(after, " ")
		rest = bytes.TrimPrefix(rest, []byte("in "))
	}
	if len(rest) == 0 {
		return fact.Frame{Func: "??"}, true
	}
	if rest[0] == ':' && !bytes.HasPrefix(rest, []byte("::")) {
		return fact.Frame{}, false // a table with numbered rows
	}
	fn, args, tail := splitCall(string(rest))
	f := fact.Frame{Func: fn, Args: args}
	switch {
	case strings.HasPrefix(tail, "at "):
		f.File, f.Line = fileLine(tail[len("at "):])
	case strings.HasPrefix(tail, "from "):
		f.File = tail[len("from "):]
	}
	return f, f.Func != "" && !strings.HasPrefix(fn, "<signal")
}

// splitCall splits "ns::(anonymous namespace)::f(void*) (a=1, b={x = 2}) at f.c:1"
// at the space before the last pair of parentheses on the top level.
func splitCall(s string) (fn string, args []string, tail string) {
	open := -1
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			if depth == 0 && i > 0 && s[i-1] == ' ' {
				open = i
			}
			depth++
		case ')':
			depth--
		case '"': // a string argument may hold anything
			if depth > 0 {
				if j := strings.IndexByte(s[i+1:], '"'); j >= 0 {
					i += j + 1
				}
			}
		}
		if depth == 0 && open > 0 && s[i] == ')' && (strings.HasPrefix(s[i+1:], " at ") || strings.HasPrefix(s[i+1:], " from ") || i+1 == len(s)) {
			return strings.TrimSpace(s[:open]), splitArgs(s[open+1 : i]), strings.TrimSpace(s[i+1:])
		}
	}
	return strings.TrimSpace(s), nil, ""
}

// splitArgs splits at commas outside of braces, brackets and quotes.
func splitArgs(s string) []string {
	var out []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '{', '[', '<':
			depth++
		case ')', '}', ']', '>':
			depth = max(0, depth-1)
		case '"':
			if j := strings.IndexByte(s[i+1:], '"'); j >= 0 {
				i += j + 1
			}
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		out = append(out, last)
	}
	return out
}

// lockOf notes which mutex the thread waits for, once the frame that shows it was
// read: pthread_mutex_lock's argument, or the futex of the wait below it.
func (d *dump) lockOf() {
	n := len(d.cur.Frames)
	if n > 6 {
		return
	}
	f := d.cur.Frames[n-1]
	key := ""
	switch strings.TrimLeft(strings.TrimPrefix(f.Func, "__GI_"), "_") {
	case "pthread_mutex_lock", "pthread_mutex_lock_full":
		key = "mutex="
	case "pthread_rwlock_rdlock", "pthread_rwlock_wrlock":
		key = "rwlock="
	case "lll_lock_wait", "lll_lock_wait_private":
		key = "futex="
	default:
		return
	}
	for _, a := range f.Args {
		if v, ok := strings.CutPrefix(a, key); ok {
			// With @entry the value follows a second time.
			if i := strings.LastIndex(v, "=0x"); i >= 0 {
				v = v[i+1:]
			}
			if strings.HasPrefix(v, "0x") {
				d.cur.Waits = v // with its symbol: 0x55ca6fea5060 <orders>
			}
		}
	}
}
