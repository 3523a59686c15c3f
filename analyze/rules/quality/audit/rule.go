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
		Needs: []fact.Kind{"audit_trail"},
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
	return nil
}

func judge(p *analyze.Pass, t *fact.AuditTrail) {
	f := analyze.Finding{
		Subject: "audit trail " + string(t.At.Artifact), Severity: analyze.Info, Confidence: analyze.Confirmed,
		From: absolute(t.First), To: absolute(t.Last),
		Entities: []analyze.Entity{join.HostsOf(p).Entity(join.HostsOf(p).Of(t.At))},
	}
	var what, detail []string
	note := func(at fact.Ref, short, long string, args ...any) {
		if at.IsZero() {
			at = t.At
		}
		what = append(what, short)
		detail = append(detail, fmt.Sprintf(long, args...))
		f.Evidence = append(f.Evidence, analyze.Cite(at, "%s", short))
	}
	if t.Lost > 0 {
		f.Severity = analyze.Low
		note(t.LostAt, fmt.Sprintf("%d events were lost", t.Lost), "The kernel or the daemon reports %d lost events.", t.Lost)
		f.Next = append(f.Next, "auditctl -b 8192", "auditctl -s")
	}
	share := float64(t.SerialGaps) / float64(max(1, int64(t.Events)+t.SerialGaps))
	p.Note("%s: %d serials are missing, a share of %.3f", t.At.Artifact, t.SerialGaps, share)
	if t.SerialGaps > 0 && share >= p.Threshold("gap_share") {
		f.Severity = analyze.Low
		note(t.GapAt, fmt.Sprintf("%d serials are missing", t.SerialGaps), "%d serials are missing inside one boot: events were dropped, filtered or stand in a rotated file.", t.SerialGaps)
	}
	if t.Boots > 1 {
		note(t.At, fmt.Sprintf("it spans %d boots", t.Boots), "Serials start again %d times: the same serial and pid mean different things before and after.", t.Boots-1)
	}
	if !t.KillRule && !t.Filtered {
		note(t.At, "no rule records signals", "No call of the kill family stands in it and no rule for it was loaded: that nobody appears as the sender of a signal proves nothing.")
		f.Next = append(f.Next, killRules...)
	}
	if len(what) == 0 {
		return
	}
	f.Title = fmt.Sprintf("The audit trail %s has blind spots: %s", t.At.Artifact, strings.Join(what, ", "))
	f.Detail = strings.Join(append(detail, "Absence of a record here is no proof of innocence."), " ")
	p.Report(f)
}

func absolute(t fact.Time) (at time.Time) {
	if t.Absolute() {
		at = t.T
	}
	return at
}
