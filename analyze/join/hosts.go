package join

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Hosts says which host each artifact comes from. In a bundle of one host the
// name is "" throughout, so that subjects stay short.
type Hosts struct {
	// Names are the hosts, sorted; one empty name for a bundle of one host.
	Names []string
	// Title is what the only host calls itself (uname, hostname), "" if unknown.
	Title string
	of    map[fact.ID]string
	byID  map[string]string // a host's own name to the name used here
}

var hosts = analyze.Derived[*Hosts]{
	Name:  "hosts",
	Needs: []fact.Kind{"host_info", "process", "socket", "flow"},
	Build: buildHosts,
}

// HostsOf returns the hosts of the bundle.
func HostsOf(p *analyze.Pass) *Hosts { return hosts.Of(p) }

// HostOf says which host an artifact comes from. It is what analyze.Config.Hosts takes.
func HostOf(p *analyze.Pass) func(fact.ID) string { return HostsOf(p).OfArtifact }

// Of is the host that a position comes from.
func (h *Hosts) Of(r fact.Ref) string { return h.OfArtifact(r.Artifact) }

// OfArtifact is the host that an artifact comes from. One found inside another
// comes from the same host.
func (h *Hosts) OfArtifact(id fact.ID) string {
	if name, ok := h.of[id]; ok {
		return name
	}
	outer, _, _ := strings.Cut(string(id), "!")
	return h.of[fact.ID(outer)]
}

// Several reports whether the bundle holds more than one host.
func (h *Hosts) Several() bool { return len(h.Names) > 1 }

// Named is the host that calls itself name (audit's node=, a log's host column).
func (h *Hosts) Named(name string) (string, bool) {
	host, ok := h.byID[name]
	return host, ok
}

// Prefix is "host: " in a bundle of several hosts and "" otherwise, for subjects.
func (h *Hosts) Prefix(host string) string {
	if !h.Several() || host == "" {
		return ""
	}
	return host + ": "
}

// Entity is the identity of a host.
func (h *Hosts) Entity(host string) analyze.Entity {
	return analyze.Entity{Kind: KindHost, Key: host, Name: cmp.Or(host, h.Title)}
}

// folder is what the artifacts below one top folder say about their host.
type folder struct {
	name     string
	hostname string
	procs    map[int]string  // pid to command
	sockets  map[string]bool // local addresses that are not loopback or wildcard
	listens  map[string]bool // addresses and ports of listeners
	paths    map[string]bool // folders with captures of the same connections from elsewhere
}

// buildHosts follows the manifest, else tells hosts apart by their top folders:
// folders are different hosts when they call themselves differently, when their
// process tables give the same pids to different programs, or when their captures
// show the same packets at different hops or by different clocks. Folders of one
// host (before/, after/, logs/) do neither, and then there is one host. Files
// beside each other whose names begin or end alike count as folders.
func buildHosts(p *analyze.Pass) *Hosts {
	h := &Hosts{of: map[fact.ID]string{}, byID: map[string]string{}}
	arts := p.Facts.Artifacts()
	manifest := false
	for _, a := range arts {
		manifest = manifest || a.Host != ""
	}
	tops := topFolders(arts)
	loose := slices.DeleteFunc(slices.Clone(arts), func(a fact.Artifact) bool { return tops[a.ID] != "" })
	maps.Copy(tops, tagFiles(loose, hostnames(p)))
	if manifest {
		for _, a := range arts {
			h.of[a.ID] = a.Host
		}
	}
	folders := describeFolders(p, tops)
	if !manifest && differ(folders) {
		names := nameFolders(folders)
		for id, top := range tops {
			h.of[id] = names[top]
		}
	}
	seen := map[string]bool{}
	for _, a := range arts {
		seen[h.of[a.ID]] = true
	}
	h.Names = slices.Sorted(maps.Keys(seen))
	if len(h.Names) > 1 {
		h.Names = slices.DeleteFunc(h.Names, func(n string) bool { return n == "" })
	} else {
		// One host needs no name in subjects.
		h.of = map[fact.ID]string{}
		h.Names = []string{""}
	}
	h.ownNames(p)
	return h
}

// ownNames learns what the hosts call themselves. A name that two of them use, as
// clones do, tells of neither.
func (h *Hosts) ownNames(p *analyze.Pass) {
	names, shared := hostnames(p), map[string]bool{}
	for _, a := range p.Facts.Artifacts() {
		name, host := names[a.ID], h.OfArtifact(a.ID)
		if name == "" {
			continue
		}
		if first, ok := h.byID[name]; ok && first != host {
			shared[name] = true
		}
		h.byID[name], h.Title = host, name
	}
	maps.DeleteFunc(h.byID, func(name, _ string) bool { return shared[name] })
	if h.Several() {
		h.Title = ""
		for _, n := range h.Names {
			h.byID[n] = n
		}
	}
}

// hostnames are what artifacts say their host is called.
func hostnames(p *analyze.Pass) map[fact.ID]string {
	out := map[fact.ID]string{}
	for hi := range fact.All[fact.HostInfo](p.Facts) {
		if hi.Name == "hostname" && hi.Value != "" {
			out[hi.At.Artifact] = hi.Value
		}
	}
	return out
}

// topFolders gives each artifact its top folder, below a folder that all share.
func topFolders(arts []fact.Artifact) map[fact.ID]string {
	known := map[fact.ID]bool{}
	for _, a := range arts {
		known[a.ID] = true
	}
	split := map[fact.ID][]string{}
	var common []string
	for i, a := range arts {
		parts := strings.Split(folderPath(a.ID, known), "/")
		split[a.ID] = parts
		dir := parts[:len(parts)-1]
		if i == 0 {
			common = dir
			continue
		}
		n := 0
		for n < len(common) && n < len(dir) && common[n] == dir[n] {
			n++
		}
		common = common[:n]
	}
	tops := map[fact.ID]string{}
	for id, parts := range split {
		if rest := parts[len(common):]; len(rest) > 1 {
			tops[id] = rest[0]
		} else {
			tops[id] = ""
		}
	}
	return tops
}

// folderPath is the path of an artifact with an archive around it as a folder
// ("host-a.tgz!ps.txt" is host-a.tgz/ps.txt). What was found inside another
// artifact has that one's path.
func folderPath(id fact.ID, known map[fact.ID]bool) string {
	path := []byte(id)
	for i, c := range path {
		switch {
		case c != '!':
		case known[id[:i]]:
			return string(path[:i])
		default:
			path[i] = '/'
		}
	}
	return string(path)
}

func describeFolders(p *analyze.Pass, tops map[fact.ID]string) []*folder {
	byName := map[string]*folder{}
	get := func(id fact.ID) *folder {
		name := tops[id]
		f := byName[name]
		if f == nil {
			f = &folder{name: name, procs: map[int]string{}, sockets: map[string]bool{}, listens: map[string]bool{}, paths: map[string]bool{}}
			byName[name] = f
		}
		return f
	}
	names := hostnames(p)
	for _, a := range p.Facts.Artifacts() {
		if names[a.ID] != "" {
			get(a.ID).hostname = names[a.ID]
		}
	}
	for pr := range fact.All[fact.Process](p.Facts) {
		if !pr.Kernel && !pr.CommandCut {
			get(pr.At.Artifact).procs[pr.PID] = pr.Command
		}
	}
	for s := range fact.All[fact.Socket](p.Facts) {
		ap, ok := parseEnd(s.Local, s.LocalPort)
		if ok && !ap.Addr().IsLoopback() && !ap.Addr().IsUnspecified() {
			get(s.At.Artifact).sockets[ap.Addr().String()] = true
		}
		if ok && s.State == fact.StateListen {
			get(s.At.Artifact).listens[ap.String()] = true
		}
	}
	for _, w := range PathsOf(p).All {
		// One host that routes or translates shows a hop too, but by one clock.
		if w.Offset.Abs() > apart || w.Hops && w.Offset.Abs() > w.Uncertainty+200*time.Microsecond {
			get(w.Client).paths[tops[w.Server]] = true
			get(w.Server).paths[tops[w.Client]] = true
		}
	}
	var out []*folder
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// differ reports whether any two folders are of different hosts.
func differ(folders []*folder) bool {
	for i, a := range folders {
		for _, b := range folders[i+1:] {
			if a.differs(b) {
				return true
			}
		}
	}
	return false
}

// loose reports whether these are files beside the folders that do not say which
// host they are of: they belong to nobody in particular.
func (f *folder) loose() bool { return f.name == "" && f.hostname == "" }

func (f *folder) differs(o *folder) bool {
	if f.loose() || o.loose() {
		return false
	}
	if f.hostname != "" && o.hostname != "" && f.hostname != o.hostname {
		return true
	}
	// Two containers or clones call themselves alike, and so does one host twice:
	// then only what runs there tells, unless the folders' names say when.
	alike := f.hostname != "" && f.hostname == o.hostname
	if _, _, staged := stages(f.name, o.name); alike && staged {
		return false
	}
	same, other := 0, 0
	for pid, cmd := range f.procs {
		if c, ok := o.procs[pid]; ok && pid != 1 {
			if c == cmd {
				same++
			} else {
				other++
			}
		}
	}
	if same > 0 || other > 0 {
		return other > same
	}
	if f.paths[o.name] && !alike {
		return true
	}
	if len(f.procs) > 2 && len(o.procs) > 2 {
		return true // two process tables without one pid in common
	}
	if alike {
		return false
	}
	if len(f.procs) > 0 && len(o.procs) > 0 && len(f.listens) > 0 && len(o.listens) > 0 {
		// Short tables, as of one service before and after its restart, still have its
		// program or its port in common.
		return !overlap(f.programs(), o.programs()) && !overlap(f.listens, o.listens)
	}
	if len(f.sockets) > 0 && len(o.sockets) > 0 {
		return !overlap(f.sockets, o.sockets)
	}
	return false
}

// programs are the scripts and programs of the folder's process tables.
func (f *folder) programs() map[string]bool {
	out := map[string]bool{}
	for _, cmd := range f.procs {
		out[script(cmd)] = true
	}
	delete(out, "ps")
	return out
}

// overlap reports whether two sets have an element in common.
func overlap(a, b map[string]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}

// nameFolders names each folder's host: by the folder, or by what the host calls
// itself where the folder's name holds that (sosreport-web-1-2026-11-21-abcdefg).
// Folders of one host share a name.
func nameFolders(folders []*folder) map[string]string {
	owner := map[string]*folder{} // hostname to the first folder with it
	names := map[string]string{}
	for _, f := range folders {
		names[f.name] = f.name
		if f.name == "" {
			names[f.name] = f.hostname
		}
		if f.hostname == "" {
			continue
		}
		if first := owner[f.hostname]; first != nil {
			if !f.differs(first) {
				names[f.name] = names[first.name]
			}
			continue
		}
		owner[f.hostname] = f
		if strings.Contains(f.name, f.hostname) {
			names[f.name] = f.hostname
		}
	}
	return names
}

// keyed joins a host and a name into an entity key.
func keyed(host string, format string, args ...any) string {
	s := fmt.Sprintf(format, args...)
	if host == "" {
		return s
	}
	return host + "/" + s
}
