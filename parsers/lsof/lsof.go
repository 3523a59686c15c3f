// Package lsof reads lists of open files: what lsof prints, in its columns or with
// -F as fields, and the links of /proc/PID/fd as ls shows them. Network rows of
// lsof become socket facts too: on many systems lsof is the only table that names
// the owner of a socket.
package lsof

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/naming"
)

// Parser reads the output of lsof.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "lsof",
		Doc:   "Open files: lsof in columns or fields (-F), with the sockets among them, and ls -l /proc/PID/fd.",
		Emits: []fact.Kind{"open_file", "socket", "socket_table"},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	named := strings.Contains(strings.ToLower(path.Base(h.Path)), "lsof")
	if isFields(h.Bytes) {
		return analyze.Certain
	}
	rows, links, other := 0, 0, 0
	for rest := h.Bytes; len(rest) > 0; {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		rest = more
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 || !whole && rows+other > 0 {
			continue
		}
		if lay, ok := parseHeader(line); ok {
			row, _, _ := bytes.Cut(rest, []byte("\n"))
			if rows+other == 0 && lay.row(bytes.TrimRight(row, " \t\r"), &fact.OpenFile{}) {
				return analyze.Certain
			}
			return analyze.Sure
		}
		var f fact.OpenFile
		if link(line, &f) {
			links++
		} else if (&layout{}).row(line, &f) {
			rows++
		} else if !isMessage(line) && !isListing(line) {
			other++
		}
	}
	switch {
	case links > 0 && links > 4*(rows+other):
		return analyze.Certain
	case rows > 0 && rows > other && named:
		return analyze.Sure
	case rows > 2 && rows > 4*other:
		return analyze.Probably
	}
	return analyze.No
}

// isMessage reports whether a line is one of lsof's warnings.
func isMessage(b []byte) bool {
	return bytes.HasPrefix(b, []byte("lsof: ")) || bytes.HasPrefix(b, []byte("      Output information may be incomplete")) ||
		bytes.HasPrefix(b, []byte("=====")) || bytes.HasPrefix(b, []byte("Error: "))
}

// isListing reports whether a line is what ls prints around its rows.
func isListing(b []byte) bool {
	if bytes.HasPrefix(b, []byte("total ")) || bytes.HasPrefix(b, []byte("ls: ")) || b[0] == 'd' && bytes.Contains(b, []byte("r-x------ ")) {
		return true
	}
	_, _, ok := descriptorPath(string(b))
	return ok && b[len(b)-1] == ':'
}

// reader is the state of one artifact.
type reader struct {
	out    *analyze.Sink
	lay    *layout
	net    *sockets
	fields *fieldReader // nil unless the artifact is of lsof -F
	pid    int          // whose descriptors ls lists
	rows   int
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	p := &reader{out: out, lay: &layout{}, net: newSockets(), pid: naming.PID(in.Path)}
	rd := lines.New(r, in.ID())
	for rd.Next() {
		if rd.Number()&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		line, ref := rd.Trimmed()
		if len(line) == 0 || isMessage(line) {
			continue
		}
		if ref.Line == 1 && line[0] == 'p' && (digits(line[1:]) || bytes.IndexByte(line, 0) > 0) {
			p.fields = &fieldReader{emit: p.file}
		}
		p.line(line, ref)
		if err := out.Full(); err != nil {
			return err
		}
	}
	if p.fields != nil {
		p.fields.end()
	}
	p.net.emit(out)
	return rd.Err()
}

func (p *reader) line(line []byte, at fact.Ref) {
	if p.fields != nil {
		p.fields.line(line, at, p.out)
		return
	}
	if h, ok := parseHeader(line); ok {
		p.lay = h
		p.net.header(at)
		return
	}
	f := fact.OpenFile{At: at, PID: p.pid}
	switch {
	case link(line, &f):
		if f.PID == 0 {
			p.out.Note("nothing says whose descriptors these are: put the pid into the file's name")
			return
		}
		p.file(&f)
	case isListing(line):
		if pid, _, ok := descriptorPath(string(line)); ok {
			p.pid = pid
		}
	case p.lay.row(line, &f):
		p.file(&f)
	case p.rows > 0:
		p.out.Skip(&analyze.SyntaxError{At: at, Msg: "row of lsof not understood"})
	}
}

func (p *reader) file(f *fact.OpenFile) {
	p.rows++
	analyze.Emit(p.out, *f)
	p.net.add(f)
}
