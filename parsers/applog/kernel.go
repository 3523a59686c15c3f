package applog

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/audit"
	"github.com/culprit-dev/culprit/parsers/internal/kernel"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// hasKernel reports whether a system's log holds lines of the kernel or records
// that the audit daemon passed on to syslog.
func (m *merger) hasKernel() bool {
	if m.l.json || m.l.journal {
		return m.kernel
	}
	for _, sh := range m.order {
		if strings.Contains(sh.fact.Text, "kernel: ") || strings.Contains(sh.fact.Text, "audisp") || strings.Contains(sh.fact.Text, " audit[") {
			return true
		}
	}
	return false
}

// kernelEvents reads the kernel's lines of a system's log once more: its
// statements span several lines, which the events of a log do not.
func kernelEvents(ctx context.Context, in *analyze.Input, out *analyze.Sink, l *layout) error {
	if l.json || l.journal {
		return kernelRecords(ctx, in, out, l.journal)
	}
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	times := newScanner(l)
	asm := audit.Assembler{Form: "kernel", Emit: func(ev fact.AuditEvent) { analyze.Emit(out, ev) }}
	var journal audit.Journal
	scan := kernel.Scanner{Emit: func(ev fact.KernelEvent) { analyze.Emit(out, ev) }}
	for r.Next() {
		if r.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line := r.Bytes()
		if bytes.Contains(line, []byte("audit(")) {
			if rec, ok := audit.ParseRecord(line); ok {
				asm.Add(rec, r.Ref())
				continue
			}
		}
		if kind, body, ok := audit.InJournal(line); ok {
			var when fact.Time
			if _, _, to := l.finder.Find(line); to > 0 {
				when = times.time(line, to)
			}
			asm.Add(journal.Record(kind, body, when), r.Ref())
			asm.Filtered()
			continue
		}
		if !bytes.Contains(line, []byte("kernel:")) {
			continue
		}
		_, _, to := l.find(line)
		p, msg, ok := kernel.Split(line)
		if !ok && to > 0 { // a time that only logs have: "Sat 2026-11-21 18:12:55 JST", "1795252375.000000"
			p, msg, ok = kernel.After(line[to:])
		}
		if !ok || !p.Kernel {
			continue
		}
		if to > 0 {
			p.Time = times.time(line, to)
		}
		scan.Message(kernel.Message{At: r.Ref(), Time: p.Time, UptimeMS: p.UptimeMS, Host: p.Host, Text: string(bytes.TrimRight(msg, " "))})
	}
	scan.Close()
	if trail, ok := asm.Close(); ok {
		analyze.Emit(out, trail)
	}
	return r.Err()
}
