package pcap_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
	"github.com/culprit-dev/culprit/parsers/pcap/internal/traffic"
)

// TestNestingLimit wraps one packet in ever more headers: a few are looked through,
// too many end in a packet that counts as undecoded.
func TestNestingLimit(t *testing.T) {
	frames := framesOf(t, web+"C>S SYN")
	ip := packetOf(frames[0].data)
	wraps := map[string]func([]byte, int) []byte{
		"IP in IP": func(inner []byte, depth int) []byte {
			for range depth {
				head := append([]byte(nil), ip[:20]...)
				copy(head[2:], length(20+len(inner)))
				head[9] = 4
				inner = append(head, inner...)
			}
			return framed(0x800, inner)
		},
		"VLAN": func(inner []byte, depth int) []byte {
			tags := []byte{0x08, 0x00}
			for range depth {
				tags = append([]byte{0x81, 0x00, 0, 7}, tags...)
			}
			return append(append(append([]byte(nil), frames[0].data[:12]...), tags...), inner...)
		},
	}
	for name, wrap := range wraps {
		for depth, want := range map[int]int64{1: 1, 8: 1, 50: 0, 5000: 0} {
			if name == "IP in IP" && depth > 1000 {
				continue // longer than a packet can be
			}
			f := frames[0]
			f.data = wrap(ip, depth)
			f.wire = len(f.data)
			st, _ := parsertest.Run(t, pcap.Parser(), "x.pcap", classic(binary.LittleEndian, 0xa1b2c3d4, 1, []frame{f}))
			c := parsertest.All[fact.Capture](st)[0]
			require.Equal(t, want, c.Flows, "%s, %d deep", name, depth)
			require.Equal(t, 1-want, c.Undecoded, "%s, %d deep", name, depth)
		}
	}
}

// TestFactLimit checks that of too many flows the same are kept for any number of
// workers, and that the rest is counted.
func TestFactLimit(t *testing.T) {
	content := generated(t, traffic.Options{Flows: 2000, Bytes: 2000 << 10, Seed: 3})
	var want []byte
	for _, jobs := range []int{1, 2, 8} {
		in := &analyze.Input{Path: "x.pcap", Size: int64(len(content)), Open: opener(content)}
		cfg := analyze.Config{Parsers: []*analyze.Parser{pcap.Parser()}, Jobs: jobs, Limits: analyze.Limits{FactsPerArtifact: 300}}
		got, err := analyze.Read(t.Context(), []*analyze.Input{in}, cfg)
		require.NoError(t, err)
		require.Equal(t, 300, got.Store.Count("flow")+got.Store.Count("capture"))
		require.EqualValues(t, 2000, parsertest.All[fact.Capture](got.Store)[0].Flows)
		require.Equal(t, analyze.ArtifactPartial, got.Artifacts[0].Status)
		require.NotEmpty(t, got.Artifacts[0].Issues)
		facts := parsertest.Lines(t, got.Store)
		if want == nil {
			want = facts
		}
		require.Equal(t, string(want), string(facts), "%d jobs keep other flows", jobs)
	}
}
