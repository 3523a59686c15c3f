package metrics

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// series summarises the rows of one entity.
type series struct {
	labels  map[string]string
	columns []column
}

// column summarises one column without keeping its values.
type column struct {
	points, rises   int
	start, end      float64
	low, high       float64
	first, last     fact.Time
	firstAt, lastAt fact.Ref
	highAt          fact.Ref
	falls           []fact.Ref
}

// maxFalls bounds the sharp drops that are cited.
const maxFalls = 64

func newSeries(columns int) *series {
	return &series{labels: map[string]string{}, columns: make([]column, columns)}
}

func (s *series) add(v []string, at fact.Time, ref fact.Ref) {
	for i, w := range v {
		x, err := strconv.ParseFloat(w, 64)
		if err != nil || x != x {
			continue
		}
		c := &s.columns[i]
		if c.points == 0 {
			c.start, c.low, c.high = x, x, x
			c.first, c.firstAt, c.highAt = at, ref, ref
		} else {
			if x >= c.end {
				c.rises++
			}
			if x < c.end/2 && len(c.falls) < maxFalls {
				c.falls = append(c.falls, ref)
			}
		}
		c.points++
		c.end, c.last, c.lastAt = x, at, ref
		c.low = min(c.low, x)
		if x > c.high {
			c.high, c.highAt = x, ref
		}
	}
}

func (s *series) metric(at fact.Ref, name string, i int) fact.Metric {
	c := &s.columns[i]
	m := fact.Metric{
		At: at, Name: name, Points: c.points, First: c.first, Last: c.last,
		Start: c.start, End: c.end, Min: c.low, Max: c.high,
		MaxAt: c.highAt, FirstAt: c.firstAt, LastAt: c.lastAt, Rising: 1, Falls: c.falls,
	}
	if len(s.labels) > 0 {
		m.Labels = s.labels
	}
	if c.points > 1 {
		m.Rising = float64(c.rises) / float64(c.points-1)
	}
	return m
}

// timeForms are the forms of a time column, by basis.
var timeForms = [...]struct {
	layout string
	basis  fact.Basis
}{
	{time.RFC3339Nano, fact.LocalZone},
	{"2006-01-02 15:04:05.999999999Z07:00", fact.LocalZone},
	{"2006-01-02 15:04:05.999999999 -0700", fact.LocalZone},
	{"2006-01-02T15:04:05.999999999", fact.LocalNoZone},
	{"2006-01-02 15:04:05.999999999", fact.LocalNoZone},
	{"2006/01/02 15:04:05.999999999", fact.LocalNoZone},
	{"2006-01-02T15:04", fact.LocalNoZone},
	{"2006-01-02 15:04", fact.LocalNoZone},
}

// parseTime reads a time; a bare number is seconds, milliseconds, microseconds or
// nanoseconds since 1970, by its size. A clock time or a count of seconds since
// the start is accepted as a time column, but is no known time.
func parseTime(s string) (fact.Time, bool) {
	for _, f := range timeForms {
		if t, err := time.Parse(f.layout, s); err == nil {
			return fact.Time{T: t.UTC(), Basis: f.basis, Precision: time.Millisecond}, true
		}
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil && x >= 0 {
		switch {
		case x > 1e17:
			return epoch(time.Unix(0, int64(x)))
		case x > 1e14:
			return epoch(time.UnixMicro(int64(x)))
		case x > 1e11:
			return epoch(time.UnixMilli(int64(x)))
		case x > 5e8:
			return epoch(time.UnixMilli(int64(x * 1000)))
		}
		return fact.Time{}, true
	}
	h, rest, ok := strings.Cut(s, ":")
	if _, err := strconv.Atoi(h); ok && err == nil && len(rest) >= 2 && len(s) <= 15 {
		return fact.Time{}, true
	}
	return fact.Time{}, false
}

func epoch(t time.Time) (fact.Time, bool) {
	return fact.Time{T: t.UTC(), Basis: fact.Epoch, Precision: time.Millisecond}, true
}
