// Package unusualexec finds network services that start shells, downloaders or
// programs from temporary places.
package unusualexec

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "audit/unusual-exec"

//go:embed doc.md
var doc string

// Rule finds execs below a network service that services have no reason for.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "unusual exec under a service", Doc: doc, Severity: analyze.High,
		Needs:   []fact.Kind{"audit_event"},
		Wants:   []fact.Kind{"process", "process_table", "socket", "log_event", "host_info"},
		Collect: map[fact.Kind]string{"audit_event": "auditctl -a always,exit -F arch=b64 -S execve,execveat -k exec; cp /var/log/audit/audit.log ."},
		Run:     run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	listeners := listening(p)
	execs := 0
	reported := map[string]bool{}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Syscall != "execve" && e.Syscall != "execveat" {
			continue
		}
		execs++
		what, severity := unusual(e)
		if what == "" {
			continue
		}
		service := serviceAbove(p, e, listeners)
		if service == nil {
			continue
		}
		if join.LoggedIn(e) && e.TTY != "" {
			p.Note("pid %d: %s on a terminal, by a person", e.PID, what)
			continue
		}
		key := fmt.Sprint(service.Host, service.PID, what, e.Exe)
		if reported[key] {
			continue
		}
		reported[key] = true
		report(p, e, service, what, severity)
	}
	if execs == 0 {
		p.Skip("the audit trail records no program starts", "auditctl -a always,exit -F arch=b64 -S execve,execveat -k exec")
		return nil
	}
	p.Note("%d program starts, %d processes listen", execs, len(listeners))
	return nil
}

// listening are the processes that own a listening socket.
func listening(p *analyze.Pass) []*join.Process {
	var out []*join.Process
	for _, s := range join.SocketsOf(p).All {
		if !s.Listening() {
			continue
		}
		for _, o := range s.Owners {
			if !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// serviceAbove is the listening process that the exec's process descends from; a
// login daemon and a process manager start programs for a living.
func serviceAbove(p *analyze.Pass, e *fact.AuditEvent, listeners []*join.Process) *join.Process {
	h := join.HostsOf(p)
	parent := join.ProcessesOf(p).Get(h.Of(e.At), e.PPID)
	if parent == nil {
		return nil
	}
	for _, a := range append([]*join.Process{parent}, parent.Ancestors()...) {
		if loginDaemon(a) {
			return nil
		}
		if slices.Contains(listeners, a) {
			return a
		}
	}
	return nil
}

func loginDaemon(p *join.Process) bool {
	name := strings.TrimSuffix(p.Name(), ":")
	switch path.Base(name) {
	case "sshd", "login", "cron", "crond", "atd", "systemd", "init", "dockerd", "containerd", "jenkins", "gitlab-runner", "in.telnetd", "cockpit-ws", "ttyd":
		return true
	}
	return join.SupervisorTitle(p.Command)
}

// temporary are folders that anybody may write to.
var temporary = []string{"/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/"}

// unusual says what is odd about an exec and how bad it is.
func unusual(e *fact.AuditEvent) (what string, severity analyze.Severity) {
	program := path.Base(e.Exe)
	line := strings.Join(e.Argv, " ")
	for _, dir := range temporary {
		if strings.HasPrefix(e.Exe, dir) {
			return "a program from " + strings.TrimSuffix(dir, "/"), analyze.High
		}
	}
	if strings.HasSuffix(e.Exe, " (deleted)") {
		return "a program whose file is deleted", analyze.High
	}
	switch program {
	case "curl", "wget", "nc", "ncat", "netcat", "socat", "tftp", "telnet":
		if slices.ContainsFunc(temporary, func(d string) bool { return strings.Contains(line, d) }) || program == "nc" || program == "ncat" || program == "socat" {
			return "a downloader or relay", analyze.High
		}
		return "a downloader", analyze.Low
	case "gdb", "strace", "ltrace", "gcore":
		return "a debugger", analyze.Low
	}
	if !join.IsShell(program) {
		return "", analyze.SeverityUnset
	}
	if strings.Contains(line, "/dev/tcp/") || strings.Contains(line, "base64 -d") || (strings.Contains(line, "curl ") || strings.Contains(line, "wget ")) && strings.Contains(line, "|") ||
		slices.ContainsFunc(temporary, func(d string) bool { return strings.Contains(line, d) && strings.Contains(line, "chmod") }) {
		return "a shell that fetches or connects", analyze.High
	}
	if slices.Contains(e.Argv, "-i") {
		return "an interactive shell", analyze.Medium
	}
	return "a shell", analyze.Info
}

func report(p *analyze.Pass, e *fact.AuditEvent, service *join.Process, what string, severity analyze.Severity) {
	c := join.ClocksOf(p)
	f := analyze.Finding{
		Subject:  service.String() + " started " + path.Base(e.Exe),
		Title:    fmt.Sprintf("The network service %s (pid %d) started %s: %s", service.Name(), service.PID, what, short(strings.Join(e.Argv, " "))),
		Detail:   fmt.Sprintf("Pid %d was started below a process that listens on the network. Parent chain: %s.", e.PID, service.Tree()),
		Severity: severity, Confidence: analyze.Likely,
		Evidence: []analyze.Evidence{c.Date(analyze.Cite(e.At, "execve of %s", e.Exe), e.Time)},
		Fix:      "Find the code path that starts it; if there is none, treat it as an intrusion.",
		Entities: []analyze.Entity{service.Entity()},
	}
	f.From, _, _ = c.UTC(e.At.Artifact, e.Time)
	f.To = f.From
	if at, ok := service.Cite(); ok {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "the service"))
	}
	for _, s := range join.SocketsOf(p).All {
		if s.Listening() && slices.Contains(s.Owners, service) {
			f.Evidence = append(f.Evidence, analyze.Cite(s.Row().At, "it listens on %s", s.Local))
			break
		}
	}
	if severity <= analyze.Low {
		f.Detail += " Services do shell out for good reasons; this is context."
		f.Confidence = analyze.Possible
	}
	p.Report(f)
}

func short(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
