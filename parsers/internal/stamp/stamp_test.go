package stamp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

var collected = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// TestParse: the layouts, with what follows the stamp left alone.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		in, want string // want in RFC 3339; the zone is Z where none is printed
		rest     string
		basis    fact.Basis
	}{
		{"2026-11-21T01:34:49.123Z INFO x", "2026-11-21T01:34:49.123Z", " INFO x", fact.LocalZone},
		{"2026-11-21T01:34:49+08:00 x", "2026-11-20T17:34:49Z", " x", fact.LocalZone},
		{"2026-11-21 01:34:49,123 - name - INFO", "2026-11-21T01:34:49.123Z", " - name - INFO", fact.LocalNoZone},
		{"2026-11-21 01:34:49.123456789 +0530 x", "2026-11-20T20:04:49.123456789Z", " x", fact.LocalZone},
		{"2026-11-21 01:34:49 UTC [12] LOG", "2026-11-21T01:34:49Z", " [12] LOG", fact.LocalZone},
		{"2026-11-21 01:34:49 CST x", "2026-11-21T01:34:49Z", " CST x", fact.LocalNoZone},
		{"2026-11-21T01:33:49: GOD log: x", "2026-11-21T01:33:49Z", ": GOD log: x", fact.LocalNoZone},
		{"2026-11-21 1:34 x", "2026-11-21T01:34:00Z", " x", fact.LocalNoZone},
		{"2026/11/21 01:34:49.000007 main.go:3: x", "2026-11-21T01:34:49.000007Z", " main.go:3: x", fact.LocalNoZone},
		{"20261121T013449Z x", "2026-11-21T01:34:49Z", " x", fact.LocalZone},
		{"20261121 01:34:49.5 x", "2026-11-21T01:34:49.5Z", " x", fact.LocalNoZone},
		{"2026-Nov-21 01:34:49.123456 x", "2026-11-21T01:34:49.123456Z", " x", fact.LocalNoZone},
		{"2026年11月21日 01:34:49 x", "2026-11-21T01:34:49Z", " x", fact.LocalNoZone},
		{"2026年11月21日 13时34分49秒 x", "2026-11-21T13:34:49Z", " x", fact.LocalNoZone},
		{"2026/11/21 下午1:34:34 x", "2026-11-21T13:34:34Z", " x", fact.LocalNoZone},
		{"11/21/2026, 1:34:34 AM [m] x", "2026-11-21T01:34:34Z", " [m] x", fact.LocalNoZone},
		{"11/21/2026, 12:00:34\u202fAM [m] x", "2026-11-21T00:00:34Z", " [m] x", fact.LocalNoZone},
		{"11/21/2026, 12:34:34 PM x", "2026-11-21T12:34:34Z", " x", fact.LocalNoZone},
		{"21/11/2026, 13:34:34 x", "2026-11-21T13:34:34Z", " x", fact.LocalNoZone},
		{"3.2.2026, 13:34:34 x", "2026-02-03T13:34:34Z", " x", fact.LocalNoZone},
		{"11/21/26 08:53:26 x", "2026-11-21T08:53:26Z", " x", fact.LocalNoZone},
		{"21/Nov/2026:01:34:49 +0000] \"GET", "2026-11-21T01:34:49Z", "] \"GET", fact.LocalZone},
		{"21-Nov-2026 01:34:49 UTC] PHP", "2026-11-21T01:34:49Z", "] PHP", fact.LocalZone},
		{"21 Nov 2026 01:34:49.123 * x", "2026-11-21T01:34:49.123Z", " * x", fact.LocalNoZone},
		{"Nov 21 01:34:49 host sshd[1]: x", "2026-11-21T01:34:49Z", " host sshd[1]: x", fact.LocalNoZone},
		{"Nov  1 01:34:49.5 host x", "2026-11-01T01:34:49.5Z", " host x", fact.LocalNoZone},
		{"Dec 31 23:59:59 host x", "2025-12-31T23:59:59Z", " host x", fact.LocalNoZone},
		{"Sat Nov 21 01:34:49.123456 2026] [core", "2026-11-21T01:34:49.123456Z", "] [core", fact.LocalNoZone},
		{"Sat Nov 21 01:34:49 UTC 2026 x", "2026-11-21T01:34:49Z", " x", fact.LocalZone},
		{"Sat Nov 21 2026 01:34:49 GMT+0100 (CET) x", "2026-11-21T00:34:49Z", " (CET) x", fact.LocalZone},
		{"Sat, 21 Nov 2026 01:34:49 GMT x", "2026-11-21T01:34:49Z", " x", fact.LocalZone},
		{"I1121 01:34:49.123456   12 a.go:3] x", "2026-11-21T01:34:49.123456Z", "   12 a.go:3] x", fact.LocalNoZone},
		{"1795225255 x", "2026-11-21T01:40:55Z", " x", fact.Epoch},
		{"1795225255.250 x", "2026-11-21T01:40:55.25Z", " x", fact.Epoch},
		{"1795225255123 x", "2026-11-21T01:40:55.123Z", " x", fact.Epoch},
		{"1795225255123456 x", "2026-11-21T01:40:55.123456Z", " x", fact.Epoch},
		{"1795225255123456789 x", "2026-11-21T01:40:55.123456789Z", " x", fact.Epoch},
	} {
		s, n := Parse([]byte(c.in), Unknown)
		if !assert.NotZero(t, n, c.in) {
			continue
		}
		got := s.Time(collected)
		assert.Equal(t, c.want, got.T.Format(time.RFC3339Nano), c.in)
		assert.Equal(t, c.basis, got.Basis, c.in)
		assert.Equal(t, c.rest, c.in[n:], c.in)
	}
}

func TestParseNot(t *testing.T) {
	for _, in := range []string{
		"", "hello world", "10.20.30.40:80 x", "127.0.0.1 - - [", "2026 was a year", "2026-13-41 01:02:03 x", "12345678 x", "1795225255-x y",
		"99/99/2026 01:02:03", "Nova 21 01:02:03", "Nov 21", "2026-11-21", "E2BIG 1 x y z", "11/21/2026", "1/2/3/4 5 6 7", "2026-11-21T",
		"0:21 / /proc rw", "00:00:00:00:00:00 NOARP",
	} {
		_, n := Parse([]byte(in), Unknown)
		assert.Zero(t, n, in)
	}
}

// TestParseCut: a stamp may end at any byte, with a blank of any width.
func TestParseCut(t *testing.T) {
	for _, in := range []string{
		"2026-3-2T08:15:09.123\u00a0PM +08:00", "11/21/2026 1:34:48\u202fPM", "Sat Nov 21 01:34:48 UTC 2026", "2026年11月21日 下午1时34分48秒",
	} {
		for _, blank := range []string{"", " ", "\u00a0", "\u202f", "\u202f\u00a0"} {
			for i := range in {
				cut := []byte(in[:i] + blank)
				_, n := Parse(cut[:len(cut):len(cut)], Unknown)
				assert.LessOrEqual(t, n, len(cut), "%q", cut)
			}
		}
	}
}

// TestYear: without a year and a reference there is no time, rather than a guess.
func TestYear(t *testing.T) {
	s, n := Parse([]byte("Nov 21 01:34:49 x"), Unknown)
	require.NotZero(t, n)
	assert.False(t, s.Time(time.Time{}).Known())
	c, n := Parse([]byte("01:34:49 x"), Unknown)
	require.NotZero(t, n)
	assert.False(t, c.Time(collected).Known())
}

// TestOrder: the order of numeric dates is one for the whole file.
func TestOrder(t *testing.T) {
	f := Detect([]byte("01/02/2026, 10:00:00 a\n01/02/2026, 10:00:01 b\n13/02/2026, 10:00:01 b\n"))
	s, _, to := f.Find([]byte("01/02/2026, 10:00:00 a"))
	require.NotZero(t, to)
	assert.Equal(t, 1, s.Day)
	assert.False(t, f.Ambiguous)
	f = Detect([]byte("01/02/2026, 10:00:00 a\n01/03/2026, 10:00:01 b\n"))
	s, _, _ = f.Find([]byte("01/02/2026, 10:00:00 a"))
	assert.Equal(t, 1, s.Month)
	assert.True(t, f.Ambiguous)
}

// TestFind: what stands before a stamp is learned from the beginning of the file.
func TestFind(t *testing.T) {
	for _, line := range []string{
		`10.0.0.9 - - [21/Nov/2026:01:34:48 +0000] "GET / HTTP/1.1" 200 12`,
		`time="2026-11-21T01:34:48Z" level=info msg="x"`,
		`<34>1 2026-11-21T01:34:48Z host app 12 - - x`,
		`<34>Nov 21 01:34:48 host app: x`,
		`INFO [2026-11-21 01:34:48,123] x y z`,
		`web_1  | 2026-11-21T01:34:48Z x`,
		`1234:M 21 Nov 2026 01:34:48.123 * Ready`,
		`I, [2026-11-21T01:34:48.123456 #1234]  INFO -- : x`,
		`1795225288.123 x y`,
		`01:34:48.123 [main] INFO x`,
	} {
		f := Detect([]byte(line + "\n" + line + "\n"))
		_, _, to := f.Find([]byte(line))
		assert.NotZero(t, to, line)
		assert.EqualValues(t, 1, f.Share, line)
	}
	// A number at the start of some lines is no time.
	f := Detect([]byte("1795225255 x\nfoo\nbar\nbaz\n"))
	_, _, to := f.Find([]byte("1795225255 x"))
	assert.Zero(t, to)
}

func BenchmarkFind(b *testing.B) {
	line := []byte("2026-11-21T01:34:49.123Z INFO worker 3 pid=1 rss=3MB")
	f := Detect(line)
	b.ReportAllocs()
	for b.Loop() {
		f.Find(line)
	}
}
