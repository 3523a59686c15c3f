package pcap_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// TestPcapVariants reads the same frames from every variant of the classic format.
func TestPcapVariants(t *testing.T) {
	frames := framesOf(t, sample(t, "connections.pcap.txt"))
	want := flows(t, compile(t, sample(t, "connections.pcap.txt")))
	require.Len(t, want, 7)
	for name, magic := range map[string]uint32{"micro": 0xa1b2c3d4, "nano": 0xa1b23c4d, "modified": 0xa1b2cd34, "ixia": 0x1c0001ac} {
		t.Run(name, func(t *testing.T) {
			same(t, want, flows(t, classic(binary.LittleEndian, magic, 1, frames)))
			same(t, want, flows(t, classic(binary.BigEndian, magic, 1, frames)))
		})
	}
	for name, patched := range map[string]struct {
		magic uint32
		more  int // bytes of a record header
	}{"Red Hat 6.1": {0xa1b2c3d4, 8}, "Nokia": {0xa1b2c3d4, 4}, "SuSE 6.3": {0xa1b2cd34, 12}} {
		t.Run(name, func(t *testing.T) {
			for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				same(t, want, flows(t, lengthened(order, classic(order, 0xa1b2c3d4, 1, frames), patched.magic, patched.more)))
				one := flows(t, classic(order, 0xa1b2c3d4, 1, frames[:1]))
				same(t, one, flows(t, lengthened(order, classic(order, 0xa1b2c3d4, 1, frames[:1]), patched.magic, patched.more)))
			}
		})
	}
	t.Run("frame check sequence", func(t *testing.T) {
		same(t, want, flows(t, classic(binary.LittleEndian, 0xa1b2c3d4, 1|0x14000000, frames)))
	})
	t.Run("odd version and snapshot length", func(t *testing.T) {
		content := classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames)
		content[6] = 17
		binary.LittleEndian.PutUint32(content[16:], 0)
		same(t, want, flows(t, content))
	})
	t.Run("lengths swapped before 2.3", func(t *testing.T) {
		cut := edit(frames, func(b []byte) []byte { return b })
		for i := range cut {
			cut[i].data = cut[i].data[:min(60, len(cut[i].data))]
		}
		content := classic(binary.LittleEndian, 0xa1b2c3d4, 1, cut)
		expected := flows(t, content)
		content[6] = 2
		for at := 24; at < len(content); {
			n := binary.LittleEndian.Uint32(content[at+8:])
			copy(content[at+8:], content[at+12:at+16])
			binary.LittleEndian.PutUint32(content[at+12:], n)
			at += 16 + int(n)
		}
		same(t, expected, flows(t, content))
	})
}

// lengthened gives a pcap file another magic number and longer record headers.
func lengthened(order binary.ByteOrder, content []byte, magic uint32, more int) []byte {
	out := append([]byte(nil), content[:24]...)
	order.PutUint32(out, magic)
	for at := 24; at < len(content); {
		n := 16 + int(order.Uint32(content[at+8:]))
		out = append(append(out, content[at:at+16]...), bytes.Repeat([]byte{2}, more)...)
		out = append(out, content[at+16:at+n]...)
		at += n
	}
	return out
}

// pcapngFile writes a file with one section, one interface and enhanced packets.
func pcapngFile(order binary.ByteOrder, link uint16, frames []frame) []byte {
	n := ng{b: order.(binary.AppendByteOrder)}
	n.section()
	n.iface(link, nil)
	for _, f := range frames {
		n.enhanced(0, uint64(f.sec)*1e6+uint64(f.usec), f)
	}
	return n.out
}

// ng writes blocks.
type ng struct {
	b   binary.AppendByteOrder
	out []byte
}

func (n *ng) block(kind uint32, body []byte) {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	n.out = n.b.AppendUint32(n.out, kind)
	n.out = n.b.AppendUint32(n.out, uint32(len(body)+12))
	n.out = append(n.out, body...)
	n.out = n.b.AppendUint32(n.out, uint32(len(body)+12))
}

func (n *ng) section() {
	body := n.b.AppendUint32(nil, 0x1a2b3c4d)
	body = n.b.AppendUint16(body, 1)
	body = n.b.AppendUint16(body, 0)
	n.block(0x0a0d0d0a, n.b.AppendUint64(body, 1<<64-1))
}

func (n *ng) option(body []byte, code uint16, v []byte) []byte {
	body = n.b.AppendUint16(body, code)
	body = append(n.b.AppendUint16(body, uint16(len(v))), v...)
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return body
}

func (n *ng) iface(link uint16, options []byte) {
	body := n.b.AppendUint16(nil, link)
	body = n.b.AppendUint16(body, 0)
	body = n.b.AppendUint32(body, 262144)
	n.block(1, append(body, options...))
}

func (n *ng) enhanced(id uint32, ticks uint64, f frame) {
	body := n.b.AppendUint32(nil, id)
	body = n.b.AppendUint32(body, uint32(ticks>>32))
	body = n.b.AppendUint32(body, uint32(ticks))
	body = n.b.AppendUint32(body, uint32(len(f.data)))
	body = n.b.AppendUint32(body, uint32(f.wire))
	n.block(6, append(body, f.data...))
}

func (n *ng) obsolete(id, drops uint16, ticks uint64, f frame) {
	body := n.b.AppendUint16(nil, id)
	body = n.b.AppendUint16(body, drops)
	body = n.b.AppendUint32(body, uint32(ticks>>32))
	body = n.b.AppendUint32(body, uint32(ticks))
	body = n.b.AppendUint32(body, uint32(len(f.data)))
	body = n.b.AppendUint32(body, uint32(f.wire))
	n.block(2, append(body, f.data...))
}

func TestPcapng(t *testing.T) {
	frames := framesOf(t, sample(t, "connections.pcap.txt"))
	want := flows(t, compile(t, sample(t, "connections.pcap.txt")))
	same(t, want, flows(t, pcapngFile(binary.LittleEndian, 1, frames)))
	same(t, want, flows(t, pcapngFile(binary.BigEndian, 1, frames)))
}

// TestPcapngBlocks goes through sections, interfaces with their own link types and
// clocks, all kinds of packet blocks, and blocks that hold no packet.
func TestPcapngBlocks(t *testing.T) {
	frames := framesOf(t, web+"start 2026-11-21T00:00:00Z\n0 C>S SYN\n+0.5 S>C SYN,ACK\n+0.25 C>S ACK\n+1 C>S data 100\n+0.125 S>C RST,ACK")
	raw := edit(frames, func(b []byte) []byte { return b[14:] })
	n := ng{b: binary.LittleEndian}
	n.section()
	n.iface(1, n.option(nil, 2, []byte("eth0")))
	n.iface(101, n.option(n.option(nil, 9, []byte{9}), 2, []byte("tun0")))
	n.iface(1, n.option(nil, 9, []byte{0x80 | 10})) // 1/1024 s
	ns := func(f frame) uint64 { return uint64(f.sec)*1e9 + uint64(f.usec)*1e3 }
	n.block(4, make([]byte, 8))    // names
	n.block(10, make([]byte, 16))  // secrets
	n.block(0x7777, []byte("new")) // not known yet
	n.enhanced(0, ns(frames[0])/1e3, frames[0])
	n.enhanced(1, ns(raw[1]), raw[1])
	n.enhanced(2, uint64(frames[2].sec)<<10+uint64(frames[2].usec)*1024/1e6, frames[2])
	n.block(5, n.option(append(make([]byte, 12), 0, 0, 0, 0)[:12], 5, []byte{7, 0, 0, 0, 0, 0, 0, 0}))
	// The second section has the other byte order, an interface of its own and an offset.
	n.b = binary.BigEndian
	n.section()
	n.iface(1, n.option(n.option(nil, 14, []byte{0, 0, 0, 0, 0, 0, 0, 100}), 2, []byte("eth0")))
	n.obsolete(0, 2, ns(frames[3])/1e3-100e6, frames[3])
	n.enhanced(0, ns(frames[4])/1e3-100e6, frames[4])
	got := flows(t, n.out)
	require.Len(t, got, 1)
	f := got[0]
	require.EqualValues(t, 5, f.Packets)
	require.Equal(t, "2026-11-21T00:00:01.875Z", f.Last.Format(time.RFC3339Nano))
	require.Equal(t, 750*time.Millisecond, f.HandshakeRTT)
	st, _ := parsertest.Run(t, pcap.Parser(), "x.pcap", n.out)
	c := parsertest.All[fact.Capture](st)[0]
	require.Equal(t, []string{"ethernet", "raw"}, c.LinkTypes)
	require.Equal(t, []string{"eth0", "tun0"}, c.Interfaces)
	require.Equal(t, fact.Some(int64(9)), c.Drops)
	require.Equal(t, "pcapng", c.Format)
}

// TestPcapngSimple reads packets without a time.
func TestPcapngSimple(t *testing.T) {
	n := ng{b: binary.LittleEndian}
	n.section()
	n.iface(1, nil)
	for _, f := range framesOf(t, web+"open") {
		n.block(3, append(n.b.AppendUint32(nil, uint32(f.wire)), f.data...))
	}
	f := flows(t, n.out)[0]
	require.True(t, f.Established)
	require.True(t, f.First.IsZero())
	require.Zero(t, f.HandshakeRTT)
}

// TestPcapngDamage checks that a bad block costs itself only.
func TestPcapngDamage(t *testing.T) {
	frames := framesOf(t, web+"open")
	n := ng{b: binary.LittleEndian}
	n.section()
	n.iface(1, nil)
	n.enhanced(0, 1e6, frames[0])
	n.enhanced(7, 1e6, frames[0]) // of an interface that nobody described
	n.enhanced(0, 2e6, frames[1])
	st, status := parsertest.Run(t, pcap.Parser(), "x.pcapng", n.out)
	require.EqualValues(t, 1, status.Skipped)
	require.EqualValues(t, 2, records(st)[0].Packets)
	st, status = parsertest.Run(t, pcap.Parser(), "x.pcapng", append(n.out, 6, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0))
	require.Equal(t, analyze.ArtifactPartial, status.Status)
	require.True(t, parsertest.All[fact.Capture](st)[0].Cut)
}

func snoopFile(frames []frame) []byte {
	be := binary.BigEndian
	out := be.AppendUint32([]byte("snoop\x00\x00\x00"), 2)
	out = be.AppendUint32(out, 4)
	for _, f := range frames {
		pad := -len(f.data) & 3
		for _, v := range []uint32{uint32(f.wire), uint32(len(f.data)), uint32(24 + len(f.data) + pad), 3, f.sec, f.usec} {
			out = be.AppendUint32(out, v)
		}
		out = append(append(out, f.data...), make([]byte, pad)...)
	}
	return out
}

func TestSnoop(t *testing.T) {
	frames := framesOf(t, sample(t, "connections.pcap.txt"))
	same(t, flows(t, compile(t, sample(t, "connections.pcap.txt"))), flows(t, snoopFile(frames)))
	st, _ := parsertest.Run(t, pcap.Parser(), "x.snoop", snoopFile(frames))
	require.Equal(t, fact.Some(int64(3)), parsertest.All[fact.Capture](st)[0].Drops)
}

// TestResync checks that reading goes on behind a damaged record header.
func TestResync(t *testing.T) {
	frames := framesOf(t, sample(t, "connections.pcap.txt"))
	content := classic(binary.LittleEndian, 0xa1b2c3d4, 1, frames)
	at := 24
	for _, f := range frames[:10] {
		at += 16 + len(f.data)
	}
	binary.LittleEndian.PutUint32(content[at+8:], 0xfffffff0)
	st, status := parsertest.Run(t, pcap.Parser(), "x.pcap", content)
	require.EqualValues(t, 1, status.Skipped)
	require.EqualValues(t, len(frames)-1, parsertest.All[fact.Capture](st)[0].Packets)
}

// TestSnapshot checks that a small snapshot length hides no RST and no window.
func TestSnapshot(t *testing.T) {
	v4 := func(in []fact.FlowRecord) (out []fact.FlowRecord) { // IPv6 headers are longer
		for _, f := range in {
			if f.Proto == "tcp" && f.Client.Addr().Is4() {
				out = append(out, f)
			}
		}
		return out
	}
	for _, name := range []string{"connections.pcap.txt", "trouble.pcap.txt"} {
		whole := v4(flows(t, compile(t, sample(t, name))))
		for _, snap := range []string{"68", "60", "54", "50"} {
			cut := v4(flows(t, compile(t, "snaplen "+snap+"\n"+sample(t, name))))
			require.Len(t, cut, len(whole))
			for i := range cut {
				require.Equal(t, whole[i].Counts, cut[i].Counts, snap)
				require.Equal(t, whole[i].PayloadBytes, cut[i].PayloadBytes, snap)
				require.Equal(t, whole[i].History, cut[i].History, snap)
				require.Len(t, cut[i].Resets, len(whole[i].Resets))
				for n := range cut[i].Resets {
					require.Equal(t, whole[i].Resets[n].Form, cut[i].Resets[n].Form, snap)
				}
			}
		}
	}
}
