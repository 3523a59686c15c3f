// Package loop gathers what gdb and strace show of event-loop processes: where
// their main thread stands, sample by sample, and what they read and wrote.
package loop

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/threads"
)

// Process is one process with its samples.
type Process struct {
	*join.Process
	// Stacks are samples of its threads by gdb and the like.
	Stacks []*threads.Sample
	// Traces are its traces by strace, one an artifact.
	Traces []*Trace
}

// Trace is one strace of the process.
type Trace struct {
	Threads []*fact.Trace
	// Main is the thread whose number is the process's.
	Main *fact.Trace
}

var processes = analyze.Derived[[]*Process]{
	Name:  "event loops",
	Needs: []fact.Kind{"trace"},
	Build: build,
}

// Of returns the processes that threads or traces were sampled of, by host and pid.
func Of(p *analyze.Pass) []*Process { return processes.Of(p) }

func build(p *analyze.Pass) []*Process {
	b := &builder{hosts: join.HostsOf(p), ps: join.ProcessesOf(p), sockets: join.SocketsOf(p), messages: map[string]int{}, of: map[*join.Process]*Process{}}
	traces := map[fact.ID][]*fact.Trace{}
	for t := range fact.All[fact.Trace](p.Facts) {
		traces[t.At.Artifact] = append(traces[t.At.Artifact], t)
	}
	for _, a := range p.Facts.Artifacts() {
		// strace's messages in a file of their own, beside the trace.
		id, threads := a.ID, traces[a.ID]
		if len(threads) == 1 && threads[0].Calls == 0 && threads[0].Unfinished == "" && threads[0].PID > 0 {
			b.messages[stem(id)] = threads[0].PID
		}
	}
	for _, s := range threads.Of(p).All {
		b.stack(s)
	}
	for _, a := range p.Facts.Artifacts() {
		if threads := traces[a.ID]; threads != nil {
			b.trace(a.ID, threads)
		}
	}
	slices.SortFunc(b.all, func(a, c *Process) int {
		return cmp.Or(cmp.Compare(a.Host, c.Host), cmp.Compare(a.PID, c.PID))
	})
	return b.all
}

type builder struct {
	hosts   *join.Hosts
	ps      *join.Processes
	sockets *join.Sockets
	// messages are the processes that strace's own messages name, by the path of
	// the file without its extension.
	messages map[string]int
	of       map[*join.Process]*Process
	all      []*Process
}

func (b *builder) get(pr *join.Process) *Process {
	if pr == nil {
		return nil
	}
	have := b.of[pr]
	if have == nil {
		have = &Process{Process: pr}
		b.of[pr] = have
		b.all = append(b.all, have)
	}
	return have
}

func (b *builder) stack(s *threads.Sample) {
	if s.Runtime() == "go" || s.Runtime() == "jvm" {
		return // their schedulers park threads in epoll for other reasons
	}
	if pr := b.get(s.Process); pr != nil {
		pr.Stacks = append(pr.Stacks, s)
	}
}

func (b *builder) trace(id fact.ID, threads []*fact.Trace) {
	host := b.hosts.OfArtifact(id)
	pid := b.named(host, id)
	if threads[0].PID == 0 && pid == 0 {
		pid = b.messages[stem(id)]
	}
	for _, t := range threads {
		// A thread's number that is a process of its own is the main thread.
		if pr := b.ps.Get(host, t.PID); pr != nil && t.PID > 0 && (pid == 0 || len(threads) > 1 && t.PID < pid && b.ps.Get(host, pid) == nil) {
			pid = t.PID
		}
	}
	pr := b.get(b.ps.Get(host, pid))
	if pr == nil && len(threads) == 1 {
		pr = b.get(b.owner(host, threads[0]))
	}
	if pr == nil {
		return
	}
	tr := &Trace{Threads: threads}
	for _, t := range threads {
		if t.PID == pr.PID || t.PID == 0 && len(threads) == 1 {
			tr.Main = t
		}
	}
	pr.Traces = append(pr.Traces, tr)
}

func stem(id fact.ID) string { return strings.TrimSuffix(string(id), path.Ext(string(id))) }

// owner is the process that a socket table names for every socket descriptor of a
// trace that names no process itself; nil when they do not agree.
func (b *builder) owner(host string, t *fact.Trace) *join.Process {
	var found *join.Process
	for _, d := range t.FDs {
		if d.Reads+d.Writes == 0 || d.FD <= 2 || strings.HasPrefix(d.Name, "/") {
			continue
		}
		var holder *join.Process
		for _, s := range b.sockets.All {
			for _, row := range s.Rows {
				for _, o := range row.Owners {
					if s.Host == host && o.FD.Known && int(o.FD.V) == d.FD {
						if holder != nil && holder.PID != o.PID {
							return nil // two processes have that descriptor
						}
						holder = b.ps.Get(host, o.PID)
					}
				}
			}
		}
		if holder == nil || found != nil && found != holder {
			continue
		}
		found = holder
	}
	return found
}

// named is the process whose number stands in the artifact's name, 0 if none.
func (b *builder) named(host string, id fact.ID) int {
	name := path.Base(string(id))
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(w); err == nil && len(w) > 1 && b.ps.Get(host, n) != nil {
			return n
		}
	}
	return 0
}
