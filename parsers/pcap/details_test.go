package pcap_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// TestResets has a RST of each form and in each state.
func TestResets(t *testing.T) {
	for name, c := range map[string]struct {
		text              string
		form, state, from string
		check             func(*testing.T, fact.Reset)
	}{
		"refused": {"C>S SYN\nS>C RST,ACK", "refused", "syn_sent", "server", nil},
		"gone": {"open\nexchange 10 20\n+5 S>C FIN,ACK\nC>S ACK\nC>S data 30\nS>C RST", "nosock", "server_closing", "server", func(t *testing.T, r fact.Reset) {
			require.True(t, r.ResetterFIN)
			require.False(t, r.PeerFIN)
			require.False(t, r.ACK)
			require.EqualValues(t, 30, r.PeerDataSinceOwn)
			require.EqualValues(t, 30, r.PeerDataUnacked)
			require.Equal(t, 30, r.AfterLen)
			require.Equal(t, "client", r.AfterFrom)
		}},
		"abort with data unread": {"open\nC>S data 400\nS>C ACK\n+0.1 S>C RST,ACK", "abort", "established", "server", func(t *testing.T, r fact.Reset) {
			require.EqualValues(t, 400, r.PeerDataSinceOwn)
			require.Zero(t, r.PeerDataUnacked)
			require.Equal(t, 100*time.Millisecond, r.SinceLast)
			require.Equal(t, 64, r.UsualTTL)
			require.Equal(t, 2, r.UsualTTLPackets)
		}},
		"abort with nothing unread": {"open\nexchange 10 20\nC>S RST,ACK", "abort", "established", "client", func(t *testing.T, r fact.Reset) {
			require.Zero(t, r.PeerDataUnacked)
			require.EqualValues(t, 20, r.PeerDataSinceOwn)
		}},
		"forged": {"open\nexchange 10 20\nC>S data 10\nS>C RST,ACK opts=none win=0 ttl=250 ipid=copy", "other", "established", "server", func(t *testing.T, r fact.Reset) {
			require.True(t, r.CopiedIPID)
			require.Equal(t, 250, r.TTL)
			require.Equal(t, 64, r.UsualTTL)
		}},
		"of a half open connection": {"C>S SYN\nS>C SYN,ACK\nC>S RST", "nosock", "syn_recv", "client", nil},
		"after both FINs":           {"open\nclose S\n+0.01 C>S RST", "nosock", "closed", "client", nil},
		"without time stamps":       {"flow 10.0.0.3:1 > 10.0.0.4:2 ts=off\nopen\nC>S RST,ACK", "abort", "established", "client", nil},
	} {
		t.Run(name, func(t *testing.T) {
			st, _ := read(t, web+c.text)
			f := records(st)[0]
			require.Len(t, f.Resets, 1)
			r := f.Resets[0]
			require.Equal(t, []string{c.form, c.state, c.from}, []string{r.Form, r.State, r.From})
			if c.check != nil {
				c.check(t, r)
			}
		})
	}
}

// TestStallAtEnd checks a window that is still closed when the capture ends.
func TestStallAtEnd(t *testing.T) {
	f := flow(t, web+"open\nS>C data 1000\nC>S ACK win=0\n+0.5 S>C keepalive\nC>S ACK win=0\n+7 S>C keepalive\nC>S ACK win=0")
	require.Len(t, f.Stalls, 1)
	s := f.Stalls[0]
	require.Equal(t, "client", s.By)
	require.True(t, s.Open)
	require.Equal(t, 2, s.Probes)
	require.Equal(t, 5, s.FirstFrame)
	require.Equal(t, 9, s.LastFrame)
	require.InDelta(t, 7.5, s.Duration.Seconds(), 0.01)
	require.EqualValues(t, 0, f.ToServer.MinWindow)
	require.EqualValues(t, 501<<7, f.ToServer.MaxWindow)
}

// TestTurns checks requests, answers and their times over many turns.
func TestTurns(t *testing.T) {
	f := flow(t, web+"open\nrepeat 100 every=1\nexchange 100 3000 in=0.01\nend\n200 exchange 100 200 in=0.75")
	require.Equal(t, 101, f.Turns.Requests)
	require.Equal(t, 101, f.Turns.Answers)
	require.InDelta(t, 0.01, f.Turns.MedianAnswer.Seconds(), 0.001)
	require.InDelta(t, 0.75, f.Turns.MaxAnswer.Seconds(), 0.001)
	require.Nil(t, f.Turns.Unanswered)
	require.Equal(t, int64(101), f.ToServer.DataPackets)
	f = flow(t, web+"open\nS>C data 80\nC>S data 20\nC>S rexmit\nS>C data 10")
	require.True(t, f.Turns.ServerFirst)
	require.Equal(t, 1, f.Turns.Requests, "a repeated segment is no second request")
}

// TestIdle checks that the longest silences are kept, longest first.
func TestIdle(t *testing.T) {
	f := flow(t, web+"open\nexchange 1 1\n+3 C>S data 1\nS>C ACK\n+9 C>S keepalive\nS>C ACK\n+1 S>C data 1\nC>S ACK\n+5 S>C FIN,ACK\n+2 C>S RST,ACK")
	var got []float64
	var ended []string
	for _, g := range f.Idle {
		got = append(got, g.Duration.Seconds())
		if g.Probed {
			ended = append(ended, "over probes "+g.EndedBy)
			continue
		}
		ended = append(ended, g.EndedBy+" "+g.EndedFrom)
		if !g.Probed {
			require.Equal(t, g.BeforeFrame+1, g.AfterFrame)
		}
	}
	require.InDeltaSlice(t, []float64{10, 9, 5, 3}, got, 0.001)
	require.Equal(t, []string{"over probes data", "keepalive client", "fin server", "data client"}, ended)
}

// TestNames checks protocols and names that payload reveals.
func TestNames(t *testing.T) {
	for payload, want := range map[string][2]string{
		`"GET / HTTP/1.1\r\nhost: api.example:8080\r\n\r\n"`: {"http", "api.example:8080"},
		`"*1\r\n$4\r\nPING\r\n"`:                             {"redis", ""},
		`"SSH-2.0-OpenSSH_9.2\r\n"`:                          {"ssh", ""},
		`"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"`:                 {"http2", ""},
		`"\x00\x00\x00\x08\x04\xd2\x16\x2f"`:                 {"postgres", ""},
		`"` + clientHello + `"`:                              {"tls", "db.example"},
		`"nothing known"`:                                    {"", ""},
	} {
		f := flow(t, web+"open\nC>S "+payload)
		require.Equal(t, want, [2]string{f.App, f.ServerName}, payload)
	}
}

// clientHello is a TLS greeting with a padding extension and the name db.example.
const clientHello = `\x16\x03\x01\x00\x4c\x01\x00\x00\x48\x03\x03` +
	`00000000000000000000000000000000` +
	`\x00\x00\x02\x13\x01\x01\x00\x00\x1d` +
	`\x00\x15\x00\x04\x00\x00\x00\x00` +
	`\x00\x00\x00\x0f\x00\x0d\x00\x00\x0adb.example`

// TestICMP checks an error about a flow, from a router on the way.
func TestICMP(t *testing.T) {
	st, _ := read(t, web+"open\nC>S data 1448\nS>C icmp 3/4 from=10.0.0.254 mtu=1400")
	all := parsertest.All[fact.ICMPError](st)
	require.Len(t, all, 1)
	e := all[0]
	require.Equal(t, "10.0.0.254", e.From)
	require.Equal(t, 1400, e.MTU)
	require.Equal(t, "fragmentation needed", e.Text)
	require.Equal(t, []string{"10.0.0.1:40000", "10.0.0.2:8080"}, []string{e.Src, e.Dst})
	require.Equal(t, 5, e.At.Packet)
}

// TestDNS checks queries that fail, that nobody answers, and that are answered.
func TestDNS(t *testing.T) {
	ask := `C>S "\x00\x0N\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x05local\x00\x00\x01\x00\x01"`
	say := `S>C "\x00\x0N\x81\x8R\x00\x01\x00\x00\x00\x00\x00\x00\x02db\x05local\x00\x00\x01\x00\x01"`
	with := func(s string, n, r byte) string {
		b := []byte(s)
		b[slices.Index(b, 'N')] = n
		if i := slices.Index(b, 'R'); i >= 0 {
			b[i] = r
		}
		return string(b)
	}
	st, _ := read(t, "flow udp 10.0.0.1:5000 > 10.0.0.53:53\n"+
		with(ask, '1', 0)+"\n"+with(say, '1', '3')+"\n"+
		with(ask, '2', 0)+"\n+1 "+with(ask, '2', 0)+"\n"+
		with(ask, '3', 0)+"\n"+with(say, '3', '0')+"\n"+
		"+8 "+with(ask, '4', 0))
	all := parsertest.All[fact.DNSFailure](st)
	require.Len(t, all, 2, "the last one may still be answered")
	require.Equal(t, []string{"NXDOMAIN", "db.local"}, []string{all[0].RCode, all[0].Name})
	require.Empty(t, all[1].RCode)
	require.Equal(t, 2, all[1].Queries)
	require.Equal(t, 3, all[1].At.Packet)
	require.Equal(t, "10.0.0.53:53", all[1].Server)
}

// TestCapture checks the fact of the file itself.
func TestCapture(t *testing.T) {
	st, _ := read(t, "start 2026-11-21T00:00:00Z\nsnaplen 60\n"+web+"0 open\nflow 10.0.0.3:5 > 10.0.0.4:6\n9 C>S SYN")
	c := parsertest.All[fact.Capture](st)[0]
	require.EqualValues(t, 4, c.Packets)
	require.EqualValues(t, 4, c.Truncated)
	require.EqualValues(t, 2, c.Flows)
	require.EqualValues(t, 1, c.OneWay)
	require.Equal(t, 60, c.Snaplen)
	require.Equal(t, 9*time.Second, c.Last.Sub(c.First))
}

// TestExcerptForms renders what is not TCP.
func TestExcerptForms(t *testing.T) {
	text := "start 2026-11-21T23:59:59.5Z\nflow [2001:db8::1]:40000 > [2001:db8::2]:80\n0 C>S data 10\nflow udp 10.0.0.1:5000 > 10.0.0.2:6000\nC>S data 12\nS>C icmp 3/3\nraw 020000000001020000000002080600010800060400010200"
	in := &analyze.Input{Path: "x.pcap", Open: opener(compile(t, text))}
	got, err := pcap.Parser().Excerpt(t.Context(), in, []fact.Ref{{Packet: 1}, {Packet: 2}, {Packet: 3}, {Packet: 4}, {}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"23:59:59.500000 2001:db8::1.40000 > 2001:db8::2.80: Flags [P.], seq 1:11, ack 1, win 501, length 10",
		"23:59:59.500100 10.0.0.1.5000 > 10.0.0.2.6000: UDP, length 12",
		"23:59:59.500200 10.0.0.2 > 10.0.0.1: ICMP destination port unreachable, about 10.0.0.1.5000 > 10.0.0.2.6000",
		"23:59:59.500300 frame of 24 bytes, neither TCP nor UDP", "",
	}, got)
}

// TestExcerptNumbers checks that the numbers of an excerpt count from the start of
// its own flow: after a reuse of the ports, and where the start was not captured.
func TestExcerptNumbers(t *testing.T) {
	text := web + "open\nC>S data 10\nclose C\n" + // frames 1 to 7
		"C>S SYN seq=9000 ack=0\nS>C SYN,ACK seq=7000 ack=9001\nC>S ACK seq=9001 ack=7001\nC>S data 30 seq=9001 ack=7001\n" + // 8 to 11
		"flow 10.0.0.1:40001 > 10.0.0.2:8080\nC>S data 5\nS>C ACK\nC>S data 6\nS>C RST" // 12 to 15
	in := &analyze.Input{Path: "x.pcap", Open: opener(compile(t, text))}
	got, err := pcap.Parser().Excerpt(t.Context(), in, []fact.Ref{{Packet: 4}, {Packet: 11}, {Packet: 14}, {Packet: 15}})
	require.NoError(t, err)
	for i, want := range []string{"seq 1:11, ack 1,", "seq 1:31, ack 1,", "seq 6:12, ack 1,", "Flags [R], seq 1, win 0"} {
		require.Contains(t, got[i], want)
	}
}

// TestHeaderOnly reads files without packets.
func TestHeaderOnly(t *testing.T) {
	st, status := parsertest.Run(t, pcap.Parser(), "x.pcap", classic(binary.BigEndian, 0xa1b2c3d4, 1, nil))
	require.Equal(t, analyze.ArtifactParsed, status.Status)
	require.Zero(t, parsertest.All[fact.Capture](st)[0].Packets)
	_, status = parsertest.Run(t, pcap.Parser(), "x.pcap", classic(binary.BigEndian, 0xa1b2c3d4, 1, nil)[:20])
	require.Equal(t, analyze.ArtifactPartial, status.Status)
}
