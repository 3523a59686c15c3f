package timeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/timeline"
	"github.com/culprit-dev/culprit/parsers"
)

const trail = `type=SYSCALL msg=audit(1763688000.500:7): arch=c000003e syscall=62 success=yes exit=0 a0=11a a1=f ppid=1 pid=17 auid=1000 uid=1000 ses=3 tty=pts0 comm="bash" exe="/usr/bin/bash" key="k"
type=OBJ_PID msg=audit(1763688000.500:7): opid=282 oauid=-1 ouid=0 oses=-1 ocomm="shopd"
`

const zoned = `2025-11-21T01:19:59.000Z INFO shopd starting pid=282
2025-11-21T01:20:00.600Z WARN received SIGTERM, stopping
2025-11-21T01:20:01.000Z ERROR connection to 10.0.0.9:5432 lost: ECONNRESET
`

const zoneless = `2025-11-21 09:19:58 ERROR cannot reach 10.7.7.7:443: ETIMEDOUT
2025-11-21 09:20:02 ERROR cannot reach 10.7.7.8:443: ETIMEDOUT
`

func run(t *testing.T, files map[string]string, limit int) *analyze.Result {
	t.Helper()
	var inputs []*analyze.Input
	for name, text := range files {
		inputs = append(inputs, analyzetest.Input(name, []byte(text)))
	}
	res, err := analyze.Run(t.Context(), inputs, analyze.Config{
		Parsers: parsers.All(), Timeline: timeline.All, Limits: analyze.Limits{Events: limit},
	})
	require.NoError(t, err)
	return res
}

func texts(res *analyze.Result) []string {
	var out []string
	for _, e := range res.Timeline {
		out = append(out, e.Time.UTC().Format("15:04:05.0")+" "+e.Source.String()+" "+e.Text)
	}
	return out
}

// TestAllMergesClocks: records of two artifacts stand in order of time, whatever their
// form; a log whose zone nothing tells is left out, and that is said.
func TestAllMergesClocks(t *testing.T) {
	res := run(t, map[string]string{"audit.log": trail, "shop.log": zoned, "local.log": zoneless}, 0)
	got := texts(res)
	require.Len(t, got, 4, "%s", strings.Join(got, "\n"))
	assert.Equal(t, "01:20:00.5 audit.log:1 pid 17 /usr/bin/bash: kill SIGTERM to pid 282 shopd", got[1])
	assert.Contains(t, got[2], "shop.log:2")
	assert.Contains(t, got[3], "error: connection to 10.0.0.9:5432 lost")
	assert.Equal(t, []string{"timeline: 2 events of local.log left out, since the zone of that clock is not known; --tz names it"}, res.Limits)
}

// TestAllIsBounded: of more events than the limit the nearest to the findings are
// kept, without findings the latest, and the rest is counted.
func TestAllIsBounded(t *testing.T) {
	var log strings.Builder
	start := time.Date(2025, 11, 21, 1, 0, 0, 0, time.UTC)
	for i := range 1000 {
		fmt.Fprintf(&log, "%s ERROR cannot reach 10.7.%d.%d:443: ETIMEDOUT\n", start.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i/250, i%250+1)
	}
	res := run(t, map[string]string{"shop.log": log.String()}, 10)
	require.Len(t, res.Timeline, 10)
	assert.Equal(t, start.Add(990*time.Second), res.Timeline[0].Time.UTC())
	assert.Equal(t, start.Add(999*time.Second), res.Timeline[9].Time.UTC())
	assert.True(t, slices.ContainsFunc(res.Limits, func(l string) bool { return strings.Contains(l, "10 of ") }), "%v", res.Limits)

	// The same, told when the findings were.
	around := func(p *analyze.Pass, _, _ time.Time, _ int) ([]analyze.TimelineEntry, []string) {
		return timeline.All(p, start.Add(100*time.Second), start.Add(103*time.Second), 6)
	}
	res, err := analyze.Run(t.Context(), []*analyze.Input{analyzetest.Input("shop.log", []byte(log.String()))}, analyze.Config{Parsers: parsers.All(), Timeline: around})
	require.NoError(t, err)
	require.Len(t, res.Timeline, 6)
	assert.Equal(t, start.Add(99*time.Second), res.Timeline[0].Time.UTC())
	assert.Equal(t, start.Add(104*time.Second), res.Timeline[5].Time.UTC())
}
