package fact_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// full is a flow in which every field says something.
func full() fact.FlowRecord {
	at := time.Date(2026, 11, 21, 3, 4, 5, 6, time.UTC)
	side := func(n int64) fact.DirectionRecord {
		return fact.DirectionRecord{
			Packets: n, Bytes: 1 << 40, PayloadBytes: n * 100, DataPackets: n - 1, FirstData: at, LastData: at.Add(time.Second),
			LastDataFrame: 40, LastFrame: 44, FIN: true, FINFrame: 43, FINTime: at.Add(time.Minute), SYNs: 2, MSS: 1460,
			WScale: fact.Some(0), SACK: true, Timestamps: true, TTL: 64, MaxSegment: 65160, Unacked: 7, MinWindow: 1, MaxWindow: 1 << 30,
		}
	}
	return fact.FlowRecord{
		At: fact.Ref{Artifact: "a.pcap", Packet: 3, Offset: 1 << 33, Len: 74}, Proto: "tcp",
		Client: netip.MustParseAddrPort("128.232.110.120:34855"), Server: netip.MustParseAddrPort("66.35.250.204:80"),
		ClientSure: true, ClientISN: fact.Some(uint32(0)), ServerISN: fact.Some(uint32(1<<32 - 1)),
		First: time.Unix(0, 0).UTC(), Last: at, LastFrame: 44, Packets: 16, Bytes: 2 << 40, PayloadBytes: 1600,
		CommunityID: "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", History: "ShADadFf", Tunnel: []string{"vlan:12", "gre"}, Interface: 2,
		Counts: fact.Counts{RST: 1, Retransmission: 5}, Copies: &fact.Counts{Retransmission: 2},
		Refused: true, SynUnanswered: true, SynAckUnacked: true, Established: true, Partial: []string{"no start", "evicted"},
		ToServer: side(10), ToClient: side(6), HandshakeRTT: time.Millisecond, Closer: "server",
		Resets: []fact.Reset{{Frame: 44}}, Stalls: []fact.Stall{{By: "client"}}, Idle: []fact.Gap{{AfterFrame: 9}},
		Turns: fact.TurnsRecord{
			Requests: 3, Answers: 2, MedianAnswer: 1, MaxAnswer: 2, SlowestFrame: 20, ServerFirst: true,
			Unanswered: &fact.Unanswered{Segments: 1},
		},
		Delayed: 4, Marks: []fact.Mark{{Name: "retransmission"}}, App: "http", ServerName: "example.org",
	}
}

// TestFlowPacking checks that a packed flow says what its record said. The
// addresses and the hash are those of the Community ID specification.
func TestFlowPacking(t *testing.T) {
	var p fact.FlowPacker
	want := full()
	var f, g fact.Flow
	p.Pack(&want, &f)
	require.Equal(t, want, f.Record())
	require.Equal(t, 3, f.Retransmitted())
	require.Equal(t, fact.Ref{Artifact: "a.pcap", Packet: 9}, f.Frame(9))

	text, err := json.Marshal(f)
	require.NoError(t, err)
	plain, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(plain), string(text))
	var back fact.Flow
	require.NoError(t, json.Unmarshal(text, &back))
	want.At = fact.Ref{}
	require.Equal(t, want, back.Record())

	other := full()
	other.Server = netip.MustParseAddrPort("[2001:db8::1]:443")
	other.Tunnel = nil
	other.Proto = "udp"
	p.Pack(&other, &g)
	require.Equal(t, other.Server, g.Server())
	require.Empty(t, g.Tunnel(), "flows that differ share nothing")
	require.Equal(t, "udp", g.Proto())
}

// TestEmptyFlow checks that a flow without anything can be read.
func TestEmptyFlow(t *testing.T) {
	var f fact.Flow
	require.Zero(t, f.Counts())
	require.Nil(t, f.Copies())
	require.Empty(t, f.Partial())
	require.Empty(t, f.Closer()+f.Proto()+f.App())
	require.True(t, f.First().IsZero())
	require.False(t, f.ToServer.WScale().Known)
}

// TestFlowSize holds the memory that a capture with a million flows takes.
func TestFlowSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(fact.Flow{}), uintptr(336))
}
