package pcap

import "encoding/binary"

// wlanLink reads the radio headers in front of 802.11.
func (d *decoder) wlanLink(lt int, c cursor) bool {
	fcs := false
	switch lt {
	case linkRadiotap:
		if len(c.b) < 8 {
			return false
		}
		n := int(binary.LittleEndian.Uint16(c.b[2:]))
		if n < 8 {
			return false
		}
		fcs = radiotapFCS(c.b[:min(n, len(c.b))])
		if !c.skip(n) {
			return false
		}
	case linkPPI:
		if len(c.b) < 8 {
			return false
		}
		n, inner := int(binary.LittleEndian.Uint16(c.b[2:])), int(binary.LittleEndian.Uint32(c.b[4:]))
		if n < 8 || !c.skip(n) || !d.deeper() {
			return false
		}
		if inner != linkWLAN {
			return d.link(inner, c)
		}
	case linkPrism, linkWLANAVS:
		if len(c.b) < 8 {
			return false
		}
		if m := binary.BigEndian.Uint32(c.b); m == 0x80211001 || m == 0x80211002 {
			if !c.skip(int(binary.BigEndian.Uint32(c.b[4:]) & 0xffff)) {
				return false
			}
		} else if !c.skip(144) {
			return false
		}
	}
	if fcs {
		c.trim(c.n - 4)
	}
	return d.wlan(c)
}

// radiotapFCS reports whether the flags say that a check sequence ends the frame.
func radiotapFCS(h []byte) bool {
	at, present := 8, binary.LittleEndian.Uint32(h[4:])
	for w := present; w&(1<<31) != 0; at += 4 { // more words of what is present
		if at+4 > len(h) {
			return false
		}
		w = binary.LittleEndian.Uint32(h[at:])
	}
	if present&2 == 0 {
		return false
	}
	if present&1 != 0 { // the time in front of the flags, aligned
		at = (at+7)&^7 + 8
	}
	return at < len(h) && h[at]&0x10 != 0
}

// wlan reads an 802.11 data frame; encrypted ones hold nothing to read.
func (d *decoder) wlan(c cursor) bool {
	if len(c.b) < 24 {
		return len(c.b) >= 10
	}
	kind, sub, flags := c.b[0]>>2&3, c.b[0]>>4, c.b[1]
	if kind != 2 || sub&4 != 0 || flags&0x40 != 0 {
		return true
	}
	n := 24
	if flags&3 == 3 {
		n += 6 // four addresses
	}
	if sub&8 != 0 {
		if len(c.b) < n+2 {
			return false
		}
		aggregated := c.b[n]&0x80 != 0
		n += 2
		if flags&0x80 != 0 {
			n += 4
		}
		if aggregated { // the first frame of several
			n += 14
		}
	}
	d.into(hopWLAN, 0)
	return c.skip(n) && d.llc(c)
}
