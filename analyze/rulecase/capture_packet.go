package rulecase

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// captureFlow is a conversation of a capture being written.
type captureFlow struct {
	udp  bool
	vlan int
	c, s *captureSide
	mss  int // -1: not offered
	ws   int // -1: not offered
	ts   bool
	sack bool
}

// captureSide is one end of a flow: what it has sent and what has reached it.
type captureSide struct {
	addr netip.AddrPort
	isn  uint32
	next uint32 // next sequence number to send
	sent bool   // has sent anything
	rcv  uint32 // next sequence number expected from the other side
	// early holds segments that arrived behind a hole.
	early   [][2]uint32
	lastAck uint32 // acknowledgement of its last packet
	win     int
	ttl     int
	ipid    uint16
	tsEcr   uint32 // timestamp of the last packet that reached it

	last   captureSegment // last one that occupied sequence space
	lastIP []byte         // last IP packet, to be quoted
	lastID uint16
}

// openFlow reads `[udp] [NAME:] A > B [WORD ...]`.
func (c *capture) openFlow(words []string) error {
	f := &captureFlow{mss: 1460, ws: 7, ts: true, sack: true}
	if len(words) > 0 && words[0] == "udp" {
		f.udp, words = true, words[1:]
	}
	name := ""
	if len(words) > 0 && strings.HasSuffix(words[0], ":") {
		name, words = strings.TrimSuffix(words[0], ":"), words[1:]
	}
	if len(words) < 3 || words[1] != ">" {
		return fmt.Errorf("want flow ADDR:PORT > ADDR:PORT")
	}
	c.opened++
	// Any two constants far apart do; that they differ from flow to flow lets a
	// test see ISNs mixed up.
	f.c = &captureSide{isn: 0x10000000 + uint32(c.opened)*0x10101, win: 501, ttl: 64, ipid: uint16(c.opened * 1000)}
	f.s = &captureSide{isn: 0x80000000 + uint32(c.opened)*0x10101, win: 501, ttl: 64, ipid: uint16(c.opened*1000 + 30000)}
	var err error
	if f.c.addr, err = c.address(words[0]); err != nil {
		return err
	}
	if f.s.addr, err = c.address(words[2]); err != nil {
		return err
	}
	if f.c.addr.Addr().Is4() != f.s.addr.Addr().Is4() {
		return fmt.Errorf("the two sides are of different families")
	}
	if f.c.addr.Addr().IsLoopback() {
		f.mss = 65495
	}
	for _, w := range words[3:] {
		if of, ok := strings.CutPrefix(w, "nat="); ok {
			other := c.flows[of]
			if other == nil {
				return fmt.Errorf("%q: no such flow", w)
			}
			f.c.isn, f.c.ipid, f.s.isn, f.s.ipid = other.c.isn, other.c.ipid, other.s.isn, other.s.ipid
			continue
		}
		if err := f.word(w); err != nil {
			return err
		}
	}
	f.c.next, f.s.next = f.c.isn+1, f.s.isn+1
	f.c.rcv, f.s.rcv = f.s.next, f.c.next
	c.flow = f
	if name != "" {
		c.flows[name] = f
	}
	return nil
}

// address reads ADDR:PORT; a '+' behind the port adds the round of `repeat`.
func (c *capture) address(s string) (netip.AddrPort, error) {
	s, counts := strings.CutSuffix(s, "+")
	a, err := netip.ParseAddrPort(s)
	if err == nil && counts {
		a = netip.AddrPortFrom(a.Addr(), a.Port()+uint16(c.round))
	}
	return a, err
}

// word reads an option of a flow.
func (f *captureFlow) word(w string) error {
	key, value, _ := strings.Cut(w, "=")
	n, err := strconv.Atoi(value)
	switch key {
	case "ts", "sack":
		on, err := captureSwitch(value)
		if key == "ts" {
			f.ts = on
		} else {
			f.sack = on
		}
		return err
	case "mss", "wscale":
		if value == "off" {
			n, err = -1, nil
		}
		if key == "mss" {
			f.mss = n
		} else {
			f.ws = n
		}
	case "vlan":
		f.vlan = n
	case "ttl":
		f.c.ttl, f.s.ttl = n, n
	case "win":
		f.c.win, f.s.win = n, n
	default:
		return fmt.Errorf("unknown word %q", w)
	}
	if err != nil {
		return fmt.Errorf("%q: want a number", w)
	}
	return nil
}

func captureSwitch(s string) (bool, error) {
	if s != "on" && s != "off" {
		return false, fmt.Errorf("%q: want on or off", s)
	}
	return s == "on", nil
}

// set changes one side from here on.
func (c *capture) set(words []string) error {
	f := c.flow
	if len(words) > 0 && c.flows[words[0]] != nil {
		f, words = c.flows[words[0]], words[1:]
	}
	if f == nil || len(words) < 2 || (words[0] != "C" && words[0] != "S") {
		return fmt.Errorf("want set C|S WORD ... after a flow")
	}
	side := f.c
	if words[0] == "S" {
		side = f.s
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q: want a number", w)
		}
		switch key {
		case "win":
			side.win = n
		case "ttl":
			side.ttl = n
		case "ipid":
			side.ipid = uint16(n)
		default:
			return fmt.Errorf("unknown word %q", w)
		}
	}
	return nil
}

// packet compiles `[TIME] [FLOW] DIRECTION WHAT [WORD ...]`.
func (c *capture) packet(words []string) error {
	at := c.now + 100*time.Microsecond
	if w := words[0]; w[0] == '+' || w[0] >= '0' && w[0] <= '9' {
		d, err := captureDuration(strings.TrimPrefix(w, "+"))
		if err != nil {
			return err
		}
		at, words = c.base+d, words[1:]
		if w[0] == '+' {
			at = c.now + d
		}
	}
	f := c.flow
	if len(words) > 0 && c.flows[words[0]] != nil {
		f, words = c.flows[words[0]], words[1:]
	}
	if len(words) == 0 {
		return fmt.Errorf("a time without a packet")
	}
	if words[0] == "raw" {
		data, err := hex.DecodeString(strings.Join(words[1:], ""))
		c.now = at
		c.frames = append(c.frames, captureFrame{at, data, len(data)})
		return err
	}
	if f == nil {
		return fmt.Errorf("%q before any flow, or an unknown directive", words[0])
	}
	c.now = at
	switch words[0] {
	case "open":
		return c.several(f, words[1:], "C>S SYN", "S>C SYN,ACK", "C>S ACK")
	case "close":
		if len(words) != 2 || (words[1] != "C" && words[1] != "S") {
			return fmt.Errorf("want close C or close S")
		}
		there, back := "C>S", "S>C"
		if words[1] == "S" {
			there, back = back, there
		}
		return c.several(f, nil, there+" FIN,ACK", back+" FIN,ACK", there+" ACK")
	case "exchange":
		return c.exchange(f, words[1:])
	case "C>S":
		return c.send(f, f.c, f.s, words[1:])
	case "S>C":
		return c.send(f, f.s, f.c, words[1:])
	}
	return fmt.Errorf("%q is no direction, want C>S or S>C", words[0])
}

// several compiles packets 100 µs apart, the first one at the time reached.
func (c *capture) several(f *captureFlow, more []string, packets ...string) error {
	for i, p := range packets {
		if i > 0 {
			c.now += 100 * time.Microsecond
		}
		words := append(strings.Fields(p), more...)
		from, to := f.c, f.s
		if words[0] == "S>C" {
			from, to = to, from
		}
		if err := c.send(f, from, to, words[1:]); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) exchange(f *captureFlow, words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return fmt.Errorf("want exchange N M [in=D]")
	}
	if err := c.several(f, nil, "C>S data "+words[0], "S>C ACK"); err != nil {
		return err
	}
	wait := 100 * time.Microsecond
	if len(words) == 3 {
		var err error
		if wait, err = captureDuration(strings.TrimPrefix(words[2], "in=")); err != nil {
			return err
		}
	}
	c.now += wait
	return c.several(f, nil, "S>C data "+words[1], "C>S ACK")
}

// send compiles one packet from one side to the other.
func (c *capture) send(f *captureFlow, from, to *captureSide, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("a direction without a packet")
	}
	if words[0] == "icmp" {
		return c.icmp(f, from, to, words[1:])
	}
	seg, words, err := from.segment(words)
	if err != nil {
		return err
	}
	from.defaults(f, to, &seg)
	fate, err := seg.override(words, from, to)
	if err != nil {
		return err
	}
	// A timestamp clock of 1 ms that differs between the sides.
	seg.tsVal = from.isn>>8 + uint32(c.now/time.Millisecond)
	seg.tsEcr = from.tsEcr
	if seg.flags&flagACK == 0 {
		seg.tsEcr = 0
	}
	ip := encodeIP(f, from, to, &seg)
	if len(ip) > 65535 {
		return fmt.Errorf("a packet of %d bytes, want 65535 at most", len(ip))
	}
	from.remember(&seg, ip)
	if !fate.lost {
		to.arrives(&seg)
	}
	if fate.unseen {
		return nil
	}
	frame := captureFrame{c.now, encodeLink(c.link, f, from, to, ip), fate.snap}
	c.frames = append(c.frames, frame)
	if fate.dup {
		c.frames = append(c.frames, captureFrame{c.now + time.Microsecond, frame.data, fate.snap})
	}
	return nil
}
