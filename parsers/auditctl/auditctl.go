// Package auditctl reads which rules the audit system of Linux has loaded and in
// what state it is: `auditctl -l`, `auditctl -s`, and files of rules.
package auditctl

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads rules and state of the audit system.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "auditctl",
		Doc:   "Rules and state of the Linux audit system: auditctl -l, auditctl -s, /etc/audit/audit.rules.",
		Emits: []fact.Kind{fact.AuditStatus{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniff wants most lines to be rules or the state's.
func sniff(h analyze.Head) analyze.Match {
	var rd reader
	known, all := 0, 0
	for line := range lines.Head(h.Bytes) {
		text := string(bytes.TrimSpace(line))
		if text == "" || text[0] == '#' {
			continue
		}
		all++
		if rd.line(text, fact.Ref{}) {
			known++
		}
	}
	switch {
	case known == 0 || known*2 < all:
		return analyze.No
	case rd.rules > 0 || rd.none || rd.status.Enabled.Known && rd.status.BacklogLimit.Known:
		return analyze.Sure
	}
	return analyze.No
}

// reader is the state of one artifact.
type reader struct {
	status fact.AuditStatus
	rules  int64
	none   bool // "No rules"
	known  int
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	var rd reader
	err := lines.Each(ctx, in, out, func(text string, at fact.Ref) {
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			return
		}
		if rd.status.At.IsZero() {
			rd.status.At = at
		}
		if !rd.line(text, at) {
			out.Skip(&analyze.SyntaxError{At: at, Msg: "neither a rule nor a state of the audit system"})
		}
	})
	if err != nil {
		return err
	}
	if rd.known == 0 {
		return analyze.ErrForeign
	}
	if rd.rules > 0 || rd.none {
		rd.status.Rules = fact.Some(rd.rules)
	}
	analyze.Emit(out, rd.status)
	return nil
}

// line takes one line; it returns false for one that is neither.
func (r *reader) line(text string, at fact.Ref) bool {
	ok := true
	words := strings.Fields(text)
	switch {
	case text == "No rules":
		r.none = true
	case words[0] == "AUDIT_STATUS:" || words[0] == "AUDIT_STATUS": // before audit 2.2
		for _, w := range words[1:] {
			if name, v, ok := strings.Cut(w, "="); ok {
				r.state(name, v, at)
			}
		}
	case words[0] == "LIST_RULES:": // exit,always watch=/etc/passwd perm=wa; exit,always arch=... syscall=kill
		r.rules++
		r.old(words[1:], at)
	case len(words) > 1 && (words[0] == "-a" || words[0] == "-A" || words[0] == "-w"):
		r.rules++
		r.rule(words, at)
	case words[0] == "-D" || len(words) == 2 && strings.Contains(" -b -e -f -r -i -c ", " "+words[0]+" "):
		r.status.File = true
		if words[0] == "-b" {
			r.state("backlog_limit", words[1], at)
		}
	case words[0] == "--backlog_wait_time" || words[0] == "--loginuid-immutable" || text == "-i" || text == "-c":
		r.status.File = true
	case len(words) >= 2:
		ok = r.state(words[0], words[1], at)
	default:
		ok = false
	}
	if ok {
		r.known++
	}
	return ok
}

// state takes a line of auditctl -s: "lost 12".
func (r *reader) state(name, value string, at fact.Ref) bool {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return false
	}
	s := &r.status
	switch name {
	case "enabled":
		s.Enabled, s.EnabledAt = fact.Some(n), at
	case "pid":
		s.Daemon = fact.Some(n)
	case "lost":
		s.Lost, s.LostAt = fact.Some(n), at
	case "backlog":
		s.Backlog = fact.Some(n)
	case "backlog_limit":
		s.BacklogLimit = fact.Some(n)
	case "failure", "flag", "rate_limit", "backlog_wait_time", "backlog_wait_time_actual", "loginuid_immutable":
	default:
		return false
	}
	return true
}

// rule takes "-a always,exit -F arch=b64 -S kill,tkill -F key=kill_signal".
func (r *reader) rule(words []string, at fact.Ref) {
	if words[0] == "-w" {
		return
	}
	var calls []string
	for i, w := range words[:len(words)-1] {
		switch {
		case w == "-S":
			calls = append(calls, strings.Split(words[i+1], ",")...)
		case w == "-F" && narrow(words[i+1]):
			return // of some programs or users only: absence proves nothing
		}
	}
	r.records(words[1], calls, at)
}

// narrow reports whether a filter leaves out senders or programs.
func narrow(filter string) bool {
	name := filter[:max(0, strings.IndexAny(filter, "=!<>&"))]
	switch name {
	case "arch", "key", "success", "exit", "a0", "a1", "a2", "a3":
		return false
	}
	return true
}

// old takes a rule as audit before 2.2 listed it: "exit,always arch=3221225534 (0xc000003e) syscall=kill,tkill".
func (r *reader) old(words []string, at fact.Ref) {
	if len(words) == 0 {
		return
	}
	var calls []string
	for _, w := range words {
		if s, ok := strings.CutPrefix(w, "syscall="); ok {
			calls = strings.Split(s, ",")
		}
	}
	r.records(words[0], calls, at)
}

// records notes what a rule on a list records. The action and the list may stand
// in either order; without calls it is about all.
func (r *reader) records(list string, calls []string, at fact.Ref) {
	s := &r.status
	never := strings.Contains(list, "never")
	if never && strings.Contains(list, "task") {
		s.NoTask, s.NoTaskAt = true, at
	}
	if never || !strings.Contains(list, "exit") {
		return
	}
	for _, c := range calls {
		switch c {
		case "kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal", "all":
			if !s.KillRule {
				s.KillRule, s.KillAt = true, at
			}
		}
		if c == "execve" || c == "execveat" || c == "all" {
			s.ExecRule = true
		}
	}
}
