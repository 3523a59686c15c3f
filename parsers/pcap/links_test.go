package pcap_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// The samples are Ethernet; these change what stands in front of the IP packet.
func etherType(b []byte) uint16 { return binary.BigEndian.Uint16(b[12:]) }
func packetOf(b []byte) []byte  { return b[14:] }

func behind(header ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return slices.Concat(header, packetOf(b)) }
}

// typed writes the EtherType at the end of a header.
func typed(header ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return slices.Concat(header, b[12:]) }
}

// byFamily writes one of two headers, for IPv4 and IPv6.
func byFamily(four, six []byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if etherType(b) == 0x86dd {
			return slices.Concat(six, packetOf(b))
		}
		return slices.Concat(four, packetOf(b))
	}
}

// TestLinkTypes reads the same packets behind the headers of other links.
func TestLinkTypes(t *testing.T) {
	frames := framesOf(t, sample(t, "trouble.pcap.txt"))
	want := withoutLink(flows(t, classic(binary.LittleEndian, 0xa1b23c4d, 1, nanos(frames))))
	snap := []byte{0xaa, 0xaa, 3, 0, 0, 0}
	data := append([]byte{8, 1}, make([]byte, 22)...) // an 802.11 data frame to the access point
	for name, link := range map[string]struct {
		number uint32
		wrap   func([]byte) []byte
	}{
		"null little": {0, byFamily([]byte{2, 0, 0, 0}, []byte{24, 0, 0, 0})},
		"null macOS":  {0, byFamily([]byte{0, 0, 0, 2}, []byte{0, 0, 0, 30})},
		"loop":        {108, byFamily([]byte{0, 0, 0, 2}, []byte{0, 0, 0, 24})},
		"raw":         {101, behind()},
		"raw, as DLT": {12, behind()},
		"ipv4":        {228, behind()},
		"sll":         {113, typed(0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0)},
		"sll2": {276, func(b []byte) []byte {
			return slices.Concat(b[12:14], []byte{0, 0, 0, 0, 0, 1, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0}, packetOf(b))
		}},
		"ppp":            {9, byFamily([]byte{0xff, 3, 0, 0x21}, []byte{0xff, 3, 0, 0x57})},
		"ppp compressed": {9, byFamily([]byte{0x21}, []byte{0x57})},
		"cisco hdlc":     {104, typed(0x0f, 0)},
		"frame relay":    {107, byFamily([]byte{0x18, 0x41, 3, 0xcc}, []byte{0x18, 0x41, 3, 0x8e})},
		"atm":            {100, typed(snap...)},
		"fddi":           {10, typed(append(make([]byte, 13), snap...)...)},
		"802.3":          {1, func(b []byte) []byte { return slices.Concat(b[:12], length(8+len(b)-14), snap, b[12:]) }},
		"802.11":         {105, typed(slices.Concat(data, snap)...)},
		"radiotap":       {127, typed(slices.Concat([]byte{0, 0, 9, 0, 2, 0, 0, 0, 0}, data, snap)...)},
		"radiotap, fcs": {127, func(b []byte) []byte {
			return slices.Concat([]byte{0, 0, 9, 0, 2, 0, 0, 0, 0x10}, data, snap, b[12:], []byte{1, 2, 3, 4})
		}},
		"nflog": {239, func(b []byte) []byte {
			attribute := binary.LittleEndian.AppendUint16(nil, uint16(4+len(b)-14))
			return slices.Concat([]byte{2, 0, 0, 0, 8, 0, 1, 0, 8, 0, 1, 0}, append(attribute, 9, 0), packetOf(b))
		}},
		"mpls":    {219, behind(0, 1, 0x41, 64)},
		"pktap":   {258, func(b []byte) []byte { return slices.Concat(pktapHeader(1), b) }},
		"juniper": {178, func(b []byte) []byte { return slices.Concat([]byte("MGC\x80\x00\x02ab"), b) }},
		"ip over infiniband": {242, func(b []byte) []byte {
			return slices.Concat(make([]byte, 40), b[12:14], []byte{0, 0}, packetOf(b))
		}},
		"edsa": {285, func(b []byte) []byte {
			return slices.Concat(b[:12], []byte{0xda, 0xda, 0, 0, 0x40, 1, 0, 0}, b[12:])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			content := classic(binary.LittleEndian, 0xa1b23c4d, link.number, nanos(edit(frames, link.wrap)))
			same(t, want, withoutLink(flows(t, content)))
		})
	}
}

// nanos undoes the fraction that classic multiplies: the sample is in nanoseconds.
func nanos(frames []frame) []frame {
	out := slices.Clone(frames)
	for i := range out {
		out[i].usec /= 1000
	}
	return out
}

func length(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

func pktapHeader(link uint32) []byte {
	h := make([]byte, 108)
	binary.LittleEndian.PutUint32(h, 108)
	binary.LittleEndian.PutUint32(h[8:], link)
	return h
}

// inIPv4 writes an IPv4 header in front of a protocol.
func inIPv4(proto byte, payload []byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2}
	copy(h[2:], length(20+len(payload)))
	return append(h, payload...)
}

func inIPv6(next byte, payload []byte) []byte {
	h := make([]byte, 40, 40+len(payload))
	h[0], h[6], h[7], h[23], h[39] = 0x60, next, 64, 1, 2
	copy(h[4:], length(len(payload)))
	return append(h, payload...)
}

func inUDP(port uint16, payload []byte) []byte {
	h := binary.BigEndian.AppendUint16([]byte{0xc0, 0}, port)
	h = append(append(h, length(8+len(payload))...), 0, 0)
	return inIPv4(17, append(h, payload...))
}

func framed(kind uint16, payload []byte) []byte {
	return slices.Concat([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8}, length(int(kind)), payload)
}

// tunnel wraps an Ethernet frame that holds IPv4.
type tunnel struct {
	path []string
	wrap func([]byte) []byte
}

var tunnelled = map[string]tunnel{
	"vlan:12": {[]string{"vlan:12"}, func(b []byte) []byte { return framed(0x8100, slices.Concat([]byte{0, 12}, b[12:])) }},
	"qinq": {[]string{"vlan:100", "vlan:12"}, func(b []byte) []byte {
		return framed(0x88a8, slices.Concat([]byte{0, 100, 0x81, 0, 0, 12}, b[12:]))
	}},
	"mpls": {[]string{"mpls:16", "mpls:17"}, func(b []byte) []byte {
		return framed(0x8847, slices.Concat([]byte{0, 1, 0, 64, 0, 1, 0x11, 64}, packetOf(b)))
	}},
	"pppoe:7": {[]string{"pppoe:7"}, func(b []byte) []byte {
		return framed(0x8864, slices.Concat([]byte{0x11, 0, 0, 7}, length(2+len(packetOf(b))), []byte{0, 0x21}, packetOf(b)))
	}},
	"gre": {[]string{"gre"}, func(b []byte) []byte {
		return framed(0x800, inIPv4(47, slices.Concat([]byte{0x20, 0, 8, 0, 0, 0, 0, 1}, packetOf(b))))
	}},
	"pptp": {[]string{"gre"}, func(b []byte) []byte {
		return framed(0x800, inIPv4(47, slices.Concat([]byte{0x30, 1, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21}, packetOf(b))))
	}},
	"ipip": {[]string{"ipip"}, func(b []byte) []byte { return framed(0x800, inIPv4(4, packetOf(b))) }},
	"4in6": {[]string{"ipip"}, func(b []byte) []byte { return framed(0x86dd, inIPv6(4, packetOf(b))) }},
	"vxlan:42": {[]string{"vxlan:42"}, func(b []byte) []byte {
		return framed(0x800, inUDP(4789, slices.Concat([]byte{8, 0, 0, 0, 0, 0, 42, 0}, b)))
	}},
	"geneve:5": {[]string{"geneve:5"}, func(b []byte) []byte {
		return framed(0x800, inUDP(6081, slices.Concat([]byte{1, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 4}, b)))
	}},
	"gtp:7": {[]string{"gtp:7"}, func(b []byte) []byte {
		n := length(8 + len(packetOf(b)))
		return framed(0x800, inUDP(2152, slices.Concat([]byte{0x34, 255, n[0], n[1], 0, 0, 0, 7, 0, 0, 0, 0x85, 1, 0, 9, 0}, packetOf(b))))
	}},
	"erspan:3": {[]string{"erspan:3"}, func(b []byte) []byte {
		return framed(0x800, inIPv4(47, slices.Concat([]byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 3, 0, 0, 0, 0}, b)))
	}},
	"etherip": {[]string{"etherip"}, func(b []byte) []byte { return framed(0x800, inIPv4(97, slices.Concat([]byte{0x30, 0}, b))) }},
	"ah": {[]string{"ah"}, func(b []byte) []byte {
		inner := packetOf(b)
		h := slices.Concat([]byte{6, 4}, make([]byte, 22))
		outer := inIPv4(51, slices.Concat(h, inner[20:]))
		copy(outer[12:20], inner[12:20])
		return framed(0x800, outer)
	}},
	"ipcomp": {[]string{"ipcomp", "ipip"}, func(b []byte) []byte {
		var z bytes.Buffer
		w, _ := flate.NewWriter(&z, 9)
		_, _ = w.Write(packetOf(b)) // a bytes.Buffer takes everything
		_ = w.Close()
		return framed(0x800, inIPv4(108, slices.Concat([]byte{4, 0, 0, 2}, z.Bytes())))
	}},
	"pbb":    {nil, func(b []byte) []byte { return framed(0x88e7, slices.Concat(make([]byte, 4), b)) }},
	"vn-tag": {nil, func(b []byte) []byte { return framed(0x8926, slices.Concat(make([]byte, 4), b[12:])) }},
	"two": {[]string{"vlan:12", "vxlan:42", "gre"}, func(b []byte) []byte {
		b = framed(0x800, inIPv4(47, slices.Concat([]byte{0, 0, 8, 0}, packetOf(b))))
		b = framed(0x800, inUDP(8472, slices.Concat([]byte{8, 0, 0, 0, 0, 0, 42, 0}, b)))
		return framed(0x8100, slices.Concat([]byte{0, 12}, b[12:]))
	}},
}

// TestTunnels checks that the innermost TCP is the flow, and that it says what it
// was carried in.
func TestTunnels(t *testing.T) {
	frames := framesOf(t, sample(t, "connections.pcap.txt"))
	want := withoutLink(flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames)))
	for name, tun := range tunnelled {
		t.Run(name, func(t *testing.T) {
			got := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, edit(frames, tun.wrap)))
			for _, f := range got {
				require.Equal(t, tun.path, f.Tunnel)
			}
			got = withoutLink(got)
			for i := range got { // AH keeps the addresses of the inner packet, not its TTL and ID
				if name == "ah" {
					got[i] = onlyCounts(got[i])
				}
			}
			if name == "ah" {
				plain := slices.Clone(want)
				for i := range plain {
					plain[i] = onlyCounts(plain[i])
				}
				same(t, plain, got)
				return
			}
			same(t, want, got)
		})
	}
}

func onlyCounts(f fact.FlowRecord) fact.FlowRecord {
	return fact.FlowRecord{Client: f.Client, Server: f.Server, Counts: f.Counts, Packets: f.Packets, PayloadBytes: f.PayloadBytes, History: f.History}
}

// TestNotATunnel checks that a packet on the port of a tunnel stays what it is when
// no tunnel is in it.
func TestNotATunnel(t *testing.T) {
	frames := edit(framesOf(t, web+"C>S SYN"), func([]byte) []byte { return framed(0x800, inUDP(4789, []byte("hello, no tunnel here at all"))) })
	f := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames))[0]
	require.Equal(t, "udp", f.Proto)
	require.Equal(t, "172.16.0.2:4789", f.Server.String())
	require.Empty(t, f.Tunnel)
}

// TestFragments checks that a fragmented datagram counts once, where it is complete,
// with its whole length, in whatever order its pieces come.
func TestFragments(t *testing.T) {
	frames := framesOf(t, web+"open\nC>S data 1000\nS>C ACK")
	want := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames))[0]
	split := func(f frame, from, to int, more byte) frame {
		ip := packetOf(f.data)
		piece := slices.Concat(ip[:20], ip[20+from:20+to])
		copy(piece[2:], length(20+to-from))
		piece[6], piece[7] = more|byte(from/8>>8), byte(from/8)
		f.data = framed(0x800, piece)
		f.wire = len(f.data)
		return f
	}
	whole := len(frames[3].data) - 34
	a, b, c := split(frames[3], 0, 400, 0x20), split(frames[3], 400, 800, 0x20), split(frames[3], 800, whole, 0)
	for name, pieces := range map[string][]frame{"in order": {a, b, c}, "backwards": {c, b, a}, "repeated": {a, a, c, b}} {
		t.Run(name, func(t *testing.T) {
			got := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, slices.Concat(frames[:3], pieces, frames[4:])))
			require.Len(t, got, 1)
			require.Equal(t, want.PayloadBytes, got[0].PayloadBytes)
			require.Equal(t, want.Packets, got[0].Packets)
			require.Equal(t, 3+len(pieces), got[0].ToServer.LastDataFrame)
			require.Equal(t, want.Counts, got[0].Counts)
		})
	}
	t.Run("pieces smaller than the header", func(t *testing.T) {
		var pieces []frame
		for at := 0; at < whole; at += 8 {
			more := byte(0x20)
			if at+8 >= whole {
				more = 0
			}
			pieces = append(pieces, split(frames[3], at, min(at+8, whole), more))
		}
		got := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, slices.Concat(frames[:3], pieces, frames[4:])))
		require.Len(t, got, 1)
		require.Equal(t, want.PayloadBytes, got[0].PayloadBytes)
		require.Equal(t, want.Counts, got[0].Counts)
	})
	t.Run("incomplete", func(t *testing.T) {
		got := flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1, slices.Concat(frames[:3], []frame{a, c}, frames[4:])))
		require.Zero(t, got[0].PayloadBytes)
		require.EqualValues(t, 1, got[0].Counts.ACKedLostSegment)
	})
}

// TestUndecoded counts what holds nothing to read.
func TestUndecoded(t *testing.T) {
	frames := framesOf(t, web+"open")
	frames[1].data = frames[1].data[:20] // cut inside of the IP header
	st, status := parsertest.Run(t, pcap.Parser(), "x.pcap", classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames))
	c := parsertest.All[fact.Capture](st)[0]
	require.EqualValues(t, 1, c.Undecoded)
	require.EqualValues(t, 1, c.Truncated)
	require.Contains(t, status.Issues, "1 of 3 packets could not be decoded")
	st, _ = parsertest.Run(t, pcap.Parser(), "x.pcap", classic(binary.LittleEndian, 0xa1b2c3d4, 187, frames))
	require.EqualValues(t, 3, parsertest.All[fact.Capture](st)[0].Undecoded)
	require.Equal(t, []string{"linktype_187"}, parsertest.All[fact.Capture](st)[0].LinkTypes)
}
