package applog

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/naming"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// What a stamp leaves out is taken from the artifact: the year from the latest time
// that it can have, the date of a bare clock from its name or from when the file
// was last changed.

// noDay stands for the date of a bare clock until all of the log was read.
var noDay = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// latest is a time shortly after the last event of an artifact, zero if unknown:
// what the journal says of itself, the date in the name, the time of the file.
func latest(in *analyze.Input, head []byte) time.Time {
	for _, word := range []string{" ends at ", ", end at "} { // -- Journal begins at ...; ends at Sat 2026-11-21 06:00:00 UTC. --
		i := bytes.Index(head, []byte(word))
		if i < 0 || !bytes.HasPrefix(head, []byte("-- ")) {
			continue
		}
		_, at, _ := bytes.Cut(head[i+len(word):min(len(head), i+60)], []byte(" "))
		if s, n := stamp.Parse(at, stamp.Unknown); n > 0 && s.Year > 0 {
			return s.Time(time.Time{}).T
		}
	}
	if day := naming.Date(in.Path); !day.IsZero() && (in.ModTime.IsZero() || in.ModTime.After(day)) {
		return day.Add(36 * time.Hour)
	}
	return in.ModTime
}

// placed is a time and the line that prints it.
type placed struct {
	t    *fact.Time
	line int
}

// date gives the bare clocks of a log their dates: a clock that goes back by half a
// day is of the next one. The first stands on the date in the log's name, or the
// last as near as may be to the time of the file.
func (m *merger) date(out *analyze.Sink) {
	var all []placed
	for i := range m.events {
		all = append(all, placed{&m.events[i].Time, m.events[i].At.Line})
	}
	for _, sh := range m.order {
		all = append(all, placed{&sh.fact.First, sh.fact.At.Line}, placed{&sh.fact.Last, sh.fact.LastAt.Line})
	}
	if m.first != nil {
		all = append(all, placed{&m.log.First, m.first.at.Line}, placed{&m.log.Last, m.last.at.Line})
	}
	all = slices.DeleteFunc(all, func(p placed) bool { return !p.t.Known() })
	if len(all) == 0 {
		return
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.line, b.line) })
	days, before := 0, all[0].t.T
	for _, p := range all {
		if before.Sub(p.t.T) > 12*time.Hour {
			days++
		}
		before = p.t.T
		p.t.T = p.t.T.AddDate(0, 0, days)
	}
	in := out.Input()
	shift, known := shiftTo(in, all[0].t.T, all[len(all)-1].t.T)
	for _, p := range all {
		if p.t.T = p.t.T.Add(shift); !known {
			*p.t = fact.Time{}
		}
	}
	if !known {
		m.log.Basis = fact.NoTime
		out.Note("its times have no date, and the file's own time is unknown")
		return
	}
	out.Note("its times have no date: it is taken from the file's name or its own time")
}

// shiftTo is what to add to the times of a log from first to last.
func shiftTo(in *analyze.Input, first, last time.Time) (shift time.Duration, known bool) {
	const day = 24 * time.Hour
	if at := naming.Date(in.Path); !at.IsZero() {
		return at.Sub(first.Truncate(day)), true
	}
	if in.ModTime.IsZero() {
		return 0, false
	}
	return in.ModTime.UTC().Sub(last).Round(day), true
}
