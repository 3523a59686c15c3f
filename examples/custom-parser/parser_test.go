package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, QueueParser(), "testdata/*.txt") }
func TestRobust(t *testing.T) { parsertest.Robust(t, QueueParser(), "testdata/queues.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, QueueParser(), "testdata/*.txt") }

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{"testdata/queues.txt"}))
	assert.Equal(t, "queues.txt:2: orders had 1200 messages\nqueues.txt:3: mail had 3 messages\nqueues.txt:6: orders had 2400 messages\n3 facts of kind acme/queue-depth\n", out.String())
	assert.Error(t, run(t.Context(), &out, nil))
}
