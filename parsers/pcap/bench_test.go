package pcap_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
	"github.com/culprit-dev/culprit/parsers/pcap/internal/traffic"
)

func generated(t testing.TB, o traffic.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, traffic.Write(&b, o))
	return b.Bytes()
}

// BenchmarkParse reads 64 MiB with as many flows a byte as the captures of the
// project's targets have.
func BenchmarkParse(b *testing.B) {
	content := generated(b, traffic.Options{Flows: 3750, Bytes: 64 << 20, Seed: 1})
	for _, jobs := range []int{1, 2} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				in := &analyze.Input{Path: "x.pcap", Size: int64(len(content)), Open: opener(content)}
				if _, err := analyze.Read(b.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{pcap.Parser()}, Jobs: jobs}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAllocations checks that the number of allocations follows the flows, not
// the packets.
func TestAllocations(t *testing.T) {
	const flows = 50
	few := generated(t, traffic.Options{Flows: flows, Bytes: flows << 12, Seed: 1})
	many := generated(t, traffic.Options{Flows: flows, Bytes: flows << 18, Seed: 1})
	count := func(content []byte) float64 {
		return testing.AllocsPerRun(3, func() { parsertest.Run(t, pcap.Parser(), "x.pcap", content) })
	}
	a, b := count(few), count(many)
	require.Less(t, b-a, float64(flows*40), "%v allocations for %d bytes, %v for %d", a, len(few), b, len(many))
}

// TestJobs checks on a capture with thousands of flows that the number of workers
// changes nothing.
func TestJobs(t *testing.T) {
	content := generated(t, traffic.Options{Flows: 3000, Seed: 7})
	var want []byte
	for _, jobs := range []int{1, 2, 3, 8} {
		in := &analyze.Input{Path: "x.pcap", Size: int64(len(content)), Open: opener(content)}
		got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{pcap.Parser()}, Jobs: jobs})
		require.NoError(t, err)
		facts := parsertest.Lines(t, got.Store)
		if want == nil {
			want = facts
			require.Len(t, records(got.Store), 3000)
		}
		require.True(t, bytes.Equal(want, facts), "%d jobs give other facts", jobs)
	}
}

// BenchmarkExcerpt renders one frame near the end of 64 MiB.
func BenchmarkExcerpt(b *testing.B) {
	content := generated(b, traffic.Options{Flows: 3750, Bytes: 64 << 20, Seed: 1})
	in := &analyze.Input{Path: "x.pcap", Size: int64(len(content)), Open: opener(content)}
	st, _ := parsertest.Run(b, pcap.Parser(), "x.pcap", content)
	last := fact.Ref{Packet: int(parsertest.All[fact.Capture](st)[0].Packets) - 1}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if got, err := pcap.Parser().Excerpt(b.Context(), in, []fact.Ref{last}); err != nil || got[0] == "" {
			b.Fatal(got, err)
		}
	}
}
