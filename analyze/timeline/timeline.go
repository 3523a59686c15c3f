// Package timeline merges all that a bundle dates, over all of its clocks: lines of
// logs, records of the audit system and the kernel, the beginning and end of
// conversations, resets, closed windows, commands that were typed, starts of
// processes. The timeline of a report holds only what its findings cite, unless one
// asks for everything.
package timeline

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// All lists what a bundle dates, in order: at most limit events, those nearest to the
// time between from and to, or the latest where these are zero. It says in words what
// was left out. Facts are read one after the other and only what is kept is put into
// words, so that a large bundle costs no more memory than the limit. It is what
// analyze.Config.Timeline takes.
func All(p *analyze.Pass, from, to time.Time, limit int) (list []analyze.TimelineEntry, left []string) {
	m := &merge{clocks: join.ClocksOf(p), from: from, to: to, limit: limit, undated: map[fact.ID]int{}}
	m.logs(p)
	m.records(p)
	m.captures(p)
	m.samples(p)
	slices.SortFunc(m.kept, compare)
	list = make([]analyze.TimelineEntry, len(m.kept))
	for i, e := range m.kept {
		list[i] = analyze.TimelineEntry{Time: e.when, Basis: e.basis, Uncertainty: e.uncertainty, Source: e.at, Text: e.text()}
	}
	if m.seen > len(list) {
		left = append(left, fmt.Sprintf("timeline: %d of %d events are shown, those nearest to the findings", len(list), m.seen))
	}
	for _, id := range slices.Sorted(maps.Keys(m.undated)) {
		left = append(left, fmt.Sprintf("timeline: %s of %s left out, since the zone of that clock is not known; --tz names it",
			join.Count(m.undated[id], "event"), id))
	}
	return list, left
}

// moment is one event before it is put into words.
type moment struct {
	at          fact.Ref
	when        time.Time
	basis       fact.Basis
	uncertainty time.Duration
	text        func() string
	// away is how far it is from the findings.
	away time.Duration
}

func compare(a, b moment) int { return cmp.Or(a.when.Compare(b.when), a.at.Compare(b.at)) }

// merge keeps the moments nearest to the findings: a heap with the farthest on top.
type merge struct {
	clocks   *join.Clocks
	from, to time.Time
	limit    int
	kept     []moment
	seen     int
	undated  map[fact.ID]int
}

// Len, Less, Swap, Push and Pop are the heap's.
func (m *merge) Len() int { return len(m.kept) }

// Less puts the farthest on top, of equally far ones the last.
func (m *merge) Less(i, j int) bool { return farther(m.kept[i], m.kept[j]) }

// Swap exchanges two moments.
func (m *merge) Swap(i, j int) { m.kept[i], m.kept[j] = m.kept[j], m.kept[i] }

// Push adds a moment.
func (m *merge) Push(x any) { m.kept = append(m.kept, x.(moment)) }

// Pop takes the last moment off.
func (m *merge) Pop() any {
	last := m.kept[len(m.kept)-1]
	m.kept = m.kept[:len(m.kept)-1]
	return last
}

// add offers an event; a time that no clock can place is counted.
func (m *merge) add(at fact.Ref, t fact.Time, text func() string) {
	if !t.Known() {
		return
	}
	when, uncertainty, ok := m.clocks.UTC(at.Artifact, t)
	if !ok {
		m.undated[at.Artifact]++
		return
	}
	m.seen++
	e := moment{at: at, when: when, basis: t.Basis, uncertainty: uncertainty, text: text, away: m.distance(when)}
	if len(m.kept) < m.limit {
		heap.Push(m, e)
	} else if farther(m.kept[0], e) {
		m.kept[0] = e
		heap.Fix(m, 0)
	}
}

// farther reports whether a goes before b does when there is no room.
func farther(a, b moment) bool { return cmp.Or(cmp.Compare(b.away, a.away), compare(b, a)) < 0 }

// distance is how far a time is from the findings; without any, the latest are near.
func (m *merge) distance(t time.Time) time.Duration {
	switch {
	case m.to.IsZero():
		return time.Unix(1<<33, 0).Sub(t)
	case t.Before(m.from):
		return m.from.Sub(t)
	case t.After(m.to):
		return t.Sub(m.to)
	}
	return 0
}
