package lsof

import (
	"bytes"
	"strconv"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// fieldReader reads lsof -F: one field a line, whose first character says what it
// is, or with -F0 one set a line with NULs between. A set for the process comes
// before the sets of its files:
//
//	p1231        process
//	cnginx       its command
//	f19          a file of it
//	au           access
//	tIPv4        type
//	PTCP         protocol
//	n*:80        name
//	TST=LISTEN   state and queues
type fieldReader struct {
	emit func(*fact.OpenFile)
	proc fact.OpenFile // what the process's set says
	file fact.OpenFile
	open bool // a file's set is being read
}

// isFields reports whether an artifact begins like lsof -F: a process and then
// nothing but fields, among them a file.
func isFields(head []byte) bool {
	first, rest, _ := bytes.Cut(head, []byte("\n"))
	first, set, _ := bytes.Cut(bytes.TrimRight(first, "\r"), []byte{0})
	if len(first) < 2 || first[0] != 'p' || !digits(first[1:]) {
		return false
	}
	for _, w := range bytes.FieldsFunc(append(bytes.Clone(set), append([]byte("\n"), rest[:min(len(rest), 400)]...)...), func(r rune) bool { return r == '\n' || r == 0 || r == '\r' }) {
		switch {
		case bytes.IndexByte([]byte("cgRuLKMZ"), w[0]) >= 0:
		case w[0] == 'f':
			return fdLen(w[1:]) > 0
		default:
			return false
		}
	}
	return false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// line reads the fields of one line.
func (r *fieldReader) line(b []byte, at fact.Ref, out *analyze.Sink) {
	for len(b) > 0 {
		field, rest, _ := bytes.Cut(b, []byte{0})
		if len(field) > 0 && !r.field(field[0], string(field[1:]), at) {
			out.Skip(&analyze.SyntaxError{At: at, Msg: "field of lsof -F not understood: " + strconv.Quote(string(field[:min(len(field), 40)]))})
		}
		b = rest
	}
}

// field takes one field; v is what stands behind its character.
func (r *fieldReader) field(id byte, v string, at fact.Ref) bool {
	switch id {
	case 'p':
		r.end()
		n, err := strconv.Atoi(v)
		r.proc = fact.OpenFile{PID: n}
		return err == nil
	case 'f':
		r.end()
		r.file, r.open = r.proc, true
		r.file.At, r.file.FD = at, v
		return true
	case 'm':
		r.end()
		return true // end of a repeated listing
	}
	if !r.open {
		switch id {
		case 'c':
			r.proc.Process = v
		case 'L':
			r.proc.User = v
		case 'u':
			if r.proc.User == "" {
				r.proc.User = v
			}
		case 'K':
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				r.proc.TID = fact.Some(n)
			}
		}
		return bytes.IndexByte([]byte("cLugRKMZ"), id) >= 0
	}
	r.file.At.Len = int(at.Offset-r.file.At.Offset) + at.Len
	return r.fileField(id, v)
}

func (r *fieldReader) fileField(id byte, v string) bool {
	f := &r.file
	switch id {
	case 'a', 'l':
		if v != " " {
			f.Mode += v
		}
	case 't':
		f.Type = v
	case 'd', 'D':
		if f.Device == "" || id == 'd' {
			f.Device = v
		}
	case 's', 'o':
		f.Size = v
	case 'i', 'P':
		f.Node = v
	case 'n':
		f.Name = v
	case 'T':
		f.Name += " (" + v + ")"
	default:
		// Counts and flags that no rule uses.
		return bytes.IndexByte([]byte("CFGkNrS"), id) >= 0
	}
	return true
}

// end hands over the file that was being read.
func (r *fieldReader) end() {
	if r.open {
		r.emit(&r.file)
	}
	r.open = false
}
