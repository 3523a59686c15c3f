// Package kernlog reads the kernel's log: dmesg in its forms and logs that hold
// kernel messages only (journalctl -k, kern.log). Audit records in it become audit
// events.
package kernlog

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/audit"
	"github.com/culprit-dev/culprit/parsers/internal/kernel"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads kernel logs.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name: "kernlog",
		Doc:  "kernel log: dmesg with any time stamps, journalctl -k, kern.log; audit records inside",
		Emits: []fact.Kind{fact.KernelEvent{}.Kind(), fact.AuditEvent{}.Kind(), fact.AuditTrail{}.Kind(),
			fact.HostInfo{}.Kind(), fact.Log{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how many lines the share of kernel lines is taken from.
const sniffLines = 60

func sniff(h analyze.Head) analyze.Match {
	if bytes.IndexByte(h.Bytes, 0) >= 0 {
		return analyze.No
	}
	kern, bracket, all := 0, 0, 0
	rest := h.Bytes
	for all < sniffLines && len(rest) > 0 {
		line, next, whole := bytes.Cut(rest, []byte("\n"))
		rest = next
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(bytes.TrimSpace(line)) == 0 || bytes.HasPrefix(line, []byte("-- ")) {
			continue
		}
		if !whole && all > 0 {
			break
		}
		all++
		if p, _, ok := kernel.Split(line); ok && p.Kernel {
			kern++
			if p.Style == "dmesg" || p.Style == "ctime" {
				bracket++
			}
		}
	}
	name := strings.ToLower(path.Base(h.Path))
	named := strings.Contains(name, "dmesg") || strings.Contains(name, "kern")
	switch {
	case all == 0 || kern*10 < all*8 && !(named && kern*10 >= all*5):
		return analyze.No
	case kern == bracket && !named && kernel.Bracketed(h.Bytes):
		return analyze.Sure // whatever it is called: a log's name makes others surer
	case kern == bracket && !named && all < 3:
		return analyze.Maybe // "[12.345] text" is also how a few programs log
	case kern == bracket && !named:
		return analyze.Probably
	}
	return analyze.Sure
}

// reader is the state of one parse.
type reader struct {
	out   *analyze.Sink
	scan  kernel.Scanner
	asm   audit.Assembler
	log   fact.Log
	hosts map[string]bool
	// modified is when the file was last written, which tells the year of stamps
	// that print none.
	modified time.Time
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	k := &reader{out: out, hosts: map[string]bool{}, modified: in.ModTime}
	k.scan.Emit = func(ev fact.KernelEvent) { analyze.Emit(out, ev) }
	k.asm.Emit = func(ev fact.AuditEvent) { analyze.Emit(out, ev) }
	k.asm.Form = "kernel"
	for r.Next() {
		if r.Number()&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if out.Full() != nil {
				break
			}
		}
		line := r.Bytes()
		if len(bytes.TrimSpace(line)) == 0 || bytes.HasPrefix(line, []byte("-- ")) {
			continue
		}
		if k.log.Lines == 0 {
			k.log.At = r.Ref()
		}
		if !k.line(line, r.Ref()) {
			// A message of several lines carries its prefix once.
			if k.log.Lines == 0 {
				out.Skip(&analyze.SyntaxError{At: r.Ref(), Msg: fmt.Sprintf("no kernel message: %.60q", line)})
			}
		}
		k.log.Lines++
	}
	k.close()
	if err := r.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return out.Full()
}

func (k *reader) line(line []byte, at fact.Ref) bool {
	p, msg, ok := kernel.Split(line)
	if !ok {
		return false
	}
	if p.Style == "syslog" {
		p.Time = k.withYear(p.Time)
	}
	if p.Known() {
		if !k.log.First.Known() {
			k.log.First, k.log.Basis = p.Time, p.Basis
		}
		k.log.Last = p.Time
	}
	if p.Host != "" && !k.hosts[p.Host] && len(k.hosts) < 16 {
		k.hosts[p.Host] = true
		analyze.Emit(k.out, fact.HostInfo{At: at, Name: "hostname", Value: p.Host})
	}
	if !p.Kernel {
		return true
	}
	if rec, ok := audit.ParseRecord(msg); ok {
		k.asm.Add(rec, at)
		k.bootTime(p, rec, at)
		return true
	}
	if bytes.HasPrefix(msg, []byte("audit: ")) && bytes.Contains(msg, []byte("lost")) {
		k.lost(msg, at)
	}
	k.scan.Message(kernel.Message{At: at, Time: p.Time, UptimeMS: p.UptimeMS, Host: p.Host, Text: string(bytes.TrimRight(msg, " "))})
	return true
}

// withYear completes a stamp without a year: the last such day before the file
// was written. Without that time the stamp stays unknown.
func (k *reader) withYear(t fact.Time) fact.Time {
	if k.modified.IsZero() {
		return fact.Time{}
	}
	m := k.modified.UTC()
	full := t.T.AddDate(m.Year()-t.T.Year(), 0, 0)
	if full.After(m.Add(36 * time.Hour)) {
		full = full.AddDate(-1, 0, 0)
	}
	return fact.Time{T: full, Basis: fact.LocalNoZone, Precision: time.Second}
}

// lost reads "audit: audit_lost=12 audit_rate_limit=0 audit_backlog_limit=64".
func (k *reader) lost(msg []byte, at fact.Ref) {
	_, v, ok := strings.Cut(string(msg), "audit_lost=")
	if !ok {
		return
	}
	n := int64(0)
	for i := 0; i < len(v) && v[i] >= '0' && v[i] <= '9' && n < 1<<40; i++ {
		n = n*10 + int64(v[i]-'0')
	}
	k.asm.Lost(n, at)
}

// bootTime derives the time of boot from an audit record, which carries both an
// uptime and an epoch.
func (k *reader) bootTime(p kernel.Prefix, r audit.Record, at fact.Ref) {
	if !p.UptimeMS.Known || k.hosts["\x00boot"] || r.Interpreted {
		return
	}
	k.hosts["\x00boot"] = true
	boot := time.UnixMilli(r.Sec*1000 + r.Milli - p.UptimeMS.V).UTC()
	analyze.Emit(k.out, fact.HostInfo{
		At: at, Name: "boot_time", Value: boot.Format(time.RFC3339),
		Time: fact.Time{T: boot, Basis: fact.Inferred, Precision: time.Second},
	})
}

func (k *reader) close() {
	k.scan.Close()
	if trail, ok := k.asm.Close(); ok {
		analyze.Emit(k.out, trail)
	}
	if k.log.Lines > 0 {
		k.log.Form = "kernel"
		analyze.Emit(k.out, k.log)
	}
}
