package chatter_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/parsers/applog/internal/chatter"
)

// For measurements of the whole program:
//
//	go test ./parsers/applog/internal/chatter -write /tmp/big.log -size 1073741824
var (
	file = flag.String("write", "", "write a log to this file")
	form = flag.String("form", "text", "its form")
	size = flag.Int64("size", 0, "its bytes")
	seed = flag.Uint64("seed", 1, "another seed, another log")
)

func TestWrite(t *testing.T) {
	o := chatter.Options{Form: *form, Bytes: *size, Seed: *seed}
	if *file != "" {
		w, err := os.Create(*file)
		require.NoError(t, err)
		require.NoError(t, chatter.Write(w, o))
		require.NoError(t, w.Close())
		return
	}
	for _, o.Form = range chatter.Forms() {
		var a, b bytes.Buffer
		require.NoError(t, chatter.Write(&a, o))
		require.NoError(t, chatter.Write(&b, o))
		require.True(t, bytes.Equal(a.Bytes(), b.Bytes()), "two runs differ")
		require.InDelta(t, 1<<20, a.Len(), 2000)
	}
	require.Error(t, chatter.Write(io.Discard, chatter.Options{Form: "prose"}))
}
