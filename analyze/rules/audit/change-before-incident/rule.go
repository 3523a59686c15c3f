// Package changebeforeincident lists what was changed on a host before the first
// symptom.
package changebeforeincident

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
const ID = "audit/change-before-incident"

//go:embed doc.md
var doc string

// Rule lists changes of configuration, units and programs before the first error.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "change before the incident", Doc: doc, Severity: analyze.Info,
		Needs: []fact.Kind{"audit_event"},
		Wants: []fact.Kind{"log_event", "host_info", "process", "account"},
		Thresholds: []analyze.Threshold{
			{Name: "before", Default: 24 * 3600, Unit: "seconds", Doc: "how long before the first symptom a change counts"},
		},
		Run: run,
	}
}

// change is one file, or the audit rules, changed by one program.
type change struct {
	event *fact.AuditEvent
	what  string // the path, or what was set
	host  string
	times int
}

func run(_ context.Context, p *analyze.Pass) error {
	symptom, at := firstSymptom(p)
	if symptom == nil {
		p.Note("no error in any log has a time to compare with")
		return nil
	}
	h := join.HostsOf(p)
	byKey := map[string]*change{}
	var order []*change
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		what := changed(e)
		if what == "" || !e.Absolute() {
			continue
		}
		gap := at.Sub(e.T)
		if gap < 0 || gap.Seconds() > p.Threshold("before") {
			continue
		}
		key := h.Of(e.At) + "\x00" + what + "\x00" + e.Exe
		if byKey[key] == nil {
			byKey[key] = &change{event: e, what: what, host: h.Of(e.At)}
			order = append(order, byKey[key])
		}
		byKey[key].event = e // the last one before the symptom
		byKey[key].times++
	}
	for _, c := range order {
		c.report(p, symptom, at)
	}
	return nil
}

// firstSymptom is the first error that a log dates.
func firstSymptom(p *analyze.Pass) (*fact.LogEvent, time.Time) {
	c := join.ClocksOf(p)
	var first *fact.LogEvent
	var when time.Time
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if l.Errno == "" && l.Level != "error" && l.Level != "fatal" {
			continue
		}
		if at, _, ok := c.UTC(l.At.Artifact, l.Time); ok && (first == nil || at.Before(when)) {
			first, when = l, at
		}
	}
	return first, when
}

// changed is the path that an event changed, "" if it is none of interest.
func changed(e *fact.AuditEvent) string {
	switch {
	case slices.Contains(e.Types, "SOFTWARE_UPDATE"):
		return "software: " + e.Text
	case slices.Contains(e.Types, "CONFIG_CHANGE"), e.Success.Known && !e.Success.V:
		return ""
	}
	switch e.Syscall {
	case "open", "openat", "openat2", "creat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "truncate", "ftruncate", "chmod", "fchmod", "fchmodat",
		"chown", "fchown", "lchown", "fchownat", "link", "linkat", "symlink", "symlinkat", "setxattr":
	default:
		return ""
	}
	if housekeeper(e) {
		return ""
	}
	// Of a rename the new name counts; it comes last.
	for i := len(e.Paths) - 1; i >= 0; i-- {
		if i < len(e.PathTypes) && e.PathTypes[i] == "PARENT" {
			continue
		}
		full := e.Paths[i]
		if !path.IsAbs(full) && e.Cwd != "" {
			full = path.Join(e.Cwd, full)
		}
		if matters(full) {
			return full
		}
	}
	return ""
}

// housekeeper reports programs that change files all day long.
func housekeeper(e *fact.AuditEvent) bool {
	switch path.Base(e.Exe) {
	case "logrotate", "updatedb", "mandb", "apt-check", "unattended-upgrade", "dhclient", "NetworkManager", "systemd-resolved", "systemd-timesyncd", "cron", "crond",
		"ldconfig", "auditd", "rsyslogd", "systemd-journald", "chronyd", "snapd", "osqueryd":
		return true
	}
	return false
}

// matters reports configuration, units and programs.
func matters(file string) bool {
	for _, skip := range []string{"/etc/mtab", "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/adjtime", "/etc/.pwd.lock", "/etc/cni/"} {
		if strings.HasPrefix(file, skip) {
			return false
		}
	}
	if strings.HasSuffix(file, ".log") || strings.HasSuffix(file, ".pid") || strings.HasSuffix(file, ".lock") || strings.HasSuffix(file, ".swp") || strings.HasSuffix(file, "~") {
		return false
	}
	for _, dir := range []string{"/etc/", "/usr/lib/systemd/", "/lib/systemd/", "/run/systemd/system/", "/usr/bin/", "/usr/sbin/", "/usr/local/", "/opt/", "/bin/", "/sbin/"} {
		if strings.HasPrefix(file, dir) {
			return true
		}
	}
	switch path.Ext(file) {
	case ".conf", ".cfg", ".ini", ".yaml", ".yml", ".toml", ".service", ".env", ".properties":
		return !strings.HasPrefix(file, "/proc/") && !strings.HasPrefix(file, "/sys/") && !strings.HasPrefix(file, "/tmp/")
	}
	return path.Base(file) == ".env"
}

func (c *change) report(p *analyze.Pass, symptom *fact.LogEvent, at time.Time) {
	e := c.event
	who := e.Exe
	if who == "" {
		who = e.Comm
	}
	if join.LoggedIn(e) {
		who += ", " + join.LoginWords(e)
	}
	before := at.Sub(e.T).Round(time.Second)
	f := analyze.Finding{
		Subject: join.HostsOf(p).Prefix(c.host) + c.what,
		Title:   fmt.Sprintf("%s was changed %s before the first error, by %s", c.what, before, who),
		Detail: fmt.Sprintf("Pid %d called %s. A change before an incident is a lead, not a cause: it counts only if the affected program reads the file.", e.PID,
			e.Syscall),
		Severity: analyze.Info, Confidence: analyze.Possible, From: e.T, To: e.T,
		Evidence: []analyze.Evidence{
			analyze.Cite(e.At, "the change").On(e.T, e.Basis, e.Precision),
			join.CiteLog(join.ClocksOf(p), symptom, "the first error in any log"),
		},
	}
	if c.times > 1 {
		f.Detail += fmt.Sprintf(" It was changed %d times in that time.", c.times)
	}
	if pr := affected(p, c); pr != nil {
		f.Severity = analyze.Low
		f.Detail += fmt.Sprintf(" The file belongs to %s.", pr)
		f.Entities = append(f.Entities, pr.Entity())
	}
	p.Report(f)
}

// affected is a process whose command line names the file or its folder.
func affected(p *analyze.Pass, c *change) *join.Process {
	dir := path.Dir(c.what)
	if dir == "/etc" || dir == "/" || dir == "." || strings.HasPrefix(dir, "/usr/bin") {
		dir = c.what
	}
	for _, pr := range join.ProcessesOf(p).OnHost(c.host) {
		if pr.PID != c.event.PID && len(pr.Rows) > 0 && strings.Contains(pr.Command, dir) {
			return pr
		}
	}
	return nil
}
