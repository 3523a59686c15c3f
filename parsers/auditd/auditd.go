// Package auditd reads Linux audit logs: what auditd writes (raw and enriched),
// what ausearch prints of it (raw, interpreted, csv, text), and the JSON of laurel
// and go-audit.
package auditd

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/audit"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads audit logs.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "auditd",
		Doc:   "Linux audit log: audit.log raw or enriched, every format of ausearch, JSON of laurel and go-audit",
		Emits: []fact.Kind{fact.AuditEvent{}.Kind(), fact.AuditTrail{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how many lines a record must appear in.
const sniffLines = 20

func sniff(h analyze.Head) analyze.Match {
	if reportHead(h.Bytes) {
		return analyze.Sure
	}
	records, others := 0, 0
	for i := 0; i < sniffLines && len(h.Bytes) > 0; i++ {
		line, rest, whole := bytes.Cut(h.Bytes, []byte("\n"))
		h.Bytes = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0 || furniture(line):
			i--
			if others++; others > 200 {
				i = sniffLines
			}
		case bytes.HasPrefix(line, csvHead):
			return analyze.Sure
		case isRecord(line, whole):
			records++
		}
	}
	switch {
	case records >= 2 || records == 1 && strings.Contains(path.Base(h.Path), "audit"):
		return analyze.Sure
	case records == 1:
		return analyze.Probably
	}
	return analyze.No
}

// isRecord reports whether a line is a record in one of the forms that begin a
// line, and not one in the log of a kernel or system that carries audit records.
func isRecord(line []byte, whole bool) bool {
	switch {
	case begins(line):
		_, ok := audit.ParseRecord(line)
		return ok
	case audit.LooksJSON(line):
		return !whole || audit.ParseJSON(line, func(audit.Record) {})
	case bytes.HasPrefix(line, []byte("At ")), bytes.HasPrefix(line, []byte("On ")):
		_, ok := parseText(line, fact.Ref{})
		return ok
	}
	return false
}

// begins reports whether a line begins as a line of an audit log does.
func begins(line []byte) bool {
	return bytes.HasPrefix(line, []byte("type=")) || bytes.HasPrefix(line, []byte("node="))
}

// furniture reports lines that ausearch puts between events.
func furniture(line []byte) bool {
	return bytes.Equal(line, []byte("----")) || bytes.HasPrefix(line, []byte("time->"))
}

// reportHead reports whether a text is what aureport prints: a title, underlined.
func reportHead(text []byte) bool {
	title, rest, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	return reportTitle(bytes.TrimRight(title, "\r")) && underline(rest)
}

func reportTitle(line []byte) bool {
	return len(line) < 60 && (bytes.HasSuffix(line, []byte(" Report")) || bytes.HasSuffix(line, []byte(" Summary")))
}

func underline(line []byte) bool { return bytes.HasPrefix(line, []byte("=====")) }

// parallelSize is the size from which a second goroutine pays.
const parallelSize = 1 << 20

// reader is the state of one artifact.
type reader struct {
	*lines.Reader
	out    *analyze.Sink
	asm    *audit.Assembler
	column map[string]int  // of ausearch --format csv
	words  fact.AuditTrail // what csv and text cover
	title  bool            // the line before was aureport's title
	cut    bool
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := &reader{Reader: lines.New(f, in.ID()), out: out}
	r.asm = &audit.Assembler{Form: "raw", Jobs: out.Jobs(), Emit: func(ev fact.AuditEvent) { analyze.Emit(out, ev) }}
	if out.Jobs() > 1 && in.Size > parallelSize {
		r.asm.Parallel()
	}
	for r.Next() {
		if r.Number()&0xfff == 0 && ctx.Err() != nil {
			r.asm.Close()
			return ctx.Err()
		}
		line := r.Bytes()
		rec, ok := audit.ParseRecord(line)
		if ok {
			r.asm.Add(rec, r.Ref())
			r.cut = false
			continue
		}
		if r.title && underline(line) {
			out.Note("a report of aureport: sums without records; save the log itself, or ausearch --raw")
			break
		}
		if r.title = r.Number() < 3 && reportTitle(line); !r.title {
			r.other(line)
		}
	}
	r.close()
	if err := r.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return out.Full()
}

// other takes a line that is no record of the audit daemon.
func (r *reader) other(line []byte) {
	switch {
	case len(bytes.TrimSpace(line)) == 0:
	case furniture(line), bytes.Equal(line, []byte("<no matches>")):
		r.asm.Filtered()
	case bytes.HasPrefix(line, csvHead):
		r.column = columns(line)
	case audit.LooksJSON(line):
		if !audit.ParseJSON(line, func(rec audit.Record) { r.asm.Add(rec, r.Ref()) }) {
			r.skip(line)
		}
	default:
		ev, ok := parseText(line, r.Ref())
		form := "text"
		if !ok && r.column != nil {
			ev, ok = parseCSV(line, r.column, r.Ref())
			form = "csv"
		}
		if !ok {
			r.skip(line)
			return
		}
		r.word(&ev, form)
	}
}

func (r *reader) skip(line []byte) {
	r.out.Skip(&analyze.SyntaxError{At: r.Ref(), Msg: fmt.Sprintf("no audit record: %.60q", line)})
	r.cut = r.Offset() > 0 && (begins(line) || audit.LooksJSON(line))
}

// word takes an event that ausearch put into words.
func (r *reader) word(ev *fact.AuditEvent, form string) {
	t := &r.words
	if t.Events == 0 {
		*t = fact.AuditTrail{At: ev.At, Form: form, Filtered: true, Boots: 1, First: ev.Time, Last: ev.Time, Node: ev.Node}
	}
	t.Events++
	t.Kept++
	if ev.T.Before(t.First.T) {
		t.First = ev.Time
	}
	if ev.T.After(t.Last.T) {
		t.Last = ev.Time
	}
	if ev.Node != t.Node {
		t.Node = ""
	}
	t.KillRule = t.KillRule || ev.Syscall == "kill"
	t.ExecRule = t.ExecRule || ev.Syscall == "execve"
	analyze.Emit(r.out, *ev)
}

// close emits what is left and says what is missing.
func (r *reader) close() {
	if trail, ok := r.asm.Close(); ok {
		analyze.Emit(r.out, trail)
	}
	if r.words.Events > 0 {
		analyze.Emit(r.out, r.words)
		r.out.Note("ausearch --format %s names no process, no target and no signal: save the log itself, or ausearch --raw", r.words.Form)
	}
	noteDropped(r.asm, r.out)
	if r.cut {
		r.out.Note("the last record is cut")
		r.out.Partial()
	}
}

// noteDropped tells what was too much to keep.
func noteDropped(asm *audit.Assembler, out *analyze.Sink) {
	signals, execs, denied, others := asm.Dropped()
	for _, c := range []struct {
		n    int
		what string
	}{
		{signals, "signals and changes of state"},
		{execs, "execve events"},
		{denied, "denied calls and file changes"},
		{others, "events that no rule reads"},
	} {
		if c.n > 0 {
			out.Note("%d earlier %s were counted but not kept", c.n, c.what)
		}
	}
}
