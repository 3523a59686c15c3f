package report

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

var (
	htmlTag = regexp.MustCompile(`<[^>]*>`)
)

// TestHTMLIsInert: whatever artifacts say, the page has the same tags with the
// same attributes.
func TestHTMLIsInert(t *testing.T) {
	tags := func(p string) []string {
		r := everyText(sample(), func(old string) string { return old + p })
		for _, f := range r.Findings {
			f.Detail = "x" + strings.ReplaceAll(p, "\n", " ")
		}
		return htmlTag.FindAllString(encode(t, "html", r, Options{}), -1)
	}
	want := tags("word")
	require.Greater(t, len(want), 200)
	for _, p := range append(payloads, `"><script>x</script>`, `' onload='x`, "{{.Verdict}}", "</style><script>", "</title><script>", "]]>", "javascript:x") {
		assert.Equal(t, want, tags(p), "%q", p)
	}
}

func TestHTMLIsSelfContained(t *testing.T) {
	page := encode(t, "html", sample(), Options{})
	for _, tag := range htmlTag.FindAllString(page, -1) {
		assert.NotRegexp(t, `(?i)\b(src|href|action|data|srcset)=|<(script|link|iframe|object|form|base)\b|\bon\w+=`, tag)
	}
	assert.Contains(t, page, `content="default-src 'none'; style-src 'unsafe-inline'"`)
	assert.NotContains(t, page, "url(")
}

func TestHTMLTellsTheStory(t *testing.T) {
	page := encode(t, "html", sample(), Options{})
	last := 0
	for _, want := range []string{
		"<b>2 root causes found</b>", "Root cause 1: lock 0xc000771900 of process 3989", "<b>Lock 0xc000771900 was never released", "<ol class=\"chain\">", "goroutine.txt:120",
		"follows from step 1: a process that waits for the lock does not read", "push.pcap#301", "What speaks against it", "What is missing", "Fix", "What raised the odds",
		"Root cause 2", "What to collect next", "Other findings", "<svg", "advertises a window of zero", "Not read, or not read whole", "heap.pb.gz", "Could not judge", "panic: index out of range",
	} {
		i := strings.Index(page[last:], want)
		require.GreaterOrEqual(t, i, 0, "%q is missing or out of order", want)
		last += i
	}
}

func TestChartBreaksGaps(t *testing.T) {
	r := sample()
	r.Timeline = append(r.Timeline, analyze.TimelineEntry{Time: at(8, 30, 0).AddDate(0, 0, -9), Basis: fact.Epoch, Source: fact.Ref{Artifact: "old.log", Line: 1}, Text: "deploy", Finding: r.Findings[0].ID})
	c := outlined(r, false).drawn()
	require.Len(t, c.Breaks, 2, "nine days are a break, and so are ten minutes among seconds")
	assert.Equal(t, "8 d", c.Breaks[0].Text)
	assert.Equal(t, "10 min", c.Breaks[1].Text)
	require.Len(t, c.Marks, 4)
	assert.Equal(t, "old.log", c.Lanes[0].Name, "lanes in order of time")
	for i, m := range c.Marks[1:] {
		assert.GreaterOrEqual(t, m.X, c.Marks[i].X, "marks in order of time")
		assert.GreaterOrEqual(t, m.From, c.Left)
		assert.LessOrEqual(t, m.To, c.Right)
	}
	assert.Greater(t, c.Marks[3].X-c.Marks[1].X, 400, "the incident keeps most of the width")
	assert.Less(t, c.Marks[3].From, c.Marks[3].X, "uncertainty is drawn")
}

func TestChartOfOneInstant(t *testing.T) {
	r := sample()
	for i := range r.Timeline {
		r.Timeline[i].Time = at(8, 0, 0)
		r.Timeline[i].Uncertainty = time.Hour
	}
	c := outlined(r, false).drawn()
	assert.Empty(t, c.Breaks)
	for _, m := range c.Marks {
		assert.Equal(t, c.Marks[0].X, m.X)
	}
	r.Timeline = r.Timeline[:1]
	assert.Nil(t, outlined(r, false).drawn(), "one event needs no drawing")
}
