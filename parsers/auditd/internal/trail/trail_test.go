package trail_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/parsers/auditd/internal/trail"
)

// For measurements of the whole program:
//
//	go test ./parsers/auditd/internal/trail -write /tmp/audit.log -lines 500000
var (
	file     = flag.String("write", "", "write an audit log to this file")
	lines    = flag.Int("lines", 1000, "its lines")
	enriched = flag.Bool("enriched", false, "as log_format=ENRICHED writes it")
	node     = flag.String("node", "", "as name_format=USER writes it, with this name")
	seed     = flag.Uint64("seed", 1, "another seed, another log")
)

func TestWrite(t *testing.T) {
	o := trail.Options{Lines: *lines, Enriched: *enriched, Node: *node, Seed: *seed}
	if *file != "" {
		w, err := os.Create(*file)
		require.NoError(t, err)
		require.NoError(t, trail.Write(w, o))
		require.NoError(t, w.Close())
		return
	}
	var a, b bytes.Buffer
	require.NoError(t, trail.Write(&a, o))
	require.NoError(t, trail.Write(&b, o))
	require.True(t, bytes.Equal(a.Bytes(), b.Bytes()), "two runs differ")
	require.InDelta(t, o.Lines, bytes.Count(a.Bytes(), []byte("\n")), 10)
}
