package applog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/applog"
)

// TestDates: what a stamp does not print comes from the name or the time of the
// file, also across midnight and the new year.
func TestDates(t *testing.T) {
	const clocks = "23:59:58.100 INFO up\n23:59:59.100 ERROR a ECONNREFUSED\n00:00:01.200 ERROR b ECONNREFUSED\n00:00:02.200 WARN c\n"
	const noYear = "Dec 31 23:59:58 web app[12]: up\nDec 31 23:59:59 web app[12]: a ECONNREFUSED\nJan  1 00:00:01 web app[12]: b ECONNREFUSED\nJan  1 00:00:02 web app[12]: c\n"
	changed := time.Date(2026, 1, 1, 3, 10, 0, 0, time.UTC)
	for _, c := range []struct {
		path, text string
		changed    time.Time
		first      string // of 2025-12-31T23:59:58.1Z and 2025-12-31T23:59:58Z
		last       string
	}{
		{"app.log", clocks, changed, "2025-12-31T23:59:58.1Z", "2026-01-01T00:00:02.2Z"},
		{"app.log", clocks, changed.Add(-11 * time.Hour), "2025-12-31T23:59:58.1Z", "2026-01-01T00:00:02.2Z"}, // written east of here
		{"app-2025-12-31.log", clocks, changed.AddDate(0, 3, 0), "2025-12-31T23:59:58.1Z", "2026-01-01T00:00:02.2Z"},
		{"app.log", clocks, time.Time{}, "", ""},
		{"syslog", noYear, changed, "2025-12-31T23:59:58Z", "2026-01-01T00:00:02Z"},
		{"messages-20260101", noYear, changed.AddDate(2, 0, 0), "2025-12-31T23:59:58Z", "2026-01-01T00:00:02Z"},
		{"syslog", "-- Journal begins at Mon 2025-12-01 08:00:00 UTC, ends at Thu 2026-01-01 06:00:00 UTC. --\n" + noYear, time.Time{}, "2025-12-31T23:59:58Z", "2026-01-01T00:00:02Z"},
		{"syslog", noYear, time.Time{}, "", ""},
	} {
		in := analyzetest.Input(c.path, []byte(c.text))
		in.ModTime, in.Parser = c.changed, "applog"
		got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{applog.Parser()}})
		require.NoError(t, err)
		for l := range fact.All[fact.Log](got.Store.View("test", "log")) {
			require.Equal(t, c.first, printed(l.First), "%s %v", c.path, c.changed)
			require.Equal(t, c.last, printed(l.Last), "%s %v", c.path, c.changed)
		}
		for e := range fact.All[fact.LogEvent](got.Store.View("test", "log_event")) {
			if c.first == "" {
				require.False(t, e.Known())
			}
		}
	}
}

func printed(t fact.Time) string {
	if !t.Known() {
		return ""
	}
	return t.T.Format(time.RFC3339Nano)
}
