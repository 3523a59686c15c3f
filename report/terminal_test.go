package report

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTerminalStory(t *testing.T) {
	out := encode(t, "text", sample(), Options{})
	last := 0
	for _, want := range []string{
		"2 ROOT CAUSES FOUND  push.tar.gz\n",
		"ROOT CAUSE 1\n", "goroutine.txt:120", "missing: a second dump",
		"2. quotepushd (pid 3989) does not read", "follows from step 1: a process that waits for the lock",
		"3. 172.17.0.3:49001 advertises", "push.pcap#301", "Raised the odds: Twelve", "Fix: Unlock with defer",
		"ROOT CAUSE 2\n", "COLLECT NEXT", "\n  curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2' > goroutine_2.txt\n",
		"OTHER FINDINGS", "TIMELINE (UTC)", "COVERAGE", "7 artifacts, 4 not read or not read whole", "8 rules: 4 found something, 2 found nothing, 2 could not judge",
	} {
		i := strings.Index(out[last:], want)
		require.GreaterOrEqual(t, i, 0, "%q is missing or out of order in:\n%s", want, out)
		last += i
	}
	assert.NotContains(t, out, "\x1b", "no colour unless asked for")
}

// neverWrapped are lines that stay whole: titles, commands, counts, and those that
// begin with a time or a position.
var neverWrapped = regexp.MustCompile(`^(\S|  curl |  \d|    \S+:\d+  |    \S+#\d+  )`)

func TestTerminalWraps(t *testing.T) {
	for _, width := range []int{0, 20, 60, 200} {
		limit := width
		switch {
		case width == 0:
			limit = 80
		case width < 40:
			limit = 40
		}
		for l := range strings.Lines(encode(t, "text", sample(), Options{Width: width})) {
			l = strings.TrimSuffix(l, "\n")
			if utf8.RuneCountInString(l) > limit && !neverWrapped.MatchString(l) {
				t.Errorf("width %d: a line of %d: %q", width, utf8.RuneCountInString(l), l)
			}
		}
	}
}

var ansi = regexp.MustCompile(`\x1b\[[0-9;]+m`)

// TestTerminalIsSafe: what artifacts say never reaches the terminal as a control
// sequence, with and without colours.
func TestTerminalIsSafe(t *testing.T) {
	for _, p := range payloads {
		r := everyText(sample(), func(old string) string { return old + p })
		plain := encode(t, "text", r, Options{})
		assert.NotRegexp(t, `[\x00-\x09\x0b-\x1f\x7f\x{80}-\x{9f}\x{202a}-\x{202e}]`, plain, "%q", p)
		assert.True(t, utf8.ValidString(plain), "%q", p)
		color := encode(t, "text", r, Options{Color: true})
		assert.Equal(t, plain, ansi.ReplaceAllString(color, ""), "%q: colour changes nothing but colour", p)
		for l := range strings.Lines(color) {
			if n := strings.Count(l, "\x1b[0m"); strings.Count(l, "\x1b[") != 2*n {
				t.Errorf("%q: a line leaves a colour on: %q", p, l)
			}
		}
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain -> text":      "plain -> text",
		"héllo 日本 ✔ 👍":       "héllo 日本 ✔ 👍",
		"\x1b[31m":           `\x1b[31m`,
		"a\u202eb":           `a\u202eb`,
		"a\u200bb\ufeff":     `a\u200bb\ufeff`,
		"bad\xffbyte":        `bad\xffbyte`,
		"kept \uFFFD":        "kept \uFFFD",
		"tab\tdel\x7f":       `tab del\x7f`,
		"line\u2028sep":      `line\u2028sep`,
		"next\u0085line":     `next\u0085line`,
		"tag\U000e0041":      `tag\U000e0041`,
		"wide\u3000space":    `wide\u3000space`,
		"hangul\u3164filler": `hangul\u3164filler`,
	} {
		assert.Equal(t, want, visible(in))
	}
}
