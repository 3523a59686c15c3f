package pcap_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// read compiles a capture in the notation of analyzetest and reads it.
func read(t *testing.T, text string) (*fact.Store, analyze.ArtifactStatus) {
	t.Helper()
	return parsertest.Run(t, pcap.Parser(), "x.pcap", compile(t, text))
}

func compile(t testing.TB, text string) []byte {
	t.Helper()
	b, err := analyzetest.CompileCapture([]byte(text))
	require.NoError(t, err)
	return b
}

// flow reads a capture that holds one flow.
func flow(t *testing.T, text string) fact.FlowRecord {
	t.Helper()
	st, status := read(t, text)
	require.Equal(t, analyze.ArtifactParsed, status.Status, status.Issues)
	all := records(st)
	require.Len(t, all, 1)
	return all[0]
}

const web = "flow 10.0.0.1:40000 > 10.0.0.2:8080\n"

func TestRefused(t *testing.T) {
	f := flow(t, web+"C>S SYN\n+0.001 S>C RST,ACK")
	require.True(t, f.Refused)
	require.True(t, f.ClientSure)
	require.False(t, f.Established)
	require.Len(t, f.Resets, 1)
	require.Equal(t, "refused", f.Resets[0].Form)
	require.Equal(t, "syn_sent", f.Resets[0].State)
	require.Equal(t, "server", f.Resets[0].From)
	require.Equal(t, 2, f.Resets[0].Frame)
	require.Equal(t, "Sr", f.History)
}

func TestAbort(t *testing.T) {
	f := flow(t, web+"open\nexchange 100 200\nC>S data 50\nS>C ACK\n+2 S>C RST,ACK")
	require.True(t, f.Established)
	require.Equal(t, "server", f.Closer)
	r := f.Resets[0]
	require.Equal(t, "abort", r.Form)
	require.Equal(t, "established", r.State)
	require.EqualValues(t, 50, r.PeerDataSinceOwn)
	require.Zero(t, r.PeerDataUnacked)
	require.Equal(t, "2s", r.SinceLast.String())
	require.Equal(t, 64, r.UsualTTL)
}

func TestUnanswered(t *testing.T) {
	f := flow(t, web+"open\nexchange 100 200 in=0.02\nC>S data 70\nS>C ACK\n+9 C>S FIN,ACK\nS>C ACK")
	u := f.Turns.Unanswered
	require.NotNil(t, u)
	require.Equal(t, 1, u.Segments)
	require.EqualValues(t, 70, u.Bytes)
	require.True(t, u.Acked)
	require.Equal(t, 2, f.Turns.Requests)
	require.Equal(t, 1, f.Turns.Answers)
	require.InDelta(t, 0.02, f.Turns.MaxAnswer.Seconds(), 0.001)
	require.Len(t, f.Idle, 1)
	require.Equal(t, "fin", f.Idle[0].EndedBy)
}

func TestStall(t *testing.T) {
	f := flow(t, web+"open\nC>S data 1000\nS>C ACK win=0\n+1 C>S keepalive\nS>C ACK win=0\n+2 C>S keepalive\nS>C ACK win=0\n+1 S>C ACK win=400\nC>S data 10\nS>C ACK win=400")
	require.Len(t, f.Stalls, 1)
	require.Equal(t, "server", f.Stalls[0].By)
	require.Equal(t, 2, f.Stalls[0].Probes)
	require.False(t, f.Stalls[0].Open)
	require.Greater(t, f.Stalls[0].Duration.Seconds(), 3.9)
	require.EqualValues(t, 3, f.Counts.ZeroWindow)
}

func TestStallOpenAtTheEnd(t *testing.T) {
	f := flow(t, web+"open\nC>S data 1000\nS>C ACK win=0\n+1 C>S keepalive\nS>C ACK win=0\n+2 C>S keepalive\nS>C ACK win=0")
	require.Len(t, f.Stalls, 1)
	require.True(t, f.Stalls[0].Open)
	require.Equal(t, 2, f.Stalls[0].Probes)
	require.InDelta(t, 3, f.Stalls[0].Duration.Seconds(), 0.01)
}

func TestExcerpt(t *testing.T) {
	text := "start 2026-11-21T00:35:38.29Z\nflow 10.20.0.11:43243 > 10.20.0.5:9000\n0 C>S SYN\nS>C SYN,ACK\nC>S ACK\nC>S data 76\n+0.000123 S>C RST,ACK"
	in := &analyze.Input{Path: "x.pcap", Open: opener(compile(t, text))}
	got, err := pcap.Parser().Excerpt(t.Context(), in, []fact.Ref{{Packet: 5}, {Packet: 1}, {Packet: 99}})
	require.NoError(t, err)
	require.Equal(t, "00:35:38.290423 10.20.0.5.9000 > 10.20.0.11.43243: Flags [R.], seq 1, ack 77, win 501, length 0", got[0])
	require.True(t, strings.HasPrefix(got[1], "00:35:38.290000 10.20.0.11.43243 > 10.20.0.5.9000: Flags [S], seq "), got[1])
	require.Empty(t, got[2])
}

func TestCut(t *testing.T) {
	st, status := read(t, web+"open\nexchange 100 200\ncut 30")
	require.Equal(t, analyze.ArtifactPartial, status.Status)
	c := parsertest.All[fact.Capture](st)[0]
	require.True(t, c.Cut)
	require.EqualValues(t, 6, c.Packets)
}
