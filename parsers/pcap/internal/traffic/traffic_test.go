package traffic_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/parsers/pcap/internal/traffic"
)

// For measurements of the whole program:
//
//	go test ./parsers/pcap/internal/traffic -write /tmp/big.pcap -flows 60000 -size 1073741824
var (
	file  = flag.String("write", "", "write a capture to this file")
	flows = flag.Int("flows", 1000, "its conversations")
	size  = flag.Int64("size", 0, "its bytes, roughly")
	open  = flag.Int("open", 500, "conversations open at a time")
	seed  = flag.Uint64("seed", 1, "another seed, another capture")
)

func TestWrite(t *testing.T) {
	o := traffic.Options{Flows: *flows, Bytes: *size, Open: *open, Seed: *seed}
	if *file != "" {
		w, err := os.Create(*file)
		require.NoError(t, err)
		require.NoError(t, traffic.Write(w, o))
		require.NoError(t, w.Close())
		return
	}
	var a, b bytes.Buffer
	require.NoError(t, traffic.Write(&a, o))
	require.NoError(t, traffic.Write(&b, o))
	require.True(t, bytes.Equal(a.Bytes(), b.Bytes()), "two runs differ")
	require.InEpsilon(t, o.Flows<<14, a.Len(), 0.25)
	require.Error(t, traffic.Write(io.Discard, traffic.Options{Flows: 1000, Bytes: 1000}))
}
