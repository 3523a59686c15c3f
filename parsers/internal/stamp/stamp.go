// Package stamp reads the time stamps that logs and tools print at the beginning
// of a line. It knows the layouts by their grammar rather than by a list of format
// strings, so that widths, separators and fractions may vary, and it says what a
// stamp does not print (the year, the zone) instead of guessing it.
package stamp

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Stamp is a time as printed. Fields that the layout does not have are zero.
type Stamp struct {
	Year, Month, Day     int // Year zero: not printed
	Hour, Min, Sec, Nano int
	// Zone is seconds east of UTC, valid with HasZone.
	Zone    int
	HasZone bool
	// Epoch is true for a count since 1970; Unix and Nano hold it.
	Epoch bool
	Unix  int64
	// Clock is true when the stamp has no date at all.
	Clock bool
	// Precision is the smallest step printed.
	Precision time.Duration
	// DayFirst is true when the first of two numeric fields was read as the day.
	DayFirst bool
}

// Time makes a fact of the stamp. ref is a time near the artifact's end (when the
// file was last modified): a stamp without a year takes the latest year that does
// not put it after ref. Without a year and without ref, and for a bare clock, the
// result is no time at all.
func (s Stamp) Time(ref time.Time) fact.Time {
	t := fact.Time{Precision: s.Precision}
	if s.Epoch {
		t.T, t.Basis = time.Unix(s.Unix, int64(s.Nano)).UTC(), fact.Epoch
		return t
	}
	if s.Clock {
		return fact.Time{}
	}
	year := s.Year
	if year == 0 {
		if ref.IsZero() {
			return fact.Time{}
		}
		// A day and a bit of slack: the stamp may stand in a zone east of ref's.
		limit := ref.UTC().Add(26 * time.Hour)
		year = limit.Year()
		if s.in(year).After(limit) {
			year--
		}
	}
	t.T, t.Basis = s.in(year), fact.LocalNoZone
	if s.HasZone {
		t.T, t.Basis = t.T.Add(-time.Duration(s.Zone)*time.Second), fact.LocalZone
	}
	return t
}

// On is the time of a bare clock on a day.
func (s Stamp) On(day time.Time) fact.Time {
	s.Clock, s.Month, s.Day = false, int(day.Month()), day.Day()
	s.Year = day.Year()
	return s.Time(time.Time{})
}

func (s Stamp) in(year int) time.Time {
	return time.Date(year, time.Month(s.Month), s.Day, s.Hour, s.Min, s.Sec, s.Nano, time.UTC)
}

// valid checks the ranges that decide whether digits are a time at all.
func (s *Stamp) valid() bool {
	if s.Epoch {
		return true
	}
	if s.Hour > 24 || s.Min > 59 || s.Sec > 60 {
		return false
	}
	if s.Clock {
		return true
	}
	return s.Month >= 1 && s.Month <= 12 && s.Day >= 1 && s.Day <= 31 &&
		(s.Year == 0 || s.Year >= 1970 && s.Year < 2200)
}

// Order is the order of two numeric date fields, which a single stamp such as
// 11/10/2026 does not tell.
type Order uint8

// The orders. Unknown reads month first, as `en-US` prints.
const (
	Unknown Order = iota
	MonthFirst
	DayFirst
)

// Parse reads a stamp at the beginning of b and returns how many bytes it takes,
// zero if there is none.
func Parse(b []byte, order Order) (Stamp, int) {
	if len(b) < 7 {
		return Stamp{}, 0
	}
	s := Stamp{Precision: time.Second}
	n := 0
	switch c := b[0]; {
	case c >= '0' && c <= '9':
		n = s.parseDigits(b, order)
	case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
		n = s.parseWord(b)
	}
	if n == 0 || !s.valid() {
		return Stamp{}, 0
	}
	return s, n
}
