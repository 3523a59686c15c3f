package join

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// DumpOwner is the process that a goroutine dump or profile is of.
type DumpOwner struct {
	Process *Process
	Link    Link
	// At are the positions that tie them, the deciding one first.
	At []fact.Ref
}

// Dumps says which process each goroutine dump and profile is of.
type Dumps struct {
	of map[fact.ID]DumpOwner
	// stacks of each dump artifact: source file names of its application frames.
	files map[fact.ID]map[string]bool
}

var dumps = analyze.Derived[*Dumps]{
	Name:  "dump owners",
	Needs: []fact.Kind{"dump", "goroutine", "goroutine_group", "profile", "log", "log_event", "socket"},
	Build: buildDumps,
}

// DumpsOf returns the owners of the bundle's dumps.
func DumpsOf(p *analyze.Pass) *Dumps { return dumps.Of(p) }

// Owner is the process that a dump or profile is of; Process is nil if nothing
// ties it to one.
func (d *Dumps) Owner(id fact.ID) DumpOwner {
	if o, ok := d.of[id]; ok {
		return o
	}
	outer, _, _ := strings.Cut(string(id), "!")
	return d.of[fact.ID(outer)]
}

// candidate is a process that a dump could be of, with what speaks for it.
type candidate struct {
	pr    *Process
	score int
	by    []string
	at    []fact.Ref
}

// Weights of the signs; they only order candidates of one dump. A pid in the
// file's name outweighs all others together.
const (
	weightPID     = 100
	weightSource  = 20 // its log cites source files that stand in the stacks
	weightName    = 10 // the dump's name or main package bears the program's name
	weightListen  = 4  // as many listeners as accept loops
	weightSockets = 2  // it owns sockets at all, as a service does
)

func buildDumps(p *analyze.Pass) *Dumps {
	d := &Dumps{of: map[fact.ID]DumpOwner{}, files: map[fact.ID]map[string]bool{}}
	accepts := map[fact.ID]int{}
	note := func(id fact.ID, frames []fact.Frame, n int) {
		if d.files[id] == nil {
			d.files[id] = map[string]bool{}
		}
		for _, f := range frames {
			if strings.HasSuffix(f.Func, ".Accept") && strings.HasPrefix(f.Func, "net.(*TCPListener)") {
				accepts[id] += n
			}
			if f.File != "" && Application(f) {
				d.files[id][f.File] = true
			}
		}
	}
	for g := range fact.All[fact.Goroutine](p.Facts) {
		if g.Dump <= 1 {
			note(g.At.Artifact, g.Frames, 1)
		}
	}
	for g := range fact.All[fact.GoroutineGroup](p.Facts) {
		note(g.At.Artifact, g.Frames, int(g.Count))
	}
	for pr := range fact.All[fact.Profile](p.Facts) {
		note(pr.At.Artifact, nil, 0)
	}
	m := &dumpMatcher{p: p, hosts: HostsOf(p), ps: ProcessesOf(p), sockets: SocketsOf(p), logFiles: logSources(p), paths: d.paths()}
	for _, a := range p.Facts.Artifacts() {
		if files, ok := d.files[a.ID]; ok {
			d.of[a.ID] = m.owner(a.ID, files, accepts[a.ID])
		}
	}
	d.shareOwners(m.hosts, p)
	return d
}

// shareOwners gives dumps of one host that nothing ties to a process the owner of
// the dumps whose source files they share.
func (d *Dumps) shareOwners(h *Hosts, p *analyze.Pass) {
	for _, a := range p.Facts.Artifacts() {
		if o, ok := d.of[a.ID]; !ok || o.Process != nil {
			continue
		}
		for _, b := range p.Facts.Artifacts() {
			o := d.of[b.ID]
			if o.Process == nil || h.OfArtifact(a.ID) != h.OfArtifact(b.ID) {
				continue
			}
			for f := range d.files[a.ID] {
				if d.files[b.ID][f] {
					d.of[a.ID] = DumpOwner{Process: o.Process, At: o.At, Link: Link{By: "the same source files as " + string(b.ID), Sure: o.Link.Sure.Lower()}}
				}
			}
		}
	}
}

// paths counts the source files of each base name in all dumps. Every program has
// a main.go.
func (d *Dumps) paths() map[string]int {
	seen, out := map[string]bool{}, map[string]int{}
	for _, files := range d.files {
		for f := range files {
			if !seen[f] {
				seen[f] = true
				out[path.Base(f)]++
			}
		}
	}
	return out
}

type dumpMatcher struct {
	paths    map[string]int
	p        *analyze.Pass
	hosts    *Hosts
	ps       *Processes
	sockets  *Sockets
	logFiles map[fact.ID]map[string]fact.Ref
}

// owner picks the process that most signs point to. Without any sign the only Go
// program of the host is taken, because everything else on it is known not to be
// one; two equally good candidates are none.
func (m *dumpMatcher) owner(id fact.ID, files map[string]bool, accepts int) DumpOwner {
	host := m.hosts.OfArtifact(id)
	var list []candidate
	for _, pr := range m.ps.OnHost(host) {
		if c, ok := m.judge(pr, id, files, accepts); ok {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return DumpOwner{}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	best := list[0]
	if len(list) > 1 && list[1].score == best.score {
		return DumpOwner{}
	}
	link := Link{By: strings.Join(best.by, "; "), Sure: analyze.Likely}
	switch {
	case best.score >= weightPID:
		link.Sure = analyze.Confirmed
	case best.score < weightName && len(list) > 1:
		link.Sure = analyze.Possible
	case best.score < weightName:
		link.By = "the only program of the host that can be a Go service" + strings.TrimSuffix("; "+link.By, "; ")
	}
	if at, ok := best.pr.Cite(); ok {
		best.at = append([]fact.Ref{at}, best.at...)
	}
	return DumpOwner{Process: best.pr, Link: link, At: best.at}
}

// judge weighs one process. Scripts, kernel threads, shells and the tools that
// collect bundles are no Go services.
func (m *dumpMatcher) judge(pr *Process, id fact.ID, files map[string]bool, accepts int) (candidate, bool) {
	c := candidate{pr: pr}
	for _, w := range words(path.Base(string(id))) {
		if w == strconv.Itoa(pr.PID) {
			c.score += weightPID
			c.by = append(c.by, "the file's name has the pid")
		}
	}
	if outer, _, inner := strings.Cut(string(id), "!"); inner && slices.Contains(pr.Logs, fact.ID(outer)) {
		c.score += weightPID
		c.by = append(c.by, "it stands in the log that the process writes")
	}
	if pr.Interpreted() || notServices[program(pr)] || len(pr.Rows) > 0 && pr.Rows[0].Kernel {
		return c, false
	}
	if len(pr.Rows) == 0 && pr.Comm == "" && c.score == 0 {
		return c, false
	}
	if name := program(pr); name != "" && nameFits(name, id, files) {
		c.score += weightName
		c.by = append(c.by, fmt.Sprintf("the program %s is named there", name))
	}
	for _, log := range pr.Logs {
		for _, f := range slices.Sorted(maps.Keys(files)) {
			if at, ok := m.logFiles[log][path.Base(f)]; ok && m.paths[path.Base(f)] == 1 {
				c.score += weightSource
				c.by = append(c.by, fmt.Sprintf("its log %s cites %s", log, path.Base(f)))
				c.at = append(c.at, at)
				break
			}
		}
	}
	listeners, owned := 0, 0
	for _, s := range m.sockets.All {
		if slices.Contains(s.Owners, pr) {
			owned++
			if s.State == fact.StateListen {
				listeners++
			}
		}
	}
	if owned > 0 {
		c.score += weightSockets
	}
	if listeners > 0 && listeners == accepts {
		c.score += weightListen
		c.by = append(c.by, fmt.Sprintf("it has %s, the dump %s", Count(listeners, "listener"), Count(accepts, "accept loop")))
	}
	slices.Sort(c.by)
	return c, true
}

// program is the base name of what the process runs.
func program(pr *Process) string {
	if argv := strings.Fields(pr.Command); len(argv) > 0 {
		return path.Base(argv[0])
	}
	return pr.Comm
}

// nameFits reports whether a program's name stands in the dump's file name or is
// the folder of its sources (/src/quotepush for quotepushd).
func nameFits(name string, id fact.ID, files map[string]bool) bool {
	low := strings.ToLower(name)
	if len(low) >= 3 && slices.Contains(words(path.Base(string(id))), low) {
		return true
	}
	for f := range files {
		for dir := path.Dir(f); len(dir) > 1; dir = path.Dir(dir) {
			d := strings.ToLower(path.Base(dir))
			if len(d) >= 4 && (strings.HasPrefix(low, d) || strings.HasPrefix(d, low) && len(low) >= 4) {
				return true
			}
		}
	}
	return false
}

// notServices are programs that stand in every process table of a bundle and are
// no Go services: shells are interpreters already, these collect or idle.
var notServices = map[string]bool{
	"ps": true, "top": true, "ss": true, "netstat": true, "lsof": true, "tcpdump": true, "tshark": true,
	"dumpcap": true, "strace": true, "gdb": true, "curl": true, "wget": true, "tar": true, "sleep": true,
	"systemd": true, "init": true, "sshd": true, "cron": true, "auditd": true, "rsyslogd": true, "dbus-daemon": true,
	"nginx": true, "redis-server": true, "postgres": true, "mysqld": true, "haproxy": true, "memcached": true,
	"tini": true, "dumb-init": true,
}

// logSources finds source files that logs cite ("hub.go:35:"), as Go's log
// package and others print them.
func logSources(p *analyze.Pass) map[fact.ID]map[string]fact.Ref {
	out := map[fact.ID]map[string]fact.Ref{}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		for _, w := range strings.Fields(e.Source + " " + e.Text) {
			file, _, ok := strings.Cut(w, ":")
			if !ok || !strings.HasSuffix(file, ".go") {
				continue
			}
			id := e.At.Artifact
			if out[id] == nil {
				out[id] = map[string]fact.Ref{}
			}
			if _, have := out[id][path.Base(file)]; !have {
				out[id][path.Base(file)] = e.At
			}
		}
	}
	return out
}

// Application reports whether a Go frame is the program's own code or a library's.
func Application(f fact.Frame) bool { return f.Application() }
