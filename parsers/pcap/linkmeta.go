package pcap

import "encoding/binary"

// nflog reads the attributes of a netfilter log until the packet.
func (d *decoder) nflog(c cursor) bool {
	if len(c.b) < 4 {
		return false
	}
	family := c.b[0]
	c.skip(4)
	for len(c.b) >= 4 {
		// The host's byte order, which is little endian where one still meets this.
		n, kind := int(binary.LittleEndian.Uint16(c.b)), binary.LittleEndian.Uint16(c.b[2:])&0x7fff
		if n < 4 {
			return false
		}
		if kind == 9 { // the packet
			c.trim(n)
			c.skip(4)
			if family == 7 { // of a bridge
				return d.ethernet(c)
			}
			return d.version(c)
		}
		if !c.skip((n + 3) &^ 3) {
			return false
		}
	}
	return true
}

// pktap reads the header of macOS' packet tap, which names the real link type.
func (d *decoder) pktap(c cursor) bool {
	if len(c.b) < 16 || !d.deeper() {
		return false
	}
	n, lt := int(binary.LittleEndian.Uint32(c.b)), int(binary.LittleEndian.Uint32(c.b[8:]))
	if n < 16 || lt == linkPktap || !c.skip(n) {
		return false
	}
	return d.link(linkType(lt), c)
}

// dsa reads an Ethernet frame with the tag of a switch chip between the addresses
// and the EtherType.
func (d *decoder) dsa(lt int, c cursor) bool {
	if len(c.b) < 20 {
		return false
	}
	n := 4
	if lt == linkEDSA {
		n = 8
	}
	tag := c.b[12+n-4:]
	vid := uint32(binary.BigEndian.Uint16(tag[2:]) & 0xfff)
	if lt != linkDSATag && tag[0]&0x20 != 0 {
		d.into(hopVLAN, vid)
	}
	if len(c.b) < 12+n+2 {
		return false
	}
	proto := binary.BigEndian.Uint16(c.b[12+n:])
	c.skip(14 + n)
	if proto < 0x600 {
		c.trim(int(proto))
		return d.llc(c)
	}
	return d.etherType(proto, c)
}

// juniper reads what Juniper's routers put in front of an Ethernet frame.
func (d *decoder) juniper(c cursor) bool {
	if len(c.b) < 6 || string(c.b[:3]) != "MGC" {
		return false
	}
	n := 4
	if c.b[3]&0x80 != 0 { // extensions, behind their length
		n += 2 + int(binary.BigEndian.Uint16(c.b[4:]))
	}
	return c.skip(n) && d.ethernet(c)
}

// arcnet reads IP behind the two headers that RFC 1051 and 1201 define.
func (d *decoder) arcnet(lt int, c cursor) bool {
	n := 3
	if lt == linkARCNETLinux {
		n = 5 // with an offset between the addresses and the protocol
	}
	if len(c.b) < n {
		return false
	}
	switch c.b[n-1] {
	case 240:
		return c.skip(n) && d.ipv4(c)
	case 212: // a split flag and a sequence number follow
		if len(c.b) > n && c.b[n] == 0xff {
			n += 4
		}
		return c.skip(n+3) && d.ipv4(c)
	}
	return true
}
