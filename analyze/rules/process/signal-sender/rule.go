// Package signalsender names who sent a signal that hurt a service and that no
// narrower rule explains.
package signalsender

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/signal-sender"

// narrower are the rules that classify a signal; what they claim is theirs.
var narrower = []string{"process/exec-maxbuffer", "process/operator-kill", "process/supervisor-stop"}

//go:embed doc.md
var doc string

// Rule finds deadly signals to known processes that no narrower rule claims.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "who sent the signal", Doc: doc, Severity: analyze.High,
		After: narrower,
		AnyOf: []fact.Kind{"audit_event", "log_event"},
		Wants: []fact.Kind{"process", "process_table", "log", "host_info", "socket", "source_call", "command_run", "kernel_event", "counter"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, e := range join.EpisodesOf(p) {
		k := e.Root
		switch {
		case claimed(p, k):
		case k.Role == join.RoleOperator || k.Role == join.RoleSupervisor:
			p.Note("%s: a %s judges it", k.Tell(), map[join.SenderRole]string{join.RoleOperator: "login session", join.RoleSupervisor: "process manager"}[k.Role])
		case !e.Known:
			p.Note("%s: nothing but the audit trail knows the target", k.Tell())
		default:
			report(p, e)
		}
	}
	fromLogs(p)
	return nil
}

func claimed(p *analyze.Pass, k *join.Kill) bool {
	id := k.Entity()
	for _, rule := range narrower {
		for _, f := range p.Findings(rule) {
			if f.Has(id.Kind, id.Key) {
				return true
			}
		}
	}
	return false
}

func report(p *analyze.Pass, e *join.Episode) {
	k := e.Root
	story := e.Tell(p)
	target := e.Targets()
	f := analyze.Finding{
		Subject:  k.Sender.String(),
		Title:    fmt.Sprintf("%s got %s from pid %d (%s), %s", target, k.Signal, k.Sender.PID, k.Sender.Name(), kinship(k)),
		Severity: analyze.Low, Confidence: analyze.Likely, From: k.At, To: k.At,
		Evidence: story.Evidence, Entities: story.Entities,
		Fix: "Read what the sender does there: it decided to end the target.",
	}
	if story.Harm != "" {
		f.Severity = analyze.High
		f.Confidence = analyze.Confirmed
	}
	detail := []string{fmt.Sprintf("The kernel recorded the call: %s. Sender: %s. %s", k.Tell(), k.Sender.Tree(), loginNote(k))}
	if words, at, ok := timeout(p, e); ok {
		f.Title = fmt.Sprintf("%s (pid %d) ended its child %s after its own timeout (%s)", k.Sender.Name(), k.Sender.PID, target, k.Signal)
		f.Evidence = append(f.Evidence, at)
		// A timeout that fires is a failure whatever else the bundle shows of it.
		f.Severity, f.Confidence = analyze.High, analyze.Confirmed
		f.Fix = "Remove the timeout from the call that starts a service, or start the service with spawn."
		detail = append(detail, words)
	} else if at, ok := ownCode(p, e); ok {
		f.Evidence = append(f.Evidence, at)
		f.Title = fmt.Sprintf("%s (pid %d) ended its child %s by its own code (%s)", k.Sender.Name(), k.Sender.PID, target, k.Signal)
		detail = append(detail, fmt.Sprintf("The sender's own source calls kill at %s.", at.Ref))
	} else if why := e.Reason(p); why != nil {
		f.Evidence = append(f.Evidence, join.CiteLog(join.ClocksOf(p), why, "why it was sent: %s", short(why.Text)))
		f.Title += fmt.Sprintf(": %q", short(why.Text))
		f.Fix = "Find why it came to that before the sender acted; then judge whether its limit is right."
		if slices.Contains(why.Signs, fact.SignTimeout) && (k.Relation == join.ToChild || k.Relation == join.ToDescendant) {
			f.Severity, f.Confidence = analyze.High, analyze.Confirmed // a timeout that fires is a failure
		}
		detail = append(detail, fmt.Sprintf("%s says why, at the time of the signal: %s", why.At.Artifact, short(why.Text)))
	} else if own(e) || k.Role == join.RoleManager {
		// Parents end their children all day long; only what is left broken counts.
		f.Severity = min(f.Severity, analyze.Low)
		f.Confidence = analyze.Likely
		detail = append(detail, "A parent ended its own child; nothing shows that a service was missed afterwards.")
	}
	for _, s := range []string{story.Followed, story.Left} {
		if s != "" {
			detail = append(detail, s)
		}
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// own reports an ordinary end of a child: the parent lives on and runs the
// command again, or the child never went.
func own(e *join.Episode) bool {
	k := e.Root
	if k.Relation != join.ToChild && k.Relation != join.ToDescendant || len(e.Survivors) > 0 {
		return false
	}
	again := slices.ContainsFunc(e.Replaced, func(r *join.Process) bool { return r.PPID == k.Sender.PID })
	return again || e.Later == nil && len(e.Ended) == 0 || e.Later != nil && !slices.Contains(e.Gone, k.Targets[0])
}

func kinship(k *join.Kill) string {
	switch k.Relation {
	case join.ToChild:
		return "its parent"
	case join.ToDescendant:
		return "an ancestor"
	case join.ToParent:
		return "its child"
	case join.ToSibling:
		return "its sibling"
	}
	return k.Strange()
}

func loginNote(k *join.Kill) string {
	e := k.Event
	switch {
	case k.Job:
		return "A scheduler started it as a job, so its login (" + join.LoginWords(e) + ") is the user of the job and not somebody at a terminal."
	case join.LoggedIn(e):
		return "The record carries a login, " + join.LoginWords(e) + ", but the sender is no shell."
	}
	return "The record carries no login user, so no person's session sent it directly."
}

// ownCode finds a call of kill in the script that the sender runs.
func ownCode(p *analyze.Pass, e *join.Episode) (at analyze.Evidence, ok bool) {
	for c := range fact.All[fact.SourceCall](p.Facts) {
		end := c.Name == "kill" || strings.HasSuffix(c.Name, ".kill") || strings.HasSuffix(c.Name, ".terminate") || strings.HasSuffix(c.Name, ".killpg")
		if end && strings.Contains(e.Root.Sender.Command, path.Base(string(c.At.Artifact))) {
			return analyze.Cite(c.At, "the sender's source ends the target: %s", strings.TrimSpace(c.Text)), true
		}
	}
	return at, false
}

// timeout recognises an exec with a timeout: the launcher's source states it, or
// the child's age at the signal is what the source says.
func timeout(p *analyze.Pass, e *join.Episode) (words string, at analyze.Evidence, ok bool) {
	k := e.Root
	if k.Relation != join.ToChild {
		return "", at, false
	}
	for c := range fact.All[fact.SourceCall](p.Facts) {
		limit := c.Options["timeout"]
		if limit == "" || limit == "0" || !strings.Contains(k.Sender.Command, path.Base(string(c.At.Artifact))) {
			continue
		}
		d, err := time.ParseDuration(limit + "ms")
		if err != nil || d <= 0 {
			continue
		}
		return fmt.Sprintf("%s starts it with a timeout of %s: the runtime itself then sends the signal, whatever the child is doing.", c.At, d),
			analyze.Cite(c.At, "the launcher gives its child %s", d), true
	}
	return "", at, false
}
