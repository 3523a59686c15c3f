package join

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// role tells what kind of program sent a signal. Everything that a person starts
// carries the person's login, services too, so the login alone decides nothing:
// the sender must also be what a person kills with, or sit on a terminal and have
// no business with the target.
func (k *Kill) role() SenderRole {
	e, p := k.Event, k.Sender
	exe := path.Base(e.Exe)
	switch {
	case p.supervises(e):
		return RoleSupervisor
	case k.Job && k.Relation != ToChild:
		return RoleProgram
	case LoggedIn(e) && slices.Contains(killPrograms, exe):
		return RoleOperator
	case LoggedIn(e) && IsShell(exe) && (e.TTY != "" || k.Relation == ToStranger):
		return RoleOperator
	case LoggedIn(e) && e.TTY != "" && k.Relation == ToStranger:
		return RoleOperator
	case k.Relation == ToChild && sameProgram(p, k.Targets):
		return RoleManager
	}
	return RoleProgram
}

// killPrograms are what people and scripts kill with.
var killPrograms = []string{"kill", "pkill", "killall", "killall5", "skill", "htop", "top", "atop", "xkill", "fuser", "slay"}

// IsShell reports whether a program is a shell.
func IsShell(program string) bool {
	switch program {
	case "bash", "sh", "dash", "zsh", "ksh", "mksh", "fish", "tcsh", "csh", "ash", "busybox", "rbash":
		return true
	}
	return false
}

// LoggedIn reports whether the record names a login user. The kernel keeps it
// through su and sudo; daemons have none, unless a person started them.
func LoggedIn(e *fact.AuditEvent) bool {
	return e.AUID.Known || e.AUIDName != "" && e.AUIDName != "unset"
}

// schedulers start jobs at their time, under the login of the user whose they are.
var schedulers = []string{"cron", "crond", "anacron", "atd", "fcron", "dcron"}

// jobSession is one login session of a trail.
type jobSession struct {
	trail   fact.ID
	session fact.Int
}

// jobSessions are the sessions that a scheduler opened for a job: their login is
// nobody at a terminal.
func jobSessions(p *analyze.Pass) map[jobSession]bool {
	out := map[jobSession]bool{}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Session.Known && slices.Contains(schedulers, strings.ToLower(path.Base(cmp.Or(e.Exe, e.Comm)))) {
			out[jobSession{e.At.Artifact, e.Session}] = true
		}
	}
	return out
}

// scheduled reports whether a scheduler stands among a process's ancestors.
func (p *Process) scheduled() bool {
	return slices.ContainsFunc(p.Ancestors(), func(a *Process) bool { return slices.Contains(schedulers, strings.ToLower(a.Name())) })
}

// supervisorPrograms end processes for a living.
var supervisorPrograms = []string{
	"systemd", "init", "upstart", "runc", "crun", "containerd-shim", "containerd-shim-runc-v2", "containerd-shim-runc-v1", "conmon", "dockerd",
	"docker-init", "tini", "dumb-init", "catatonit", "kubelet", "supervisord", "timeout", "start-stop-daemon", "s6-supervise", "s6-svscan", "s6-svc", "runsv", "sv",
	"perpd", "monit", "god", "circusd", "pm2", "nomad", "daemontools", "supervise", "earlyoom", "systemd-oomd", "oomd", "nohang", "watchdog", "podman", "slurmstepd",
}

// supervises reports whether the sender is a process manager: by its program, or
// by the title that managers written in a script language give themselves.
func (p *Process) supervises(e *fact.AuditEvent) bool {
	for _, name := range []string{path.Base(e.Exe), e.Comm, p.Comm} {
		if slices.Contains(supervisorPrograms, name) || strings.HasPrefix(name, "containerd-shim") {
			return true
		}
	}
	title := p.Command
	if title == "" {
		title = strings.Join(e.Argv, " ")
	}
	return SupervisorTitle(title) || SupervisorTitle(e.Comm)
}

// SupervisorTitle reports whether a command line or process title is that of a
// process manager: "PM2 v5.3.0: God Daemon (/root/.pm2)", "supervisord -n",
// "node /usr/lib/node_modules/nodemon/bin/nodemon.js app.js".
func SupervisorTitle(title string) bool {
	low := strings.ToLower(title)
	if strings.Contains(low, "god daemon") || strings.HasPrefix(low, "pm2 v") {
		return true
	}
	for i, a := range strings.Fields(low) {
		if i > 2 {
			break
		}
		switch strings.TrimSuffix(strings.TrimSuffix(path.Base(a), ".js"), ".py") {
		case "supervisord", "pm2", "pm2-runtime", "nodemon", "forever", "foreman", "honcho", "overmind", "circusd", "node-foreman", "nf":
			return true
		}
	}
	return titledManager(title)
}

// titledManager recognises a rewritten title of the form "NAME v1.2.3: words":
// a daemon that names and versions itself.
func titledManager(title string) bool {
	head, _, ok := strings.Cut(title, ":")
	if !ok {
		return false
	}
	words := strings.Fields(head)
	if len(words) != 2 || len(words[1]) < 2 || words[1][0] != 'v' || words[1][1] < '0' || words[1][1] > '9' {
		return false
	}
	low := strings.ToLower(title)
	return strings.Contains(low, "daemon") || strings.Contains(low, "supervis") || strings.Contains(low, "manager")
}
