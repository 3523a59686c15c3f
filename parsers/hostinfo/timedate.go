package hostinfo

import (
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// timedate reads timedatectl. The zone stands below the local time and gives it
// its offset: "Time zone: Asia/Shanghai (CST, +0800)".
func (p *reader) timedate(s string, at fact.Ref) bool {
	key, value, ok := strings.Cut(strings.TrimSpace(s), ": ")
	if !ok {
		return p.boot(s, at)
	}
	value = strings.TrimSpace(value)
	switch strings.ToLower(key) {
	case "local time":
		h, ok := parseDate(value)
		if !ok {
			return false
		}
		h.At, h.Name, h.Value = at, "date", value
		p.local = &h
	case "time zone", "timezone":
		h := fact.HostInfo{At: at, Name: "zone", Value: value}
		if i := strings.LastIndexAny(value, "+-"); i >= 0 {
			if off, ok := zoneOffset(strings.TrimRight(value[i:], ")")); ok {
				h.ZoneOffset = fact.Some(int64(off))
			}
		}
		p.emit(h)
		p.settle(h.ZoneOffset)
	case "universal time", "rtc time", "system clock synchronized", "ntp service", "rtc in local tz", "ntp enabled", "ntp synchronized", "network time on", "dst active":
	default:
		return false
	}
	return true
}

// settle emits the local time, now that its zone may be known.
func (p *reader) settle(offset fact.Int) {
	h := p.local
	if h == nil {
		return
	}
	p.local = nil
	if offset.Known && !h.ZoneOffset.Known {
		h.ZoneOffset = offset
		h.Time.T = h.Time.T.Add(-time.Duration(offset.V) * time.Second)
		h.Time.Basis = fact.LocalZone
	}
	p.emit(*h)
}

func (p *reader) endTimedate() { p.settle(fact.Int{}) }

// boot reads who -b: "         system boot  2026-11-21 00:05".
func (p *reader) boot(s string, at fact.Ref) bool {
	_, value, ok := strings.Cut(s, "system boot")
	if !ok {
		return false
	}
	t, err := time.Parse("2006-01-02 15:04", strings.TrimSpace(value))
	if err != nil {
		return false
	}
	p.emit(fact.HostInfo{At: at, Name: "boot_time", Value: strings.TrimSpace(value),
		Time: fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Minute}})
	return true
}
