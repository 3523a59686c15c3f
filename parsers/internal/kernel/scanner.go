// Package kernel recognises what the Linux kernel states in its log. It takes
// messages without their prefixes, so that dmesg, journals and syslog files share
// it.
package kernel

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Message is one line of the kernel's log.
type Message struct {
	At fact.Ref
	fact.Time
	UptimeMS fact.Int
	Host     string
	Text     string // without time, level and "kernel:"
}

// Scanner turns messages into events. It is used by one goroutine; messages come
// in the order of the log.
type Scanner struct {
	Emit func(fact.KernelEvent)
	oom  oomBlock
}

// maxText bounds the text kept of an event.
const maxText = 400

// Message reads one message.
func (s *Scanner) Message(m Message) {
	if s.oom.line(s, m) {
		return
	}
	for _, p := range patterns {
		i := strings.Index(m.Text, p.contains)
		if i < 0 || p.also != "" && !strings.Contains(m.Text, p.also) {
			continue
		}
		ev := m.event(p.event)
		if p.read != nil && !p.read(m.Text, i, &ev) {
			continue
		}
		s.Emit(ev)
		return
	}
}

// Close emits what waits for further lines.
func (s *Scanner) Close() { s.oom.flush(s) }

func (m Message) event(name string) fact.KernelEvent {
	text := strings.ToValidUTF8(m.Text, "\uFFFD")
	return fact.KernelEvent{At: m.At, Time: m.Time, UptimeMS: m.UptimeMS, Host: m.Host, Event: name, Text: text[:min(len(text), maxText)]}
}

// pattern is one statement of the kernel. The first that matches wins.
type pattern struct {
	event    string
	contains string
	also     string
	read     func(text string, at int, ev *fact.KernelEvent) bool
}

var patterns = [...]pattern{
	{"hung-task", "blocked for more than", "INFO: task ", readHungTask},
	{"segfault", "]: segfault at ", "", readNameBracket},
	{"general-protection", " general protection", "", readNameBracket},
	{"trap", " trap invalid opcode ", "", readNameBracket},
	{"panic", "Kernel panic - not syncing", "", nil},
	{"kernel-bug", "kernel BUG at ", "", nil},
	{"kernel-bug", "BUG: unable to handle", "", nil},
	{"soft-lockup", "BUG: soft lockup", "", readSquareName},
	{"hard-lockup", "hard LOCKUP on cpu", "", nil},
	{"rcu-stall", "detected stalls on CPUs", "", nil},
	{"rcu-stall", "self-detected stall on CPU", "", nil},
	{"conntrack-full", "conntrack: table full", "", nil},
	{"conntrack-full", "conntrack: nf_conntrack: table full", "", nil},
	{"syn-flood", "ossible SYN flooding on port", "", nil},
	{"tcp-oom", "TCP: out of memory", "", nil},
	{"tcp-orphans", "TCP: too many orphaned sockets", "", nil},
	{"tcp-tw-overflow", "TCP: time wait bucket table overflow", "", nil},
	{"neighbour-overflow", "neighbor table overflow", "", nil},
	{"neighbour-overflow", "eighbour table overflow", "", nil},
	{"socket-buffer", "skbuff: skb_over_panic", "", nil},
	{"alloc-failure", "page allocation failure", "", readColonName},
	{"fork-failure", "cgroup: fork rejected by pids controller", "", nil},
	{"file-max", "VFS: file-max limit", "", nil},
	{"nfs-timeout", "not responding", "nfs: server", nil},
	{"nfs-timeout", "not responding", "NFS: server", nil},
	{"nfs-ok", " OK", "nfs: server", nil},
	{"io-error", "I/O error", "", nil},
	{"io-error", "i/o error", "", nil},
	{"fs-error", "EXT4-fs error", "", nil},
	{"fs-error", "XFS (", "orruption", nil},
	{"fs-error", "Remounting filesystem read-only", "", nil},
	{"disk-error", "exception Emask", "ata", nil},
	{"disk-timeout", "timeout, aborting", "nvme", nil},
	{"link-down", "Link is Down", "", nil},
	{"link-down", "NIC Link is Down", "", nil},
	{"link-down", "link down", "", nil},
	{"link-up", "Link is Up", "", nil},
	{"tx-timeout", "NETDEV WATCHDOG", "timed out", nil},
	{"clock-unstable", "Clocksource tsc unstable", "", nil},
	{"throttled", "temperature above threshold", "", nil},
	{"machine-check", "Machine check events logged", "", nil},
	{"machine-check", "[Hardware Error]", "", nil},
	{"killed-by-limit", "process killed", "RLIMIT", nil},
	{"fatal-signal", "potentially unexpected fatal signal", "", readFatalSignal},
	{"audit-lost", "audit_lost=", "", nil},
	{"audit-lost", "audit: backlog limit exceeded", "", nil},
	{"audit-lost", "audit: kauditd hold queue overflow", "", nil},
	{"reboot", "reboot: ", "", nil},
}

// readHungTask reads "INFO: task kworker/1:2:123 blocked for more than 120 seconds."
func readHungTask(text string, _ int, ev *fact.KernelEvent) bool {
	s := text[strings.Index(text, "INFO: task ")+len("INFO: task "):]
	s, _, _ = strings.Cut(s, " blocked")
	name, pid, ok := cutLast(s, ":")
	if !ok {
		return true
	}
	ev.Comm = name
	ev.PID, _ = strconv.Atoi(pid)
	return true
}

// readNameBracket reads "node[1234]: segfault at 0 ip ..." and
// "traps: node[1234] general protection ip:...".
func readNameBracket(text string, at int, ev *fact.KernelEvent) bool {
	head := text[:min(at+1, len(text))]
	open := strings.LastIndexByte(head, '[')
	if open < 0 {
		return false
	}
	digits := text[open+1:]
	end := strings.IndexByte(digits, ']')
	pid, err := 0, error(nil)
	if end > 0 {
		pid, err = strconv.Atoi(digits[:end])
	}
	if end <= 0 || err != nil {
		return false
	}
	ev.PID = pid
	name := head[:open]
	if i := strings.LastIndex(name, ": "); i >= 0 {
		name = name[i+2:]
	}
	ev.Comm = strings.TrimSpace(name)
	return true
}

// readSquareName reads "stuck for 22s! [kworker/1:2:123]".
func readSquareName(text string, _ int, ev *fact.KernelEvent) bool {
	open, end := strings.LastIndexByte(text, '['), strings.LastIndexByte(text, ']')
	if open < 0 || end < open {
		return true
	}
	if name, pid, ok := cutLast(text[open+1:end], ":"); ok {
		ev.Comm = name
		ev.PID, _ = strconv.Atoi(pid)
	}
	return true
}

// readColonName reads "node: page allocation failure: order:4, mode:...".
func readColonName(text string, at int, ev *fact.KernelEvent) bool {
	name := strings.TrimSuffix(strings.TrimSpace(text[:at]), ":")
	if !strings.Contains(name, " ") {
		ev.Comm = name
	}
	return true
}

// readFatalSignal reads "potentially unexpected fatal signal 11."; the process
// follows on its own line.
func readFatalSignal(text string, _ int, ev *fact.KernelEvent) bool {
	if name, _, ok := strings.Cut(text, "/"); ok {
		ev.Comm = name
	}
	return true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
