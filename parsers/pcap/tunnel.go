package pcap

import (
	"encoding/binary"
	"slices"
	"strconv"
	"sync"
)

// hop is one tunnel header around a flow.
type hop struct {
	kind hopKind
	id   uint32
}

type hopKind uint8

const (
	hopVLAN hopKind = iota
	hopMPLS
	hopPPPoE
	hopGRE
	hopIPIP
	hop6in4
	hopVXLAN
	hopGeneve
	hopGTP
	hopERSPAN
	hopTeredo
	hopWLAN
	hopNSH
	hopEtherIP
	hopAH
	hopIPComp
)

// hopNames are the names in Flow.Tunnel; those with an identifier end in ':'.
var hopNames = [...]string{
	"vlan:", "mpls:", "pppoe:", "gre", "ipip", "6in4", "vxlan:", "geneve:", "gtp:", "erspan:", "teredo", "wlan", "nsh", "etherip", "ah", "ipcomp",
}

func (h hop) String() string {
	name := hopNames[h.kind]
	if name[len(name)-1] == ':' {
		return name + strconv.FormatUint(uint64(h.id), 10)
	}
	return name
}

// tunnelList holds the distinct tunnel paths of a capture, so that a packet
// carries a number. The list is bounded; what comes later has no path. The decoder
// adds to it while workers ask for names.
type tunnelList struct {
	mu    sync.Mutex // guards paths
	paths []([]hop)
	index map[string]uint16
	key   []byte
}

const maxTunnels = 1<<16 - 1

// number is the number of a path, counted from 1.
func (t *tunnelList) number(path []hop) uint16 {
	t.key = t.key[:0]
	for _, h := range path {
		t.key = binary.BigEndian.AppendUint32(append(t.key, byte(h.kind)), h.id)
	}
	if n, ok := t.index[string(t.key)]; ok { // allocates nothing
		return n
	}
	if len(t.paths) >= maxTunnels {
		return 0
	}
	if t.index == nil {
		t.index = map[string]uint16{}
	}
	t.mu.Lock()
	t.paths = append(t.paths, slices.Clone(path))
	t.mu.Unlock()
	t.index[string(t.key)] = uint16(len(t.paths))
	return uint16(len(t.paths))
}

// names lists a path for a fact.
func (t *tunnelList) names(i uint16) []string {
	if i == 0 {
		return nil
	}
	t.mu.Lock()
	path := t.paths[i-1]
	t.mu.Unlock()
	var out []string
	for _, h := range path {
		out = append(out, h.String())
	}
	return out
}

func (d *decoder) into(k hopKind, id uint32) { d.path = append(d.path, hop{k, id}) }

// inner reads tunnels that are protocols of IP.
func (d *decoder) inner(proto uint8, c cursor) bool {
	if !d.deeper() {
		return false
	}
	switch proto {
	case protoIPIP:
		d.into(hopIPIP, 0)
		return d.version(c)
	case protoIPv6:
		d.into(hop6in4, 0)
		return d.version(c)
	case protoGRE:
		return d.gre(c)
	case protoMPLS:
		return d.mpls(c)
	case protoEtherIP:
		d.into(hopEtherIP, 0)
		return c.skip(2) && d.ethernet(c)
	case protoIPComp:
		return d.ipcomp(c)
	case protoAH:
		if len(c.b) < 12 {
			return false
		}
		following, n := c.b[0], (int(c.b[1])+2)*4
		d.into(hopAH, 0)
		return c.skip(n) && d.next(following, c)
	}
	return true
}

// gre reads a GRE header of version 0, or 1 as PPTP uses it.
func (d *decoder) gre(c cursor) bool {
	if len(c.b) < 4 {
		return false
	}
	flags, proto := binary.BigEndian.Uint16(c.b), binary.BigEndian.Uint16(c.b[2:])
	n, version := 4, flags&7
	key := 0
	if version == 0 && flags&0xc000 != 0 { // checksum or routing
		n += 4
	}
	if flags&0x2000 != 0 {
		key = n
		n += 4
	}
	if flags&0x1000 != 0 {
		n += 4
	}
	if version == 1 && flags&0x80 != 0 {
		n += 4
	}
	if key > 0 && version == 1 && len(c.b) >= key+4 {
		if binary.BigEndian.Uint16(c.b[key:]) == 0 {
			return true // an acknowledgement without payload
		}
	}
	d.into(hopGRE, 0)
	if !c.skip(n) {
		return false
	}
	switch proto {
	case etherERSPAN2:
		if flags&0x1000 == 0 { // type I has no header of its own
			d.path[len(d.path)-1] = hop{hopERSPAN, 0}
			return d.ethernet(c)
		}
		return d.erspan(c, 8)
	case etherERSPAN3:
		n = 12
		if len(c.b) >= 12 && c.b[11]&1 != 0 {
			n = 20
		}
		return d.erspan(c, n)
	case etherWCCP:
		if len(c.b) > 0 && c.b[0]>>4 != 4 && !c.skip(4) {
			return false
		}
		return d.version(c)
	}
	if proto >= 0x8200 && proto < 0x8400 { // Aruba: radio frames
		return d.wlan(c)
	}
	return d.etherType(proto, c)
}

func (d *decoder) erspan(c cursor, header int) bool {
	if len(c.b) < header {
		return false
	}
	d.path[len(d.path)-1] = hop{hopERSPAN, uint32(binary.BigEndian.Uint16(c.b[2:]) & 0x3ff)}
	return c.skip(header) && d.ethernet(c)
}

// mpls reads a label stack; what is below it says so only by its first bits.
func (d *decoder) mpls(c cursor) bool {
	for len(c.b) >= 4 && d.deeper() {
		label := binary.BigEndian.Uint32(c.b)
		d.into(hopMPLS, label>>12)
		c.skip(4)
		if label&0x100 == 0 {
			continue
		}
		if len(c.b) == 0 {
			return false
		}
		switch c.b[0] >> 4 {
		case 4, 6:
			return d.version(c)
		case 0: // a control word of a pseudowire, if anything
			if len(c.b) > 18 && c.skip(4) {
				return d.ethernet(c)
			}
			return true
		}
		return d.ethernet(c)
	}
	return false
}

func (d *decoder) nsh(c cursor) bool {
	if len(c.b) < 8 || !d.deeper() {
		return false
	}
	n, proto := int(c.b[1]&0x3f)*4, c.b[3]
	d.into(hopNSH, 0)
	if !c.skip(n) {
		return false
	}
	switch proto {
	case 1, 2:
		return d.version(c)
	case 3:
		return d.ethernet(c)
	}
	return true
}

// The UDP ports of tunnels.
const (
	portGTP      = 2152
	portTeredo   = 3544
	portVXLAN    = 4789
	portVXLANOld = 8472 // what Linux used before the number was assigned
	portVXLANGPE = 4790
	portGeneve   = 6081
	portMPLS     = 6635
	portGRE      = 4754
)

// overUDP reads tunnels on their assigned ports. When the payload turns out to be
// something else, the packet stays what it was: a UDP packet.
func (d *decoder) overUDP(c cursor) bool {
	p := d.p
	read := d.tunnelPort(p.dport)
	if read == nil && p.sport == portGTP {
		read = (*decoder).gtp
	}
	if read == nil && p.sport == portTeredo {
		read = (*decoder).teredo
	}
	if read == nil {
		return false
	}
	saved, depth, path := *p, d.depth, len(d.path)
	p.proto = 0
	if read(d, c) && p.proto != 0 {
		return true
	}
	*p, d.depth, d.path = saved, depth, d.path[:path]
	return false
}

func (d *decoder) tunnelPort(port uint16) func(*decoder, cursor) bool {
	switch port {
	case portVXLAN, portVXLANOld:
		return (*decoder).vxlan
	case portVXLANGPE:
		return (*decoder).vxlanGPE
	case portGeneve:
		return (*decoder).geneve
	case portGTP:
		return (*decoder).gtp
	case portTeredo:
		return (*decoder).teredo
	case portMPLS:
		return (*decoder).mpls
	case portGRE:
		return (*decoder).gre
	}
	return nil
}

func (d *decoder) vxlan(c cursor) bool {
	if len(c.b) < 8 {
		return false
	}
	d.into(hopVXLAN, binary.BigEndian.Uint32(c.b[4:])>>8)
	return c.skip(8) && d.ethernet(c)
}

// vxlanGPE is VXLAN with the protocol of its payload.
func (d *decoder) vxlanGPE(c cursor) bool {
	if len(c.b) < 8 {
		return false
	}
	proto := c.b[3]
	d.into(hopVXLAN, binary.BigEndian.Uint32(c.b[4:])>>8)
	c.skip(8)
	switch proto {
	case 1, 2:
		return d.version(c)
	case 4:
		return d.nsh(c)
	}
	return d.ethernet(c)
}

func (d *decoder) geneve(c cursor) bool {
	if len(c.b) < 8 || c.b[0]>>6 != 0 {
		return false
	}
	n, proto := 8+int(c.b[0]&0x3f)*4, binary.BigEndian.Uint16(c.b[2:])
	d.into(hopGeneve, binary.BigEndian.Uint32(c.b[4:])>>8)
	return c.skip(n) && d.etherType(proto, c)
}

// gtp reads GTP-U version 1: a packet of a phone, with extension headers.
func (d *decoder) gtp(c cursor) bool {
	if len(c.b) < 8 || c.b[0]>>4 != 3 || c.b[1] != 255 {
		return false
	}
	flags := c.b[0]
	d.into(hopGTP, binary.BigEndian.Uint32(c.b[4:]))
	c.trim(8 + int(binary.BigEndian.Uint16(c.b[2:])))
	if !c.skip(8) {
		return false
	}
	if flags&7 != 0 {
		if len(c.b) < 4 {
			return false
		}
		ext := c.b[3]
		c.skip(4)
		for flags&4 != 0 && ext != 0 && d.deeper() {
			n := 0
			if len(c.b) > 0 {
				n = int(c.b[0]) * 4
			}
			if n == 0 || n > len(c.b) {
				return false
			}
			ext = c.b[n-1]
			c.skip(n)
		}
	}
	return d.version(c)
}

// teredo reads IPv6 in UDP, behind an optional origin or authentication.
func (d *decoder) teredo(c cursor) bool {
	d.into(hopTeredo, 0)
	for len(c.b) > 4 && c.b[0] == 0 && d.deeper() {
		n := 8 // origin indication
		if c.b[1] == 1 {
			n = 13 + int(c.b[2]) + int(c.b[3])
		}
		if !c.skip(n) {
			return false
		}
	}
	return len(c.b) > 0 && c.b[0]>>4 == 6 && d.ipv6(c)
}
