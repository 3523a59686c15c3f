package pcap_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// frame is a frame on its way from one format into another.
type frame struct {
	sec, usec uint32
	wire      int
	data      []byte
}

// framesOf takes a capture of CompileCapture apart.
func framesOf(t testing.TB, text string) []frame {
	t.Helper()
	b := compile(t, text)[24:]
	le := binary.LittleEndian
	var out []frame
	for len(b) > 0 {
		n := int(le.Uint32(b[8:]))
		out = append(out, frame{le.Uint32(b), le.Uint32(b[4:]), int(le.Uint32(b[12:])), b[16 : 16+n]})
		b = b[16+n:]
	}
	return out
}

// edit changes each frame.
func edit(in []frame, change func([]byte) []byte) []frame {
	out := slices.Clone(in)
	for i := range out {
		cut := out[i].wire - len(out[i].data)
		out[i].data = change(out[i].data)
		out[i].wire = len(out[i].data) + cut
	}
	return out
}

// classic writes a pcap file.
func classic(order binary.ByteOrder, magic uint32, link uint32, frames []frame) []byte {
	b := order.(binary.AppendByteOrder)
	out := b.AppendUint32(nil, magic)
	out = b.AppendUint16(out, 2)
	out = b.AppendUint16(out, 4)
	out = b.AppendUint64(out, 0)
	out = b.AppendUint32(out, 65535)
	out = b.AppendUint32(out, link)
	if magic == 0x1c0001ac {
		out = b.AppendUint32(out, 0)
	}
	for _, f := range frames {
		frac := f.usec
		if magic == 0xa1b23c4d || magic == 0x1c0001ac {
			frac *= 1000
		}
		out = b.AppendUint32(out, f.sec)
		out = b.AppendUint32(out, frac)
		out = b.AppendUint32(out, uint32(len(f.data)))
		out = b.AppendUint32(out, uint32(f.wire))
		if magic == 0xa1b2cd34 {
			out = append(out, make([]byte, 8)...)
		}
		out = append(out, f.data...)
	}
	return out
}

// flows reads a capture and returns its flows in JSON without what depends on the
// file: offsets are no part of it, lengths of frames are.
func flows(t testing.TB, content []byte) []fact.FlowRecord {
	t.Helper()
	st, status := parsertest.Run(t, pcap.Parser(), "x.pcap", content)
	require.Equal(t, "parsed", status.Status, status.Issues)
	out := records(st)
	for i := range out {
		out[i].At = fact.Ref{Artifact: "x.pcap", Packet: out[i].At.Packet}
	}
	return out
}

// records opens the flows of a store.
func records(st *fact.Store) (out []fact.FlowRecord) {
	for f := range fact.All[fact.Flow](st.View("test")) {
		out = append(out, f.Record())
	}
	return out
}

// withoutLink drops what the length of a link header changes.
func withoutLink(in []fact.FlowRecord) []fact.FlowRecord {
	out := slices.Clone(in)
	for i := range out {
		out[i].Bytes, out[i].ToServer.Bytes, out[i].ToClient.Bytes = 0, 0, 0
		out[i].Tunnel = nil
	}
	return out
}

func same(t *testing.T, want, got []fact.FlowRecord) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

// sample is a capture of testdata.
func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(b)
}

// inFile compiles a sample to a file, as the helpers of parsertest want one.
func inFile(t testing.TB, name string) string {
	path := filepath.Join(t.TempDir(), strings.TrimSuffix(name, ".txt"))
	require.NoError(t, os.WriteFile(path, compile(t, sample(t, name)), 0o600))
	return path
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pcap.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			name := filepath.Base(file)
			path := inFile(t, name)
			golden, err := os.ReadFile(file + ".golden.jsonl")
			if err == nil {
				require.NoError(t, os.WriteFile(path+".golden.jsonl", golden, 0o600))
			}
			parsertest.Golden(t, pcap.Parser(), path)
			// With -update the golden file was written beside the compiled capture.
			written, err := os.ReadFile(path + ".golden.jsonl")
			require.NoError(t, err)
			if !bytes.Equal(written, golden) {
				require.NoError(t, os.WriteFile(file+".golden.jsonl", written, 0o600))
			}
		})
	}
}

func TestRobust(t *testing.T) {
	parsertest.Robust(t, pcap.Parser(), inFile(t, "connections.pcap.txt"))
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"connections.pcap.txt", "trouble.pcap.txt"} {
		frames := framesOf(f, sample(f, name))
		f.Add(classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames[:8]))
		f.Add(pcapngFile(binary.BigEndian, 1, frames[:8]))
		f.Add(snoopFile(frames[:8]))
		f.Add(classic(binary.LittleEndian, 0xa1b2c3d4, 1, edit(frames[:8], tunnelled["gre"].wrap)))
		f.Add(classic(binary.LittleEndian, 0xa1b2c3d4, 1, edit(frames[:8], tunnelled["gtp:7"].wrap)))
	}
	parsertest.Fuzz(f, pcap.Parser(), filepath.Join(filepath.Dir(inFile(f, "connections.pcap.txt")), "*"))
}
