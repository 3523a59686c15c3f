// Package signalcascade tells one signal and everything that ended after it as one
// incident.
package signalcascade

import (
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
const ID = "incident/signal-cascade"

// causes are the rules that name who sent the first signal, effects what it leads
// to besides ended processes.
var (
	causes  = []string{"process/exec-maxbuffer", "process/operator-kill", "process/supervisor-stop", "process/signal-sender"}
	effects = []string{"process/orphans", "socket/port-conflict", "log/resource-errno", "log/network-errno", "tcp/refused", "tcp/abort", "process/crash-sawtooth"}
)

//go:embed doc.md
var doc string

// Rule joins a first signal with the processes that ended after it.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "one signal took down a tree", Doc: doc, Severity: analyze.High,
		After: slices.Concat(causes, effects),
		Needs: []fact.Kind{"audit_event"},
		Wants: []fact.Kind{"process", "process_table", "log_event", "log", "host_info", "socket", "kernel_event"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, e := range join.EpisodesOf(p) {
		cause := causeOf(p, e.Root)
		if cause == nil {
			p.Note("%s: no rule says why it was sent", e.Root.Tell())
			continue
		}
		story := e.Tell(p)
		fold(p, cause, e, story)
		if n := len(ended(e)); n < 2 {
			p.Note("%s: %d process ended, a cascade needs 2", e.Root.Tell(), n)
			continue
		}
		report(p, cause, e, story)
	}
	return nil
}

func causeOf(p *analyze.Pass, k *join.Kill) *analyze.Finding {
	id := k.Entity()
	for _, rule := range causes {
		for _, f := range p.Findings(rule) {
			if f.Has(id.Kind, id.Key) {
				return f
			}
		}
	}
	return nil
}

// fold explains by the first signal what shares a victim, a survivor or a port
// with it and did not begin before it.
func fold(p *analyze.Pass, cause *analyze.Finding, e *join.Episode, s join.Story) {
	if cause.Severity < analyze.Medium {
		return
	}
	for _, rule := range effects {
		for _, f := range p.Findings(rule) {
			if !f.From.IsZero() && !e.Root.At.IsZero() && f.From.Before(e.Root.At.Add(-2*time.Second)) {
				continue
			}
			if slices.ContainsFunc(s.Entities, func(en analyze.Entity) bool {
				return en.Kind != join.KindHost && en.Key != e.Root.Sender.Entity().Key && f.Has(en.Kind, en.Key)
			}) {
				p.Explains(cause.ID, f.ID)
			}
		}
	}
}

// ended are the victims whose end is stated: hit by SIGKILL, gone, or named in a
// log.
func ended(e *join.Episode) []*join.Process {
	var out []*join.Process
	for _, v := range e.Victims {
		named := slices.ContainsFunc(e.Ended, func(l *fact.LogEvent) bool {
			return slices.Contains(l.Signs, fact.SignStop) && slices.Contains(l.PIDs, v.PID)
		})
		if named || slices.Contains(e.Gone, v) || e.Root.Signal == "SIGKILL" && e.Root.Hits(v.PID) {
			out = append(out, v)
		}
	}
	return out
}

func report(p *analyze.Pass, cause *analyze.Finding, e *join.Episode, s join.Story) {
	k := e.Root
	down := ended(e)
	top := manager(e)
	var names []string
	for i, v := range down {
		if i == 6 {
			names = append(names, fmt.Sprintf("%d more", len(down)-6))
			break
		}
		names = append(names, fmt.Sprintf("%d (%s)", v.PID, v.Name()))
	}
	f := analyze.Finding{
		Subject: top.String() + " and its tree",
		Title: fmt.Sprintf("One %s, sent by pid %d (%s) to pid %d, took down %d processes of the tree of pid %d (%s)", k.Signal, k.Sender.PID, k.Sender.Name(), k.Targets[0].PID,
			len(down), top.PID, top.Name()),
		// What one signal took down is no worse than the signal.
		Severity: min(analyze.Medium, cause.Severity), Confidence: cause.Confidence, From: k.At, To: last(e),
		Evidence: s.Evidence, Entities: s.Entities, Causes: []string{cause.ID},
		Fix: cause.Fix,
	}
	detail := []string{"Ended: " + strings.Join(names, ", ") + ". Each of them only passed the signal on or obeyed it; the first sender is the origin."}
	if s.Followed != "" {
		detail = append(detail, s.Followed)
	}
	for _, id := range logsOf(e) {
		if c := join.ClocksOf(p).Of(id); c.Known && c.Why != "" {
			detail = append(detail, fmt.Sprintf("The times of %s are aligned by %s (offset %s).", id, c.Why, c.Offset))
		}
	}
	if before := earlier(p, e); before != nil {
		f.Against = append(f.Against, *before)
		f.Confidence = f.Confidence.Lower()
		detail = append(detail, "A process of the tree had ended before the signal; the signal may be the reaction to that.")
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// manager is the victim with most victims below it.
func manager(e *join.Episode) *join.Process {
	best, most := e.Root.Targets[0], -1
	for _, v := range e.Victims {
		n := 0
		for _, c := range v.Children {
			if slices.Contains(e.Victims, c) {
				n++
			}
		}
		if n > most {
			best, most = v, n
		}
	}
	return best
}

func last(e *join.Episode) time.Time {
	to := e.Root.At
	for _, k := range slices.Concat(e.Also, e.Answers) {
		if k.At.After(to) {
			to = k.At
		}
	}
	return to
}

func logsOf(e *join.Episode) []fact.ID {
	var out []fact.ID
	for _, l := range e.Ended {
		if !l.Absolute() && !slices.Contains(out, l.At.Artifact) {
			out = append(out, l.At.Artifact)
		}
	}
	return out
}

// earlier looks for a crash inside the tree shortly before the first signal.
func earlier(p *analyze.Pass, e *join.Episode) *analyze.Evidence {
	c, h := join.ClocksOf(p), join.HostsOf(p)
	for ev := range fact.All[fact.KernelEvent](p.Facts) {
		if ev.PID == 0 || h.Of(ev.At) != e.Root.Host || e.Root.At.IsZero() {
			continue
		}
		at, _, ok := c.UTC(ev.At.Artifact, c.Kernel(ev))
		if gap := e.Root.At.Sub(at); !ok || gap < 0 || gap > time.Minute {
			continue
		}
		if slices.ContainsFunc(e.Victims, func(v *join.Process) bool {
			return v.PID == ev.PID || slices.ContainsFunc(v.Children, func(c *join.Process) bool { return c.PID == ev.PID })
		}) {
			out := c.Date(analyze.Cite(ev.At, "%s of pid %d before the signal", ev.Event, ev.PID), c.Kernel(ev))
			return &out
		}
	}
	return nil
}
