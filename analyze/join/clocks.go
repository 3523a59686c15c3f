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
	of map[fact.ID]Clock
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
	case t.Absolute():
		return t.T.UTC(), t.Precision, true
	}
	k, have := c.of[id]
	if !have || !k.Known {
		return time.Time{}, 0, false
	}
	return t.T.Add(k.Offset).UTC(), max(k.Uncertainty, t.Precision), true
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
}

// clockStep is the step of time zones: every offset in use is a multiple of it.
const clockStep = 15 * time.Minute

// pairTolerance is how far two records of one event may be apart: a log line is
// written after the fact, and second-precision stamps are cut.
const pairTolerance = 2 * time.Second

// maxClockEvents bounds the events of one artifact that are tried.
const maxClockEvents = 2000

func buildClocks(p *analyze.Pass) *Clocks {
	c := &Clocks{of: map[fact.ID]Clock{}}
	local, known := clockEvents(p)
	index := map[string][]event{}
	for _, e := range known {
		for _, k := range e.keys {
			index[k] = append(index[k], e)
		}
	}
	for _, list := range index {
		slices.SortStableFunc(list, func(a, b event) int { return cmp.Or(a.t.Compare(b.t), a.at.Compare(b.at)) })
	}
	h := HostsOf(p)
	zones := hostZones(p, h)
	ends := lastTimes(p)
	for _, id := range slices.Sorted(maps.Keys(local)) {
		c.of[id] = findClock(id, local[id], index, zones[h.OfArtifact(id)], ends[id], p)
	}
	return c
}

// findClock tries, in this order: what the user says, events that stand in
// another artifact too, the zone the host states, the archive's file time.
func findClock(id fact.ID, events []event, index map[string][]event, zones []zone, end fileEnd, p *analyze.Pass) Clock {
	if p.Manifest != nil && p.Manifest.Zone != nil && len(events) > 0 {
		_, off := events[0].t.In(p.Manifest.Zone).Zone()
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

// clockEvents lists what artifacts without a zone date, and what others do.
func clockEvents(p *analyze.Pass) (local map[fact.ID][]event, known []event) {
	local = map[fact.ID][]event{}
	add := func(at fact.Ref, t fact.Time, keys []string) {
		switch {
		case !t.Known():
		case t.Absolute():
			if len(keys) > 0 {
				known = append(known, event{at, t.T, keys})
			}
		default:
			local[at.Artifact] = append(local[at.Artifact], event{at, t.T, keys})
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		add(e.At, e.Time, logKeys(e))
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		var keys []string
		if e.PID > 0 {
			keys = append(keys, fmt.Sprintf("the end of pid %d", e.PID))
		}
		add(e.At, e.Time, keys)
	}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Signal == "" || e.Signal == "0" {
			continue
		}
		keys := []string{e.Signal}
		for _, t := range e.Targets {
			keys = append(keys, fmt.Sprintf("%s to pid %d", e.Signal, t.PID), fmt.Sprintf("the end of pid %d", t.PID))
		}
		add(e.At, e.Time, keys)
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		flowEvents(f, add)
	}
	return local, known
}

// logKeys are what a log line has in common with records of the same event.
func logKeys(e *fact.LogEvent) []string {
	var keys []string
	if e.Signal != "" {
		keys = append(keys, e.Signal)
		for _, pid := range e.PIDs {
			keys = append(keys, fmt.Sprintf("%s to pid %d", e.Signal, pid))
		}
	}
	if slices.Contains(e.Signs, fact.SignStop) {
		for _, pid := range e.PIDs {
			keys = append(keys, fmt.Sprintf("the end of pid %d", pid))
		}
	}
	if e.Errno != "" || slices.Contains(e.Signs, fact.SignConnect) {
		for _, a := range e.Addresses {
			if ephemeral(a) {
				keys = append(keys, "connection of "+a)
			}
		}
		if e.Errno != "" {
			keys = append(keys, e.Errno)
		}
	}
	return keys
}

func flowEvents(f *fact.Flow, add func(fact.Ref, fact.Time, []string)) {
	at := func(t time.Time) fact.Time { return fact.Time{T: t, Basis: fact.Epoch} }
	if ephemeral(f.Client) {
		add(f.At, at(f.First), []string{"connection of " + f.Client})
	}
	for i, r := range f.Resets {
		if i == 4 {
			break
		}
		keys := []string{"ECONNRESET"}
		if r.State == "syn_sent" {
			keys = []string{"ECONNREFUSED"}
		}
		if ephemeral(f.Client) {
			keys = append(keys, "connection of "+f.Client)
		}
		add(f.Frame(r.Frame), at(r.Time), keys)
	}
}

// ephemeral reports whether an address has a port that a kernel picks, so that it
// names one connection and not a service.
func ephemeral(addr string) bool {
	ap, ok := ParseAddrPort(addr)
	return ok && ap.Port() >= 32768
}

// zone is what a host says of its own zone.
type zone struct {
	offset time.Duration // east of UTC
	at     fact.Ref
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
