// Package operatorkill finds processes that a person ended from a login session.
package operatorkill

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
const ID = "process/operator-kill"

//go:embed doc.md
var doc string

// Rule finds deadly signals from login sessions to processes that the bundle is
// about.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "ended by hand", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"audit_event", "command_run"},
		Wants: []fact.Kind{"process", "process_table", "log_event", "log", "host_info", "socket", "account", "kernel_event", "counter"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, e := range join.EpisodesOf(p) {
		k := e.Root
		if k.Role != join.RoleOperator {
			continue
		}
		switch {
		case k.Relation == join.ToChild || k.Relation == join.ToDescendant:
			p.Note("%s: a job of its own session", k.Tell())
		case k.SameSession() && !e.Serves(p):
			p.Note("%s: one login session started both, and the target owns no socket and writes no log", k.Tell())
		case !e.Known && !blind(e):
			p.Note("%s: nothing but the audit trail knows the target", k.Tell())
		default:
			report(p, e)
		}
	}
	for _, t := range join.ToldOf(p) {
		if t.Command != nil {
			typed(p, t)
		}
	}
	return nil
}

// typed reports an end that no audit record shows, of a process whose pid stands
// in a command of a shell history or a recorded session.
func typed(p *analyze.Pass, t *join.Told) {
	c, clocks := t.Command, join.ClocksOf(p)
	who := "somebody"
	if c.User != "" {
		who = "user " + c.User
	}
	signal := t.Signal
	if signal == "" {
		signal = "a signal"
	}
	cite := analyze.Cite(c.At, "the command as it was typed: %s", c.Text)
	if c.Known() && c.Absolute() {
		cite = cite.On(c.T, c.Basis, c.Precision)
	}
	f := analyze.Finding{
		Subject:  t.Name,
		Title:    fmt.Sprintf("%s was ended by hand (%s): %s typed `%s`", t.Name, signal, who, c.Text),
		Severity: analyze.High, Confidence: analyze.Likely, From: t.At, To: t.At,
		Evidence: []analyze.Evidence{cite}, Entities: []analyze.Entity{t.Victim.Entity()},
		Detail: fmt.Sprintf("A log states the end of pid %d, and the command names that pid. No audit record shows the call itself, so that it is not proven that this command, and not another sender, ended it.",
			t.Victim.PID),
		Missing: []string{"an audit log with a rule for kill calls: it names the sender of each signal"},
		Next:    []string{analyze.HowToCollect("audit_event")},
		Fix:     "Ask the person why; give operators a reload or restart command that drains, and restrict who may signal the service's user.",
	}
	for i, l := range slices.Concat(t.Died, t.Got, t.Sent) {
		if i < 4 {
			f.Evidence = append(f.Evidence, join.CiteLog(clocks, l, "the end as a log saw it"))
		}
	}
	if rows := t.Victim.Rows; len(rows) > 0 {
		f.Evidence = append(f.Evidence, analyze.Cite(rows[0].At, "the target: pid %d", t.Victim.PID))
	}
	p.Report(f)
}

// blind reports whether a signal must be told although only the audit trail knows
// its target: without a process table nothing else could know it, and a person at
// a terminal ended what another session started.
func blind(e *join.Episode) bool {
	k := e.Root
	return e.Unlisted && k.Event.TTY != "" && (k.Signal == "SIGKILL" || k.Signal == "SIGTERM") && len(k.Event.Targets) > 0 && !k.SameSession()
}

func report(p *analyze.Pass, e *join.Episode) {
	k := e.Root
	ev := k.Event
	story := e.Tell(p)
	who := login(p, ev)
	target := e.Targets()
	f := analyze.Finding{
		Subject: k.Sender.String(),
		Title: fmt.Sprintf("%s was ended by hand: %s (pid %d) of %s sent %s%s", target, program(k), k.Sender.PID, who.words, k.Signal,
			where(ev)),
		Severity: analyze.High, Confidence: analyze.Confirmed, From: k.At, To: k.At,
		Evidence: slices.Concat(story.Evidence[:1], who.cites, story.Evidence[1:]), Entities: story.Entities,
		Fix: "Ask the person why; give operators a reload or restart command that drains, and restrict who may signal the service's user.",
	}
	if !e.Known {
		f.Missing = append(f.Missing, "a process table, which would say what the target was")
	}
	if ev.TTY == "" && k.Signal != "SIGKILL" || story.Harm == "" || !e.Known {
		f.Confidence = analyze.Likely
	}
	if ev.TTY == "" {
		f.Title = fmt.Sprintf("%s was ended from a login session without a terminal: %s (pid %d) of %s sent %s", target, k.Sender.Name(), k.Sender.PID, who.words, k.Signal)
	}
	started := startedBy(e)
	if story.Harm == "" || e.Unlisted && !e.Known && len(e.Ended) == 0 && k.TargetsInSession() {
		f.Severity = analyze.Medium
	}
	if ev.TTY == "" {
		f.Missing = append(f.Missing, "a terminal on the record: it may also be a job that inherited the login (cron, nohup)")
	}
	var parts []string
	parts = append(parts, fmt.Sprintf("The kernel recorded the call itself: %s, with %s. The login user stays on a process through su and sudo, and daemons have none. Tree of the sender: %s.",
		k.Tell(), join.LoginWords(ev), k.Sender.Tree()))
	if ev.UID.Known && ev.AUID.Known && ev.UID.V != ev.AUID.V {
		parts = append(parts, fmt.Sprintf("The shell ran as uid %d%s, not as the login user.", ev.UID.V, paren(ev.UIDName)))
	}
	for _, s := range []string{started, story.Followed, story.Left} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	f.Detail = strings.Join(parts, "\n\n")
	p.Report(f)
}

// startedBy is what the trail itself says of targets that no process table lists:
// daemons belong to no login session, what a person started does.
func startedBy(e *join.Episode) string {
	switch k := e.Root; {
	case !e.Unlisted || len(k.Event.Targets) == 0:
		return ""
	case k.TargetsInSession():
		t := k.Event.Targets[0]
		return fmt.Sprintf("The target belongs to login session %d, so that a person started it; the trail does not say whether it served anybody.", t.Session.V)
	}
	return "The target belongs to no login session, as daemons do."
}

func program(k *join.Kill) string {
	if k.Event.Comm != "" {
		return k.Event.Comm
	}
	return k.Sender.Name()
}

func where(e *fact.AuditEvent) string {
	if e.TTY == "" {
		return ""
	}
	return " from terminal " + e.TTY
}

func paren(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// person is who stood behind a session.
type person struct {
	words string
	cites []analyze.Evidence
}

// login names the person behind a record: by the enriched name, else the passwd
// file, with the login record and the history that show the session.
func login(p *analyze.Pass, ev *fact.AuditEvent) person {
	var who person
	name := ev.AUIDName
	if name == "" && ev.AUID.Known {
		for a := range fact.All[fact.Account](p.Facts) {
			if a.UID == ev.AUID.V {
				name = a.Name
				who.cites = append(who.cites, analyze.Cite(a.At, "uid %d is %s", a.UID, a.Name))
				break
			}
		}
	}
	switch {
	case name != "" && ev.AUID.Known:
		who.words = fmt.Sprintf("login user %s (uid %d)", name, ev.AUID.V)
	case name != "":
		who.words = "login user " + name
	case ev.AUID.Known:
		who.words = fmt.Sprintf("login uid %d", ev.AUID.V)
	default:
		who.words = "an unknown user"
	}
	who.session(p, ev)
	who.history(p, ev, name)
	return who
}

// session cites the record that opened the session, with the address it came from.
func (who *person) session(p *analyze.Pass, ev *fact.AuditEvent) {
	if !ev.Session.Known {
		return
	}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Session != ev.Session || e.At.Artifact != ev.At.Artifact || e.T.After(ev.T) {
			continue
		}
		if !slices.Contains(e.Types, "LOGIN") && !slices.Contains(e.Types, "USER_LOGIN") {
			continue
		}
		from := ""
		if e.Addr != "" {
			from = " from " + e.Addr
		}
		who.cites = append(who.cites, analyze.Cite(e.At, "session %d was opened%s", e.Session.V, from).On(e.T, e.Basis, e.Precision))
		if len(who.cites) == 3 {
			return
		}
	}
}

// history cites the command in a shell history or recorded session.
func (who *person) history(p *analyze.Pass, ev *fact.AuditEvent, name string) {
	for c := range fact.All[fact.CommandRun](p.Facts) {
		if c.User != "" && name != "" && c.User != name {
			continue
		}
		words := strings.Fields(c.Text)
		if len(words) < 2 || !strings.Contains(words[0], "kill") && words[0] != "sudo" {
			continue
		}
		named := slices.ContainsFunc(ev.Targets, func(t fact.AuditTarget) bool { return slices.Contains(words, fmt.Sprint(t.PID)) })
		if !named && strings.Contains(c.Text, "pkill") {
			named = slices.ContainsFunc(ev.Targets, func(t fact.AuditTarget) bool { return t.Comm != "" && strings.Contains(c.Text, t.Comm) })
		}
		if named {
			e := analyze.Cite(c.At, "the command as it was typed: %s", c.Text)
			if c.Known() && c.Absolute() {
				e = e.On(c.T, c.Basis, c.Precision)
			}
			who.cites = append(who.cites, e)
			return
		}
	}
}
