package pcap

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// decoder finds the innermost transport header of a frame. Link and tunnel
// headers are read by hand (link.go, tunnel.go), which keeps each of them bounded
// and tells how long a packet was before it was cut; so are IP headers, because
// broken options or a length of zero must not hide a flow, and ICMP errors, because
// they quote a cut packet. TCP and UDP are gopacket's. This is the only file
// that knows gopacket, and only its `layers` and DecodingLayerParser: the readers
// of pcapgo hold the link type in eight bits and can be made to allocate
// gigabytes, NewPacket allocates for each packet and has panicked on damaged ones.
// Its recovery stays on.
//
// A decoder is used by one goroutine and allocates nothing per packet.
type decoder struct {
	fromTCP, fromUDP *gopacket.DecodingLayerParser

	tcp   layers.TCP
	udp   layers.UDP
	found []gopacket.LayerType

	frags   fragments
	tunnels tunnelList
	inflate *inflater
	text    *[]byte // where names are copied to; nil: nowhere

	p     *packet
	depth int
	path  []hop // tunnels around the current header
}

func newDecoder() *decoder {
	d := &decoder{found: make([]gopacket.LayerType, 0, 1)}
	parser := func(first gopacket.LayerType, only gopacket.DecodingLayer) *gopacket.DecodingLayerParser {
		p := gopacket.NewDecodingLayerParser(first)
		// A single layer is found faster in a list than in a map.
		p.SetDecodingLayerContainer(gopacket.DecodingLayerSparse(nil))
		p.AddDecodingLayer(only)
		p.IgnoreUnsupported = true
		return p
	}
	d.fromTCP = parser(layers.LayerTypeTCP, &d.tcp)
	d.fromUDP = parser(layers.LayerTypeUDP, &d.udp)
	return d
}

// cursor is the rest of a frame: what was captured of it, and its length as sent.
type cursor struct {
	b []byte
	n int
}

// skip passes a header. It reports false when the frame ends before.
func (c *cursor) skip(n int) bool {
	if n < 0 || n > len(c.b) {
		return false
	}
	c.b, c.n = c.b[n:], c.n-n
	return true
}

// trim drops what stands behind n bytes: padding and check sequences.
func (c *cursor) trim(n int) {
	if n < c.n {
		c.n = n
	}
	if c.n < len(c.b) {
		c.b = c.b[:max(c.n, 0)]
	}
}

// decode fills p from a frame and reports whether the frame was understood, up to
// a protocol that carries no conversation. A panic in here costs one frame.
func (d *decoder) decode(r *record, p *packet) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return d.frame(r, p)
}

// frame is decode without its net, for the fuzzer.
func (d *decoder) frame(r *record, p *packet) bool {
	*p = packet{
		ts: r.ts, offset: r.offset, frame: r.number, wire: int32(r.wire), length: int32(r.length),
		iface: int32(r.iface), wscale: -1,
	}
	d.p, d.depth, d.path = p, 0, d.path[:0]
	ok := d.link(r.link, cursor{r.data, max(r.wire, len(r.data))})
	if ok && len(d.path) > 0 && (p.proto == protoTCP || p.proto == protoUDP) {
		p.tunnel = d.tunnels.number(d.path)
	}
	return ok
}

// maxDepth bounds tunnels in tunnels.
const maxDepth = 24

func (d *decoder) deeper() bool {
	d.depth++
	return d.depth <= maxDepth
}

// ipv4 reads an IPv4 packet.
func (d *decoder) ipv4(c cursor) bool {
	if len(c.b) < 20 || c.b[0]>>4 != 4 || !d.deeper() {
		return false
	}
	// Options are passed over: broken ones, or ones that the capture cut, must not
	// hide the flow.
	total, header := int(binary.BigEndian.Uint16(c.b[2:])), int(c.b[0]&15)*4
	if header < 20 {
		return false
	}
	if total == 0 {
		total = c.n // segmentation offload: the length is that of the frame
	}
	if total < header {
		return false
	}
	c.trim(total)
	p := d.p
	p.v4, p.ttl = true, c.b[8]
	p.ipid, p.hasID = binary.BigEndian.Uint16(c.b[4:]), true
	p.src, p.dst = address4(c.b[12:]), address4(c.b[16:])
	if frag := binary.BigEndian.Uint16(c.b[6:]); frag&0x3fff != 0 {
		return d.fragment4(c, header, total, frag)
	}
	proto := c.b[9]
	return c.skip(header) && d.next(proto, c)
}

// ipv6 reads an IPv6 packet.
func (d *decoder) ipv6(c cursor) bool {
	if len(c.b) < 40 || c.b[0]>>4 != 6 || !d.deeper() {
		return false
	}
	n := int(binary.BigEndian.Uint16(c.b[4:]))
	proto := c.b[6]
	if n > 0 {
		c.trim(40 + n)
	}
	p := d.p
	p.v4, p.ttl, p.hasID, p.ipid = false, c.b[7], false, 0
	p.src, p.dst = address6(c.b[8:]), address6(c.b[24:])
	if n == 0 || proto != protoTCP && proto != protoUDP && proto != protoICMPv6 {
		// Extension headers, jumbograms and offloaded packets of length zero.
		return c.skip(40) && d.extension(proto, c)
	}
	return c.skip(40) && d.next(proto, c)
}

// next goes on behind an IP header whose payload no parser has read yet.
func (d *decoder) next(proto uint8, c cursor) bool {
	switch proto {
	case protoTCP:
		if len(c.b) < 20 {
			return d.cutTCP(c)
		}
		err := d.fromTCP.DecodeLayers(c.b, &d.found)
		return d.takeTCP(c, err == nil)
	case protoUDP:
		if err := d.fromUDP.DecodeLayers(c.b, &d.found); err != nil {
			return false
		}
		return d.takeUDP(c)
	case protoICMP, protoICMPv6:
		return d.icmp(proto, c)
	}
	return d.inner(proto, c)
}

// takeTCP copies the header that gopacket decoded. When an option was broken or
// the header cut, its fixed part is good all the same.
func (d *decoder) takeTCP(c cursor, whole bool) bool {
	t, p := &d.tcp, d.p
	header := int(t.DataOffset) * 4
	if header < 20 {
		return false
	}
	p.proto, p.sport, p.dport = protoTCP, uint16(t.SrcPort), uint16(t.DstPort)
	p.seq, p.ack, p.window, p.flags = t.Seq, t.Ack, t.Window, c.b[13]
	p.checksum = t.Checksum
	p.payload, p.short = int32(max(c.n-header, 0)), p.short || header > c.n
	p.hasOpts = header > 20
	for _, o := range t.Options {
		d.option(o.OptionType, o.OptionData)
	}
	if whole && c.skip(header) {
		d.payload(c.b)
	}
	return true
}

func (d *decoder) option(kind layers.TCPOptionKind, v []byte) {
	p := d.p
	switch {
	case kind == layers.TCPOptionKindMSS && len(v) == 2:
		p.mss = binary.BigEndian.Uint16(v)
	case kind == layers.TCPOptionKindWindowScale && len(v) == 1:
		p.wscale = int8(min(v[0], 14))
	case kind == layers.TCPOptionKindSACKPermitted:
		p.sackOK = true
	case kind == layers.TCPOptionKindTimestamps && len(v) == 8:
		p.hasTS = true
	}
}

// cutTCP is a TCP header of which the capture kept at least the ports, sequence
// and flags: a small snapshot length must not hide a RST.
func (d *decoder) cutTCP(c cursor) bool {
	if len(c.b) < 14 || c.n < 20 {
		return false
	}
	be, p := binary.BigEndian, d.p
	header := int(c.b[12]>>4) * 4
	if header < 20 {
		return false
	}
	p.proto, p.sport, p.dport = protoTCP, be.Uint16(c.b), be.Uint16(c.b[2:])
	p.seq, p.ack, p.flags = be.Uint32(c.b[4:]), be.Uint32(c.b[8:]), c.b[13]
	p.payload, p.hasOpts = int32(max(c.n-header, 0)), header > 20
	if len(c.b) >= 16 {
		p.window = be.Uint16(c.b[14:])
	} else {
		p.window = 1 // not captured; zero would claim that the receiver stopped
	}
	return true
}

func (d *decoder) takeUDP(c cursor) bool {
	p := d.p
	p.proto, p.sport, p.dport = protoUDP, uint16(d.udp.SrcPort), uint16(d.udp.DstPort)
	if n := int(d.udp.Length); n >= 8 {
		c.trim(n)
	}
	if !c.skip(8) {
		return true
	}
	p.payload = int32(max(c.n, 0))
	if d.overUDP(c) {
		return true
	}
	d.payload(c.b)
	return true
}

// payload keeps the beginning of a payload, and more of it where it holds a name.
func (d *decoder) payload(b []byte) {
	p := d.p
	p.headLen = uint8(copy(p.head[:], b))
	if d.text == nil || !named(p, b) {
		return
	}
	at := len(*d.text)
	*d.text = append(*d.text, b[:min(len(b), maxText)]...)
	p.text = (*d.text)[at:len(*d.text):len(*d.text)]
}
