package pcap

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
	server hint
	tunnel uint16 // index into the decoder's list, 0 for none
	proto  uint8  // 6 tcp, 17 udp, 1 or 58 icmp, 0 nothing of interest
	ttl    uint8

	src, dst     address
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
	checksum uint16
	seq, ack uint32
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
