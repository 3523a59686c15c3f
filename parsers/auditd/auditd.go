// Package auditd reads Linux audit logs: what auditd writes (raw and enriched),
// and what ausearch prints of it (as text and interpreted).
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
		Doc:   "Linux audit log: audit.log raw or enriched, ausearch text, ausearch -i",
		Emits: []fact.Kind{fact.AuditEvent{}.Kind(), fact.AuditTrail{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how many lines a record must appear in.
const sniffLines = 20

func sniff(h analyze.Head) analyze.Match {
	records, others := 0, 0
	for i := 0; i < sniffLines && len(h.Bytes) > 0; i++ {
		line, rest, _ := bytes.Cut(h.Bytes, []byte("\n"))
		h.Bytes = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(line) == 0 || furniture(line):
			i--
			if others++; others > 200 {
				i = sniffLines
			}
		case !begins(line):
		default:
			if _, ok := audit.ParseRecord(line); ok {
				records++
			}
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

// begins reports whether a line begins as a line of an audit log does, and not
// as one of a kernel or system log that carries audit records.
func begins(line []byte) bool {
	return bytes.HasPrefix(line, []byte("type=")) || bytes.HasPrefix(line, []byte("node="))
}

// furniture reports lines that ausearch puts between events.
func furniture(line []byte) bool {
	return bytes.Equal(line, []byte("----")) || bytes.HasPrefix(line, []byte("time->"))
}

// parallelSize is the size from which a second goroutine pays.
const parallelSize = 1 << 20

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	asm := &audit.Assembler{Form: "raw", Jobs: out.Jobs(), Emit: func(ev fact.AuditEvent) { analyze.Emit(out, ev) }}
	if out.Jobs() > 1 && in.Size > parallelSize {
		asm.Parallel()
	}
	cut := false
	for r.Next() {
		if r.Number()&0xfff == 0 && ctx.Err() != nil {
			asm.Close()
			return ctx.Err()
		}
		line := r.Bytes()
		rec, ok := audit.ParseRecord(line)
		if ok {
			asm.Add(rec, r.Ref())
			cut = false
			continue
		}
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case furniture(line):
			asm.Filtered()
		case bytes.Equal(line, []byte("<no matches>")):
			asm.Filtered()
		default:
			out.Skip(&analyze.SyntaxError{At: r.Ref(), Msg: fmt.Sprintf("no audit record: %.60q", line)})
			cut = r.Offset() > 0 && begins(line)
		}
	}
	trail, ok := asm.Close()
	if ok {
		analyze.Emit(out, trail)
	}
	noteDropped(asm, out)
	if cut {
		out.Note("the last record is cut")
		out.Partial()
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return out.Full()
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
