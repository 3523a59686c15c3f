package netstats

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// ioSamples follows /proc/PID/io, read again and again with a time before each
// sample. Every field becomes one metric.
type ioSamples struct {
	at    fact.Ref
	now   fact.Time
	order []string
	by    map[string]*fact.Metric
	last  map[string]float64
	ups   map[string]int
}

// line takes "2026-11-21 01:34:57.784" or "rchar: 151662".
func (s *ioSamples) line(text string, ref fact.Ref) bool {
	if s.by == nil {
		s.by, s.last, s.ups = map[string]*fact.Metric{}, map[string]float64{}, map[string]int{}
		s.at = ref
	}
	if t, ok := stamp(text); ok {
		s.now = t
		return true
	}
	key, value, ok := strings.Cut(text, ": ")
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.Contains(key, " ") {
		return false
	}
	m := s.by[key]
	if m == nil {
		if len(s.order) >= 64 {
			return false
		}
		m = &fact.Metric{At: ref, Name: key, First: s.now, Start: n, Min: n, Max: n, FirstAt: ref, MaxAt: ref}
		s.by[key] = m
		s.order = append(s.order, key)
	} else if n >= s.last[key] {
		s.ups[key]++
	}
	if m.Points > 0 && n < s.last[key]/2 {
		m.Falls = append(m.Falls, ref)
	}
	m.Points++
	m.Last, m.End, m.LastAt = s.now, n, ref
	m.Min = min(m.Min, n)
	if n > m.Max {
		m.Max, m.MaxAt = n, ref
	}
	s.last[key] = n
	return true
}

// stamps are the forms of the line before a sample.
var stamps = [...]struct {
	layout string
	basis  fact.Basis
}{
	{"2006-01-02T15:04:05.999999999Z07:00", fact.LocalZone},
	{"2006-01-02 15:04:05.999999999 Z0700", fact.LocalZone},
	{"2006-01-02 15:04:05.999999999", fact.LocalNoZone},
	{"2006-01-02T15:04:05.999999999", fact.LocalNoZone},
}

func stamp(s string) (fact.Time, bool) {
	s = strings.Trim(s, "#=- \t")
	for _, f := range stamps {
		if t, err := time.Parse(f.layout, s); err == nil {
			return fact.Time{T: t.UTC(), Basis: f.basis, Precision: time.Millisecond}, true
		}
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec > 1e9 && sec < 4e9 {
		return fact.Time{T: time.UnixMilli(int64(sec * 1000)).UTC(), Basis: fact.Epoch, Precision: time.Millisecond}, true
	}
	return fact.Time{}, false
}

// endIO emits the metrics of /proc/PID/io.
func (p *reader) endIO() {
	for _, key := range p.io.order {
		m := *p.io.by[key]
		m.Rising = 1
		if m.Points > 1 {
			m.Rising = float64(p.io.ups[key]) / float64(m.Points-1)
		}
		if p.pid > 0 {
			m.Labels = map[string]string{"pid": strconv.Itoa(p.pid)}
		}
		m.Name = "io." + key
		analyze.Emit(p.out, m)
	}
}
