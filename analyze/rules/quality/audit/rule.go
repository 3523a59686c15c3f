// Package audit says what an audit trail cannot show.
package audit

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "quality/audit"

//go:embed doc.md
var doc string

// Rule reports lost events, gaps, several boots and missing kill rules.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "audit blind spots", Doc: doc, Severity: analyze.Low,
		AnyOf: []fact.Kind{"audit_trail", "audit_status"},
		Wants: []fact.Kind{"host_info", "process", "socket"},
		Thresholds: []analyze.Threshold{
			{Name: "gap_share", Default: 0.02, Unit: "share", Doc: "missing serials from which gaps are worth a word"},
		},
		Run: run,
	}
}

// killRules are the lines that make the trail show every signal and program start.
var killRules = []string{
	"auditctl -a always,exit -F arch=b64 -S kill,tkill,tgkill,rt_sigqueueinfo,pidfd_send_signal -F a1!=0 -k kill_signal",
	"auditctl -a always,exit -F arch=b32 -S kill,tkill,tgkill -F a1!=0 -k kill_signal",
}

func run(_ context.Context, p *analyze.Pass) error {
	for t := range fact.All[fact.AuditTrail](p.Facts) {
		if t.Form == "kernel" && !t.KillRule && t.Lost == 0 {
			p.Note("%s: audit records in a kernel log, nobody expects all events there", t.At.Artifact)
			continue
		}
		judge(p, t)
	}
	for s := range fact.All[fact.AuditStatus](p.Facts) {
		system(p, s)
	}
	return nil
}

// rules returns what auditctl -l says of a trail's host, nil if nothing does.
func rules(p *analyze.Pass, t *fact.AuditTrail) (found *fact.AuditStatus) {
	h := join.HostsOf(p)
	for s := range fact.All[fact.AuditStatus](p.Facts) {
		if s.Rules.Known && !s.File && h.Of(s.At) == h.Of(t.At) {
			found = s
		}
	}
	return found
}

// system judges the state of the audit system itself.
func system(p *analyze.Pass, s *fact.AuditStatus) {
	f := newFinding(p, "audit system of "+string(s.At.Artifact), s.At)
	if s.Enabled.Known && s.Enabled.V == 0 {
		f.note(s.EnabledAt, "auditing is switched off", "The kernel records nothing (enabled 0).")
		f.Next = append(f.Next, "auditctl -e 1")
	}
	if s.NoTask {
		f.note(s.NoTaskAt, "a rule keeps system calls out", "The rule \"never,task\", the default of Fedora and others, keeps every process that starts under it out of all rules for system calls: signals and program starts leave no record.")
		f.Next = append(f.Next, "auditctl -d never,task")
	}
	if s.Lost.Or(0) > 0 {
		f.Severity = analyze.Low
		limit := ""
		if s.BacklogLimit.Known {
			limit = fmt.Sprintf(" with room for %d in its queue", s.BacklogLimit.V)
		}
		f.note(s.LostAt, fmt.Sprintf("%d records were lost", s.Lost.V), "The kernel has lost %d records since boot%s.", s.Lost.V, limit)
		f.Next = append(f.Next, "auditctl -b 8192")
	}
	f.report(p, "The audit system (%s) has blind spots: ", s.At.Artifact)
}

// finding collects blind spots.
type finding struct {
	analyze.Finding
	what, detail []string
	at           fact.Ref
}

func newFinding(p *analyze.Pass, subject string, at fact.Ref) *finding {
	h := join.HostsOf(p)
	return &finding{at: at, Finding: analyze.Finding{
		Subject: subject, Severity: analyze.Info, Confidence: analyze.Confirmed,
		Entities: []analyze.Entity{h.Entity(h.Of(at))},
	}}
}

// note adds one; without a place of its own it stands at the artifact's first line.
func (f *finding) note(at fact.Ref, short, long string, args ...any) {
	if at.IsZero() {
		at = f.at
	}
	f.what = append(f.what, short)
	f.detail = append(f.detail, fmt.Sprintf(long, args...))
	f.Evidence = append(f.Evidence, analyze.Cite(at, "%s", short))
}

func (f *finding) report(p *analyze.Pass, title string, args ...any) {
	if len(f.what) == 0 {
		return
	}
	f.Title = fmt.Sprintf(title, args...) + strings.Join(f.what, ", ")
	f.Detail = strings.Join(append(f.detail, "Absence of a record here is no proof of innocence."), " ")
	p.Report(f.Finding)
}

func judge(p *analyze.Pass, t *fact.AuditTrail) {
	f := newFinding(p, "audit trail "+string(t.At.Artifact), t.At)
	f.From, f.To = absolute(t.First), absolute(t.Last)
	if t.Lost > 0 {
		f.Severity = analyze.Low
		f.note(t.LostAt, fmt.Sprintf("%d events were lost", t.Lost), "The kernel or the daemon reports %d lost events.", t.Lost)
		f.Next = append(f.Next, "auditctl -b 8192", "auditctl -s")
	}
	share := float64(t.SerialGaps) / float64(max(1, int64(t.Events)+t.SerialGaps))
	p.Note("%s: %d serials are missing, a share of %.3f", t.At.Artifact, t.SerialGaps, share)
	if t.SerialGaps > 0 && share >= p.Threshold("gap_share") {
		f.Severity = analyze.Low
		f.note(t.GapAt, fmt.Sprintf("%d serials are missing", t.SerialGaps), "%d serials are missing inside one boot: events were dropped, filtered or stand in a rotated file.", t.SerialGaps)
	}
	if t.Boots > 1 {
		f.note(t.At, fmt.Sprintf("it spans %d boots", t.Boots), "Serials start again %d times: the same serial and pid mean different things before and after.", t.Boots-1)
	}
	loaded := rules(p, t)
	switch {
	case t.KillRule || t.Filtered:
	case loaded != nil && loaded.KillRule:
		p.Note("%s: no signal is recorded, and a rule for signals is loaded", t.At.Artifact)
	case loaded != nil:
		f.note(loaded.At, "no rule records signals", "auditctl lists %d rules, none of them for the kill family: that nobody appears as the sender of a signal proves nothing.", loaded.Rules.V)
		f.Next = append(f.Next, killRules...)
	default:
		f.note(t.At, "no rule records signals", "No call of the kill family stands in it and no rule for it was loaded: that nobody appears as the sender of a signal proves nothing.")
		f.Next = append(f.Next, killRules...)
	}
	f.report(p, "The audit trail %s has blind spots: ", t.At.Artifact)
}

func absolute(t fact.Time) (at time.Time) {
	if t.Absolute() {
		at = t.T
	}
	return at
}
