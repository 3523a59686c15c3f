package waits

import (
	"cmp"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Graph is who waits for whom in the goroutine dumps of a bundle.
type Graph struct {
	// Dumps has one element for each process: its latest and richest dump. The
	// others of the process are in Dump.Same and Dump.Earlier.
	Dumps []*Dump
}

// Dump is one dump with the wait-for graph of its goroutines.
type Dump struct {
	Meta  *fact.Dump
	Host  string
	Owner join.DumpOwner
	// Grouped is true for debug=1 and protos: no addresses, no ids, often no state.
	Grouped bool
	// Stacks are the distinct stacks in the order of their first goroutine; Total
	// counts goroutines.
	Stacks []*Stack
	Total  int64
	// Locks are those that somebody waits for, most waiters first.
	Locks []*Lock
	// Sends are blocked senders by line, most first; Groups those who wait for a
	// WaitGroup; Suspects the other waits without a way out in sight, the likeliest
	// first. Goroutines that a lock explains are in none of them.
	Sends    []*Send
	Groups   []*Group
	Suspects []*Suspect
	// Same are other dumps of the same moment: the same evidence in another form.
	Same []*Dump
	// Earlier are dumps of the process from before, the latest first.
	Earlier []*Dump

	taken   time.Time // by the archive, zero if unknown
	stackOf map[stackKey]*Stack
	byTop   map[topKey][]*Stack
	byID    map[int64]*fact.Goroutine
	counted []int64                   // ids of goroutines without a fact of their own, sorted
	creator map[string]bool           // functions that stand in some stack
	sites   siteTable                 // lines that wait for a lock
	calls   siteTable                 // lines that call what waits for one
	waits   map[*fact.Goroutine]*Lock // who waits for which lock
}

// Complete reports whether absence in the dump means something: all goroutines are
// there, with their stacks.
func (d *Dump) Complete() bool { return !d.Meta.Cut && !d.Grouped && d.Meta.Form != "stack" }

// Subject names the process for a finding's subject and title, or the artifact
// where the process is unknown.
func (d *Dump) Subject() string {
	if p := d.Owner.Process; p != nil {
		return p.String()
	}
	return string(d.Meta.At.Artifact)
}

// Entities are the process and the host, as far as known.
func (d *Dump) Entities() []analyze.Entity {
	if p := d.Owner.Process; p != nil {
		return []analyze.Entity{p.Entity()}
	}
	return nil
}

// Link is evidence for which process the dump is of, none if that is unknown.
func (d *Dump) Link() []analyze.Evidence {
	o := d.Owner
	if o.Process == nil || len(o.At) == 0 {
		return nil
	}
	return []analyze.Evidence{analyze.Cite(o.At[0], "the dump is of %s: %s", o.Process, o.Link.By)}
}

// Goroutine is the goroutine with an id, nil if the dump lacks it.
func (d *Dump) Goroutine(id int64) *fact.Goroutine { return d.byID[id] }

// Before is the same stack in the nearest earlier dump that has it, nil if none.
func (d *Dump) Before(s *Stack) *Stack {
	for _, e := range d.Earlier {
		if have := e.find(s); have != nil {
			return have
		}
	}
	return nil
}

// find is the stack with the same application frames: forms of dumps differ in
// which frames of the runtime they print. Only dumps beside the judged one are
// searched; byTop is made for them.
func (d *Dump) find(s *Stack) *Stack {
	if len(s.App) == 0 {
		return nil
	}
	for _, o := range d.byTop[s.topKey()] {
		if sameApp(o, s) && (o.Kind == s.Kind || o.Kind == Parked || s.Kind == Parked) {
			return o
		}
	}
	return nil
}

func (d *Dump) indexTops() {
	d.byTop = map[topKey][]*Stack{}
	for _, s := range d.Stacks {
		if len(s.App) > 0 {
			d.byTop[s.topKey()] = append(d.byTop[s.topKey()], s)
		}
	}
}

// topKey is the innermost frame of the application.
type topKey struct {
	fn   string
	line int
}

func (s *Stack) topKey() topKey {
	f := s.Frames[s.App[0]]
	return topKey{f.Func, f.Line}
}

func sameApp(a, b *Stack) bool {
	if len(a.App) != len(b.App) || len(a.App) == 0 {
		return false
	}
	for i := range a.App {
		x, y := a.Frames[a.App[i]], b.Frames[b.App[i]]
		if x.Func != y.Func || x.Line != y.Line {
			return false
		}
	}
	return true
}

var graphs = analyze.Derived[*Graph]{
	Name:  "wait-for graph",
	Build: build,
}

// Of returns the wait-for graphs of the bundle's dumps.
func Of(p *analyze.Pass) *Graph { return graphs.Of(p) }

func build(p *analyze.Pass) *Graph {
	all := collectDumps(p)
	w := &Graph{}
	hosts, order := join.HostsOf(p), join.SamplesOf(p)
	owners := join.DumpsOf(p)
	groups := map[string][]*Dump{}
	times := timesOf(p)
	var keys []string
	for _, d := range all {
		d.taken = takenAt(times, d)
		d.Host, d.Owner = hosts.Of(d.Meta.At), owners.Owner(d.Meta.At.Artifact)
		key := d.Host + "\x00" + d.Meta.Module
		if pr := d.Owner.Process; pr != nil {
			key = pr.Entity().Key
		}
		if _, ok := groups[key]; !ok {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], d)
	}
	for _, k := range keys {
		d := arrange(groups[k], order)
		for _, o := range slices.Concat(d.Same, d.Earlier) {
			o.indexTops()
		}
		d.buildGraph()
		d.buildChannels()
		w.Dumps = append(w.Dumps, d)
	}
	return w
}

// arrange picks the dump to judge among those of one process and hangs the others
// on it.
func arrange(dumps []*Dump, order *join.Samples) *Dump {
	slices.SortStableFunc(dumps, func(a, b *Dump) int {
		x, y := a.Meta.At, b.Meta.At
		if x.Artifact == y.Artifact {
			return cmp.Compare(b.Meta.Dump, a.Meta.Dump)
		}
		if order.Apart(x.Artifact, y.Artifact) {
			return order.Compare(y.Artifact, x.Artifact)
		}
		return 0
	})
	apart := func(a, b *Dump) bool {
		return a.Meta.At.Artifact == b.Meta.At.Artifact || order.Apart(a.Meta.At.Artifact, b.Meta.At.Artifact)
	}
	// The best of the latest moment; only where that has no stacks one by one, the
	// best of an earlier one.
	best := dumps[0]
	for _, d := range dumps[1:] {
		if !apart(d, dumps[0]) && d.richness() > best.richness() || best.Grouped && !d.Grouped {
			best = d
		}
	}
	for _, d := range dumps {
		switch {
		case d == best:
		case !apart(d, best):
			best.Same = append(best.Same, d)
		case d.Meta.At.Artifact == best.Meta.At.Artifact && d.Meta.Dump < best.Meta.Dump, order.Compare(d.Meta.At.Artifact, best.Meta.At.Artifact) < 0:
			best.Earlier = append(best.Earlier, d)
		}
	}
	return best
}

// richness orders dumps of one moment.
func (d *Dump) richness() int64 {
	n := min(d.Total, 1<<30)
	switch {
	case !d.Grouped:
		n += 1 << 40
	case d.Meta.Form == "proto":
		n += 1 << 39 // keeps the runtime's frames, which tell what is waited for
	}
	if d.Meta.Form == "stack" {
		n -= 1 << 39
	}
	if d.Meta.Leak {
		n += 1 << 38
	}
	if !d.Meta.Cut {
		n += 1 << 37
	}
	return n
}

// stackKey identifies a stack within an artifact: the parser shares the frames of
// equal stacks, so the first frame's address stands for all.
type stackKey struct {
	frames   *fact.Frame
	n        int
	state    string
	created  string
	line     int
	leaked   bool
	artifact fact.ID
}

type dumpKey struct {
	artifact fact.ID
	number   int
}

// collectDumps groups all goroutines of the bundle by dump and stack.
func collectDumps(p *analyze.Pass) []*Dump {
	shapes := newIdleShapes()
	byKey := map[dumpKey]*Dump{}
	var all []*Dump
	for m := range fact.All[fact.Dump](p.Facts) {
		d := &Dump{Meta: m, stackOf: map[stackKey]*Stack{}, Grouped: m.Form == "debug=1" || m.Form == "proto"}
		all = append(all, d)
		byKey[dumpKey{m.At.Artifact, m.Dump}] = d
	}
	var last *Dump
	for g := range fact.All[fact.Goroutine](p.Facts) {
		if g.ID == 0 {
			continue // the scheduler's own stack
		}
		if last == nil || last.Meta.Dump != g.Dump || last.Meta.At.Artifact != g.At.Artifact {
			last = byKey[dumpKey{g.At.Artifact, g.Dump}]
		}
		if last != nil {
			last.add(g, 1, shapes)
		}
	}
	for _, d := range all {
		d.addCounted()
	}
	collectGroups(p, all, shapes)
	return slices.DeleteFunc(all, func(d *Dump) bool { return d.Total == 0 })
}

// addCounted adds the goroutines that the parser only counted to their stacks.
func (d *Dump) addCounted() {
	if len(d.Meta.Alike) == 0 {
		return
	}
	like := map[int64]*Stack{}
	for _, a := range d.Meta.Alike {
		like[a.Like] = nil
	}
	for _, s := range d.Stacks {
		for _, g := range s.Members {
			if _, ok := like[g.ID]; ok && like[g.ID] == nil {
				like[g.ID] = s
			}
		}
	}
	for _, a := range d.Meta.Alike {
		n := int64(len(a.IDs))
		d.Total += n
		d.counted = append(d.counted, a.IDs...)
		if s := like[a.Like]; s != nil {
			s.Count += n
			s.Counted = append(s.Counted, a)
		}
	}
	slices.Sort(d.counted)
}

// has reports whether a goroutine is in the dump.
func (d *Dump) has(id int64) bool {
	if d.byID[id] != nil {
		return true
	}
	_, ok := slices.BinarySearch(d.counted, id)
	return ok
}

func keyOf(g *fact.Goroutine) stackKey {
	key := stackKey{n: len(g.Frames), state: g.State, created: g.CreatedBy, line: g.CreatedByLine, leaked: g.Leaked, artifact: g.At.Artifact}
	if key.n > 0 {
		key.frames = &g.Frames[0]
	}
	return key
}

func (d *Dump) add(g *fact.Goroutine, n int64, shapes idleShapes) {
	key := keyOf(g)
	s := d.stackOf[key]
	if s == nil {
		s = &Stack{State: g.State, Frames: g.Frames}
		analyzeStack(s, shapes)
		d.stackOf[key] = s
		d.Stacks = append(d.Stacks, s)
	}
	s.Members = append(s.Members, g)
	s.Count += n
	d.Total += n
}
