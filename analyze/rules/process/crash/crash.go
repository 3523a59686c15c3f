// Package crash finds programs that ended by a fault of their own: a fault of
// memory, a heap that ran out, an error that nothing caught.
package crash

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/crash"

//go:embed doc.md
var doc string

// tellers are the rules whose findings cite a program's last words as the cause of
// what they tell: then the end is told.
var tellers = []string{"tcp/refused", "tcp/abort", "go/runtime-verdict"}

const networkErrno = "log/network-errno"

// Rule finds ends of programs that nobody sent a signal for.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "crash", Doc: doc, Severity: analyze.High,
		After: append([]string{networkErrno}, tellers...),
		AnyOf: []fact.Kind{"kernel_event", "log_event"},
		Wants: []fact.Kind{"log", "process", "audit_event", "host_info", "filesystem", "limit"},
		Thresholds: []analyze.Threshold{
			{Name: "again", Default: 2, Unit: "ends", Doc: "ends by one uncaught error that make a service fail, where nothing shows who missed it"},
			{Name: "missed", Default: 60, Unit: "seconds", Doc: "how long after the end refused or reset connections count as its effect"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "log/resource-errno", Via: join.KindProcess, Why: "what it needed had run out"},
			{Rule: "socket/port-conflict", Via: join.KindProcess, Why: "it ends because the port is taken"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range deathsOf(p) {
		if by := d.told(p); by != "" {
			p.Note("%s: %s tells it", d.name(), by)
			continue
		}
		report(p, d)
	}
	return nil
}

// told is the rule that tells the end already, "" if none does.
func (d *death) told(p *analyze.Pass) string {
	for _, rule := range tellers {
		for _, f := range p.Findings(rule) {
			if slices.ContainsFunc(f.Evidence, func(e analyze.Evidence) bool {
				return slices.ContainsFunc(d.lines, func(l *fact.LogEvent) bool {
					return e.Artifact == l.At.Artifact && e.Line == l.At.Line
				})
			}) {
				return rule
			}
		}
	}
	for _, k := range join.SignalsOf(p).All {
		if k.Host == d.host && k.Deadly() && k.Relation != join.ToSelf && d.pid > 0 && k.Hits(d.pid) {
			return "a signal of pid " + fmt.Sprint(k.Sender.PID)
		}
	}
	for _, t := range join.ToldOf(p) {
		if t.Host == d.host && t.Sender != "" && t.Victim != nil && t.Victim.PID == d.pid && d.pid > 0 {
			return t.Sender
		}
	}
	return ""
}

func report(p *analyze.Pass, d *death) {
	c := join.ClocksOf(p)
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(d.host) + d.name(),
		Title:    fmt.Sprintf("%s %s", d.name(), d.kind.did),
		Severity: analyze.High, Confidence: analyze.Likely,
		Fix: d.kind.fix, Next: []string{d.kind.next},
	}
	if d.proc != nil {
		f.Subject = d.proc.String()
		f.Entities = append(f.Entities, d.proc.Entity())
		if r, ok := d.proc.Cite(); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(r, "the process: %s", d.proc.Describe()))
		}
	}
	if d.log != "" {
		f.Entities = append(f.Entities, analyze.Entity{Kind: "file", Key: string(d.log), Name: string(d.log)})
	}
	var ev []analyze.Evidence
	for i, e := range d.kernel {
		if i < 3 {
			ev = append(ev, c.Date(analyze.Cite(e.At, "the kernel states the fault: %s", e.Text), c.Kernel(e)))
		}
	}
	for i, l := range d.lines {
		if i < 4 {
			ev = append(ev, join.CiteLog(c, l, "%s", short(l.Text)))
		}
	}
	ev = append(append(ev, d.fullDisk(p)...), d.limit(p)...)
	f.Evidence = append(ev, f.Evidence...)
	n := max(len(d.kernel), d.ends)
	if said := d.said(); said != "" {
		f.Title += ": " + said
	}
	if n > 1 {
		f.Title += fmt.Sprintf(" (%d times)", n)
	}
	f.From, f.To = d.from, d.to
	detail := []string{d.kind.means}
	if full := d.fullDisk(p); full != nil {
		detail = append(detail, "A file system has no space left ("+full[0].Note+"): then a write to a mapped file of it ends with SIGBUS, and not with an error that the program could handle.")
	}
	effects := d.missed(p)
	if len(d.kernel) > 0 || d.kind == &outOfMemory {
		f.Confidence = analyze.Confirmed
	}
	if d.kind == &uncaught && float64(n) < p.Threshold("again") && len(effects) == 0 && !d.service {
		f.Severity = analyze.Medium
		detail = append(detail, "It ended once, and nothing in the bundle misses it.")
	}
	if !d.known() && len(d.lines)+len(effects) == 0 && n == 1 {
		f.Severity = analyze.Medium
		detail = append(detail, "Nothing else in the bundle knows this program.")
	}
	for _, e := range effects {
		detail = append(detail, "It was missed: "+e.Title+".")
		f.Evidence = append(f.Evidence, e.Evidence[:min(len(e.Evidence), 2)]...)
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Note("%s: %d ends, %d findings of those who missed it", d.name(), n, len(effects))
	p.Report(f)
	for _, e := range effects {
		p.Explains(p.IDOf(f.Subject), e.ID)
	}
}

// fullDisk are file systems without space, which explain a SIGBUS: a page of a mapped
// file then has no block to stand on.
func (d *death) fullDisk(p *analyze.Pass) (ev []analyze.Evidence) {
	bus := func(l *fact.LogEvent) bool {
		return strings.Contains(strings.ToLower(l.Text), "bus error") || strings.Contains(l.Text, "SIGBUS")
	}
	if !slices.ContainsFunc(d.lines, bus) {
		return nil
	}
	for _, fs := range join.FullFilesystems(p, d.host) {
		ev = append(ev, join.CiteFull(fs))
	}
	return ev[:min(len(ev), 2)]
}

// limit is the limit that the kernel ended the program at, where the bundle has it.
func (d *death) limit(p *analyze.Pass) (ev []analyze.Evidence) {
	name := map[*kind]string{&cpuLimit: "Max cpu time", &sizeLimit: "Max file size"}[d.kind]
	for l := range fact.All[fact.Limit](p.Facts) {
		if name != "" && l.Name == name && l.PID == d.pid && l.Soft.Known && join.HostsOf(p).Of(l.At) == d.host {
			ev = append(ev, analyze.Cite(l.At, "%s of pid %d: %d", l.Name, l.PID, l.Soft.V))
		}
	}
	return ev
}

// missed are findings about connections of the host that were refused or reset from
// the moment of the end on.
func (d *death) missed(p *analyze.Pass) (out []*analyze.Finding) {
	if d.from.IsZero() {
		return nil
	}
	window := time.Duration(p.Threshold("missed") * float64(time.Second))
	for _, f := range p.Findings(networkErrno) {
		ours := slices.ContainsFunc(f.Entities, func(e analyze.Entity) bool {
			return e.Kind == join.KindEndpoint && d.serves(p, e.Key)
		})
		if since := f.From.Sub(d.from); ours && !f.From.IsZero() && since >= -2*time.Second && since <= window && len(f.Causes) == 0 {
			out = append(out, f)
		}
	}
	return out
}

// said is what the program or the kernel says of the end, without what the title
// tells already.
func (d *death) said() string {
	switch {
	case len(d.kernel) > 0:
		return short(d.kernel[0].Text)
	case len(d.lines) > 0:
		return short(d.lines[0].Text)
	}
	return ""
}

// known reports whether anything but the kernel's statement names the process.
func (d *death) known() bool {
	return d.proc != nil && slices.ContainsFunc(d.proc.At, func(r fact.Ref) bool {
		return !slices.ContainsFunc(d.kernel, func(e *fact.KernelEvent) bool { return e.At.Artifact == r.Artifact })
	})
}

func (d *death) name() string {
	n := cmp.Or(d.comm, d.stem())
	if d.pid > 0 {
		return fmt.Sprintf("%s (pid %d)", n, d.pid)
	}
	return n
}

func short(s string) string {
	const limit = 140
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
