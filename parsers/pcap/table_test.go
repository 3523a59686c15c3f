package pcap

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// segment is a packet of a flow from port port.
func segment(port uint16, frame int, flags uint8, payload int32) *packet {
	return &packet{
		proto: protoTCP, frame: frame, ts: int64(frame) * 1e6, flags: flags, payload: payload, window: 100, ttl: 64, wscale: -1, v4: true,
		src: address4([]byte{10, 0, 0, 1}), dst: address4([]byte{10, 0, 0, 2}), sport: port, dport: 80, seq: uint32(frame) * 1000,
	}
}

// TestEviction checks that a full table lets go of flows that are over first, then
// of the one that was silent longest, and says which were still open.
func TestEviction(t *testing.T) {
	var done []fact.FlowRecord
	tab := newTable(3, func(f *flow) { done = append(done, f.record("x", nil)) })
	add := func(p *packet) { tab.add(p, p.hash()) }
	add(segment(1, 1, ack, 10))
	add(segment(2, 2, ack, 10))
	add(segment(3, 3, ack, 10))
	add(segment(2, 4, rst, 0)) // over
	add(segment(1, 5, ack, 10))
	add(segment(4, 6, ack, 10)) // 2 goes
	require.Len(t, done, 1)
	require.EqualValues(t, 2, done[0].At.Packet)
	require.NotContains(t, done[0].Partial, "evicted")
	add(segment(5, 7, ack, 10)) // 3 goes, it was silent longest
	require.Len(t, done, 2)
	require.EqualValues(t, 3, done[1].At.Packet)
	require.EqualValues(t, 1, tab.evicted)
	require.Contains(t, done[1].Partial, "evicted")
	add(segment(3, 8, ack, 10)) // and comes back as another flow
	tab.end()
	require.Len(t, done, 6)
	require.Zero(t, tab.flows.n)
	var packets int64
	for _, f := range done {
		packets += f.ToServer.Packets + f.ToClient.Packets
	}
	require.EqualValues(t, 8, packets, "what is evicted is delivered")
}

// TestFlowIndex checks that flows are found again while the index grows and shrinks.
func TestFlowIndex(t *testing.T) {
	var done []fact.FlowRecord
	tab := newTable(1<<20, func(f *flow) { done = append(done, f.record("x", nil)) })
	for port := range uint16(5000) {
		p := segment(port, int(port)+1, ack, 1)
		tab.add(p, p.hash())
		p = segment(port, int(port)+1, ack, 1)
		p.src, p.dst, p.sport, p.dport = p.dst, p.src, p.dport, p.sport
		tab.add(p, p.hash())
	}
	require.Equal(t, 5000, tab.flows.n)
	tab.end()
	require.Len(t, done, 5000)
	for _, f := range done {
		require.EqualValues(t, 1, f.ToServer.Packets)
		require.EqualValues(t, 1, f.ToClient.Packets)
	}
}

// TestTimestamps converts every resolution that an interface block can declare.
func TestTimestamps(t *testing.T) {
	const sec = 1_795_000_000
	for res := range uint(64) {
		ten := ngInterface{res: res}
		two := ngInterface{res: res, pow2: true}
		if res <= 9 {
			unit := uint64(1)
			for range res {
				unit *= 10
			}
			require.EqualValues(t, sec*1e9, ten.time(sec*unit), "10^-%d", res)
		}
		if res < 30 {
			half := int64(5e8)
			if res == 0 {
				half = 0
			}
			require.EqualValues(t, sec*1e9+half, two.time(sec<<res|1<<res>>1&(1<<res-1)), "2^-%d", res)
		}
		for _, ticks := range []uint64{0, 1, 1 << 63, 1<<64 - 1} { // must not overflow
			for _, i := range []ngInterface{ten, two} {
				if at := i.time(ticks); at != noTime {
					require.False(t, timeOf(at).Year() > 2300, "%v %d", i, ticks)
				}
			}
		}
	}
}

// TestTTL checks that the most common TTL is found among more than are kept.
func TestTTL(t *testing.T) {
	var c ttlCount
	for i := range 100 {
		c.add(64)
		if i%10 == 0 {
			c.add(uint8(200 + i/10))
		}
	}
	ttl, n := c.most()
	require.Equal(t, 64, ttl)
	require.Equal(t, 100, n)
}

// TestLinger checks when a closed flow is let go: late packets still belong to it
// while a table holds few, and not for long when it holds many.
func TestLinger(t *testing.T) {
	done := 0
	tab := newTable(1<<20, func(*flow) { done++ })
	at := func(port uint16, sec int64, flags uint8) {
		p := segment(port, 1, flags, 0)
		p.ts = sec * 1e9
		p.seq = uint32(sec)
		tab.add(p, p.hash())
	}
	at(1, 0, rst)
	at(1, 500, rst)
	at(2, 1000, ack)
	require.Zero(t, done)
	at(2, 1101, ack)
	require.Equal(t, 1, done, "closed for more than ten minutes")
	for port := range uint16(lingerMany + 1) {
		at(1000+port, 1200, rst)
	}
	at(2, 1209, ack)
	require.Equal(t, 1, done)
	at(2, 1211, ack)
	require.Equal(t, 1+lingerMany+1-lingerMany, done, "as many go as are too many")
	for port := range uint16(lingerMany + 10) {
		at(3000+port, 2000, syn)
	}
	closedGone := done
	at(2, 2170, ack)
	require.Equal(t, closedGone, done, "a SYN may still be sent again")
	at(2, 2181, ack)
	require.Equal(t, closedGone+10, done)
}
