package timeline

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// logs adds lines that are facts, and for messages that were only counted the first.
func (m *merge) logs(p *analyze.Pass) {
	type shape struct {
		of  fact.ID
		key string
	}
	told := map[shape]bool{}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		told[shape{e.At.Artifact, e.Shape}] = true
		m.add(e.At, e.Time, func() string {
			text := e.Text
			if e.Level != "" && e.Level != "info" {
				text = e.Level + ": " + text
			}
			if e.Repeat > 1 {
				text += fmt.Sprintf(" (%d times)", e.Repeat)
			}
			return text
		})
	}
	for s := range fact.All[fact.LogShape](p.Facts) {
		if told[shape{s.At.Artifact, s.Shape}] {
			continue
		}
		m.add(s.At, s.First, func() string {
			if s.Count < 2 {
				return s.Text
			}
			return fmt.Sprintf("%s (the first of %d such lines)", s.Text, s.Count)
		})
	}
}

// records adds what the audit system and the kernel wrote, and what people typed.
func (m *merge) records(p *analyze.Pass) {
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		m.add(e.At, e.Time, func() string { return audited(e) })
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		m.add(e.At, m.clocks.Kernel(e), func() string { return "kernel: " + e.Text })
	}
	for c := range fact.All[fact.CommandRun](p.Facts) {
		m.add(c.At, c.Time, func() string { return strings.TrimSpace(c.User + "$ " + c.Text) })
	}
}

// audited is an audit event as a sentence without a verb: who, what, to whom.
func audited(e *fact.AuditEvent) string {
	who := cmp.Or(e.Exe, e.Comm)
	if e.PID > 0 {
		who = strings.TrimSpace(fmt.Sprintf("pid %d %s", e.PID, who))
	}
	var parts []string
	switch {
	case e.Signal != "":
		parts = append(parts, e.Syscall+" "+e.Signal)
	case len(e.Argv) > 0:
		parts = append(parts, cmp.Or(e.Syscall, e.Op)+" "+strings.Join(e.Argv, " "))
	default:
		parts = append(parts, strings.Join([]string{cmp.Or(e.Syscall, e.Op, strings.Join(e.Types[:min(1, len(e.Types))], "")), e.Unit, e.Acct, strings.Join(e.Paths, " ")}, " "))
	}
	for _, t := range e.Targets {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("to pid %d %s", t.PID, t.Comm)))
	}
	if e.Errno != "" {
		parts = append(parts, e.Errno)
	}
	text := strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
	if who == "" {
		return text
	}
	return who + ": " + text
}

// captures adds the beginning and end of conversations and what went wrong in them.
func (m *merge) captures(p *analyze.Pass) {
	wire := func(at fact.Ref, t time.Time, text func() string) {
		m.add(at, fact.Time{T: t, Basis: fact.Epoch}, text)
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		ends := func() string { return fmt.Sprintf("%s -> %s", f.Client(), f.Server()) }
		wire(f.Ref(), f.First(), func() string { return fmt.Sprintf("%s %s: the first packet", f.Proto(), ends()) })
		if f.LastFrame() != f.FirstFrame() {
			wire(f.Frame(f.LastFrame()), f.Last(), func() string {
				return fmt.Sprintf("%s %s: the last of %s, %d bytes of payload", f.Proto(), ends(), join.Count(int(f.Packets()), "packet"), f.PayloadBytes())
			})
		}
		for _, r := range f.Resets() {
			wire(f.Frame(r.Frame), r.Time, func() string { return fmt.Sprintf("%s: RST by the %s", ends(), r.From) })
		}
		for _, s := range f.Stalls() {
			wire(f.Frame(s.FirstFrame), s.From, func() string {
				return fmt.Sprintf("%s: the %s closes its window for %s", ends(), s.By, s.Duration.Round(time.Millisecond))
			})
		}
	}
	for e := range fact.All[fact.ICMPError](p.Facts) {
		wire(e.At, e.Time, func() string { return fmt.Sprintf("%s of %s", e.Text, e.From) })
	}
	for d := range fact.All[fact.DNSFailure](p.Facts) {
		wire(d.At, d.Time, func() string {
			return fmt.Sprintf("the query for %s to %s: %s", d.Name, d.Server, cmp.Or(d.RCode, "no answer"))
		})
	}
}

// samples adds when tables, traces and series were taken, and starts of processes
// where a table dates them.
func (m *merge) samples(p *analyze.Pass) {
	for h := range fact.All[fact.HostInfo](p.Facts) {
		m.add(h.At, h.Time, func() string { return strings.ReplaceAll(h.Name, "_", " ") + " " + h.Value })
	}
	for r := range fact.All[fact.Process](p.Facts) {
		m.add(r.At, r.Started, func() string { return fmt.Sprintf("pid %d starts: %s", r.PID, r.Command) })
	}
	for t := range fact.All[fact.ProcessTable](p.Facts) {
		m.add(t.At, t.Taken, func() string { return fmt.Sprintf("%s lists %s", t.Tool, join.Count(t.Rows, "process", "processes")) })
	}
	for t := range fact.All[fact.Trace](p.Facts) {
		m.add(t.At, t.First, func() string { return fmt.Sprintf("the trace of pid %d begins", t.PID) })
	}
	for f := range fact.All[fact.Profile](p.Facts) {
		m.add(f.At, f.Time, func() string { return "a profile is taken" })
	}
	for x := range fact.All[fact.Metric](p.Facts) {
		m.add(x.FirstAt, x.First, func() string { return fmt.Sprintf("%s is %g", x.Name, x.Start) })
		m.add(x.LastAt, x.Last, func() string { return fmt.Sprintf("%s is %g", x.Name, x.End) })
	}
}
