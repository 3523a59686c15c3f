// Package goroutine reads goroutine dumps as Go programs print them: the text of
// pprof's debug=2 and debug=1, what SIGQUIT, panics and fatal errors write, and
// stacks that a program printed itself, alone or after log lines, from Go 1.4 on.
package goroutine

import (
	"bytes"
	"context"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser returns the parser.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "goroutine",
		Doc:   "Goroutine dumps: pprof debug=1 and debug=2, SIGQUIT, panics and fatal errors, also after log lines.",
		Emits: []fact.Kind{"goroutine", "goroutine_group", "dump"},
		Sniff: sniff,
		Parse: parse,
		Fold:  fold,
	}
}

// ctxLines is how many lines are read between two looks at the context.
const ctxLines = 4096

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	rd, err := in.Open()
	if err != nil {
		return err
	}
	defer rd.Close()
	r := lines.New(rd, in.ID())
	s := newScanner(r, out)
	for r.Next() {
		if r.Number()%ctxLines == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := out.Full(); err != nil {
				return err
			}
		}
		s.line(r.Bytes())
	}
	s.end()
	if r.Cuts() > 0 {
		out.Note("%d lines were longer than %d bytes and were cut", r.Cuts(), lines.DefaultMax)
	}
	if err := r.Err(); err != nil {
		return err
	}
	if s.found == 0 {
		return analyze.ErrForeign
	}
	return nil
}

// maxPreamble is how many lines that are no part of a dump may stand before it
// when nothing else claims the file with more right.
const maxPreamble = 8

// sniff looks for the header of a goroutine or of a grouped profile. A dump after
// a long piece of log is left to the log's parser, if there is one: it hands the
// dump over, and both are read.
func sniff(h analyze.Head) analyze.Match {
	rest, foreign, caused := h.Bytes, 0, false
	sure := analyze.Sure
	for len(rest) > 0 {
		line, more, whole := bytes.Cut(rest, []byte{'\n'})
		rest = more
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if !whole && len(h.Bytes) >= analyze.HeadSize {
			break // the last line of the head may be cut
		}
		if isGroupedHeader(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))) {
			return confidence(foreign, sure)
		}
		at := findHeader(line)
		switch {
		case at == 0:
			return confidence(foreign, sure)
		case at > 0 && (len(bytes.TrimLeft(line[:at], " \t\xef\xbb\xbf")) == 0 || isSeparated(line, at)):
			if len(bytes.TrimLeft(line[:at], " \t\xef\xbb\xbf")) == 0 {
				return confidence(foreign, sure)
			}
			return analyze.Maybe
		}
		// What was panicked with may go on for lines.
		caused = caused || causeColumn(line) >= 0
		if !caused && !isPreamble(line) {
			foreign++
			if hasClock(line) {
				sure = analyze.Maybe // a log that ends in a dump: its lines count too
			}
		}
	}
	return analyze.No
}

func confidence(foreign int, sure analyze.Match) analyze.Match {
	switch {
	case foreign == 0:
		return analyze.Certain
	case foreign <= maxPreamble:
		return sure
	}
	return analyze.Maybe
}

// hasClock reports whether a line begins like a log's: with a time of day in its
// first bytes.
func hasClock(line []byte) bool {
	head := line[:min(len(line), 40)]
	for i := 2; i+2 < len(head); i++ {
		if head[i] == ':' && digit(head[i-1]) && digit(head[i-2]) && digit(head[i+1]) && digit(head[i+2]) {
			return true
		}
	}
	return false
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
