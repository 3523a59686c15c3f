package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestTimer(t *testing.T) {
	for measured, set := range map[string]string{
		"8.05s":    "8s",
		"8.09s":    "8s",
		"4.9999s":  "5s",
		"5.01s":    "5s",
		"1.503s":   "1.5s",
		"60.4s":    "1m0s",
		"350.2s":   "5m50s",
		"310.004s": "5m10s",
		"2.37s":    "2.37s",
	} {
		d, err := time.ParseDuration(measured)
		require.NoError(t, err)
		assert.Equal(t, set, Timer(d).String(), measured)
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234567: "1.23ms", 8_053_200_000: "8.05s", 61 * time.Second: "1m1s", 7*time.Hour + 123*time.Second: "7h2m3s",
	} {
		assert.Equal(t, want, Round(d).String())
	}
}

func TestCluster(t *testing.T) {
	cases := func(idle ...time.Duration) []*Case {
		var out []*Case
		for _, d := range idle {
			out = append(out, &Case{Idle: d * time.Second})
		}
		return out
	}
	assert.Empty(t, cluster(cases(8, 8), 0.1, 0))
	assert.Len(t, cluster(cases(8, 30, 8, 2, 8), 0.1, 0), 3)
	assert.Empty(t, cluster(cases(2, 4, 8, 16, 32), 0.1, 0))
	assert.Len(t, cluster(cases(100, 105, 110, 111), 0.1, 0), 3)
}

func TestRejection(t *testing.T) {
	for _, e := range []fact.ICMPError{
		{Src: "10.0.0.1:4000", Type: 3, Code: 3},
		{Src: "10.0.0.1:4000", Type: 3, Code: 13},
		{Src: "[fd00::1]:4000", Type: 1, Code: 1},
	} {
		assert.True(t, Rejection(&e), e)
	}
	for _, e := range []fact.ICMPError{
		{Src: "10.0.0.1:4000", Type: 3, Code: 1},
		{Src: "10.0.0.1:4000", Type: 3, Code: 4},
		{Src: "10.0.0.1:4000", Type: 11, Code: 0},
		{Src: "[fd00::1]:4000", Type: 2, Code: 0},
		{Src: "[fd00::1]:4000", Type: 1, Code: 3},
	} {
		assert.False(t, Rejection(&e), e)
	}
}

// TestJudge holds what one conversation alone tells, for each kind of RST that a
// Linux kernel sends.
func TestJudge(t *testing.T) {
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	sec := func(s float64) time.Time { return at.Add(time.Duration(s * float64(time.Second))) }
	for name, c := range map[string]struct {
		flow fact.FlowRecord
		want Class
	}{
		"refused":               {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "syn_sent", Form: "refused"}}}, Refused},
		"the client's mind":     {fact.FlowRecord{Resets: []fact.Reset{{From: "client", State: "syn_sent"}}}, Left},
		"a probe":               {fact.FlowRecord{Resets: []fact.Reset{{From: "client", State: "syn_recv", Form: "nosock"}}}, Left},
		"no room":               {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "syn_recv", Form: "nosock"}}}, Overflow},
		"torn down":             {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "established", Form: "abort", ACK: true}}}, Abort},
		"torn down by a client": {fact.FlowRecord{Resets: []fact.Reset{{From: "client", State: "established", Form: "abort", ACK: true}}}, Abort},
		"a foreign kernel's":    {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "established", Form: "other", ACK: true}}}, Abort},
		"forgotten":             {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "established", Form: "nosock"}}}, HalfOpen},
		"fresh": {fact.FlowRecord{First: at, ClientISN: fact.Some(uint32(1)),
			Resets: []fact.Reset{{From: "server", State: "established", Form: "nosock", Time: sec(0.1)}}}, Overflow},
		"leaving early": {fact.FlowRecord{Resets: []fact.Reset{{From: "client", State: "client_closing", Form: "nosock", ResetterFIN: true, PeerDataSinceOwn: 350}}}, Left},
		"leaving late":  {fact.FlowRecord{Resets: []fact.Reset{{From: "client", State: "server_closing", Form: "abort", PeerFIN: true, PeerDataSinceOwn: 350}}}, Left},
		"half-closed request dropped": {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "client_closing", Form: "abort", PeerFIN: true, PeerDataSinceOwn: 9000}}},
			Abort},
		"answered, then closed by both": {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "client_closing", Form: "abort", PeerFIN: true}}}, Left},
		"late write": {fact.FlowRecord{ToServer: fact.DirectionRecord{LastData: sec(2)}, ToClient: fact.DirectionRecord{FIN: true, FINTime: sec(1)},
			Resets: []fact.Reset{{From: "server", State: "server_closing", Form: "nosock", ResetterFIN: true, PeerDataSinceOwn: 10}}}, WriteAfterClose},
		"close_notify": {fact.FlowRecord{App: "tls", ToServer: fact.DirectionRecord{LastData: sec(2)}, ToClient: fact.DirectionRecord{FIN: true, FINTime: sec(1)},
			Resets: []fact.Reset{{From: "server", State: "server_closing", Form: "nosock", ResetterFIN: true, PeerDataSinceOwn: 24}}}, Left},
		"closed without answering": {fact.FlowRecord{ToServer: fact.DirectionRecord{LastData: sec(1)}, ToClient: fact.DirectionRecord{FIN: true, FINTime: sec(2)},
			Resets: []fact.Reset{{From: "server", State: "server_closing", Form: "nosock", ResetterFIN: true, PeerDataSinceOwn: 10}}}, Abort},
		"after the end": {fact.FlowRecord{Resets: []fact.Reset{{From: "server", State: "closed", Form: "nosock"}}}, Left},
	} {
		c.flow.Proto = "tcp"
		f := c.flow.Flow()
		got := judge(&f)
		require.NotNil(t, got, name)
		assert.Equal(t, c.want, got.Class, name)
	}
	assert.Nil(t, judge(&fact.Flow{}))
	udp := fact.FlowRecord{Proto: "udp", Resets: []fact.Reset{{State: "established"}}}.Flow()
	assert.Nil(t, judge(&udp))
}
