package rulecase

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Link types as numbered by libpcap.
const (
	linkEthernet = 1
	linkRaw      = 101
	linkSLL      = 113
	linkSLL2     = 276
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// encodeIP encodes a segment with its IP header.
func encodeIP(f *captureFlow, from, to *captureSide, seg *captureSegment) []byte {
	src, dst := from.addr.Addr(), to.addr.Addr()
	if f.udp {
		udp := binary.BigEndian.AppendUint16(nil, from.addr.Port())
		udp = binary.BigEndian.AppendUint16(udp, to.addr.Port())
		udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(seg.payload)))
		udp = append(udp, 0, 0)
		udp = append(udp, seg.payload...)
		sum := transportChecksum(src, dst, protoUDP, udp)
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(udp[6:], sum)
		return ipPacket(src, dst, protoUDP, seg.ttl, seg.ipid, udp)
	}
	return ipPacket(src, dst, protoTCP, seg.ttl, seg.ipid, encodeTCP(from, to, seg))
}

func encodeTCP(from, to *captureSide, seg *captureSegment) []byte {
	options := encodeOptions(seg)
	be := binary.BigEndian
	t := be.AppendUint16(nil, from.addr.Port())
	t = be.AppendUint16(t, to.addr.Port())
	t = be.AppendUint32(t, seg.seq)
	t = be.AppendUint32(t, seg.ack)
	t = append(t, byte((20+len(options))/4<<4), seg.flags)
	t = be.AppendUint16(t, uint16(seg.win))
	t = append(t, 0, 0, 0, 0) // checksum, urgent pointer
	t = append(t, options...)
	t = append(t, seg.payload...)
	be.PutUint16(t[16:], transportChecksum(from.addr.Addr(), to.addr.Addr(), protoTCP, t))
	return t
}

// encodeOptions lays options out as Linux does.
func encodeOptions(seg *captureSegment) []byte {
	var o []byte
	if seg.noOpts {
		return nil
	}
	if seg.flags&flagSYN != 0 && seg.mss >= 0 {
		o = append(o, 2, 4, byte(seg.mss>>8), byte(seg.mss))
	}
	switch {
	case seg.flags&flagSYN != 0 && seg.sack:
		o = append(o, 4, 2)
		if !seg.ts {
			o = append(o, 1, 1)
		}
	case seg.ts:
		o = append(o, 1, 1)
	}
	if seg.ts {
		o = append(o, 8, 10)
		o = binary.BigEndian.AppendUint32(o, seg.tsVal)
		o = binary.BigEndian.AppendUint32(o, seg.tsEcr)
	}
	if seg.flags&flagSYN != 0 && seg.ws >= 0 {
		o = append(o, 1, 3, 3, byte(seg.ws))
	}
	return o
}

// ipPacket puts a header before a payload. The don't-fragment bit is set, as
// Linux does for TCP.
func ipPacket(src, dst netip.Addr, proto, ttl int, id uint16, payload []byte) []byte {
	be := binary.BigEndian
	if src.Is6() {
		h := be.AppendUint32(nil, 6<<28)
		h = be.AppendUint16(h, uint16(len(payload)))
		h = append(h, byte(proto), byte(ttl))
		h = append(h, src.AsSlice()...)
		h = append(h, dst.AsSlice()...)
		return append(h, payload...)
	}
	h := []byte{0x45, 0}
	h = be.AppendUint16(h, uint16(20+len(payload)))
	h = be.AppendUint16(h, id)
	h = append(h, 0x40, 0, byte(ttl), byte(proto), 0, 0)
	h = append(h, src.AsSlice()...)
	h = append(h, dst.AsSlice()...)
	be.PutUint16(h[10:], ^fold(sum16(0, h)))
	return append(h, payload...)
}

func transportChecksum(src, dst netip.Addr, proto int, segment []byte) uint16 {
	sum := sum16(0, src.AsSlice())
	sum = sum16(sum, dst.AsSlice())
	sum += uint32(proto) + uint32(len(segment))
	return ^fold(sum16(sum, segment))
}

func sum16(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// encodeLink puts the link header before an IP packet.
func encodeLink(link int, f *captureFlow, from, to *captureSide, ip []byte) []byte {
	be := binary.BigEndian
	etherType := uint16(0x0800)
	if from.addr.Addr().Is6() {
		etherType = 0x86dd
	}
	packetType := byte(0) // to us
	if from == f.s {
		packetType = 4 // sent by us
	}
	var h []byte
	switch link {
	case linkRaw:
	case linkSLL:
		h = append(h, 0, packetType, 0, 1, 0, 6)
		h = append(h, macOf(from.addr.Addr())...)
		h = append(h, 0, 0)
		h = be.AppendUint16(h, etherType)
	case linkSLL2:
		h = be.AppendUint16(h, etherType)
		h = append(h, 0, 0, 0, 0, 0, 2, 0, 1, packetType, 6)
		h = append(h, macOf(from.addr.Addr())...)
		h = append(h, 0, 0)
	default:
		h = append(h, macOf(to.addr.Addr())...)
		h = append(h, macOf(from.addr.Addr())...)
		if f.vlan > 0 {
			h = append(h, 0x81, 0x00, byte(f.vlan>>8), byte(f.vlan))
		}
		h = be.AppendUint16(h, etherType)
	}
	return append(h, ip...)
}

// macOf makes a local hardware address of an IP address; loopback has zeros.
func macOf(a netip.Addr) []byte {
	if a.IsLoopback() {
		return make([]byte, 6)
	}
	b := a.AsSlice()
	return append([]byte{2, 0}, b[len(b)-4:]...)
}

// icmp compiles `TYPE/CODE [from=ADDR] [mtu=N]`, an error about the last packet
// of the side it goes to.
func (c *capture) icmp(f *captureFlow, from, to *captureSide, words []string) error {
	if len(words) == 0 || to.lastIP == nil {
		return fmt.Errorf("want icmp TYPE/CODE after a packet of the other side")
	}
	kind, code, ok := strings.Cut(words[0], "/")
	t, err1 := strconv.ParseUint(kind, 10, 8)
	n, err2 := strconv.ParseUint(code, 10, 8)
	if !ok || err1 != nil || err2 != nil {
		return fmt.Errorf("icmp %q: want TYPE/CODE", words[0])
	}
	src, mtu := from.addr.Addr(), 0
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "from":
			src, err = netip.ParseAddr(value)
		case "mtu":
			mtu, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown word")
		}
		if err != nil {
			return fmt.Errorf("%q: %w", w, err)
		}
	}
	dst := to.addr.Addr()
	if src.Is4() != dst.Is4() {
		return fmt.Errorf("the two sides are of different families")
	}
	msg := []byte{byte(t), byte(n), 0, 0}
	msg = binary.BigEndian.AppendUint32(msg, uint32(mtu))
	msg = append(msg, to.lastIP[:min(len(to.lastIP), 128)]...)
	proto, sum := protoICMP, ^fold(sum16(0, msg))
	if dst.Is6() {
		proto, sum = protoICMPv6, transportChecksum(src, dst, protoICMPv6, msg)
	}
	binary.BigEndian.PutUint16(msg[2:], sum)
	ip := ipPacket(src, dst, proto, from.ttl, from.ipid, msg)
	from.ipid++
	c.frames = append(c.frames, captureFrame{c.now, encodeLink(c.link, f, from, to, ip), 1 << 20})
	return nil
}
