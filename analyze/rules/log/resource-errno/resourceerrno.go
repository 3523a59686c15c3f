// Package resourceerrno finds logs that complain about a resource that has run
// out or is taken.
package resourceerrno

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds logs that complain about a resource that has run out or is taken.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "log/resource-errno", Title: "resource error in a log", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"log_event"},
		Wants: []fact.Kind{"dns_failure", "kernel_event", "limit", "process", "counter", "filesystem"},
		Thresholds: []analyze.Threshold{
			{Name: "failing", Default: 3, Unit: "lines", Doc: "lines about a full disk, a used-up quota or a refused fork that make a service fail"},
			{Name: "lookups", Default: 3, Unit: "lines", Doc: "failed name lookups of one log that are worth a finding at medium"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/fd-limit", Via: join.KindProcess, Why: "the limit of descriptors is reached"},
			{Rule: "socket/established-leak", Via: join.KindProcess, Why: "leaked sockets use the descriptors up"},
			{Rule: "socket/close-wait-leak", Via: join.KindProcess, Why: "leaked sockets use the descriptors up"},
			{Rule: "socket/port-conflict", Via: join.KindPort, Why: "another program has the port"},
			{Rule: "socket/port-conflict", Via: join.KindProcess, Why: "another program has the port"},
			{Rule: "socket/port-exhaustion", Via: join.KindEndpoint, Why: "no local port is left for this destination"},
			{Rule: "socket/port-exhaustion", Via: join.KindProcess, Why: "no local port is left"},
		},
		Run: run,
	}
}

// resource is what an errno is about.
type resource struct{ title, means, fix, next string }

// grave are the errors that no other rule finds the cause of: what has run out is
// the cause, and a program that meets it again and again does its work no more.
var grave = map[string]string{
	"ENOSPC": "fs-error", "EDQUOT": "", "EROFS": "fs-error", "EIO": "io-error", "EAGAIN": "fork-failure", "ENOMEM": "alloc-failure",
}

func resources(errno string) (resource, bool) {
	r, ok := map[string]resource{
		"EMFILE":        {"a process has no file descriptor left", "EMFILE: the process has reached its own limit of open files, sockets included.", "Find what keeps descriptors open (a leak, connections without a limit) before raising the limit.", "ls /proc/PID/fd | wc -l; cat /proc/PID/limits"},
		"ENFILE":        {"the system has no file descriptor left", "ENFILE: the limit of open files of the whole system is reached.", "Find the process with most open files.", "cat /proc/sys/fs/file-nr"},
		"EADDRINUSE":    {"an address to listen on is taken", "EADDRINUSE: another socket listens on this address and port already, or a connection in TIME_WAIT holds it and SO_REUSEADDR is not set.", "Find who holds the port and stop it, or start this service elsewhere; fail hard when bind fails.", "ss -ltnp"},
		"EADDRNOTAVAIL": {"no local port is left for a connection", "EADDRNOTAVAIL on connect: all local ports towards this destination are in use, TIME_WAIT included. On bind: the address is not one of this host.", "Reuse connections (keep-alive, a pool) in place of one for each call; widen net.ipv4.ip_local_port_range only then.", "ss -s; sysctl net.ipv4.ip_local_port_range"},
		"ENOBUFS":       {"the kernel has no buffer left", "ENOBUFS: the kernel had no memory for the packet or the queue of the interface was full.", "Look at net.ipv4.tcp_mem, the interface's queue and its drops.", "cat /proc/net/sockstat; ip -s link"},
		"ENOSPC":        {"no space is left on the device", "ENOSPC: the file system has no free block or no free inode; every write to it fails until something is deleted.", "Free space (old logs, deleted files that are still open: lsof +L1), then find what fills it.", "df -h; df -i; du -xh --max-depth=1 /; lsof +L1"},
		"EDQUOT":        {"the disk quota is used up", "EDQUOT: the user or project has reached its quota, though the device has space.", "Delete what is not needed or raise the quota.", "quota -u USER; repquota -a"},
		"EROFS":         {"the file system is read-only", "EROFS: the file system is mounted read-only. The kernel remounts it so after an error of the device.", "Look in the kernel log for the error of the device that made it read-only; repair it, then remount.", "mount; dmesg -T > dmesg.txt"},
		"EIO":           {"a device fails to read or write", "EIO: the device below the file system reported an error.", "Look in the kernel log for the device and replace it.", "dmesg -T > dmesg.txt; smartctl -a DEVICE"},
		"ENOMEM":        {"memory is refused", "ENOMEM: the kernel refused memory: a limit of address space (ulimit -v), of mappings or of commit is reached.", "Compare the limits of the process with what it uses.", "cat /proc/PID/limits /proc/PID/status; cat /proc/meminfo"},
		"EAGAIN":        {"no further process or thread may be created", "EAGAIN on fork or thread creation: a limit of the number of processes is reached, of the user (ulimit -u) or of the cgroup (pids.max). Threads and zombies count as processes.", "Find what keeps so many processes or threads alive, or does not collect the dead ones, before raising the limit.", "cat /proc/PID/limits; ps -eLf | wc -l; cat /sys/fs/cgroup/pids.max"},
		"ENOTFOUND":     {"a name cannot be resolved", "ENOTFOUND: the resolver answered that the name does not exist.", "Check the name, the search domains and the resolver's answer.", "getent hosts NAME; cat /etc/resolv.conf"},
		"EAI_AGAIN":     {"the resolver does not answer", "EAI_AGAIN: no name server answered in time.", "Check the name servers and the way to them.", "getent hosts NAME; cat /etc/resolv.conf"},
	}[errno]
	return r, ok
}

// trouble is the lines of one log with one errno.
type trouble struct {
	log    fact.ID
	errno  string
	events []*fact.LogEvent
	lines  int
}

func run(_ context.Context, p *analyze.Pass) error {
	by := map[string]*trouble{}
	var list []*trouble
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if _, ok := resources(e.Errno); !ok || aside(e) {
			continue
		}
		k := string(e.At.Artifact) + "|" + e.Errno
		if by[k] == nil {
			by[k] = &trouble{log: e.At.Artifact, errno: e.Errno}
			list = append(list, by[k])
		}
		by[k].events = append(by[k].events, e)
		by[k].lines += max(1, e.Repeat)
	}
	for _, t := range list {
		report(p, t)
	}
	return nil
}

// aside reports whether an errno says something else than that a resource has run
// out: EAGAIN is an ordinary answer of a read, Node says ENOBUFS for a child's
// output beyond maxBuffer, and EIO is how files of the kernel and terminals that
// were closed refuse to be read, which a program that goes on tells as information.
func aside(e *fact.LogEvent) bool {
	low := strings.ToLower(e.Text)
	switch e.Errno {
	case "EAGAIN":
		return !slices.ContainsFunc([]string{"fork", "spawn", "clone", "thread", "exec"}, func(w string) bool { return strings.Contains(low, w) })
	case "ENOBUFS":
		return strings.Contains(low, "spawnsync")
	case "EIO":
		return e.Level == "info" || e.Level == "debug" || e.Level == "trace" ||
			slices.ContainsFunc([]string{"/proc/", "/sys/", "/dev/pts", "/dev/tty"}, func(w string) bool { return strings.Contains(low, w) })
	}
	return false
}

func report(p *analyze.Pass, t *trouble) {
	r, _ := resources(t.errno)
	hosts, clocks := join.HostsOf(p), join.ClocksOf(p)
	host := hosts.Of(t.events[0].At)
	f := analyze.Finding{
		Subject:  hosts.Prefix(host) + fmt.Sprintf("%s in %s", t.errno, t.log),
		Title:    fmt.Sprintf("%s says %s%s: %s", t.log, t.errno, at(t), r.title),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Entities: entities(p, t, host), Fix: r.fix, Next: []string{r.next},
	}
	first, last := t.events[0], t.events[len(t.events)-1]
	from, _, ok := clocks.UTC(first.At.Artifact, first.Time)
	if ok {
		f.From = from
		f.To, _, _ = clocks.UTC(last.At.Artifact, last.Time)
	}
	rate := ""
	if d := f.To.Sub(f.From); t.lines > 1 && d > 0 {
		rate = fmt.Sprintf(" in %v", wire.Round(d))
	}
	detail := []string{r.means, fmt.Sprintf("%s%s.", join.Count(t.lines, "line", "lines"), rate)}
	f.Evidence = append(f.Evidence, clocks.Date(analyze.Cite(first.At, "the first %s: %s", t.errno, first.Text), first.Time))
	if last != first {
		f.Evidence = append(f.Evidence, clocks.Date(analyze.Cite(last.At, "the last: %s", last.Text), last.Time))
	}
	if event, ok := grave[t.errno]; ok {
		if float64(t.lines) >= p.Threshold("failing") {
			f.Severity = analyze.High
		}
		if ev := witness(p, t, host, event); ev != nil {
			f.Confidence = analyze.Confirmed
			f.Evidence = append(f.Evidence, ev...)
		}
	}
	if e := recovered(p, t); e != nil {
		f.Severity = analyze.Low
		f.Against = append(f.Against, clocks.Date(analyze.Cite(e.At, "it listens after all: %s", e.Text), e.Time))
		f.Confidence = f.Confidence.Lower()
		detail = append(detail, "A later attempt succeeded.")
	}
	if k := byOtherFamily(p, t, host); k != nil {
		f.Severity = analyze.Low
		f.Against = append(f.Against, k.Cite("%s serves the port by an address of the other family", k.Owner()))
		f.Confidence = f.Confidence.Lower()
		detail = append(detail, "The program has the port already: "+k.Describe()+".")
	}
	if lookup := t.errno == "ENOTFOUND" || t.errno == "EAI_AGAIN"; lookup {
		if float64(t.lines) < p.Threshold("lookups") {
			f.Severity = analyze.Low
		}
		for d := range fact.All[fact.DNSFailure](p.Facts) {
			if slices.ContainsFunc(t.events, func(e *fact.LogEvent) bool { return strings.Contains(e.Text, d.Name) }) {
				f.Confidence = analyze.Confirmed
				if d.RCode == "" && float64(t.lines) >= p.Threshold("lookups") {
					f.Severity = analyze.High // the packets show that it answers nobody
				}
				f.Evidence = append(f.Evidence, analyze.Cite(d.At, "the query for %s to %s: %s", d.Name, d.Server, orNone(d.RCode)).On(d.Time, fact.Epoch, 0))
				break
			}
		}
	}
	p.Note("%s: %d lines with %s", t.log, t.lines, t.errno)
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// witness is what the kernel and the limits of the writer say of the same error.
func witness(p *analyze.Pass, t *trouble, host, event string) (ev []analyze.Evidence) {
	h, clocks := join.HostsOf(p), join.ClocksOf(p)
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if h.Of(e.At) == host && event != "" && (e.Event == event || event == "fs-error" && e.Event == "io-error") && len(ev) < 3 {
			ev = append(ev, clocks.Date(analyze.Cite(e.At, "the kernel says: %s", e.Text), clocks.Kernel(e)))
		}
	}
	limit := map[string]string{"EAGAIN": "Max processes", "ENOMEM": "Max address space"}[t.errno]
	writer, _ := join.OpenersOf(p).Writer(t.log)
	for l := range fact.All[fact.Limit](p.Facts) {
		mine := writer.Process != nil && writer.Process.PID == l.PID || slices.ContainsFunc(t.events, func(e *fact.LogEvent) bool { return e.PID.Known && int(e.PID.V) == l.PID })
		if mine && l.Name == limit && l.Soft.Known && h.Of(l.At) == host {
			ev = append(ev, analyze.Cite(l.At, "%s of pid %d: %d", l.Name, l.PID, l.Soft.V))
		}
	}
	if t.errno == "ENOSPC" {
		ev = append(ev, full(p, t, host)...)
	}
	if t.errno == "EAGAIN" {
		ev = append(ev, taskLimit(p, host)...)
	}
	return ev
}

// full are file systems without a free block or inode. Where the lines name a file
// below one of them, it is that one.
func full(p *analyze.Pass, t *trouble, host string) (ev []analyze.Evidence) {
	for i, fs := range join.FullFilesystems(p, host) {
		cite := join.CiteFull(fs)
		if fs.Mount != "/" && slices.ContainsFunc(t.events, func(e *fact.LogEvent) bool { return strings.Contains(e.Text, fs.Mount+"/") }) {
			return []analyze.Evidence{cite}
		}
		if i < 3 {
			ev = append(ev, cite)
		}
	}
	return ev
}

// taskLimit is a cgroup whose number of tasks has reached its limit.
func taskLimit(p *analyze.Pass, host string) []analyze.Evidence {
	h := join.HostsOf(p)
	var most, now *fact.Counter
	for c := range fact.All[fact.Counter](p.Facts) {
		if c.Source != "cgroup" || h.Of(c.At) != host {
			continue
		}
		switch c.Name {
		case "pids.max":
			most = c
		case "pids.current":
			now = c
		}
	}
	if most == nil || now == nil || most.Value <= 0 || now.Value < most.Value {
		return nil
	}
	return []analyze.Evidence{
		analyze.Cite(now.At, "the cgroup has %d tasks, threads included", now.Value),
		analyze.Cite(most.At, "its limit is %d (pids.max)", most.Value),
	}
}

func orNone(rcode string) string {
	if rcode == "" {
		return "no answer"
	}
	return rcode
}

// at is the address of the first line, if it names one.
func at(t *trouble) string {
	if a := t.events[0].Addresses; len(a) > 0 {
		return " for " + a[0]
	}
	return ""
}

// recovered is a later line of the same log that says that it listens on the
// address that was taken.
func recovered(p *analyze.Pass, t *trouble) *fact.LogEvent {
	if t.errno != "EADDRINUSE" {
		return nil
	}
	last := t.events[len(t.events)-1]
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.At.Artifact != t.log || e.At.Line <= last.At.Line || e.Errno != "" || !slices.Contains(e.Signs, fact.SignListen) {
			continue
		}
		for _, a := range e.Addresses {
			if number(a) != 0 && slices.ContainsFunc(last.Addresses, func(b string) bool { return number(b) == number(a) }) {
				return e
			}
		}
	}
	return nil
}

// byOtherFamily is the listener that the writer has on the port already, by an
// address of the other family, nil if it has none.
func byOtherFamily(p *analyze.Pass, t *trouble, host string) *join.Socket {
	if t.errno != "EADDRINUSE" {
		return nil
	}
	for _, a := range t.events[0].Addresses {
		want, ok := join.ParseAddrPort(a)
		if k := tables.OtherFamily(join.SocketsOf(p), host, want); ok && k != nil && k.Owner() != nil && join.CalledLike(k.Owner(), t.log) {
			return k
		}
	}
	return nil
}

// number is the port of an address, or of a bare port.
func number(a string) int {
	if ap, ok := join.ParseAddrPort(a); ok {
		return int(ap.Port())
	}
	n, _ := strconv.ParseUint(a, 10, 16)
	return int(n)
}

// entities are the writer, and the addresses and ports that the lines name.
func entities(p *analyze.Pass, t *trouble, host string) []analyze.Entity {
	var out []analyze.Entity
	ps := join.ProcessesOf(p)
	for _, pr := range ps.OnHost(host) {
		if slices.Contains(pr.Logs, t.log) {
			out = append(out, pr.Entity())
		}
	}
	seen := map[string]bool{}
	for _, e := range t.events {
		if e.PID.Known {
			if pr := ps.Get(host, int(e.PID.V)); pr != nil && !seen[pr.String()] {
				seen[pr.String()] = true
				out = append(out, pr.Entity())
			}
		}
		for _, a := range e.Addresses {
			if seen[a] || len(seen) > 16 {
				continue
			}
			seen[a] = true
			if ap, ok := join.ParseAddrPort(a); ok {
				out = append(out, join.Endpoint(host, ap))
			}
			if n := number(a); n > 0 {
				out = append(out, join.Port(host, n))
			}
		}
	}
	return out
}
