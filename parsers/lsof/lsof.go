// Package lsof reads the list of open files that lsof prints, in its usual
// columns. Network rows become socket facts too: on many systems lsof is the only
// table that names the owner of a socket.
package lsof

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads the output of lsof.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "lsof",
		Doc:   "Open files as lsof lists them, with the sockets among them.",
		Emits: []fact.Kind{"open_file", "socket", "socket_table"},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	named := strings.Contains(strings.ToLower(path.Base(h.Path)), "lsof")
	rows, other := 0, 0
	for rest := h.Bytes; len(rest) > 0; {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		rest = more
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 || !whole && rows+other > 0 {
			continue
		}
		if _, ok := parseHeader(line); ok {
			return analyze.Sure
		}
		var f fact.OpenFile
		if (&layout{}).row(line, &f) {
			rows++
		} else if !isMessage(line) {
			other++
		}
	}
	switch {
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

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	rd := lines.New(r, in.ID())
	lay := &layout{}
	net := newSockets()
	rows := 0
	for rd.Next() {
		if rd.Number()&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		line := bytes.TrimRight(rd.Bytes(), " \t")
		if len(line) == 0 || isMessage(line) {
			continue
		}
		ref := rd.Ref()
		ref.Len = len(line)
		if h, ok := parseHeader(line); ok {
			lay = h
			net.header(ref)
			continue
		}
		f := fact.OpenFile{At: ref}
		if !lay.row(line, &f) {
			if rows > 0 {
				out.Skip(&analyze.SyntaxError{At: ref, Msg: "row of lsof not understood"})
			}
			continue
		}
		rows++
		analyze.Emit(out, f)
		net.add(&f)
		if err := out.Full(); err != nil {
			return err
		}
	}
	net.emit(out)
	return rd.Err()
}
