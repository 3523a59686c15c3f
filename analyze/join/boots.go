package join

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// boot is when a host's kernel began to count, so that "[ 7354.666154]" is a time.
type boot struct {
	t           time.Time
	uncertainty time.Duration
	ambiguous   bool // the bundle tells of two boots
}

// bootDrift is how far the kernel's count and the wall clock come apart: the count
// is not adjusted when the clock is.
const bootDrift = 2 * time.Second

// buildBoots finds when hosts were started: as one of their files says, else from
// the time and the uptime that were printed together.
func buildBoots(p *analyze.Pass, h *Hosts, zones map[string][]zone) map[string]boot {
	boots := map[string]boot{}
	type sample struct {
		first, last time.Time // of what `date` printed
		up          time.Duration
		step        time.Duration
		ups         int
	}
	samples := map[string]sample{}
	for hi := range fact.All[fact.HostInfo](p.Facts) {
		host := h.Of(hi.At)
		s := samples[host]
		switch at, ok := hostInstant(hi, zones[host]); {
		case hi.Name == "boot_time" && ok:
			b, step := boots[host], max(hi.Time.Precision, bootDrift)
			b.ambiguous = b.ambiguous || !b.t.IsZero() && b.t.Sub(at).Abs() > b.uncertainty+step+bootDrift
			if b.t.IsZero() || step < b.uncertainty {
				b.t, b.uncertainty = at, step
			}
			boots[host] = b
		case hi.Name == "date" && ok:
			if s.first.IsZero() || at.Before(s.first) {
				s.first = at
			}
			if at.After(s.last) {
				s.last = at
			}
		case hi.Name == "uptime":
			if up, step, ok := parseUptime(hi.Value); ok {
				s.up, s.step, s.ups = up, step, s.ups+1
			}
		}
		samples[host] = s
	}
	for host, s := range samples {
		if _, known := boots[host]; known || s.ups != 1 || s.first.IsZero() || s.last.Sub(s.first) > time.Minute {
			continue // which date belongs to which uptime is not known
		}
		boots[host] = boot{t: s.last.Add(-s.up), uncertainty: s.step + s.last.Sub(s.first) + bootDrift}
	}
	return boots
}

// hostInstant is the instant that a host's file names.
func hostInstant(hi *fact.HostInfo, zones []zone) (time.Time, bool) {
	switch t := hi.Time; {
	case !t.Known():
		return time.Time{}, false
	case t.Absolute() || t.Basis == fact.Inferred:
		return t.T, true
	case len(zones) == 1:
		return t.T.Add(-zones[0].offset), true
	}
	return time.Time{}, false
}

// parseUptime reads what uptime prints, "47 min", "7:30", "3 days, 2:01", and the
// seconds of /proc/uptime; step is how exact it is.
func parseUptime(s string) (up, step time.Duration, ok bool) {
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec >= 0 && sec < 1e9 {
		return time.Duration(sec * float64(time.Second)), time.Second, true
	}
	for part := range strings.SplitSeq(s, ",") {
		f := strings.Fields(part)
		switch {
		case len(f) == 1:
			h, m, colon := strings.Cut(f[0], ":")
			hours, err1 := strconv.Atoi(h)
			minutes, err2 := strconv.Atoi(m)
			if !colon || err1 != nil || err2 != nil {
				return 0, 0, false
			}
			up += time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
		case len(f) == 2:
			n, err := strconv.Atoi(f[0])
			unit, known := map[string]time.Duration{"day": 24 * time.Hour, "min": time.Minute, "sec": time.Second, "hr": time.Hour}[strings.TrimSuffix(f[1], "s")]
			if err != nil || !known || n < 0 || n > 36500 {
				return 0, 0, false
			}
			up += time.Duration(n) * unit
		default:
			return 0, 0, false
		}
	}
	return up, time.Minute, up > 0
}

// Kernel is when the kernel logged an event: as the line says, else from the
// uptime it says and the start of its host. It is unknown if neither tells.
func (c *Clocks) Kernel(e *fact.KernelEvent) fact.Time {
	if e.Known() || !e.UptimeMS.Known {
		return e.Time
	}
	b, ok := c.boots[c.hosts.Of(e.At)]
	if !ok || b.ambiguous {
		return e.Time
	}
	t := b.t.Add(time.Duration(e.UptimeMS.V) * time.Millisecond)
	return fact.Time{T: t, Basis: fact.Inferred, Precision: b.uncertainty}
}
