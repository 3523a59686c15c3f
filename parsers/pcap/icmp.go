package pcap

import (
	"encoding/binary"
	"strconv"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// icmpError is an ICMP message about a packet that it quotes.
type icmpError struct {
	kind, code uint8
	mtu        uint32
	v6         bool
	src, dst   endpoint // of the quoted packet
	proto      uint8
}

// icmp reads the errors of ICMP; other messages are understood and dropped.
func (d *decoder) icmp(proto uint8, c cursor) bool {
	if len(c.b) < 8 {
		return false
	}
	e := icmpError{kind: c.b[0], code: c.b[1], v6: proto == protoICMPv6}
	be := binary.BigEndian
	switch {
	case e.v6 && e.kind >= 1 && e.kind <= 4:
		if e.kind == 2 {
			e.mtu = be.Uint32(c.b[4:])
		}
	case !e.v6 && (e.kind == 3 || e.kind == 4 || e.kind == 11 || e.kind == 12):
		if e.kind == 3 && e.code == 4 {
			e.mtu = uint32(be.Uint16(c.b[6:]))
		}
	default:
		return true
	}
	c.skip(8)
	if !e.quoted(c.b) {
		return true
	}
	d.p.proto, d.p.icmp = proto, &e
	return true
}

// quoted reads the addresses and ports of the packet that an error quotes.
func (e *icmpError) quoted(b []byte) bool {
	if e.v6 {
		if len(b) < 44 || b[0]>>4 != 6 {
			return false
		}
		e.src.addr, e.dst.addr = address6(b[8:]), address6(b[24:])
		e.proto, b = b[6], b[40:]
	} else {
		n := 0
		if len(b) > 0 {
			n = int(b[0]&15) * 4
		}
		if n < 20 || len(b) < n+4 || b[0]>>4 != 4 {
			return false
		}
		e.src.addr, e.dst.addr = address4(b[12:]), address4(b[16:])
		if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return false // a later fragment has no ports
		}
		e.proto, b = b[9], b[n:]
	}
	if e.proto != protoTCP && e.proto != protoUDP {
		return false
	}
	e.src.port, e.dst.port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return true
}

// fact returns the error as a fact.
func (e *icmpError) fact(p *packet, at fact.Ref) fact.ICMPError {
	from := endpoint{addr: p.src}
	return fact.ICMPError{
		At: at, Time: timeOf(p.ts), From: from.ip().String(), Type: int(e.kind), Code: int(e.code),
		Src: e.src.String(), Dst: e.dst.String(), MTU: int(e.mtu), Text: e.text(),
	}
}

// text names the error as the RFCs do.
func (e *icmpError) text() string {
	var names []string
	var kind string
	switch {
	case !e.v6 && e.kind == 3:
		kind, names = "destination unreachable", []string{
			"destination network unreachable", "destination host unreachable", "destination protocol unreachable",
			"destination port unreachable", "fragmentation needed", "source route failed", "destination network unknown",
			"destination host unknown", "source host isolated", "destination network prohibited", "destination host prohibited",
			"network unreachable for this service", "host unreachable for this service", "communication administratively prohibited",
			"host precedence violation", "precedence cutoff in effect",
		}
	case e.v6 && e.kind == 1:
		kind, names = "destination unreachable", []string{
			"no route to destination", "communication administratively prohibited", "beyond scope of source address",
			"destination address unreachable", "destination port unreachable", "source address failed policy", "reject route to destination",
		}
	case e.v6 && e.kind == 2:
		return "packet too big"
	case !e.v6 && e.kind == 11, e.v6 && e.kind == 3:
		kind, names = "time exceeded", []string{"time to live exceeded in transit", "fragment reassembly time exceeded"}
	case !e.v6 && e.kind == 4:
		return "source quench"
	default:
		return "parameter problem"
	}
	if int(e.code) < len(names) {
		return names[e.code]
	}
	return kind + ", code " + strconv.Itoa(int(e.code))
}
