package join

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Kill is one successful call that sent a signal, as the audit trail records it.
type Kill struct {
	Event  *fact.AuditEvent
	Host   string
	At     time.Time // UTC, zero if the trail's zone is unknown
	Signal string
	Sender *Process
	// Targets are the processes that the kernel says it went to; without OBJ_PID
	// records the one that the call's argument names.
	Targets []*Process
	// Relation is what the targets are to the sender.
	Relation Relation
	Role     SenderRole
	// Job is true for a sender that a scheduler such as cron started: its login is
	// that of the user whose job it is, and nobody sits behind it.
	Job bool
	// Trigger is the signal that the sender itself received shortly before and
	// answers or passes on with this one; nil where the story begins here.
	Trigger *Kill
}

// Relation is what the target of a signal is to its sender.
type Relation int

// The relations, nearest first.
const (
	ToStranger   Relation = iota
	ToSelf                // itself, its own threads or its own process group
	ToChild               // its direct child
	ToDescendant          // a child's child, or deeper
	ToParent
	ToSibling
)

var relationWords = [...]string{"a stranger", "itself", "its child", "its descendant", "its parent", "its sibling"}

// String is the relation in words: "its child".
func (r Relation) String() string { return relationWords[r] }

// SenderRole is what kind of program a sender is.
type SenderRole int

// The roles.
const (
	RoleProgram    SenderRole = iota // anything else
	RoleOperator                     // a login session: a person, or what a person started
	RoleSupervisor                   // an init system, container runtime, process manager, timeout
	RoleManager                      // a master that handles its own workers of the same program
)

// Deadly reports whether the signal ends a process that does not handle it and is
// commonly sent to end one.
func (k *Kill) Deadly() bool {
	switch k.Signal {
	case "SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSTOP", "SIGSEGV", "SIGBUS":
		return true
	}
	return false
}

// tools are programs that people and scripts start to look at something or to
// wait, and end when they have seen enough; none of them is a service.
var tools = []string{
	"strace", "ltrace", "tcpdump", "dumpcap", "tshark", "wireshark", "ngrep", "tcpflow", "perf", "gdb", "gdbserver", "lldb", "bpftrace", "dlv", "trace-cmd",
	"top", "htop", "atop", "iotop", "iftop", "vmstat", "iostat", "mpstat", "pidstat", "sar", "dstat", "tail", "less", "more", "watch", "script", "journalctl",
	"sleep", "ping", "ping6", "traceroute", "mtr", "curl", "wget", "auditctl", "ausearch",
}

// hitsTool reports whether a signal went to nothing but tools.
func (k *Kill) hitsTool() bool {
	for _, t := range k.Targets {
		program := t.Comm
		if argv := strings.Fields(t.Command); len(argv) > 0 {
			program = strings.Trim(argv[0], "[]")
		}
		if !slices.Contains(tools, path.Base(program)) {
			return false
		}
	}
	return len(k.Targets) > 0
}

// SameSession reports whether the kernel saw sender and all targets in one login
// session of one user.
func (k *Kill) SameSession() bool {
	e := k.Event
	if !e.Session.Known || !e.AUID.Known || len(e.Targets) == 0 {
		return false
	}
	return !slices.ContainsFunc(e.Targets, func(t fact.AuditTarget) bool { return t.Session != e.Session || t.AUID != e.AUID })
}

// TargetsInSession reports whether every target was started from a login session,
// which daemons are not.
func (k *Kill) TargetsInSession() bool {
	targets := k.Event.Targets
	return len(targets) > 0 && !slices.ContainsFunc(targets, func(t fact.AuditTarget) bool { return !t.Session.Known || !t.AUID.Known })
}

// Origin is the first signal of the chain that led to this one; itself if it was
// not an answer.
func (k *Kill) Origin() *Kill {
	for k.Trigger != nil {
		k = k.Trigger
	}
	return k
}

// inner is the number that the only target has in the pid namespace of its sender,
// where that is not the number that the kernel records: in a container.
func (k *Kill) inner() (pid int64, ok bool) {
	arg := k.Event.TargetArg
	return arg.V, arg.Known && arg.V > 0 && len(k.Targets) == 1 && k.Targets[0].PID != int(arg.V)
}

// Hits reports whether the signal went to a process.
func (k *Kill) Hits(pid int) bool {
	return slices.ContainsFunc(k.Targets, func(p *Process) bool { return p.PID == pid })
}

// Signals are the signals of a bundle, by host and time.
type Signals struct {
	All []*Kill

	answers map[*Kill][]*Kill // by the first signal of the chain
}

var signals = analyze.Derived[*Signals]{
	Name:  "signals",
	Needs: []fact.Kind{"audit_event", "process"},
	Build: buildSignals,
}

// SignalsOf returns the signals that the audit trails of the bundle record.
func SignalsOf(p *analyze.Pass) *Signals { return signals.Of(p) }

// Answers are the signals that others sent because of this one, in time.
func (s *Signals) Answers(k *Kill) []*Kill { return s.answers[k] }

// Windows within which a signal is the answer to another one.
const (
	answerWithin   = 10 * time.Second  // from being hit to passing it on
	escalateWithin = 100 * time.Second // from SIGTERM to SIGKILL of the same target
)

func buildSignals(p *analyze.Pass) *Signals {
	s := &Signals{}
	ps, h, c := ProcessesOf(p), HostsOf(p), ClocksOf(p)
	jobs := jobSessions(p)
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Signal == "" || e.Signal == "0" || e.Syscall == "" || e.Success.Known && !e.Success.V {
			continue
		}
		host := h.Of(e.At)
		if named, ok := h.Named(e.Node); ok && h.Several() {
			host = named
		}
		k := &Kill{Event: e, Host: host, Signal: e.Signal, Sender: caller(ps, host, e)}
		k.At, _, _ = c.UTC(e.At.Artifact, e.Time)
		k.targets(ps)
		k.relate()
		k.Job = e.TTY == "" && (jobs[jobSession{e.At.Artifact, e.Session}] || k.Sender.scheduled())
		k.Role = k.role()
		s.All = append(s.All, k)
	}
	slices.SortStableFunc(s.All, func(a, b *Kill) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), a.Event.T.Compare(b.Event.T), cmp.Compare(a.Event.Serial, b.Event.Serial))
	})
	s.chain()
	return s
}

// chain finds the trigger of each signal and gathers the answers to each first one.
func (s *Signals) chain() {
	s.answers = map[*Kill][]*Kill{}
	type who struct {
		host string
		pid  int
	}
	hit, sent := map[who][]*Kill{}, map[who][]*Kill{}
	for _, k := range s.All {
		me := who{k.Host, k.Sender.PID}
		k.Trigger = trigger(hit[me], sent[me], k)
		if k.Trigger != nil {
			origin := k.Origin()
			s.answers[origin] = append(s.answers[origin], k)
		}
		sent[me] = append(sent[me], k)
		for _, t := range k.Targets {
			if t.PID != k.Sender.PID {
				hit[who{k.Host, t.PID}] = append(hit[who{k.Host, t.PID}], k)
			}
		}
	}
}

// caller is the process that made an audited call. Where its pid belongs to
// another program in the process tables (a reused pid), the record's own words
// make a process of their own.
func caller(ps *Processes, host string, e *fact.AuditEvent) *Process {
	pr := ps.Get(host, e.PID)
	if pr != nil && (len(pr.Rows) == 0 || e.PPID == 0 || pr.PPID == 0 || pr.PPID == e.PPID || slices.ContainsFunc(pr.Rows, func(r *fact.Process) bool {
		return r.PPID.Or(int64(e.PPID)) == int64(e.PPID) || strings.Contains(r.Command, path.Base(e.Exe))
	})) {
		return pr
	}
	own := &Process{Host: host, PID: e.PID, PPID: e.PPID, Comm: e.Comm, Command: strings.Join(e.Argv, " "), At: []fact.Ref{e.At}}
	if pr != nil {
		own.prefix = pr.prefix
	}
	own.Parent = ps.Get(host, e.PPID)
	return own
}

func (k *Kill) targets(ps *Processes) {
	for _, t := range k.Event.Targets {
		if pr := ps.Get(k.Host, t.PID); pr != nil && !slices.Contains(k.Targets, pr) {
			k.Targets = append(k.Targets, pr)
		}
	}
	if n := k.Event.TargetArg; len(k.Targets) == 0 && n.Known && n.V > 0 {
		if pr := ps.Get(k.Host, int(n.V)); pr != nil {
			k.Targets = append(k.Targets, pr)
		}
	}
}

// relate compares sender and targets; of several targets the farthest decides,
// but a group that the sender belongs to is its own.
func (k *Kill) relate() {
	k.Relation = ToStranger
	for i, t := range k.Targets {
		r := k.relation(t)
		if i == 0 || r == ToStranger {
			k.Relation = r
		}
	}
	if k.Event.TargetArg.Known && k.Event.TargetArg.V == 0 {
		k.Relation = ToSelf
	}
}

func (k *Kill) relation(t *Process) Relation {
	e := k.Event
	switch {
	case t.PID == e.PID || k.Event.Syscall == "tgkill" && e.TargetArg.Or(0) == int64(e.PID):
		return ToSelf
	case t.PPID == e.PID:
		return ToChild
	case t.PID == e.PPID:
		return ToParent
	case slices.ContainsFunc(t.Ancestors(), func(a *Process) bool { return a.PID == e.PID }):
		return ToDescendant
	case t.PPID == e.PPID && t.PPID > 1:
		return ToSibling
	}
	return ToStranger
}

// trigger finds the signal that this one answers: the last that hit its sender, or
// what its sender was already answering when it goes on with the same target.
func trigger(hit, sent []*Kill, k *Kill) *Kill {
	var direct, going *Kill
	if n := len(hit); n > 0 && k.Event.T.Sub(hit[n-1].Event.T) <= answerWithin {
		direct = hit[n-1]
	}
	for i := len(sent) - 1; i >= 0; i-- {
		b := sent[i]
		gap := k.Event.T.Sub(b.Event.T)
		if gap > escalateWithin {
			break
		}
		if b.Trigger != nil && (gap <= answerWithin || slices.ContainsFunc(k.Targets, func(t *Process) bool { return b.Hits(t.PID) })) {
			going = b
			break
		}
	}
	switch {
	case going == nil:
		return direct
	case direct == nil || direct.Event.T.Before(going.Event.T):
		return going.Trigger
	}
	return direct
}

// sameProgram reports whether all targets run the sender's own program: workers
// of a master.
func sameProgram(s *Process, targets []*Process) bool {
	if s.Command == "" || len(targets) == 0 {
		return false
	}
	own := script(s.Command)
	for _, t := range targets {
		if t.Command == "" || script(t.Command) != own {
			return false
		}
	}
	return own != ""
}

// script is the program of a command line, and behind an interpreter its script.
func script(command string) string {
	argv := strings.Fields(command)
	for i, a := range argv {
		base := path.Base(a)
		if i == 0 && interpreters[strings.TrimRight(base, "0123456789.")] {
			continue
		}
		if strings.HasPrefix(a, "-") && i > 0 {
			continue
		}
		return base
	}
	return ""
}

// Tell is one sentence about the signal, for timelines: "SIGTERM from pid 1 (a)
// to pid 2 (b)".
func (k *Kill) Tell() string {
	var to []string
	for _, t := range k.Targets[:min(len(k.Targets), 4)] {
		to = append(to, fmt.Sprintf("pid %d%s", t.PID, named(t)))
	}
	if n := len(k.Targets) - 4; n > 0 {
		to = append(to, fmt.Sprintf("%d more", n))
	}
	if len(to) == 0 && k.Event.TargetArg.Known {
		to = append(to, fmt.Sprintf("pid %d", k.Event.TargetArg.V))
	}
	return fmt.Sprintf("%s from pid %d%s to %s", k.Signal, k.Sender.PID, named(k.Sender), strings.Join(to, ", "))
}

func named(p *Process) string {
	if n := p.Name(); n != "" {
		return " (" + n + ")"
	}
	return ""
}
