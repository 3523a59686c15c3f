// Package stopped finds services that a signal or a tracer has stopped.
package stopped

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
const ID = "process/stopped"

//go:embed doc.md
var doc string

// Rule finds processes in state T or t that own sockets.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "stopped process", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"process"},
		Wants: []fact.Kind{"socket", "audit_event"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	stopped := 0
	for _, pr := range join.ProcessesOf(p).All {
		rows := rowsIn(pr, "T")
		tracing := len(rows) == 0
		if tracing {
			rows = rowsIn(pr, "t")
		}
		if len(rows) == 0 {
			continue
		}
		stopped++
		judge(p, pr, rows, tracing)
	}
	p.Note("%d stopped processes", stopped)
	return nil
}

// rowsIn are the process's rows in a state.
func rowsIn(pr *join.Process, state string) []*fact.Process {
	var out []*fact.Process
	for _, r := range pr.Rows {
		if strings.HasPrefix(r.State, state) {
			out = append(out, r)
		}
	}
	return out
}

// service is what a process has to do with the network: sockets that it owns, and
// what waits in them.
type service struct {
	listens, connections int
	waiting, unread      int64
	first                *join.Socket
}

func serviceOf(p *analyze.Pass, pr *join.Process) service {
	var s service
	for _, sock := range join.SocketsOf(p).All {
		if sock.Proto != "tcp" || !slices.Contains(sock.Owners, pr) {
			continue
		}
		if s.first == nil || sock.RecvQ().Or(0) > s.first.RecvQ().Or(0) {
			s.first = sock
		}
		switch q := sock.RecvQ().Or(0); {
		case sock.Listening():
			s.listens++
			s.waiting += q
		default:
			s.connections++
			s.unread += q
		}
	}
	return s
}

func judge(p *analyze.Pass, pr *join.Process, rows []*fact.Process, tracing bool) {
	s := serviceOf(p, pr)
	last := pr.Rows[len(pr.Rows)-1]
	p.Note("%s: state %s, %d listeners, %d connections, %d unread bytes, %d connections to accept", pr, rows[0].State, s.listens, s.connections, s.unread, s.waiting)
	switch {
	case s.listens+s.connections == 0:
		return // an editor in the background of somebody's shell
	case tracing && !slices.Contains(rows, last):
		return // the collector's own debugger, which has gone since
	}
	f := analyze.Finding{
		Subject:  pr.String(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title:    fmt.Sprintf("%s is stopped (state %s): it runs no instruction until somebody continues it", pr, rows[0].State),
		Entities: []analyze.Entity{pr.Entity()},
		Fix:      fmt.Sprintf("`kill -CONT %d` lets it go on. Find who stopped it: a shell's job control, a script, a debugger.", pr.PID),
		Next:     []string{"auditctl -a always,exit -F arch=b64 -S kill,tkill,tgkill,pidfd_send_signal -k kill_signal; cp /var/log/audit/audit.log .", fmt.Sprintf("grep -E 'State|TracerPid' /proc/%d/status", pr.PID)},
	}
	f.Detail = "A stopped process keeps its sockets: its kernel goes on accepting connections and acknowledging data for it, so that its clients see an open connection and no answer."
	if tracing {
		f.Severity = analyze.Low
		f.Detail += " State t is that of a process under a debugger or tracer, which may be the one that collected this bundle."
	}
	for _, r := range rows[:min(len(rows), 2)] {
		note := "state " + r.State
		if r.Wchan != "" && r.Wchan != "-" {
			note += ", in " + r.Wchan
		}
		f.Evidence = append(f.Evidence, analyze.Cite(r.At, "%s: %s", pr, note))
	}
	if s.unread+s.waiting > 0 {
		f.Detail += fmt.Sprintf("\n\n%d bytes wait unread in its %d connections, and %d connections wait to be accepted.", s.unread, s.connections, s.waiting)
		f.Evidence = append(f.Evidence, analyze.Cite(s.first.Row().At, "%d wait there", s.first.RecvQ().V))
		if !tracing {
			f.Severity, f.Confidence = analyze.High, analyze.Confirmed
		}
	}
	if k := sender(p, pr); k != nil {
		f.Detail += fmt.Sprintf("\n\nThe audit log has the signal: %s.", k.Tell())
		f.Evidence = append(f.Evidence, join.ClocksOf(p).Date(analyze.Cite(k.Event.At, "%s", k.Tell()), k.Event.Time))
		f.Confidence = analyze.Confirmed
		f.Next = f.Next[1:]
	} else if !tracing {
		f.Missing = append(f.Missing, "who stopped it")
	}
	p.Report(f)
}

// sender is the last signal in the audit log that stopped the process, nil if none.
func sender(p *analyze.Pass, pr *join.Process) *join.Kill {
	var found *join.Kill
	for _, k := range join.SignalsOf(p).All {
		if (k.Signal == "SIGSTOP" || k.Signal == "SIGTSTP") && slices.Contains(k.Targets, pr) {
			found = k
		}
	}
	return found
}
