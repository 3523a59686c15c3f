package join

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Episode is a deadly signal that nobody asked the sender for, with all that
// followed from it: the signals sent in answer, who ended, who was left behind.
type Episode struct {
	Root *Kill
	// Also are equal signals of the same sender within seconds (pkill, a loop over
	// pids).
	Also []*Kill
	// Answers are signals that victims sent on.
	Answers []*Kill
	// Victims are all targets, those of Root first.
	Victims []*Process
	// Ended are statements in logs that a victim stopped, exited or died; the line
	// of the first victim first.
	Ended []*fact.LogEvent
	// Gone are victims that a later process table lacks, Later is that table.
	Gone  []*Process
	Later *fact.ProcessTable
	// Survivors are processes below the first victim that outlived it, now
	// children of pid 1 or of a subreaper, with the row that shows it.
	Survivors []*Process
	// Replaced are processes of a later table that run a victim's program.
	Replaced []*Process
	// Known is true when something other than the audit trail names a victim, so
	// that it is part of what the bundle is about.
	Known bool
	// Unlisted is true when the bundle has no process table of the host, so that
	// Known says nothing about the victims.
	Unlisted bool
}

var episodes = analyze.Derived[[]*Episode]{
	Name: "signal episodes",
	Needs: []fact.Kind{"audit_event", "process", "process_table", "log_event", "log", "host_info",
		"socket"},
	Build: buildEpisodes,
}

// EpisodesOf returns the signal episodes of the bundle, in the order of Signals.
func EpisodesOf(p *analyze.Pass) []*Episode { return episodes.Of(p) }

// foldWithin is how long one sender's equal signals count as one act.
const foldWithin = 10 * time.Second

func buildEpisodes(p *analyze.Pass) []*Episode {
	s := SignalsOf(p)
	type who struct {
		host string
		pid  int
	}
	var out []*Episode
	latest := map[who]*Episode{}
	asked := map[who][]*Kill{} // what masters ask of their own workers
	for _, k := range s.All {
		if k.Trigger != nil || !k.Deadly() && !k.deadlyUnhandled() || k.Relation == ToSelf || k.hitsTool() {
			continue
		}
		me := who{k.Host, k.Sender.PID}
		if k.Role == RoleManager && (!k.harsh() || k.escalates(asked[me])) {
			asked[me] = append(asked[me], k)
			continue
		}
		if e := latest[me]; e != nil && e.goesOn(k) {
			e.Also = append(e.Also, k)
			e.Answers = append(e.Answers, s.Answers(k)...)
			continue
		}
		e := &Episode{Root: k, Answers: slices.Clone(s.Answers(k))}
		latest[me] = e
		out = append(out, e)
	}
	b := newFates(p)
	for _, e := range out {
		e.fill(b)
	}
	var ended []*Episode
	for _, e := range out {
		if e.Root.Deadly() || e.lead(s) {
			ended = append(ended, e)
		}
	}
	return ended
}

// deadlyUnhandled reports whether the signal is one that daemons handle, to reload
// or to open their logs anew, but that ends a process without a handler. A master
// and its workers agree on what they send each other.
func (k *Kill) deadlyUnhandled() bool {
	switch k.Signal {
	case "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGVTALRM", "SIGPROF":
		return k.Role != RoleManager
	}
	return false
}

// lead makes the first call that ended a target for want of a handler the root of
// the episode: of several programs that one call reached the others handle the
// signal. It reports false if no call did.
func (e *Episode) lead(s *Signals) bool {
	for i, k := range slices.Concat([]*Kill{e.Root}, e.Also) {
		if !slices.ContainsFunc(k.Targets, func(t *Process) bool { return e.unhandled(s, t) }) {
			continue
		}
		if i > 0 {
			e.Also[i-1], e.Root = e.Root, k
		}
		return true
	}
	return false
}

// unhandled reports whether a target had no handler: it is gone from a later process
// table, nothing runs its command again, and no deadly signal hit it.
func (e *Episode) unhandled(s *Signals, t *Process) bool {
	other := slices.ContainsFunc(s.All, func(k *Kill) bool { return k.Host == e.Root.Host && k.Deadly() && k.Hits(t.PID) })
	again := slices.ContainsFunc(e.Replaced, func(r *Process) bool { return r.Command == t.Command })
	return slices.Contains(e.Gone, t) && !other && !again
}

// harsh reports whether the signal leaves its target no time to finish.
func (k *Kill) harsh() bool { return k.Signal == "SIGKILL" || k.Signal == "SIGABRT" }

// escalates reports whether the signal goes to a target that the same sender had
// asked to end before: a worker that did not obey.
func (k *Kill) escalates(before []*Kill) bool {
	return slices.ContainsFunc(before, func(b *Kill) bool {
		return k.Event.T.Sub(b.Event.T) <= escalateWithin && slices.ContainsFunc(k.Targets, func(t *Process) bool { return b.Hits(t.PID) })
	})
}

// goesOn reports whether a later signal of the same sender belongs to the episode:
// the same signal to others, SIGKILL to the same target after a grace time, or
// what a master does to more of its workers.
func (e *Episode) goesOn(k *Kill) bool {
	last := e.Root
	if n := len(e.Also); n > 0 {
		last = e.Also[n-1]
	}
	gap := k.Event.T.Sub(last.Event.T)
	again := slices.ContainsFunc(k.Targets, func(t *Process) bool { return e.Root.Hits(t.PID) })
	workers := e.Root.Role == RoleManager && len(k.Targets) > 0 && k.Targets[0].Comm == e.Root.Targets[0].Comm
	return gap <= foldWithin && (k.Signal == e.Root.Signal || again || workers) || again && gap <= escalateWithin
}

func (e *Episode) fill(b *fates) {
	add := func(list []*Process) {
		for _, t := range list {
			if !slices.Contains(e.Victims, t) {
				e.Victims = append(e.Victims, t)
			}
		}
	}
	for _, k := range slices.Concat([]*Kill{e.Root}, e.Also, e.Answers) {
		add(k.Targets)
	}
	trail := e.Root.Event.At.Artifact
	for _, v := range e.Victims {
		e.Known = e.Known || slices.ContainsFunc(v.At, func(r fact.Ref) bool { return r.Artifact != trail })
	}
	e.Unlisted = !slices.ContainsFunc(b.tables, func(t *fact.ProcessTable) bool { return t.Rows > 0 && b.hosts.Of(t.At) == e.Root.Host })
	e.Ended = b.ended(e)
	e.Known = e.Known || len(e.Ended) > 0
	e.later(b)
}

// Escalated is the SIGKILL that followed the first signal to the same target, nil
// if there was none.
func (e *Episode) Escalated() *Kill {
	for _, k := range slices.Concat(e.Also, e.Answers) {
		if k.Signal == "SIGKILL" && k.Sender.PID == e.Root.Sender.PID && len(k.Targets) > 0 && e.Root.Hits(k.Targets[0].PID) {
			return k
		}
	}
	return nil
}

// fates knows what became of processes.
type fates struct {
	ps     *Processes
	hosts  *Hosts
	clocks *Clocks
	order  *Samples
	stops  []*fact.LogEvent // that say somebody stopped
	tables []*fact.ProcessTable
	// sockets of the latest moment, and ports that a log calls taken.
	sockets *Sockets
	taken   []uint16
}

func newFates(p *analyze.Pass) *fates {
	b := &fates{ps: ProcessesOf(p), hosts: HostsOf(p), clocks: ClocksOf(p), order: SamplesOf(p), sockets: SocketsOf(p)}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno == "EADDRINUSE" {
			for _, a := range e.Addresses {
				if ap, ok := ParseAddrPort(a); ok {
					b.taken = append(b.taken, ap.Port())
				}
			}
		}
		if slices.Contains(e.Signs, fact.SignStop) || slices.Contains(e.Signs, fact.SignSignal) {
			b.stops = append(b.stops, e)
		}
	}
	for t := range fact.All[fact.ProcessTable](p.Facts) {
		b.tables = append(b.tables, t)
	}
	slices.SortStableFunc(b.tables, func(x, y *fact.ProcessTable) int { return b.order.Compare(x.At.Artifact, y.At.Artifact) })
	return b
}

// endedWithin is how long after a signal a victim's end counts as its effect.
const endedWithin = 100 * time.Second

// maxEnded bounds the log lines of one episode.
const maxEnded = 12

// ended lists log lines of the host that state the end of a victim, or that a
// victim's own log says it received the signal.
func (b *fates) ended(e *Episode) []*fact.LogEvent {
	var out []*fact.LogEvent
	for _, l := range b.stops {
		if len(out) >= maxEnded {
			break
		}
		if b.hosts.Of(l.At) != e.Root.Host || !b.names(l, e) {
			continue
		}
		at, off, ok := b.clocks.UTC(l.At.Artifact, l.Time)
		if !ok && l.Known() || ok && e.Root.At.IsZero() {
			continue
		}
		if gap := at.Sub(e.Root.At); ok && (gap < -off-2*time.Second || gap > endedWithin) {
			continue
		}
		out = append(out, l)
	}
	return out
}

// names reports whether a log line is about a victim.
func (b *fates) names(l *fact.LogEvent, e *Episode) bool {
	if n, ok := e.Root.inner(); ok && l.Signal == e.Root.Signal && (l.PID.Or(0) == n || strings.HasSuffix(l.Source, fmt.Sprintf("[%d]", n))) {
		return true
	}
	for _, v := range e.Victims {
		if slices.Contains(l.PIDs, v.PID) || l.PID.Known && l.PID.V == int64(v.PID) {
			return true
		}
		// "[shopd 10425]": a source that ends in the pid.
		if strings.HasSuffix(l.Source, fmt.Sprintf(" %d", v.PID)) {
			return true
		}
		if l.Signal == e.Root.Signal && slices.Contains(v.Logs, l.At.Artifact) {
			return true
		}
	}
	return false
}

// later compares the tables before and after: who is gone, who stayed as an
// orphan, who came instead.
func (e *Episode) later(b *fates) {
	after := b.tableAfter(e)
	if after == nil {
		e.holders(b)
		return
	}
	e.Later = after
	inAfter := func(p *Process) *fact.Process {
		for _, r := range p.Rows {
			if r.At.Artifact == after.At.Artifact && r.At.Line >= after.At.Line {
				if r.Defunct || strings.HasPrefix(r.State, "Z") {
					return nil // it ended, and nobody has collected it yet
				}
				return r
			}
		}
		return nil
	}
	for _, v := range e.Victims {
		if len(v.Rows) > 0 && inAfter(v) == nil {
			e.Gone = append(e.Gone, v)
		}
	}
	for _, v := range e.Root.Targets {
		if slices.Contains(e.Gone, v) || e.Root.Signal == "SIGKILL" {
			e.survivors(v, inAfter)
		}
	}
	for _, p := range b.ps.OnHost(e.Root.Host) {
		row := inAfter(p)
		if row == nil || slices.Contains(e.Victims, p) || slices.Contains(e.Survivors, p) || len(p.Rows) > 1 {
			continue
		}
		if slices.ContainsFunc(e.Victims, func(v *Process) bool { return v.Command != "" && v.Command == p.Command }) {
			e.Replaced = append(e.Replaced, p)
		}
	}
}

// holders finds survivors without a later process table: whoever below the target
// owns a listening socket while others, after the signal, fail to bind its port.
func (e *Episode) holders(b *fates) {
	for _, s := range b.sockets.All {
		if s.Host != e.Root.Host || !s.Listening() || !slices.Contains(b.taken, s.Local.Port()) {
			continue
		}
		for _, o := range s.Owners {
			below := slices.ContainsFunc(e.Root.Targets, func(t *Process) bool { return t.IsAncestorOf(o) })
			if below && !slices.Contains(e.Survivors, o) && !slices.Contains(e.Victims, o) {
				e.Survivors = append(e.Survivors, o)
			}
		}
	}
}

func (e *Episode) survivors(v *Process, inAfter func(*Process) *fact.Process) {
	for _, c := range v.Children {
		row := inAfter(c)
		if row == nil || slices.Contains(e.Survivors, c) {
			continue
		}
		e.Survivors = append(e.Survivors, c)
		e.survivors(c, inAfter)
	}
}

// tableAfter is the last process table of the host, if it can be compared with an
// earlier one: both hold a process that is still the same.
func (b *fates) tableAfter(e *Episode) *fact.ProcessTable {
	var mine []*fact.ProcessTable
	for _, t := range b.tables {
		if b.hosts.Of(t.At) == e.Root.Host && t.Tool != "pidstat" && t.Rows > 0 && b.comparable(t, e) {
			mine = append(mine, t)
		}
	}
	if len(mine) < 2 || mine[0].At.Artifact == mine[len(mine)-1].At.Artifact && mine[0] == mine[len(mine)-1] {
		return nil
	}
	last := mine[len(mine)-1]
	if slices.ContainsFunc(e.Root.Targets, func(t *Process) bool { return t.onlyIn(last) }) {
		return nil // the target was started after the earlier table; nothing to compare
	}
	return last
}

// comparable reports whether a table can tell what became of an episode's
// processes: it has processes in common with one that lists them.
func (b *fates) comparable(t *fact.ProcessTable, e *Episode) bool {
	listed := false
	for _, pr := range append(slices.Clone(e.Victims), e.Root.Sender) {
		if b.ps.lines.holds(t.At.Artifact, pr) {
			return true
		}
		listed = listed || len(pr.Rows) > 0
	}
	return !listed
}

func (p *Process) onlyIn(t *fact.ProcessTable) bool {
	return len(p.Rows) > 0 && !slices.ContainsFunc(p.Rows, func(r *fact.Process) bool { return r.At.Artifact != t.At.Artifact })
}

// Tree is a process with its ancestors, nearest first, as one line: "30000 (node
// ssr) < 29986 (node index.js) < 29974 (GOD v2.3.0)".
func (p *Process) Tree() string {
	var parts []string
	for _, a := range append([]*Process{p}, p.Ancestors()...) {
		if len(parts) == 6 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, strings.TrimPrefix(a.String(), "process "))
	}
	return strings.Join(parts, " < ")
}
