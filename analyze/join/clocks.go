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

// Clock relates the wall clock of one artifact to UTC.
type Clock struct {
	// Offset is added to the artifact's times to get UTC.
	Offset time.Duration
	// Known is false when nothing tells the offset: no rule may then compare times
	// of this artifact with others.
	Known bool
	// Basis says what the offset rests on, Why in words.
	Basis fact.Basis
	Why   string
	// Uncertainty is how far a converted time may be off.
	Uncertainty time.Duration
	// Pairs are events that stand in this artifact and in one with a known clock;
	// they prove the offset. Residual is the median difference that remains.
	Pairs    []Pair
	Residual time.Duration
	// Others are offsets that fit as well; then Known is false.
	Others []time.Duration
}

// Pair is one event seen by two clocks.
type Pair struct {
	Here, There fact.Ref
	What        string
	Difference  time.Duration
}

// Clocks holds the clock of each artifact.
type Clocks struct {
	of    map[fact.ID]Clock
	skews *skews
	hosts *Hosts
	boots map[string]boot // by host
}

var clocks = analyze.Derived[*Clocks]{
	Name:  "clocks",
	Needs: []fact.Kind{"host_info", "log_event", "log", "kernel_event", "audit_event", "flow"},
	Build: buildClocks,
}

// ClocksOf returns the clocks of the bundle.
func ClocksOf(p *analyze.Pass) *Clocks { return clocks.Of(p) }

// Of is the clock of an artifact's times that have no zone.
func (c *Clocks) Of(id fact.ID) Clock { return c.of[id] }

// UTC converts a time of an artifact. ok is false when the time is unknown or its
// zone is.
func (c *Clocks) UTC(id fact.ID, t fact.Time) (at time.Time, uncertainty time.Duration, ok bool) {
	switch {
	case !t.Known():
		return time.Time{}, 0, false
	case t.Absolute() || t.Basis == fact.Inferred:
		return t.T.Add(c.Skew(id)).UTC(), t.Precision, true
	}
	k, have := c.of[id]
	if !have || !k.Known {
		return time.Time{}, 0, false
	}
	return t.T.Add(k.Offset + c.Skew(id)).UTC(), max(k.Uncertainty, t.Precision), true
}

// Skew is what is added to the times of an artifact because its host's clock is off
// the bundle's; zero if it is not, or if that is not known.
func (c *Clocks) Skew(id fact.ID) time.Duration {
	if k := c.skews.byName[c.skews.of[id]]; k != nil && k.Known && k.Offset.Abs() > apart {
		return k.Offset
	}
	return 0
}

// Skews are the clocks of a bundle of several hosts, without the reference.
func (c *Clocks) Skews() []*Skew { return c.skews.list }

// Aligned reports whether the times of two artifacts can be compared: they are of
// one clock, or evidence says how far the two are apart.
func (c *Clocks) Aligned(a, b fact.ID) bool {
	x, y := c.skews.of[a], c.skews.of[b]
	known := func(name string) bool {
		k := c.skews.byName[name]
		return k == nil || k.Known
	}
	return x == y || known(x) && known(y)
}

// Date puts a time on evidence, if it can be converted.
func (c *Clocks) Date(e analyze.Evidence, t fact.Time) analyze.Evidence {
	at, uncertainty, ok := c.UTC(e.Artifact, t)
	if !ok {
		return e
	}
	return e.On(at, t.Basis, uncertainty)
}

// Zoneless lists artifacts whose clocks had to be inferred, sorted.
func (c *Clocks) Zoneless() []fact.ID { return slices.Sorted(maps.Keys(c.of)) }

// event is something that happened, as one artifact dates it. Keys name what can
// be recognised in another artifact: a signal and a pid, an address, an errno.
type event struct {
	at   fact.Ref
	t    time.Time
	keys []string
	wall bool // t is a wall clock without a zone
}

// clockStep is the step of time zones: every offset in use is a multiple of it.
const clockStep = 15 * time.Minute

// pairTolerance is how far two records of one event may be apart: a log line is
// written after the fact, and second-precision stamps are cut.
const pairTolerance = 2 * time.Second

// maxClockEvents bounds the events of one artifact that are tried.
const maxClockEvents = 2000

func buildClocks(p *analyze.Pass) *Clocks {
	h := HostsOf(p)
	zones := hostZones(p, h)
	c := &Clocks{of: map[fact.ID]Clock{}, skews: buildSkews(p), hosts: h, boots: buildBoots(p, h, zones)}
	local, known := clockEvents(p, c)
	if len(local) == 0 {
		return c
	}
	index := map[string][]event{}
	for _, e := range known {
		for _, k := range e.keys {
			index[k] = append(index[k], e)
		}
	}
	for _, list := range index {
		slices.SortStableFunc(list, func(a, b event) int { return cmp.Or(a.t.Compare(b.t), a.at.Compare(b.at)) })
	}
	ends := lastTimes(p)
	for _, id := range slices.Sorted(maps.Keys(local)) {
		c.of[id] = findClock(id, local[id], index, zones[h.OfArtifact(id)], ends[id], manifestZone(p.Manifest, id, h.OfArtifact(id)))
	}
	return c
}

// findClock tries, in this order: what the user says, events that stand in
// another artifact too, the zone the host states, the archive's file time.
func findClock(id fact.ID, events []event, index map[string][]event, zones []zone, end fileEnd, said *time.Location) Clock {
	if said != nil && len(events) > 0 {
		t := events[0].t
		// The wall clock's fields are kept as if they were UTC.
		_, off := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, said).Zone()
		return Clock{Offset: -time.Duration(off) * time.Second, Known: true, Basis: fact.LocalZone, Why: "the zone given for the bundle", Uncertainty: time.Second}
	}
	paired := pairClock(events, index)
	if paired.Known {
		return paired
	}
	if len(zones) == 1 {
		z := zones[0]
		if len(paired.Others) == 0 || slices.Contains(paired.Others, -z.offset) {
			return Clock{Offset: -z.offset, Known: true, Basis: fact.Inferred, Uncertainty: time.Second,
				Why: fmt.Sprintf("the host's zone by %s", z.at)}
		}
	}
	if len(paired.Others) > 0 {
		return paired
	}
	if off, ok := end.offset(); ok {
		return Clock{Offset: off, Known: true, Basis: fact.Inferred, Uncertainty: 5 * time.Minute,
			Why: "the file's modification time is that of its last line"}
	}
	return Clock{Why: "neither its zone nor an event seen by another clock is in the bundle"}
}

// pairClock looks for the multiple of 15 minutes that explains most events. It
// is accepted when two pairs agree and no other multiple explains as many.
func pairClock(events []event, index map[string][]event) Clock {
	votes := map[time.Duration][]Pair{}
	for _, e := range events[:min(len(events), maxClockEvents)] {
		best := map[time.Duration]Pair{}
		for _, k := range e.keys {
			for _, r := range index[k] {
				diff := r.t.Sub(e.t)
				off := diff.Round(clockStep)
				rest := diff - off
				if off.Abs() > 14*time.Hour || rest.Abs() > pairTolerance {
					continue
				}
				if have, ok := best[off]; !ok || rest.Abs() < have.Difference.Abs() {
					best[off] = Pair{Here: e.at, There: r.at, What: k, Difference: rest}
				}
			}
		}
		for off, pair := range best {
			votes[off] = append(votes[off], pair)
		}
	}
	offsets := slices.Collect(maps.Keys(votes))
	slices.SortFunc(offsets, func(a, b time.Duration) int {
		return cmp.Or(cmp.Compare(len(votes[b]), len(votes[a])), cmp.Compare(a, b))
	})
	if len(offsets) == 0 || len(votes[offsets[0]]) < 2 {
		return Clock{}
	}
	top := votes[offsets[0]]
	ties := slices.DeleteFunc(slices.Clone(offsets), func(o time.Duration) bool { return len(votes[o]) < len(top) })
	if len(ties) > 1 {
		return Clock{Others: ties, Why: fmt.Sprintf("%d offsets explain %d events each", len(ties), len(top))}
	}
	rest := make([]time.Duration, len(top))
	for i, pair := range top {
		rest[i] = pair.Difference
	}
	slices.Sort(rest)
	return Clock{
		Offset: offsets[0], Known: true, Basis: fact.Inferred, Uncertainty: pairTolerance,
		Why:   fmt.Sprintf("%d events that another clock dates too, such as %s and %s", len(top), top[0].Here, top[0].There),
		Pairs: top[:min(len(top), 5)], Residual: rest[len(rest)/2],
	}
}

// zone is what a host says of its own zone.
type zone struct {
	offset time.Duration // east of UTC
	at     fact.Ref
}

// manifestZone is the zone that the manifest gives for an artifact: its host's,
// else the bundle's, nil if none.
func manifestZone(m *analyze.Manifest, id fact.ID, host string) *time.Location {
	if m == nil {
		return nil
	}
	longest, zone := -1, m.Zone
	for _, h := range m.Hosts {
		if h.Zone == nil || len(h.Prefix) <= longest {
			continue
		}
		if strings.HasPrefix(string(id), h.Prefix) || host != "" && h.Host == host {
			longest, zone = len(h.Prefix), h.Zone
		}
	}
	return zone
}

// hostZones are the distinct zones that each host states.
func hostZones(p *analyze.Pass, h *Hosts) map[string][]zone {
	out := map[string][]zone{}
	for hi := range fact.All[fact.HostInfo](p.Facts) {
		if !hi.ZoneOffset.Known {
			continue
		}
		z := zone{time.Duration(hi.ZoneOffset.V) * time.Second, hi.At}
		host := h.Of(hi.At)
		if !slices.ContainsFunc(out[host], func(have zone) bool { return have.offset == z.offset }) {
			out[host] = append(out[host], z)
		}
	}
	return out
}

// fileEnd is the last wall clock time in a log and when its file last changed.
type fileEnd struct{ last, modified time.Time }

// offset is the zone that makes the two agree within five minutes.
func (e fileEnd) offset() (time.Duration, bool) {
	if e.last.IsZero() || e.modified.IsZero() {
		return 0, false
	}
	diff := e.modified.Sub(e.last)
	off := diff.Round(clockStep)
	return off, off.Abs() <= 14*time.Hour && (diff-off).Abs() <= 5*time.Minute
}

func lastTimes(p *analyze.Pass) map[fact.ID]fileEnd {
	out := map[fact.ID]fileEnd{}
	for l := range fact.All[fact.Log](p.Facts) {
		if l.Last.Known() && !l.Last.Absolute() && !strings.Contains(string(l.At.Artifact), "!") {
			out[l.At.Artifact] = fileEnd{last: l.Last.T}
		}
	}
	for _, a := range p.Facts.Artifacts() {
		if e, ok := out[a.ID]; ok && a.ModTime.Known() {
			e.modified = a.ModTime.T
			out[a.ID] = e
		}
	}
	return out
}
