package applog

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWrapper(t *testing.T) {
	for _, c := range []struct{ head, frame, other string }{
		{"svc-1  | goroutine 7 [select]:", "svc-1  | \t/src/a.go:1 +0x2", "svc-2  | x"},
		{"2026-03-02T08:15:01.12Z stderr F goroutine 7 [select]:", "2026-03-02T08:15:01.1Z stderr F \t/src/a.go:1 +0x2", "2026-03-02T08:15:01.1Z stdout F x"},
		{"Mar  2 08:15:01 web app[812]: goroutine 7 [select]:", "Mar 12 08:15:02 web app[812]: #011/src/a.go:1 +0x2", "Mar  2 08:15:01 web app[813]: x"},
		{`{"log":"goroutine 7 [select]:\n","stream":"stderr"}`, `{"log":"\t/src/a.go:1 +0x2\n","stream":"stderr"}`, `{"log":"x\n","stream":"stdout"}`},
	} {
		w, ok := wrapperOf([]byte(c.head))
		if !assert.True(t, ok, c.head) {
			continue
		}
		text, ok := w.unwrap([]byte(c.head))
		assert.True(t, ok)
		assert.Equal(t, "goroutine 7 [select]:", string(text))
		text, ok = w.unwrap([]byte(c.frame))
		assert.True(t, ok)
		assert.Equal(t, "\t/src/a.go:1 +0x2", string(text))
		_, ok = w.unwrap([]byte(c.other))
		assert.False(t, ok, c.other)
	}
	for _, line := range []string{"goroutine 7 [select]:", "waiting for goroutine 7 to end", `{"msg":"goroutine 7"}`} {
		_, ok := wrapperOf([]byte(line))
		assert.False(t, ok, line)
	}
}

// TestWrapperOfThreads: the stacks of a JVM or of faulthandler stand in a log as
// they are or behind a collector's words.
func TestWrapperOfThreads(t *testing.T) {
	for _, c := range []struct{ head, body, text string }{
		{"Full thread dump OpenJDK 64-Bit Server VM (17.0.15 mixed mode):", `"main" #1 prio=5`, `"main" #1 prio=5`},
		{"2026-03-02T08:15:01.12Z stdout F Full thread dump OpenJDK 64-Bit Server VM:", "2026-03-02T08:15:01.13Z stdout F \tat a.B.c(B.java:1)", "\tat a.B.c(B.java:1)"},
		{"Mar  2 08:15:01 web app[812]: Current thread 0x00007f12 (most recent call first):", "Mar  2 08:15:01 web app[812]:   File \"a.py\", line 12 in f", "  File \"a.py\", line 12 in f"},
	} {
		w, ok := wrapperOf([]byte(c.head))
		if !assert.True(t, ok, c.head) {
			continue
		}
		assert.Equal(t, "threads", w.dump)
		text, ok := w.unwrap([]byte(c.body))
		assert.True(t, ok)
		assert.Equal(t, c.text, string(text))
	}
	for _, line := range []string{"Thread 0x7f12 ended", "the Full thread dumps are off", "Traceback (most recent call last):"} {
		_, ok := wrapperOf([]byte(line))
		assert.False(t, ok, line)
	}
}
