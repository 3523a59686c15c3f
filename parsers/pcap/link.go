package pcap

import "encoding/binary"

// EtherTypes.
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherMPLS    = 0x8847
	etherMPLSM   = 0x8848
	etherPPPoE   = 0x8864
	etherPPP     = 0x880b
	etherQinQ    = 0x88a8
	etherQinQOld = 0x9100
	etherQinQOl2 = 0x9200
	etherTransp  = 0x6558 // Transparent Ethernet Bridging
	etherERSPAN2 = 0x88be
	etherERSPAN3 = 0x22eb
	etherNSH     = 0x894f
	etherPBB     = 0x88e7 // 802.1ah: a whole frame behind an instance tag
	etherVNTag   = 0x8926
	etherWCCP    = 0x883e
)

// link reads the header of a link type.
func (d *decoder) link(lt int, c cursor) bool {
	be := binary.BigEndian
	switch lt {
	case linkEthernet, linkNetAna, linkNetAnaT:
		if lt != linkEthernet && !c.skip(4) {
			return false
		}
		return d.ethernet(c)
	case linkRaw, linkIPv4, linkIPv6:
		return d.version(c)
	case linkNull, linkLoop, linkENC:
		return d.family(lt, c)
	case linkSLL:
		if len(c.b) < 16 {
			return false
		}
		proto := be.Uint16(c.b[14:])
		// Both sides of a packet that loops through the host are seen: as sent and as
		// received. Outgoing is 4.
		d.p.place = uint32(be.Uint16(c.b)) + 1
		return c.skip(16) && d.etherType(proto, c)
	case linkSLL2:
		if len(c.b) < 20 {
			return false
		}
		proto := be.Uint16(c.b)
		d.p.place = be.Uint32(c.b[4:])<<4 + uint32(c.b[10]) + 1
		return c.skip(20) && d.etherType(proto, c)
	case linkPPP, linkPPPHDLC, linkPPPDir, linkPPPEther:
		return d.pppLink(lt, c)
	case linkCHDLC:
		if len(c.b) < 4 {
			return false
		}
		proto := be.Uint16(c.b[2:])
		return c.skip(4) && d.etherType(proto, c)
	case linkFrameRelay:
		return d.frameRelay(c)
	case linkSLIP:
		return c.skip(16) && d.version(c)
	case linkMPLS:
		return d.mpls(c)
	case linkWLAN, linkRadiotap, linkPrism, linkWLANAVS, linkPPI:
		return d.wlanLink(lt, c)
	case linkNFLOG:
		return d.nflog(c)
	case linkPktap:
		return d.pktap(c)
	}
	return d.rareLink(lt, c)
}

// rareLink reads what is hardly met when a service fails.
func (d *decoder) rareLink(lt int, c cursor) bool {
	switch lt {
	case linkATM:
		return d.llc(c)
	case linkSunATM:
		return c.skip(4) && d.llc(c)
	case linkFDDI:
		return c.skip(13) && d.llc(c)
	case linkTokenRing:
		if len(c.b) < 14 {
			return false
		}
		n := 14
		if c.b[8]&0x80 != 0 && len(c.b) > 14 { // a source route follows
			n += int(c.b[14] & 31)
		}
		return c.skip(n) && d.llc(c)
	case linkIPNet:
		return c.skip(24) && d.version(c)
	case linkPFLog:
		if len(c.b) < 4 {
			return false
		}
		return c.skip((int(c.b[0])+3)&^3) && d.version(c)
	case linkDSADSA, linkEDSA, linkDSATag:
		return d.dsa(lt, c)
	case linkIPoIB:
		if len(c.b) < 44 {
			return false
		}
		proto := binary.BigEndian.Uint16(c.b[40:])
		return c.skip(44) && d.etherType(proto, c)
	case linkJuniperEther:
		return d.juniper(c)
	case linkARCNET, linkARCNETLinux:
		return d.arcnet(lt, c)
	}
	return false
}

func (d *decoder) ethernet(c cursor) bool {
	if len(c.b) < 14 || !d.deeper() {
		return false
	}
	proto := binary.BigEndian.Uint16(c.b[12:])
	c.skip(14)
	if proto < 0x600 { // a length: 802.3
		c.trim(int(proto))
		return d.llc(c)
	}
	return d.etherType(proto, c)
}

// etherType goes on behind a protocol number of Ethernet.
func (d *decoder) etherType(proto uint16, c cursor) bool {
	switch proto {
	case etherIPv4:
		return d.ipv4(c)
	case etherIPv6:
		return d.ipv6(c)
	case etherVLAN, etherQinQ, etherQinQOld, etherQinQOl2:
		if len(c.b) < 4 || !d.deeper() {
			return false
		}
		tag := binary.BigEndian.Uint16(c.b)
		proto = binary.BigEndian.Uint16(c.b[2:])
		d.into(hopVLAN, uint32(tag&0xfff))
		c.skip(4)
		if proto < 0x600 {
			return d.llc(c)
		}
		return d.etherType(proto, c)
	case etherMPLS, etherMPLSM:
		return d.mpls(c)
	case etherPPPoE:
		if len(c.b) < 6 {
			return false
		}
		session, n := binary.BigEndian.Uint16(c.b[2:]), binary.BigEndian.Uint16(c.b[4:])
		d.into(hopPPPoE, uint32(session))
		c.skip(6)
		c.trim(int(n))
		return d.ppp(c)
	case etherPPP:
		return d.ppp(c)
	case etherTransp:
		return d.ethernet(c)
	case etherPBB:
		return c.skip(4) && d.ethernet(c)
	case etherVNTag:
		if len(c.b) < 6 || !d.deeper() {
			return false
		}
		proto = binary.BigEndian.Uint16(c.b[4:])
		c.skip(6)
		return d.etherType(proto, c)
	case etherNSH:
		return d.nsh(c)
	case 4: // SLL writes 802.2 frames as protocol 4
		return d.llc(c)
	}
	return proto == etherARP || proto >= 0x600
}

// llc reads an 802.2 header, with SNAP behind it as a rule.
func (d *decoder) llc(c cursor) bool {
	if len(c.b) < 3 || !d.deeper() {
		return false
	}
	dsap, ssap, control := c.b[0], c.b[1], c.b[2]
	switch {
	case dsap == 0xaa && ssap == 0xaa && len(c.b) >= 8:
		oui := uint32(c.b[3])<<16 | uint32(c.b[4])<<8 | uint32(c.b[5])
		proto := binary.BigEndian.Uint16(c.b[6:])
		c.skip(8)
		switch {
		case oui == 0x0080c2 && (proto == 1 || proto == 7): // bridged Ethernet
			if proto == 1 || proto == 7 {
				return c.skip(2) && d.ethernet(c)
			}
		case oui == 0 || oui == 0xf8:
			return d.etherType(proto, c)
		}
	case dsap == 0x06 && ssap == 0x06: // IP, as IEEE 802.2 numbers it
		return c.skip(3) && d.version(c)
	case dsap == 0xfe && ssap == 0xfe && control == 3 && len(c.b) > 4:
		return d.nlpid(c.b[3], c, 4)
	}
	return true
}

// version tells IPv4 from IPv6 by the packet itself.
func (d *decoder) version(c cursor) bool {
	if len(c.b) == 0 {
		return false
	}
	switch c.b[0] >> 4 {
	case 4:
		return d.ipv4(c)
	case 6:
		return d.ipv6(c)
	}
	return false
}

// family reads the header of BSD's loopback: an address family, in the byte order
// of the host (null, enc) or of the network (loop).
func (d *decoder) family(lt int, c cursor) bool {
	n := 4
	if lt == linkENC {
		n = 12
	}
	if len(c.b) < n {
		return false
	}
	f := binary.LittleEndian.Uint32(c.b)
	if f > 0xffff {
		f = binary.BigEndian.Uint32(c.b)
	}
	c.skip(n)
	switch f {
	case 2:
		return d.ipv4(c)
	case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows, the BSDs and macOS
		return d.ipv6(c)
	}
	if f >= 0x600 && f <= 0xffff {
		return d.etherType(uint16(f), c)
	}
	return f != 0
}

// pppLink reads the framings of PPP links.
func (d *decoder) pppLink(lt int, c cursor) bool {
	switch {
	case lt == linkPPPEther:
		if len(c.b) < 6 {
			return false
		}
		c.skip(6)
	case lt == linkPPPDir:
		if !c.skip(1) {
			return false
		}
	case lt == linkPPPHDLC && len(c.b) >= 4 && (c.b[0] == 0x0f || c.b[0] == 0x8f):
		proto := binary.BigEndian.Uint16(c.b[2:]) // Cisco's framing on the same link
		return c.skip(4) && d.etherType(proto, c)
	}
	return d.ppp(c)
}

// ppp reads a PPP header: address and control may be left out, and the protocol
// may take one byte.
func (d *decoder) ppp(c cursor) bool {
	if !d.deeper() {
		return false
	}
	if len(c.b) >= 2 && c.b[0] == 0xff && c.b[1] == 3 {
		c.skip(2)
	}
	if len(c.b) < 2 {
		return false
	}
	proto, n := uint16(c.b[0])<<8|uint16(c.b[1]), 2
	if c.b[0]&1 != 0 {
		proto, n = uint16(c.b[0]), 1
	}
	c.skip(n)
	switch proto {
	case 0x21:
		return d.ipv4(c)
	case 0x57:
		return d.ipv6(c)
	case 0x281, 0x283:
		return d.mpls(c)
	}
	return true
}

// frameRelay reads a frame relay header with its address of two or more bytes.
func (d *decoder) frameRelay(c cursor) bool {
	n := 0
	for n < len(c.b) && c.b[n]&1 == 0 {
		n++
	}
	n++
	if n+2 > len(c.b) {
		return false
	}
	if c.b[n] != 3 { // Cisco's encapsulation: an EtherType
		proto := binary.BigEndian.Uint16(c.b[n:])
		return c.skip(n+2) && d.etherType(proto, c)
	}
	n++
	for n+1 < len(c.b) && c.b[n] == 0 { // padding
		n++
	}
	id := c.b[n]
	return d.nlpid(id, c, n+1)
}

// nlpid goes on behind a network layer protocol number, which n bytes lead to.
func (d *decoder) nlpid(id byte, c cursor, n int) bool {
	if !c.skip(n) {
		return false
	}
	switch id {
	case 0xcc:
		return d.ipv4(c)
	case 0x8e:
		return d.ipv6(c)
	case 0x80: // SNAP
		if len(c.b) < 5 {
			return false
		}
		proto := binary.BigEndian.Uint16(c.b[3:])
		bridged := c.b[1] == 0x80 && c.b[2] == 0xc2
		c.skip(5)
		if bridged {
			return d.ethernet(c)
		}
		return d.etherType(proto, c)
	}
	return true
}
