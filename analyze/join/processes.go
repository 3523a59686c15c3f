package join

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Process is one process of one host, joined from every artifact that names it.
type Process struct {
	Host string
	PID  int
	// PPID is the parent's pid, zero if unknown. Parent is set where it is known.
	PPID     int
	Parent   *Process
	Children []*Process
	// Comm is the short name as tools print it ("node"), Command the longest
	// command line known, "" if only the short name was seen.
	Comm    string
	Command string
	User    string
	// Rows are its rows in process tables, earliest table first.
	Rows []*fact.Process
	// At are positions that name it, best first: a process row, an audit record, a
	// socket's owner.
	At []fact.Ref
	// Logs are artifacts that say they are written by it.
	Logs []fact.ID
	// Gone is true when a later complete process table no longer has it.
	Gone bool

	prefix string
}

// Processes holds all processes of a bundle.
type Processes struct {
	// All is sorted by host and pid; a reused pid has several entries, by time.
	All   []*Process
	byPID map[pidKey][]*Process
	hosts *Hosts
	lines *lineages
}

// pidKey is a pid on a host; a trail can name a hundred thousand of them.
type pidKey struct {
	host string
	pid  int
}

var processes = analyze.Derived[*Processes]{
	Name: "processes",
	Needs: []fact.Kind{"process", "process_table", "socket", "open_file", "audit_event",
		"kernel_event", "thread", "log", "log_event"},
	Build: buildProcesses,
}

// ProcessesOf returns the processes of the bundle.
func ProcessesOf(p *analyze.Pass) *Processes { return processes.Of(p) }

// Get is the process with a pid on a host, nil if no artifact names it. Where the
// pid was used more than once, it is the first of them.
func (ps *Processes) Get(host string, pid int) *Process {
	if list := ps.byPID[pidKey{host, pid}]; len(list) > 0 {
		return list[0]
	}
	return nil
}

// OnHost yields the processes of one host, by pid.
func (ps *Processes) OnHost(host string) []*Process {
	var out []*Process
	for _, pr := range ps.All {
		if pr.Host == host {
			out = append(out, pr)
		}
	}
	return out
}

// Entity is the process's identity.
func (p *Process) Entity() analyze.Entity {
	return analyze.Entity{Kind: KindProcess, Key: keyed(p.Host, "%d", p.PID), Name: p.Name()}
}

// String names it for subjects: "process 3989 (quotepushd)", with the host before
// it in a bundle of several hosts.
func (p *Process) String() string {
	if n := p.Name(); n != "" {
		return fmt.Sprintf("%sprocess %d (%s)", p.prefix, p.PID, n)
	}
	return fmt.Sprintf("%sprocess %d", p.prefix, p.PID)
}

// Brief is String for use in brackets: "pid 3989, quotepushd".
func (p *Process) Brief() string {
	if n := p.Name(); n != "" {
		return fmt.Sprintf("%spid %d, %s", p.prefix, p.PID, n)
	}
	return fmt.Sprintf("%spid %d", p.prefix, p.PID)
}

// Name is what a person calls it: the program, and for an interpreter its script:
// "quotepushd", "node app.js". It is "" if nothing is known.
func (p *Process) Name() string {
	argv := strings.Fields(p.Command)
	if len(argv) == 0 {
		return p.Comm
	}
	prog := strings.TrimSuffix(path.Base(strings.TrimSuffix(argv[0], ":")), ":")
	if !interprets(prog) {
		return cmp.Or(prog, p.Comm)
	}
	if word, _ := scriptWord(argv[1:]); word != "" {
		return prog + " " + path.Base(word)
	}
	return prog
}

// Describe is Name with pid and the first arguments, for details.
func (p *Process) Describe() string {
	cmd := cmp.Or(p.Command, p.Comm, "unknown program")
	const limit = 120
	if len(cmd) > limit {
		cmd = strings.ToValidUTF8(cmd[:limit], "") + "…"
	}
	return fmt.Sprintf("pid %d: %s", p.PID, cmd)
}

// interpreters are programs whose script says more than they do.
var interpreters = map[string]bool{
	"node": true, "nodejs": true, "python": true, "ruby": true, "perl": true, "java": true,
	"php": true, "bash": true, "sh": true, "dash": true, "zsh": true, "deno": true, "bun": true,
}

// Interpreted reports whether the process runs a script in an interpreter, so
// that it cannot be a compiled program such as a Go service.
func (p *Process) Interpreted() bool {
	prog := p.Comm
	if argv := strings.Fields(p.Command); len(argv) > 0 {
		prog = path.Base(argv[0])
	}
	return interprets(prog)
}

// Ancestors are the parent, its parent and so on, as far as they are known.
func (p *Process) Ancestors() []*Process {
	var out []*Process
	for a := p.Parent; a != nil && !slices.Contains(out, a) && a != p; a = a.Parent {
		out = append(out, a)
	}
	return out
}

// IsAncestorOf reports whether p is a parent, grandparent, ... of o.
func (p *Process) IsAncestorOf(o *Process) bool { return slices.Contains(o.Ancestors(), p) }

// Cite is the best position that names the process.
func (p *Process) Cite() (fact.Ref, bool) {
	if len(p.At) == 0 {
		return fact.Ref{}, false
	}
	return p.At[0], true
}

func buildProcesses(pass *analyze.Pass) *Processes {
	b := &processBuilder{ps: &Processes{byPID: map[pidKey][]*Process{}, hosts: HostsOf(pass)}}
	for _, row := range rowsInTime(pass) {
		b.row(row)
	}
	b.audit(pass)
	for s := range fact.All[fact.Socket](pass.Facts) {
		for _, o := range s.Owners {
			b.named(b.ps.hosts.Of(s.At), o.PID, o.Process, s.At)
		}
	}
	for f := range fact.All[fact.OpenFile](pass.Facts) {
		b.named(b.ps.hosts.Of(f.At), f.PID, f.Process, f.At)
	}
	for e := range fact.All[fact.KernelEvent](pass.Facts) {
		b.named(b.ps.hosts.Of(e.At), e.PID, e.Comm, e.At)
	}
	for t := range fact.All[fact.Thread](pass.Facts) {
		if t.PID.Known {
			b.named(b.ps.hosts.Of(t.At), int(t.PID.V), "", t.At)
		}
	}
	for l := range fact.All[fact.Log](pass.Facts) {
		for _, pid := range l.PIDs {
			if pr := b.named(b.ps.hosts.Of(l.At), pid, "", l.At); pr != nil {
				pr.Logs = append(pr.Logs, l.At.Artifact)
			}
		}
	}
	return b.finish(pass)
}

// rowsInTime lists the rows of process tables, earliest table first.
func rowsInTime(pass *analyze.Pass) []*fact.Process {
	var rows []*fact.Process
	for row := range fact.All[fact.Process](pass.Facts) {
		if !row.Thread {
			rows = append(rows, row)
		}
	}
	order := SamplesOf(pass)
	slices.SortStableFunc(rows, func(a, b *fact.Process) int { return order.Compare(a.At.Artifact, b.At.Artifact) })
	return rows
}

type processBuilder struct{ ps *Processes }

// row adds a process table's row: to the entry it continues, or as a new process
// when pid and parent agree but the program cannot be the same any more.
func (b *processBuilder) row(row *fact.Process) {
	host := b.ps.hosts.Of(row.At)
	key := pidKey{host, row.PID}
	var pr *Process
	for _, have := range b.ps.byPID[key] {
		if have.continues(row) {
			pr = have
		}
	}
	if pr == nil {
		pr = b.add(host, row.PID)
	}
	pr.Rows = append(pr.Rows, row)
	pr.At = append(pr.At, row.At)
	if row.PPID.Known && (pr.PPID == 0 || row.PPID.V != 1) {
		// A child whose parent died moves to pid 1; its first parent says more.
		if pr.PPID == 0 {
			pr.PPID = int(row.PPID.V)
		}
	}
	pr.User = cmp.Or(pr.User, row.User)
	switch {
	case row.CommandCut:
		pr.Comm = cmp.Or(pr.Comm, strings.TrimSuffix(row.Command, "+"))
	case len(row.Command) > len(pr.Command):
		pr.Command = row.Command
	}
}

// continues reports whether a row of another table can be the same process: the
// same command, or the same parent with a command that an exec or a title change
// explains.
func (p *Process) continues(row *fact.Process) bool {
	if len(p.Rows) == 0 {
		return true
	}
	for _, have := range p.Rows {
		if have.At.Artifact == row.At.Artifact && have.At.Line != row.At.Line && !have.TID.Known && !row.TID.Known {
			continue
		}
		sameCommand := have.Command == row.Command || have.CommandCut || row.CommandCut || have.Defunct || row.Defunct
		sameParent := !have.PPID.Known || !row.PPID.Known || have.PPID.V == row.PPID.V
		if sameCommand || sameParent {
			return true
		}
	}
	return false
}

func (b *processBuilder) add(host string, pid int) *Process {
	pr := &Process{Host: host, PID: pid, prefix: b.ps.hosts.Prefix(host)}
	key := pidKey{host, pid}
	b.ps.byPID[key] = append(b.ps.byPID[key], pr)
	b.ps.All = append(b.ps.All, pr)
	return pr
}

// maxNamings bounds the positions kept for one process.
const maxNamings = 64

// named records that an artifact names a process, with its short name if printed.
func (b *processBuilder) named(host string, pid int, comm string, at fact.Ref) *Process {
	if pid <= 0 {
		return nil
	}
	pr := b.ps.Get(host, pid)
	if pr == nil {
		pr = b.add(host, pid)
	}
	if len(pr.At) < maxNamings {
		pr.At = append(pr.At, at)
	}
	if comm != "" && (pr.Comm == "" || len(comm) > len(pr.Comm)) && !strings.Contains(comm, "/") {
		pr.Comm = comm
	}
	return pr
}

// audit adds the processes of audit events: the caller with its parent and
// command line, and the targets of signals.
func (b *processBuilder) audit(pass *analyze.Pass) {
	for e := range fact.All[fact.AuditEvent](pass.Facts) {
		host := b.ps.hosts.Of(e.At)
		if named, ok := b.ps.hosts.Named(e.Node); ok && b.ps.hosts.Several() {
			host = named
		}
		if pr := b.named(host, e.PID, e.Comm, e.At); pr != nil {
			if pr.PPID == 0 {
				pr.PPID = e.PPID
			}
			// A shell's title before exec is no better than its row in ps.
			if cmd := strings.Join(e.Argv, " "); pr.Command == "" || cmd != "" && pr.defunct() {
				pr.Command = cmd
			}
		}
		for _, t := range e.Targets {
			at := t.At
			if at.IsZero() {
				at = e.At
			}
			b.named(host, t.PID, t.Comm, at)
		}
	}
}

// defunct reports whether tables show the process only after its end, when its
// arguments are gone.
func (p *Process) defunct() bool {
	return len(p.Rows) > 0 && !slices.ContainsFunc(p.Rows, func(r *fact.Process) bool { return !r.Defunct })
}

// finish links parents, sorts, and marks what a later complete table lacks.
func (b *processBuilder) finish(pass *analyze.Pass) *Processes {
	ps := b.ps
	slices.SortStableFunc(ps.All, func(a, c *Process) int {
		return cmp.Or(cmp.Compare(a.Host, c.Host), cmp.Compare(a.PID, c.PID))
	})
	for _, pr := range ps.All {
		if pr.PPID == 0 {
			continue
		}
		if parent := ps.Get(pr.Host, pr.PPID); parent != nil && parent != pr {
			pr.Parent = parent
			parent.Children = append(parent.Children, pr)
		}
	}
	ps.lines = buildLineages(ps.All)
	ps.gone(pass)
	return ps
}

// gone marks the processes that the last complete table of their host lacks, if an
// earlier one has them.
func (ps *Processes) gone(pass *analyze.Pass) {
	order := SamplesOf(pass)
	type line struct {
		host string
		root fact.ID
	}
	first, last := map[line]*fact.ProcessTable{}, map[line]*fact.ProcessTable{}
	for t := range fact.All[fact.ProcessTable](pass.Facts) {
		if !t.All {
			continue
		}
		key := line{ps.hosts.Of(t.At), ps.lines.root(t.At.Artifact)}
		if have := last[key]; have == nil || order.Compare(have.At.Artifact, t.At.Artifact) < 0 {
			last[key] = t
		}
		if have := first[key]; have == nil || order.Compare(t.At.Artifact, have.At.Artifact) < 0 {
			first[key] = t
		}
	}
	for _, pr := range ps.All {
		if len(pr.Rows) == 0 {
			continue
		}
		key := line{pr.Host, ps.lines.root(pr.Rows[0].At.Artifact)}
		if t := last[key]; t != nil && first[key] != t {
			pr.Gone = !slices.ContainsFunc(pr.Rows, func(r *fact.Process) bool { return r.At.Artifact == t.At.Artifact })
		}
	}
}
