// Package oomkill finds processes that the kernel ended because memory ran out.
package oomkill

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/oom-kill"

//go:embed doc.md
var doc string

// Rule finds OOM kills in the kernel log, else in cgroup counters.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "ended by the OOM killer", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"kernel_event", "counter"},
		Wants: []fact.Kind{"log_event", "log", "audit_event", "audit_trail", "process", "host_info"},
		Run:   run,
	}
}

// kills are the OOM kills of one cgroup or host and one program.
type kills struct {
	host   string
	events []*fact.KernelEvent
}

func run(_ context.Context, p *analyze.Pass) error {
	h := join.HostsOf(p)
	groups := map[string]*kills{}
	var order []string
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if e.Event != "oom-kill" {
			continue
		}
		host := h.Of(e.At)
		key := host + "\x00" + e.Cgroup + "\x00" + e.Comm
		if groups[key] == nil {
			groups[key] = &kills{host: host}
			order = append(order, key)
		}
		// The same kill may stand in dmesg and in a journal.
		if !slices.ContainsFunc(groups[key].events, func(o *fact.KernelEvent) bool { return o.PID == e.PID && o.AnonRSSKB == e.AnonRSSKB }) {
			groups[key].events = append(groups[key].events, e)
		}
	}
	for _, key := range order {
		report(p, groups[key])
	}
	if len(order) == 0 {
		counters(p)
	}
	return nil
}

func report(p *analyze.Pass, g *kills) {
	e := g.events[0]
	c := join.ClocksOf(p)
	subject := fmt.Sprintf("process %d (%s)", e.PID, e.Comm)
	f := analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Evidence: []analyze.Evidence{c.Date(analyze.Cite(e.At, "the kernel states that it killed pid %d (%s)", e.PID, e.Comm), c.Kernel(e))},
		Fix:      "Find what grows in the victim (heap profile, growth of its log's numbers); raise the limit only if its size is right.",
	}
	if pr := join.ProcessesOf(p).Get(g.host, e.PID); pr != nil {
		subject = pr.String()
		f.Entities = append(f.Entities, pr.Entity())
	}
	f.Subject = subject
	f.Title = fmt.Sprintf("The kernel's OOM killer ended pid %d (%s) with SIGKILL: %s", e.PID, e.Comm, limitWords(e))
	if len(g.events) > 1 {
		f.Title += fmt.Sprintf(" (%d times)", len(g.events))
	}
	f.From, _, _ = c.UTC(e.At.Artifact, c.Kernel(e))
	f.To = f.From
	if e.Cgroup != "" {
		f.Entities = append(f.Entities, analyze.Entity{Kind: join.KindUnit, Key: g.host + "/" + e.Cgroup, Name: e.Cgroup})
	}
	f.Entities = append(f.Entities, join.HostsOf(p).Entity(g.host))
	for i, r := range e.Lines {
		if i < 4 {
			f.Evidence = append(f.Evidence, analyze.Cite(r, "the same OOM report"))
		}
	}
	detail := []string{mechanism(e)}
	for i, o := range g.events[1:] {
		if i < 5 {
			f.Evidence = append(f.Evidence, c.Date(analyze.Cite(o.At, "again: pid %d", o.PID), c.Kernel(o)))
			if pr := join.ProcessesOf(p).Get(g.host, o.PID); pr != nil {
				f.Entities = append(f.Entities, pr.Entity())
			}
		}
	}
	if s := growth(p, g.host, e, &f); s != "" {
		detail = append(detail, s)
	}
	death(p, g.host, e, &f)
	if s := noSender(p, g.host, e); s != "" {
		detail = append(detail, s)
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

func limitWords(e *fact.KernelEvent) string {
	switch {
	case e.Cgroup != "" && e.LimitKB.Known:
		return fmt.Sprintf("memory cgroup %s reached its limit of %dkB", e.Cgroup, e.LimitKB.V)
	case e.Cgroup != "" || strings.Contains(e.Constraint, "MEMCG"):
		return strings.TrimSpace("memory cgroup "+e.Cgroup) + " reached its limit"
	case e.Constraint != "" && e.Constraint != "CONSTRAINT_NONE":
		return "memory ran out under " + e.Constraint
	}
	return "the whole host ran out of memory"
}

func mechanism(e *fact.KernelEvent) string {
	var b strings.Builder
	if e.Cgroup != "" || strings.Contains(e.Constraint, "MEMCG") {
		b.WriteString("The limit of one cgroup was reached, so the kernel chose its victim inside that cgroup; memory of the host was not short.")
		if e.LimitKB.Known {
			fmt.Fprintf(&b, " Limit %dkB (%d bytes)", e.LimitKB.V, e.LimitKB.V*1024)
			if e.UsageKB.Known {
				fmt.Fprintf(&b, ", usage %dkB", e.UsageKB.V)
			}
			b.WriteString(".")
		}
	} else {
		b.WriteString("The host as a whole had no memory left; the victim is the process with the highest score, which need not be the one that grew.")
	}
	if e.AnonRSSKB.Known {
		fmt.Fprintf(&b, " The victim held %dkB of anonymous memory.", e.AnonRSSKB.V)
	}
	if e.InvokerPID > 0 && e.InvokerPID != e.PID {
		fmt.Fprintf(&b, " Pid %d (%s) only asked for memory at that moment; it is not the victim.", e.InvokerPID, e.Invoker)
	}
	b.WriteString(" SIGKILL came from the kernel: no process sent it, and the audit system does not record it as a kill call.")
	return b.String()
}

// sizePattern reads resident sizes as programs log them: rss=213MB, "rss: 213.4 MiB".
var sizePattern = regexp.MustCompile(`(?i)\b(?:rss|resident|mem(?:ory)?)\b["']?\s*[=: ]\s*([0-9]+(?:\.[0-9]+)?)\s*([kmg]i?b?)?`)

// growth follows the victim's memory through log lines that name its pid.
func growth(p *analyze.Pass, host string, e *fact.KernelEvent, f *analyze.Finding) string {
	h, c := join.HostsOf(p), join.ClocksOf(p)
	var first, last *fact.LogEvent
	var low, high float64
	n := 0
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) != host || !slices.Contains(l.PIDs, e.PID) && l.PID.Or(0) != int64(e.PID) {
			continue
		}
		m := sizePattern.FindStringSubmatch(l.Text)
		if m == nil {
			continue
		}
		v := megabytes(m[1], m[2])
		if first == nil {
			first, low = l, v
		}
		last, high = l, v
		n++
	}
	if n < 2 || high < low*1.5 {
		return ""
	}
	f.Evidence = append(f.Evidence, join.CiteLog(c, first, "rss of the victim: %.0fMB", low), join.CiteLog(c, last, "rss of the victim at last: %.0fMB", high))
	return fmt.Sprintf("Its memory grew steadily before: rss growth from %.0fMB to %.0fMB over %d log lines.", low, high, n)
}

func megabytes(number, unit string) float64 {
	v, _ := strconv.ParseFloat(number, 64)
	switch strings.ToLower(unit[:min(1, len(unit))]) {
	case "k":
		return v / 1024
	case "g":
		return v * 1024
	case "":
		return v / (1 << 20) // bytes
	}
	return v
}

// death cites the log line of whoever noticed that the victim ended.
func death(p *analyze.Pass, host string, e *fact.KernelEvent, f *analyze.Finding) {
	h, c := join.HostsOf(p), join.ClocksOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) == host && slices.Contains(l.PIDs, e.PID) && slices.Contains(l.Signs, fact.SignStop) &&
			(l.Signal == "SIGKILL" || strings.Contains(l.Text, "137") || strings.Contains(strings.ToLower(l.Text), "oom")) {
			f.Evidence = append(f.Evidence, join.CiteLog(c, l, "its end as the program's log sees it"))
			if at, _, ok := c.UTC(l.At.Artifact, l.Time); ok && f.From.IsZero() {
				f.From, f.To = at, at // the kernel log only counts from boot
			}
			return
		}
	}
}

// noSender says whether the audit trail would have shown a sender.
func noSender(p *analyze.Pass, host string, e *fact.KernelEvent) string {
	h := join.HostsOf(p)
	for ev := range fact.All[fact.AuditEvent](p.Facts) {
		if h.Of(ev.At) == host && ev.Signal == "SIGKILL" && slices.ContainsFunc(ev.Targets, func(t fact.AuditTarget) bool { return t.PID == e.PID }) {
			return ""
		}
	}
	for t := range fact.All[fact.AuditTrail](p.Facts) {
		if h.Of(t.At) == host && t.KillRule && covers(p, t, e) {
			return fmt.Sprintf("The audit trail %s records kill calls and has none to pid %d.", t.At.Artifact, e.PID)
		}
	}
	return ""
}

// covers reports whether a trail ran when the kernel killed: only then does its
// silence say something.
func covers(p *analyze.Pass, t *fact.AuditTrail, e *fact.KernelEvent) bool {
	c := join.ClocksOf(p)
	kill, _, ok := c.UTC(e.At.Artifact, c.Kernel(e))
	return ok && t.First.Known() && t.Last.Known() && !kill.Before(t.First.T) && !kill.After(t.Last.T)
}

// counters reports OOM kills that only a cgroup's counters show.
func counters(p *analyze.Pass) {
	for c := range fact.All[fact.Counter](p.Facts) {
		name := c.Name
		if i := strings.LastIndexAny(name, "./ "); i >= 0 {
			name = name[i+1:]
		}
		if name != "oom_kill" || c.Value <= 0 {
			continue
		}
		host := join.HostsOf(p).Of(c.At)
		f := analyze.Finding{
			Subject:  join.HostsOf(p).Prefix(host) + "memory cgroup of " + string(c.At.Artifact),
			Title:    fmt.Sprintf("The kernel's OOM killer ended %d process(es) of a memory cgroup with SIGKILL", c.Value),
			Detail:   "The cgroup counts its OOM kills since it was made; the kernel log with the victims is not in the bundle.",
			Severity: analyze.Medium, Confidence: analyze.Likely,
			Evidence: []analyze.Evidence{analyze.Cite(c.At, "%s is %d", c.Name, c.Value)},
			Missing:  []string{"the kernel log, which names the victim"},
			Next:     []string{"dmesg -T > dmesg.txt", "journalctl -k > kernel.log"},
			Fix:      "Find what grows in the cgroup's processes.",
			Entities: []analyze.Entity{join.HostsOf(p).Entity(host)},
		}
		h, clocks := join.HostsOf(p), join.ClocksOf(p)
		for l := range fact.All[fact.LogEvent](p.Facts) {
			if h.Of(l.At) == host && l.Signal == "SIGKILL" && slices.Contains(l.Signs, fact.SignStop) {
				f.Severity = analyze.High
				f.Evidence = append(f.Evidence, join.CiteLog(clocks, l, "a process ended by SIGKILL"))
				for _, pid := range l.PIDs {
					if pr := join.ProcessesOf(p).Get(host, pid); pr != nil {
						f.Entities = append(f.Entities, pr.Entity())
					}
				}
				break
			}
		}
		p.Report(f)
		return
	}
}
