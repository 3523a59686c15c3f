package pcap

import "net/netip"

// packet is what the decoder found in a frame: the innermost transport header,
// copied, so that it outlives the bytes of the frame. It holds no pointers except
// into the text of its batch.
type packet struct {
	ts     int64
	offset int64
	frame  int
	wire   int32
	length int32 // of the record
	iface  int32
	tunnel uint16 // index into the decoder's list, 0 for none
	proto  uint8  // 6 tcp, 17 udp, 1 or 58 icmp, 0 nothing of interest
	ttl    uint8

	src, dst     [16]byte // IPv4 as ::ffff:a.b.c.d
	sport, dport uint16
	ipid         uint16
	hasID        bool
	v4           bool

	flags    uint8
	hasOpts  bool
	hasTS    bool
	short    bool // the header is longer than the packet: its length means nothing
	sackOK   bool
	wscale   int8 // -1: not offered
	mss      uint16
	window   uint16
	urgent   uint16
	checksum uint16
	seq, ack uint32
	tsval    uint32
	tsecr    uint32
	payload  int32 // length as sent; what was captured may be shorter
	// place tells captures of one packet at two interfaces apart.
	place uint32

	head    [16]byte // first bytes of the payload
	headLen uint8
	// text are more bytes of the payload, where the head promised a name.
	text []byte
	icmp *icmpError
}

// The flags of a TCP header.
const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
	urg
)

// Protocol numbers.
const (
	protoICMP    = 1
	protoIPIP    = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIPv6    = 41
	protoGRE     = 47
	protoESP     = 50
	protoAH      = 51
	protoICMPv6  = 58
	protoEtherIP = 97
	protoIPComp  = 108
	protoMPLS    = 137
)

// end is the sequence number behind a segment; SYN and FIN take one.
func (p *packet) end() uint32 {
	n := p.seq + uint32(p.payload)
	if p.flags&(syn|fin) != 0 {
		n++
	}
	return n
}

// endpoint is one end of a conversation.
type endpoint struct {
	addr [16]byte
	port uint16
}

func (e endpoint) less(o endpoint) bool {
	for i := range e.addr {
		if e.addr[i] != o.addr[i] {
			return e.addr[i] < o.addr[i]
		}
	}
	return e.port < o.port
}

// String is "addr:port", IPv6 in brackets.
func (e endpoint) String() string {
	return netip.AddrPortFrom(e.ip(), e.port).String()
}

func (e endpoint) ip() netip.Addr { return netip.AddrFrom16(e.addr).Unmap() }

// flowKey is a five-tuple without direction: a is the lower end.
type flowKey struct {
	a, b  endpoint
	proto uint8
}

// key returns the five-tuple and whether the packet goes from a to b.
func (p *packet) key() (flowKey, bool) {
	s, d := endpoint{p.src, p.sport}, endpoint{p.dst, p.dport}
	if d.less(s) {
		return flowKey{d, s, p.proto}, false
	}
	return flowKey{s, d, p.proto}, true
}

// hash is the same for both directions of a flow. It must not depend on anything
// but the packet: it decides which table a flow lives in.
func (p *packet) hash() uint32 {
	h := uint64(0)
	for i := 0; i < 16; i += 4 {
		s := uint64(p.src[i])<<24 | uint64(p.src[i+1])<<16 | uint64(p.src[i+2])<<8 | uint64(p.src[i+3])
		d := uint64(p.dst[i])<<24 | uint64(p.dst[i+1])<<16 | uint64(p.dst[i+2])<<8 | uint64(p.dst[i+3])
		h = h*31 + (s ^ d) + (s + d)
	}
	h = h*31 + uint64(p.sport^p.dport) + uint64(p.sport) + uint64(p.dport) + uint64(p.proto)
	h *= 0x9e3779b97f4a7c15
	return uint32(h >> 32)
}
