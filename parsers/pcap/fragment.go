package pcap

import "encoding/binary"

// fragments puts fragmented datagrams together as far as their transport header
// needs it: it keeps the beginning and adds up the lengths.
// The datagram counts where its last missing piece arrives, as Wireshark has it.
type fragments struct {
	open []datagram
	turn int // which entry gives way next
}

// maxDatagrams bounds the datagrams that wait for their pieces.
const maxDatagrams = 64

// keptHeader is what of a datagram is kept: a transport header and a name. Pieces may
// be so small that the header alone takes several.
const keptHeader = 576

type datagram struct {
	src, dst address
	id       uint32
	proto    uint8
	used     bool
	first    bool
	total    int // 0 until the last fragment was seen
	have     int // blocks of eight bytes that arrived, repeats not counted
	seen     [1 << 16 / 8 / 64]uint64
	head     [keptHeader]byte
}

// add notes a piece and reports whether the datagram is complete.
func (g *datagram) add(from int, more bool, c cursor) bool {
	for at := from / 8; at < (from+c.n+7)/8 && at < len(g.seen)*64; at++ {
		if bit := uint64(1) << (at % 64); g.seen[at/64]&bit == 0 {
			g.seen[at/64] |= bit
			g.have++
		}
	}
	if from < keptHeader {
		copy(g.head[from:], c.b)
	}
	g.first = g.first || from == 0
	if !more {
		g.total = from + c.n
	}
	return g.first && g.total > 0 && g.have >= (g.total+7)/8
}

// find returns the datagram that a fragment belongs to, a new one if need be.
func (f *fragments) find(p *packet, id uint32, proto uint8) *datagram {
	for i := range f.open {
		g := &f.open[i]
		if g.used && g.id == id && g.proto == proto && g.src == p.src && g.dst == p.dst {
			return g
		}
	}
	if len(f.open) < maxDatagrams {
		f.open = append(f.open, datagram{})
		f.turn = len(f.open) - 1
	} else {
		f.turn = (f.turn + 1) % maxDatagrams
	}
	g := &f.open[f.turn]
	*g = datagram{src: p.src, dst: p.dst, id: id, proto: proto, used: true}
	return g
}

func (d *decoder) fragment4(c cursor, header, total int, frag uint16) bool {
	id, proto := uint32(binary.BigEndian.Uint16(c.b[4:])), c.b[9]
	cut := total > len(c.b)
	if !c.skip(header) {
		return false
	}
	return d.fragment(id, proto, int(frag&0x1fff)*8, frag&0x2000 != 0, cut, c)
}

// fragment notes a piece; the piece that completes its datagram is decoded like
// the whole packet. Where the capture cut the pieces, the first one has to do: its
// flags count, its length says nothing.
func (d *decoder) fragment(id uint32, proto uint8, from int, more, cut bool, c cursor) bool {
	if cut {
		d.p.short = from == 0
		return from > 0 || d.next(proto, c)
	}
	g := d.frags.find(d.p, id, proto)
	if !g.add(from, more, c) {
		return true
	}
	g.used = false
	whole := cursor{g.head[:min(keptHeader, g.total)], g.total}
	return d.next(proto, whole)
}

// extension walks the extension headers of IPv6.
func (d *decoder) extension(proto uint8, c cursor) bool {
	for d.deeper() {
		switch proto {
		case 0, 43, 60, 135, 139, 140: // hop by hop, routing, destination, mobility, HIP, shim6
			if len(c.b) < 8 {
				return false
			}
			proto = c.b[0]
			if !c.skip(int(c.b[1])*8 + 8) {
				return false
			}
		case 44:
			if len(c.b) < 8 {
				return false
			}
			following, frag := c.b[0], binary.BigEndian.Uint16(c.b[2:])
			id := binary.BigEndian.Uint32(c.b[4:])
			c.skip(8)
			if frag&0xfff9 != 0 {
				return d.fragment(id, following, int(frag&0xfff8), frag&1 != 0, len(c.b) < c.n, c)
			}
			proto = following // a fragment that is the whole
		case 59:
			return true
		default:
			return d.next(proto, c)
		}
	}
	return false
}
