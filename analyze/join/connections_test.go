package join

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// passing is a short exchange as a capture sees it that is dated by a clock which is
// off by skew: there is how long a packet needs to the server, from the client to
// the point of capture.
func passing(file fact.ID, client, server string, isn uint32, at time.Time, skew, there time.Duration, hops int) fact.FlowRecord {
	const whole = 20 * time.Millisecond
	to := at.Add(skew + there)                     // a packet that the client sends at at
	from := at.Add(skew + whole + (whole - there)) // one that the server sends in answer
	return fact.FlowRecord{
		At: fact.Ref{Artifact: file, Packet: 1}, Proto: "tcp", Client: addr(client), Server: addr(server),
		ClientISN: fact.Some(isn), ServerISN: fact.Some(isn + 7), First: to, Last: from, HandshakeRTT: 2 * whole, Closer: "client",
		ToServer: fact.DirectionRecord{Packets: 4, SYNs: 1, TTL: 64 - hops, PayloadBytes: 1000, FirstData: to.Add(2 * whole), FINTime: to.Add(4 * whole), FIN: true},
		ToClient: fact.DirectionRecord{Packets: 4, SYNs: 1, TTL: 62 + hops, PayloadBytes: 9000, FirstData: from.Add(2 * whole), FINTime: from.Add(4 * whole), FIN: true},
	}
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func seal(flows ...fact.FlowRecord) *fact.Store {
	var s fact.Shard
	for _, f := range flows {
		fact.Add(&s, f.Flow())
	}
	return fact.Seal(nil, &s)
}

func TestOffsetOfTwoCaptures(t *testing.T) {
	const skew = -192 * time.Second
	store := seal(
		passing("c.pcap", "10.1.0.2:40000", "10.2.0.2:80", 111, noon, 0, 0, 0),
		passing("c.pcap", "10.1.0.2:40001", "10.2.0.2:80", 222, noon.Add(time.Second), 0, 0, 0),
		passing("s.pcap", "10.1.0.2:40000", "10.2.0.2:80", 111, noon, skew, 20*time.Millisecond, 2),
		passing("s.pcap", "10.9.0.1:40001", "10.2.0.2:8080", 222, noon.Add(time.Second), skew, 20*time.Millisecond, 2),
	)
	all := analyze.Derive(&paths, store, nil).All
	require.Len(t, all, 1)
	w := all[0]
	require.Equal(t, fact.ID("c.pcap"), w.Client)
	require.True(t, w.Ordered)
	require.Equal(t, 2, w.Connections)
	require.Equal(t, skew, w.Offset, "both ways take as long")
	require.Equal(t, 20*time.Millisecond, w.Uncertainty)
	require.Equal(t, 40*time.Millisecond, w.RTT)
	require.Len(t, w.Pairs, 2)
	_, off := (&Paths{All: all}).Between("s.pcap", "c.pcap")
	require.Equal(t, -skew, off)
}

func TestLossBetweenTwoCaptures(t *testing.T) {
	sent := passing("c.pcap", "10.1.0.2:40000", "10.2.0.2:80", 111, noon, 0, 0, 0)
	come := passing("s.pcap", "10.1.0.2:40000", "10.2.0.2:80", 111, noon, 0, 20*time.Millisecond, 2)
	sent.ToServer.PayloadBytes = 1500
	w := analyze.Derive(&paths, seal(sent, come), nil).All[0]
	share, some := w.ToServer.Lost()
	require.True(t, some)
	require.InDelta(t, 1./3, share, 1e-9)
	_, some = w.ToClient.Lost()
	require.False(t, some)
}

func TestWhatIsOneConnection(t *testing.T) {
	base := func() fact.FlowRecord { return passing("a.pcap", "10.1.0.2:40000", "10.1.0.1:80", 111, noon, 0, 0, 0) }
	for name, c := range map[string]struct {
		change func(*fact.FlowRecord)
		same   bool
	}{
		"seen elsewhere":                {func(f *fact.FlowRecord) { f.At.Artifact = "b.pcap" }, true},
		"behind a NAT, in one capture":  {func(f *fact.FlowRecord) { f.Client, f.Server = addr("10.2.0.1:40000"), addr("10.2.0.2:8080") }, true},
		"the same addresses again":      {func(*fact.FlowRecord) {}, false},
		"another server's number":       {func(f *fact.FlowRecord) { f.At.Artifact, f.ServerISN = "b.pcap", fact.Some(uint32(5)) }, false},
		"an equal number an hour later": {func(f *fact.FlowRecord) { f.Server, f.First = addr("10.2.0.2:8080"), f.First.Add(time.Hour) }, false},
		"no answer behind the NAT": {func(f *fact.FlowRecord) {
			f.At.Artifact, f.Server, f.ServerISN = "b.pcap", addr("10.2.0.2:81"), fact.Opt[uint32]{}
		}, true},
		"one number, nothing else alike": {func(f *fact.FlowRecord) {
			f.At.Artifact, f.Client, f.Server, f.ServerISN = "b.pcap", addr("10.7.0.1:999"), addr("10.2.0.2:81"), fact.Opt[uint32]{}
		}, false},
		"begun before the other capture": {func(f *fact.FlowRecord) {
			f.At.Artifact, f.ClientISN, f.ServerISN = "b.pcap", fact.Opt[uint32]{}, fact.Opt[uint32]{}
		}, true},
	} {
		a, b := base(), base()
		b.At.Packet = 9
		c.change(&b)
		got := analyze.Derive(&connections, seal(a, b), nil)
		require.Equal(t, c.same, len(got.All) == 1, name)
	}
}

func TestManifestStatesClocks(t *testing.T) {
	var w world
	w.hostname("a/hostname.txt", "web")
	w.hostname("b/hostname.txt", "db")
	for _, id := range []fact.ID{"a/app.log", "b/app.log"} {
		fact.Add(&w.shard, fact.LogEvent{At: w.at(id), Time: fact.Time{T: noon, Basis: fact.Epoch}, Text: "x"})
	}
	ahead := -3 * time.Minute
	m := &analyze.Manifest{Hosts: []analyze.HostRule{{Prefix: "b/", Host: "b", Clock: &ahead, Zone: time.FixedZone("", 3600)}}}
	c := analyze.Derive(&clocks, w.store(), m)
	require.Equal(t, ahead, c.Skew("b/app.log"))
	require.Zero(t, c.Skew("a/app.log"))
	at, _, ok := c.UTC("b/app.log", fact.Time{T: noon, Basis: fact.Epoch})
	require.True(t, ok)
	require.Equal(t, noon.Add(ahead), at)
	require.True(t, c.Aligned("a/app.log", "b/app.log"))
	require.False(t, analyze.Derive(&clocks, w.store(), nil).Aligned("a/app.log", "b/app.log"))
}
