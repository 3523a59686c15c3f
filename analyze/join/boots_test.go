package join

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestKernelTimesCountFromTheBoot(t *testing.T) {
	event := &fact.KernelEvent{At: fact.Ref{Artifact: "dmesg", Line: 7}, UptimeMS: fact.Some[int64](7354_666)}
	date := func(file fact.ID, at time.Time) fact.HostInfo {
		return fact.HostInfo{At: fact.Ref{Artifact: file, Line: 1}, Name: "date", Time: fact.Time{T: at, Basis: fact.LocalZone}}
	}
	uptime := func(value string) fact.HostInfo {
		return fact.HostInfo{At: fact.Ref{Artifact: "uptime", Line: 1}, Name: "uptime", Value: value}
	}
	boot := func(at time.Time, basis fact.Basis) fact.HostInfo {
		return fact.HostInfo{At: fact.Ref{Artifact: "boot", Line: 1}, Name: "boot_time", Time: fact.Time{T: at, Basis: basis, Precision: time.Second}}
	}
	for name, test := range map[string]struct {
		facts       []fact.HostInfo
		want        time.Time
		uncertainty time.Duration
	}{
		"the boot is stated":          {[]fact.HostInfo{boot(noon, fact.Epoch)}, noon.Add(7354_666 * time.Millisecond), 2 * time.Second},
		"date and uptime":             {[]fact.HostInfo{date("date", noon.Add(26*time.Hour+3*time.Minute)), uptime("1 day, 2:03")}, noon.Add(7354_666 * time.Millisecond), 62 * time.Second},
		"seconds of uptime":           {[]fact.HostInfo{date("date", noon.Add(90*time.Second)), uptime("90.00")}, noon.Add(7354_666 * time.Millisecond), 3 * time.Second},
		"a wall clock without a zone": {[]fact.HostInfo{boot(noon, fact.LocalNoZone)}, time.Time{}, 0},
		"two boots":                   {[]fact.HostInfo{boot(noon, fact.Epoch), boot(noon.Add(time.Hour), fact.Epoch)}, time.Time{}, 0},
		"dates an hour apart":         {[]fact.HostInfo{date("before", noon), date("after", noon.Add(time.Hour)), uptime("2:03")}, time.Time{}, 0},
		"nothing":                     {nil, time.Time{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := clocksOf(func(s *fact.Shard) {
				for _, f := range test.facts {
					fact.Add(s, f)
				}
			})
			at, uncertainty, ok := c.UTC("dmesg", c.Kernel(event))
			require.Equal(t, !test.want.IsZero(), ok)
			require.Equal(t, test.want, at)
			require.Equal(t, test.uncertainty, uncertainty)
		})
	}
}

func TestUptimes(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"47 min": 47 * time.Minute, "7:30": 7*time.Hour + 30*time.Minute, "3 days,  2:01": 74*time.Hour + time.Minute,
		"1 day, 5 min": 24*time.Hour + 5*time.Minute, "12 secs": 12 * time.Second, "27012.5": 27012500 * time.Millisecond,
	} {
		up, _, ok := parseUptime(s)
		require.True(t, ok, s)
		require.Equal(t, want, up, s)
	}
	for _, s := range []string{"", "NaN", "a:b", "-3 days", "1 fortnight", "1 day 2 hours 3", "1e300"} {
		_, _, ok := parseUptime(s)
		require.False(t, ok, s)
	}
}
