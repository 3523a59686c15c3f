package join

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

func clocksOf(facts func(*fact.Shard)) *Clocks {
	var s fact.Shard
	facts(&s)
	return analyze.Derive(&clocks, fact.Seal(nil, &s), nil)
}

var noon = time.Date(2021, 5, 18, 12, 0, 0, 0, time.UTC)

func logAt(file fact.ID, line int, t time.Time, basis fact.Basis, change func(*fact.LogEvent)) fact.LogEvent {
	e := fact.LogEvent{At: fact.Ref{Artifact: file, Line: line}, Time: fact.Time{T: t, Basis: basis, Precision: time.Second}, Text: "x"}
	change(&e)
	return e
}

func kill(line int, t time.Time, sig string, pid int) fact.AuditEvent {
	return fact.AuditEvent{At: fact.Ref{Artifact: "audit.log", Line: line}, Time: fact.Time{T: t, Basis: fact.Epoch},
		Signal: sig, Targets: []fact.AuditTarget{{PID: pid}}}
}

func TestOffsetFromTwoSignals(t *testing.T) {
	east := 8 * time.Hour
	c := clocksOf(func(s *fact.Shard) {
		for i, d := range []time.Duration{0, 5 * time.Second} {
			fact.Add(s, kill(1+i, noon.Add(d), "SIGTERM", 100+i))
			fact.Add(s, logAt("master.log", 1+i, noon.Add(d+east+200*time.Millisecond), fact.LocalNoZone, func(e *fact.LogEvent) {
				e.Signal, e.PIDs = "SIGTERM", []int{100 + i}
			}))
		}
	})
	k := c.Of("master.log")
	require.True(t, k.Known)
	require.Equal(t, -east, k.Offset)
	require.Len(t, k.Pairs, 2)
	at, _, ok := c.UTC("master.log", fact.Time{T: noon.Add(east), Basis: fact.LocalNoZone})
	require.True(t, ok)
	require.Equal(t, noon, at)
}

func TestOnePairIsNotEnough(t *testing.T) {
	c := clocksOf(func(s *fact.Shard) {
		fact.Add(s, kill(1, noon, "SIGTERM", 100))
		fact.Add(s, logAt("a.log", 1, noon.Add(time.Hour), fact.LocalNoZone, func(e *fact.LogEvent) { e.Signal = "SIGTERM" }))
	})
	require.False(t, c.Of("a.log").Known)
}

func TestTwoOffsetsThatFitEquallyAreNone(t *testing.T) {
	c := clocksOf(func(s *fact.Shard) {
		for _, h := range []time.Duration{0, time.Hour} {
			fact.Add(s, kill(1, noon.Add(h), "SIGTERM", 100))
			fact.Add(s, kill(2, noon.Add(h+time.Minute), "SIGTERM", 100))
		}
		for i := range 2 {
			fact.Add(s, logAt("a.log", 1+i, noon.Add(time.Duration(i)*time.Minute), fact.LocalNoZone, func(e *fact.LogEvent) { e.Signal = "SIGTERM" }))
		}
	})
	k := c.Of("a.log")
	require.False(t, k.Known)
	require.Equal(t, []time.Duration{0, time.Hour}, k.Others)
}

func TestZoneOfTheHost(t *testing.T) {
	c := clocksOf(func(s *fact.Shard) {
		fact.Add(s, fact.HostInfo{At: fact.Ref{Artifact: "date.txt", Line: 1}, Name: "date", ZoneOffset: fact.Some[int64](-5 * 3600)})
		fact.Add(s, logAt("a.log", 1, noon, fact.LocalNoZone, func(*fact.LogEvent) {}))
	})
	at, _, ok := c.UTC("a.log", fact.Time{T: noon, Basis: fact.LocalNoZone})
	require.True(t, ok)
	require.Equal(t, noon.Add(5*time.Hour), at)
}
