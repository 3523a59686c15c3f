// Package orphans finds workers that outlived the process that managed them.
package orphans

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/orphans"

//go:embed doc.md
var doc string

// Rule finds processes that moved from their parent to pid 1 between two tables.
func Rule() *analyze.Rule {
	died := "the manager of a tree was ended and its children stayed"
	return &analyze.Rule{
		ID: ID, Title: "orphaned workers", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"process"},
		Wants: []fact.Kind{"process_table", "socket", "log_event", "host_info", "audit_event"},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/exec-maxbuffer", Via: join.KindProcess, Why: died},
			{Rule: "process/operator-kill", Via: join.KindProcess, Why: died},
			{Rule: "process/supervisor-stop", Via: join.KindProcess, Why: died},
			{Rule: "process/signal-sender", Via: join.KindProcess, Why: died},
			{Rule: "process/oom-kill", Via: join.KindProcess, Why: died},
		},
		Run: run,
	}
}

// orphan is a process whose parent died, with the rows that show it.
type orphan struct {
	pr            *join.Process
	before, after *fact.Process
	tree          []*join.Process // itself and its descendants in the later table
	held          []*join.Socket
	errors        []*fact.LogEvent
}

func run(_ context.Context, p *analyze.Pass) error {
	order := join.SamplesOf(p)
	for _, pr := range join.ProcessesOf(p).All {
		o := &orphan{pr: pr}
		for _, r := range pr.Rows {
			if !r.PPID.Known {
				continue
			}
			if o.before == nil && r.PPID.V > 1 {
				o.before = r
			}
			if o.before != nil && r.PPID.V == 1 && order.Compare(o.before.At.Artifact, r.At.Artifact) < 0 {
				o.after = r
			}
		}
		if o.after == nil {
			continue
		}
		o.collect(p)
		if len(o.tree) < 2 && len(o.held) == 0 {
			p.Note("pid %d moved from parent %d to pid 1, alone and without a listener: a daemon by design", pr.PID, o.before.PPID.V)
			continue
		}
		o.report(p)
	}
	return nil
}

func (o *orphan) collect(p *analyze.Pass) {
	var walk func(pr *join.Process)
	walk = func(pr *join.Process) {
		if slices.Contains(o.tree, pr) || !slices.ContainsFunc(pr.Rows, func(r *fact.Process) bool { return r.At.Artifact == o.after.At.Artifact }) {
			return
		}
		o.tree = append(o.tree, pr)
		for _, c := range pr.Children {
			walk(c)
		}
	}
	walk(o.pr)
	for _, s := range join.SocketsOf(p).All {
		if s.Host == o.pr.Host && s.Listening() && s.Proto == "tcp" && slices.ContainsFunc(s.Owners, func(w *join.Process) bool { return slices.Contains(o.tree, w) }) {
			o.held = append(o.held, s)
		}
	}
	h := join.HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if l.Errno != "EADDRINUSE" || h.Of(l.At) != o.pr.Host {
			continue
		}
		for _, s := range o.held {
			if slices.ContainsFunc(l.Addresses, func(a string) bool { return strings.HasSuffix(a, fmt.Sprintf(":%d", s.Local.Port())) }) {
				o.errors = append(o.errors, l)
				break
			}
		}
	}
}

func (o *orphan) report(p *analyze.Pass) {
	ps := join.ProcessesOf(p)
	f := analyze.Finding{
		Subject: o.pr.String(),
		Title: fmt.Sprintf("%d process%s of pid %d (%s) are orphans, taken over by pid 1 after their parent %d ended", len(o.tree), es(len(o.tree)), o.pr.PID, o.pr.Name(),
			o.before.PPID.V),
		Severity: analyze.Low, Confidence: analyze.Confirmed,
		Evidence: []analyze.Evidence{
			analyze.Cite(o.after.At, "later: pid %d is a child of pid 1", o.pr.PID),
			analyze.Cite(o.before.At, "before: pid %d is a child of %d", o.pr.PID, o.before.PPID.V),
		},
		Fix: fmt.Sprintf("End the old tree (kill -TERM %d) once nobody needs it. When stopping, end the whole process group or cgroup, not only its first process; "+
			"let workers end when their manager does (PR_SET_PDEATHSIG, closed IPC channel).", o.pr.PID),
	}
	if !p.Facts.Has("audit_event") {
		f.Missing = []string{"what ended the parent: an audit log names the sender of a signal"}
		f.Next = []string{analyze.HowToCollect("audit_event")}
	}
	for _, pr := range o.tree {
		f.Entities = append(f.Entities, pr.Entity())
	}
	if parent := ps.Get(o.pr.Host, int(o.before.PPID.V)); parent != nil {
		f.Entities = append(f.Entities, parent.Entity())
	}
	var pids []string
	for i, pr := range o.tree {
		if i == 8 {
			pids = append(pids, fmt.Sprintf("%d more", len(o.tree)-8))
			break
		}
		pids = append(pids, fmt.Sprintf("%d (%s)", pr.PID, pr.Name()))
	}
	detail := fmt.Sprintf("Nobody manages this tree any more: no restart, no reload and no stop reaches %s.", strings.Join(pids, ", "))
	var addrs []string
	for _, s := range o.held {
		addrs = append(addrs, s.Local.String())
		f.Evidence = append(f.Evidence, analyze.Cite(s.Row().At, "an orphan still listens on %s", s.Local))
		f.Entities = append(f.Entities, join.Port(o.pr.Host, int(s.Local.Port())), join.Endpoint(o.pr.Host, s.Local))
	}
	if len(addrs) > 0 {
		f.Severity = analyze.Medium
		f.Title += ", and still listen on " + strings.Join(addrs, ", ")
		detail += " It keeps " + strings.Join(addrs, ", ") + ", so it goes on serving with old code and a new instance cannot bind."
	}
	c := join.ClocksOf(p)
	for i, l := range o.errors {
		if i == 0 {
			f.Severity = analyze.High
			detail += fmt.Sprintf(" %d attempts to bind failed with EADDRINUSE.", len(o.errors))
		}
		if i < 2 {
			f.Evidence = append(f.Evidence, join.CiteLog(c, l, "a new instance cannot bind"))
		}
	}
	f.Detail = detail
	p.Report(f)
}

func es(n int) string {
	if n == 1 {
		return ""
	}
	return "es"
}
