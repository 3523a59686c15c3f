package strace

import (
	"bytes"
	"time"

	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

type kind uint8

const (
	call       kind = iota // read(3, "x", 1) = 1
	unfinished             // read(3,  <unfinished ...>
	resumed                // <... read resumed>"x", 1) = 1
	signal                 // --- SIGTERM {...} ---
	exit                   // +++ exited with 0 +++
)

// record is one line of a trace, in parts that point into it.
type record struct {
	pid  int
	time stamp.Stamp
	kind kind
	name []byte // of the call or signal, or what follows "+++ "
	args []byte // up to the closing parenthesis, or to where the line breaks off
	ret  []byte // what follows " = "
	took time.Duration
	// timed is true when the line states how long the call took (-T).
	timed bool
}

// split takes a line apart. ok is false when it is no record of strace.
func split(line []byte) (l record, ok bool) {
	rest := line
	if after, found := bytes.CutPrefix(rest, []byte("[pid ")); found {
		after = bytes.TrimLeft(after, " ")
		n := digits(after)
		end := n + comm(after[n:])
		if n == 0 || end >= len(after) || after[end] != ']' {
			return l, false
		}
		l.pid, rest = atoi(after[:n]), bytes.TrimLeft(after[end+1:], " ")
	} else if n := digits(rest); n > 0 && n < 8 && n < len(rest) {
		if end := n + comm(rest[n:]); end < len(rest) && rest[end] == ' ' {
			l.pid, rest = atoi(rest[:n]), bytes.TrimLeft(rest[end:], " ")
		}
	}
	rest = numbered(l.stamp(rest))
	switch {
	case bytes.HasPrefix(rest, []byte("--- ")):
		l.kind = signal
		l.name, l.args, ok = bytes.Cut(rest[4:], []byte(" "))
		return l, ok
	case bytes.HasPrefix(rest, []byte("+++ ")):
		l.kind = exit
		l.name, _, ok = bytes.Cut(rest[4:], []byte(" +++"))
		return l, ok
	case bytes.HasPrefix(rest, []byte("<... ")):
		rest = rest[5:]
		i := bytes.Index(rest, []byte(" resumed"))
		if i <= 0 {
			return l, false
		}
		l.kind, l.name = resumed, rest[:i]
		rest = bytes.TrimPrefix(rest[i+len(" resumed"):], []byte(">"))
		return l, l.finish(rest)
	}
	n := 0
	for n < len(rest) && (rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z' || rest[n] == '_' || rest[n]-'0' <= 9) {
		n++
	}
	if n == 0 || n >= len(rest) || rest[n] != '(' || rest[0]-'0' <= 9 {
		return l, false
	}
	l.name = rest[:n]
	return l, l.finish(rest[n+1:])
}

// comm is the length of the name that -Y prints behind a pid: "4668<python3>".
func comm(b []byte) int {
	if len(b) == 0 || b[0] != '<' {
		return 0
	}
	return bytes.IndexByte(b[:min(len(b), 20)], '>') + 1
}

// numbered skips the instruction pointer of -i and the call's number of -n:
// "[00007f6ccc101c47] brk(NULL)", "[  12] brk(NULL)".
func numbered(b []byte) []byte {
	end := bytes.IndexByte(b[:min(len(b), 20)], ']')
	if end < 2 || b[0] != '[' || len(bytes.Trim(b[1:end], " 0123456789abcdef?")) > 0 {
		return b
	}
	return bytes.TrimLeft(b[end+1:], " ")
}

// stamp reads the time of -t, -tt, -ttt or -r.
func (l *record) stamp(b []byte) []byte {
	if len(b) == 0 || b[0] == '[' {
		return b
	}
	if s, n := stamp.Parse(b, stamp.Unknown); n > 0 && (s.Clock || s.Epoch) {
		l.time = s
		b = b[n:]
	}
	b = bytes.TrimLeft(b, " ")
	if n := digits(b); n > 0 && n < len(b) && b[n] == '.' { // -r, also beside -t
		m := n + 1 + digits(b[n+1:])
		if m < len(b) && b[m] == ' ' {
			b = bytes.TrimLeft(b[m:], " ")
		}
	}
	if len(b) > 1 && b[0] == '(' && b[1] == '+' { // -t -r
		if i := bytes.Index(b, []byte(") ")); i > 0 {
			b = bytes.TrimLeft(b[i+2:], " ")
		}
	}
	return b
}

// finish splits arguments, result and duration.
func (l *record) finish(b []byte) bool {
	for _, mark := range [...]string{"<unfinished ...>", "<detached ...>"} {
		if rest, found := bytes.CutSuffix(b, []byte(mark)); found {
			l.args = bytes.TrimRight(rest, " ")
			if l.kind == call {
				l.kind = unfinished
			}
			return true
		}
	}
	i := lastResult(b)
	if i < 0 {
		return false
	}
	l.args = b[:i]
	_, l.ret, _ = bytes.Cut(b[i:], []byte("= "))
	if n := len(l.ret); n > 2 && l.ret[n-1] == '>' {
		if j := bytes.LastIndex(l.ret, []byte(" <")); j >= 0 {
			if d, ok := seconds(l.ret[j+2 : n-1]); ok {
				l.took, l.timed, l.ret = d, true, l.ret[:j]
			}
		}
	}
	return true
}

// lastResult is where ") = " stands for the last time, with any padding before the
// equals sign. Strings in arguments may hold the same text, so it is searched from
// the end.
func lastResult(b []byte) int {
	for end := len(b); ; {
		j := bytes.LastIndex(b[:end], []byte(" = "))
		if j < 0 {
			return -1
		}
		k := j
		for k > 0 && b[k-1] == ' ' {
			k--
		}
		if k > 0 && b[k-1] == ')' {
			return k - 1
		}
		end = j
	}
}

func seconds(b []byte) (time.Duration, bool) {
	n := digits(b)
	if n == 0 || n > 9 || n >= len(b) || b[n] != '.' {
		return 0, false
	}
	d := time.Duration(atoi(b[:n])) * time.Second
	scale := time.Second
	for _, c := range b[n+1:] {
		if c-'0' > 9 {
			return 0, false
		}
		if scale /= 10; scale == 0 {
			break
		}
		d += time.Duration(c-'0') * scale
	}
	return d, true
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// atoi reads at most nine digits.
func atoi(b []byte) int {
	v := 0
	for i, c := range b {
		if i == 9 {
			break
		}
		v = v*10 + int(c-'0')
	}
	return v
}
