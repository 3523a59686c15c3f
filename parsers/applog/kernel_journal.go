package applog

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/kernel"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// kernelField is how the journal marks a message of the kernel in its export format
// and in JSON.
var kernelField, kernelMember = []byte("_TRANSPORT=kernel"), []byte(`"_TRANSPORT":"kernel"`)

// kernelRecords reads the kernel's messages of a journal that was written as
// records, in the export format or in JSON.
func kernelRecords(ctx context.Context, in *analyze.Input, out *analyze.Sink, export bool) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	scan := kernel.Scanner{Emit: func(ev fact.KernelEvent) { analyze.Emit(out, ev) }}
	rec := exported{scan: &scan}
	for r.Next() {
		if r.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line := r.Bytes()
		switch {
		case export:
			rec.line(line, r.Ref())
		case bytes.Contains(line, kernelMember):
			m := kernel.Message{At: r.Ref(), Host: string(jsonString(line, "_HOSTNAME")), Text: string(jsonString(line, "MESSAGE"))}
			if s, ok := jsonTime(line); ok {
				m.Time = s.Time(time.Time{})
			}
			scan.Message(m)
		}
	}
	rec.end()
	scan.Close()
	return r.Err()
}

// exported is a record of the export format while its lines come.
type exported struct {
	scan *kernel.Scanner
	raw  []byte
	at   fact.Ref // of its message
}

// maxRecord bounds what is kept of a record.
const maxRecord = 64 << 10

func (e *exported) line(b []byte, at fact.Ref) {
	if journalBegin(b) {
		e.end()
	}
	if bytes.HasPrefix(b, []byte("MESSAGE=")) {
		e.at = at
	}
	if len(e.raw)+len(b) < maxRecord {
		e.raw = append(append(e.raw, b...), '\n')
	}
}

func (e *exported) end() {
	if text := journalField(e.raw, "MESSAGE"); text != nil && bytes.Contains(e.raw, kernelField) {
		e.scan.Message(kernel.Message{At: e.at, Time: journalTime(e.raw), Host: string(journalField(e.raw, "_HOSTNAME")), Text: string(text)})
	}
	e.raw = e.raw[:0]
}
