package threads

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Set are the samples of thread stacks in a bundle: gdb, pstack, jstack,
// py-spy and the like.
type Set struct {
	// All is in the order of the artifacts.
	All []*Sample
}

// Sample is what one moment shows of the threads of one process.
type Sample struct {
	Artifact fact.ID
	Host     string
	// Process is nil where nothing ties the sample to one; Link says what does.
	Process *join.Process
	Link    join.Link
	Threads []*fact.Thread
	// Main is the thread that runs main, nil if the sample does not show it.
	Main *fact.Thread
	// Locks are those that a thread waits for, most waiters first.
	Locks []*Lock
}

var sets = analyze.Derived[*Set]{
	Name:  "thread samples",
	Needs: []fact.Kind{"thread"},
	Build: build,
}

// Of returns the samples of thread stacks.
func Of(p *analyze.Pass) *Set { return sets.Of(p) }

func build(p *analyze.Pass) *Set {
	hosts, ps := join.HostsOf(p), join.ProcessesOf(p)
	byArtifact := map[fact.ID][]*fact.Thread{}
	for t := range fact.All[fact.Thread](p.Facts) {
		byArtifact[t.At.Artifact] = append(byArtifact[t.At.Artifact], t)
	}
	out := &Set{}
	for _, a := range p.Facts.Artifacts() {
		for _, s := range samplesIn(byArtifact[a.ID]) {
			s.Artifact, s.Host = a.ID, hosts.OfArtifact(a.ID)
			s.tie(ps)
			s.findMain()
			s.findLocks()
			out.All = append(out.All, s)
		}
	}
	return out
}

// samplesIn cuts the threads of an artifact into samples: a process or a thread
// that comes again begins one.
func samplesIn(all []*fact.Thread) []*Sample {
	type identity struct {
		lwp    int64
		number int
		name   string
	}
	var out []*Sample
	var cur *Sample
	seen := map[identity]bool{}
	for _, t := range all {
		id := identity{lwp: t.LWP.Or(0)}
		if id.lwp == 0 {
			id = identity{number: t.Number, name: t.Name}
		}
		again := seen[id] && id != identity{}
		if cur == nil || again || t.PID != cur.Threads[0].PID || t.Runtime == "jvm" && cur.Threads[0].Runtime != "jvm" {
			cur = &Sample{}
			out = append(out, cur)
			clear(seen)
		}
		seen[id] = true
		cur.Threads = append(cur.Threads, t)
	}
	return out
}

// Runtime is native, jvm, python, node or go.
func (s *Sample) Runtime() string { return s.Threads[0].Runtime }

// tie finds the process that the sample is of: by the number that the text or the
// file's name gives, by the thread numbers of a process table, or because one
// process of the host alone runs what stands at the bottom of the stacks.
func (s *Sample) tie(ps *join.Processes) {
	if pid := s.Threads[0].PID; pid.Known {
		if s.Process = ps.Get(s.Host, int(pid.V)); s.Process != nil {
			s.Link = join.Link{By: "the stacks name the pid", Sure: analyze.Confirmed}
			return
		}
	}
	base := path.Base(string(s.Artifact))
	for _, w := range strings.FieldsFunc(base, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(w)
		if err != nil {
			continue
		}
		// A single digit in a name mostly counts the samples.
		if pr := ps.Get(s.Host, n); pr != nil && (len(w) > 1 || s.runs(pr)) {
			s.Process, s.Link = pr, join.Link{By: "the file's name has the pid", Sure: analyze.Confirmed}
			return
		}
	}
	for _, pr := range ps.OnHost(s.Host) {
		if !s.runs(pr) {
			continue
		}
		if s.Process != nil {
			s.Process, s.Link = nil, join.Link{}
			return
		}
		s.Process = pr
		s.Link = join.Link{By: "the only process of the host that runs what stands at the bottom of the stacks", Sure: analyze.Likely}
	}
}

// runs reports whether the process's command line names the class or script in
// which the stacks begin.
func (s *Sample) runs(pr *join.Process) bool {
	if pr.Command == "" {
		return false
	}
	args := strings.Fields(pr.Command)
	switch s.Runtime() {
	case "jvm":
		if !strings.HasPrefix(path.Base(args[0]), "java") {
			return false
		}
	case "python":
		if !strings.Contains(path.Base(args[0]), "python") {
			return false
		}
	default:
		return false
	}
	for _, t := range s.Threads {
		n := len(t.Frames)
		if n == 0 {
			continue
		}
		last := t.Frames[n-1]
		for _, a := range args[1:] {
			class, isMain := strings.CutSuffix(last.Func, ".main")
			if isMain && a == class || last.Func == "<module>" && path.Base(a) == path.Base(last.File) {
				return true
			}
		}
	}
	return false
}

// findMain finds the thread whose number is the process's.
func (s *Sample) findMain() {
	pid := int64(0)
	if s.Process != nil {
		pid = int64(s.Process.PID)
	}
	for _, t := range s.Threads {
		if t.LWP.Known && t.LWP.V == pid || !t.LWP.Known && len(s.Threads) == 1 {
			s.Main = t
		}
	}
	if s.Main != nil || s.Runtime() != "python" {
		return
	}
	for _, t := range s.Threads {
		if n := len(t.Frames); n > 0 && t.Frames[n-1].Func == "<module>" {
			s.Main = t
			return
		}
	}
}

// Subject names the process, or the artifact where it is unknown.
func (s *Sample) Subject() string {
	if s.Process != nil {
		return s.Process.String()
	}
	return string(s.Artifact)
}

// Entities are the process, as far as known.
func (s *Sample) Entities() []analyze.Entity {
	if s.Process == nil {
		return nil
	}
	return []analyze.Entity{s.Process.Entity()}
}

// key groups the samples of one process.
func (s *Sample) key() string {
	if s.Process != nil {
		return s.Process.Entity().Key
	}
	return s.Host + "\x00" + string(s.Artifact)
}

// ByProcess groups the samples of each process, in time.
func (set *Set) ByProcess(order *join.Samples) [][]*Sample {
	var out [][]*Sample
	at := map[string]int{}
	for _, s := range set.All {
		i, ok := at[s.key()]
		if !ok {
			i = len(out)
			at[s.key()] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], s)
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b *Sample) int {
			if a.Artifact == b.Artifact {
				return 0
			}
			return cmp.Or(order.Compare(a.Artifact, b.Artifact), cmp.Compare(a.Artifact, b.Artifact))
		})
	}
	return out
}

// Name is what a person calls a thread: its name where the runtime gives
// names, else its numbers.
func Name(t *fact.Thread) string {
	switch {
	case t.Runtime == "jvm" && t.Name != "":
		return strconv.Quote(t.Name)
	case t.LWP.Known && t.Number > 0:
		return fmt.Sprintf("thread %d (LWP %d)", t.Number, t.LWP.V)
	case t.LWP.Known:
		return fmt.Sprintf("thread %d", t.LWP.V)
	case t.Number > 0:
		return fmt.Sprintf("thread %d", t.Number)
	case t.Name != "":
		return strconv.Quote(t.Name)
	}
	return fmt.Sprintf("the thread at line %d", t.At.Line)
}
