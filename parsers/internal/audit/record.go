// Package audit assembles the records of the Linux audit system into events. It
// is shared by the parsers of audit logs and of kernel logs, where the same
// records stand in other wrapping.
//
// Records are grouped by node, second, millisecond and serial, and events are
// handed on in the order of their first records. Only events that a rule can use
// are decoded; the others are counted.
package audit

import (
	"bytes"
	"time"
)

// Record is one record: its header, and the bytes that follow it.
type Record struct {
	Node, Type  []byte
	Sec, Milli  int64
	Serial      uint64
	Interpreted bool // ausearch -i: the time is a wall clock, values are words
	Wall        bool // the time is a wall clock, values are the kernel's
	Body        []byte
}

var (
	typeToken  = []byte("type=")
	nodeToken  = []byte("node=")
	auditToken = []byte("audit(")
)

// searchHeader bounds how far into a line a header may begin: behind a syslog or
// dmesg prefix.
const searchHeader = 256

// ParseRecord reads one line. ok is false when no audit record stands in it.
//
//	type=SYSCALL msg=audit(1795222328.365:17): arch=c000003e ...
//	node=web-1 type=OBJ_PID msg=audit(1795222328.365:17): opid=32515 ...
//	[ 3884.870981] audit: type=1300 audit(1795222714.377:102): arch=...
//	type=SYSCALL msg=audit(11/21/26 08:53:26.589:38) : arch=x86_64 syscall=kill ...
func ParseRecord(line []byte) (r Record, ok bool) {
	if !bytes.HasPrefix(line, typeToken) {
		head := line[:min(len(line), searchHeader)]
		i := bytes.Index(head, typeToken)
		if i < 0 || i > 0 && line[i-1] != ' ' {
			return r, false
		}
		if n := bytes.LastIndex(head[:i], nodeToken); n >= 0 {
			r.Node, _, _ = bytes.Cut(head[n+len(nodeToken):i], []byte(" "))
		}
		line = line[i:]
	}
	rest := line[len(typeToken):]
	sp := bytes.IndexByte(rest, ' ')
	if sp <= 0 {
		return r, false
	}
	r.Type, rest = rest[:sp], rest[sp+1:]
	rest = bytes.TrimPrefix(rest, []byte("msg="))
	if !bytes.HasPrefix(rest, auditToken) {
		return r, false
	}
	rest = rest[len(auditToken):]
	if rest, ok = r.stamp(rest); !ok {
		return r, false
	}
	r.Body = bytes.TrimLeft(rest, " ")
	return r, true
}

// stamp reads "1795222328.365:17):" or "11/21/26 08:53:26.589:38) :".
func (r *Record) stamp(b []byte) (rest []byte, ok bool) {
	sec, i := digits(b)
	if i < 5 || i > 11 || i+4 >= len(b) || b[i] != '.' {
		return r.wallStamp(b)
	}
	milli, n := digits(b[i+1:])
	if n != 3 {
		return r.wallStamp(b)
	}
	i += 1 + n
	if i >= len(b) || b[i] != ':' {
		return nil, false
	}
	serial, n := digits(b[i+1:])
	i += 1 + n
	if n == 0 || i >= len(b) || b[i] != ')' {
		return nil, false
	}
	r.Sec, r.Milli, r.Serial = sec, milli, uint64(serial)
	return trimColon(b[i+1:]), true
}

func trimColon(b []byte) []byte {
	b = bytes.TrimLeft(b, " ")
	return bytes.TrimPrefix(b, []byte(":"))
}

// wallStamp reads the wall clock of ausearch -i. It prints the locale's date, so
// the order of day and month is a guess: month first unless that is no month.
func (r *Record) wallStamp(b []byte) (rest []byte, ok bool) {
	end := bytes.IndexByte(b[:min(len(b), 64)], ')')
	if end < 0 {
		return nil, false
	}
	colon := bytes.LastIndexByte(b[:end], ':')
	if colon < 0 {
		return nil, false
	}
	serial, n := digits(b[colon+1 : end])
	if n == 0 || n != end-colon-1 {
		return nil, false
	}
	t, ok := parseWall(string(b[:colon]))
	if !ok {
		return nil, false
	}
	r.Interpreted, r.Serial = true, uint64(serial)
	r.Sec, r.Milli = t.Unix(), int64(t.Nanosecond())/1e6
	return trimColon(b[end+1:]), true
}

// wallLayouts are the dates that ausearch prints in common locales, tried in
// order: a date whose first number is above 12 fails the month-first ones.
var wallLayouts = [...]string{
	"01/02/06 15:04:05.000", "01/02/2006 15:04:05.000",
	"02/01/06 15:04:05.000", "02/01/2006 15:04:05.000",
	"2006-01-02 15:04:05.000", "02.01.2006 15:04:05.000", "02.01.06 15:04:05.000",
	"2006/01/02 15:04:05.000", "02-01-2006 15:04:05.000", "02-01-06 15:04:05.000",
	"2006年01月02日 15:04:05.000",
}

func parseWall(s string) (time.Time, bool) {
	for _, layout := range wallLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// digits reads a decimal number and says how long it is; it stops after 19.
func digits(b []byte) (v int64, n int) {
	for n < len(b) && n < 18 && b[n] >= '0' && b[n] <= '9' {
		v = v*10 + int64(b[n]-'0')
		n++
	}
	return v, n
}
