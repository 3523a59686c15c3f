package analyzetest

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

// captureSegment is a packet before it is encoded.
type captureSegment struct {
	flags    uint8
	seq, ack uint32
	win      int
	ttl      int
	ipid     uint16
	payload  []byte
	mss, ws  int // options of a SYN, -1: none
	ts, sack bool
	noOpts   bool
	tsVal    uint32
	tsEcr    uint32
}

const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
	flagECE
	flagCWR
)

func captureFlags(word string) (flags uint8, ok bool) {
	for name := range strings.SplitSeq(word, ",") {
		i := strings.Index("FIN SYN RST PSH ACK URG ECE CWR", name)
		if len(name) != 3 || i < 0 {
			return 0, false
		}
		flags |= 1 << (i / 4)
	}
	return flags, true
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
	f.c.next, f.s.next = f.c.isn+1, f.s.isn+1
	f.c.rcv, f.s.rcv = f.s.next, f.c.next
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
		if err := f.word(w); err != nil {
			return err
		}
	}
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

// segment reads WHAT and returns the words behind it.
func (from *captureSide) segment(words []string) (captureSegment, []string, error) {
	seg := captureSegment{seq: from.next}
	what, rest := words[0], words[1:]
	switch {
	case what == "data":
		if len(rest) == 0 {
			return seg, nil, fmt.Errorf("data without a length")
		}
		n, err := strconv.Atoi(rest[0])
		if err != nil || n < 0 || n > 65535 {
			return seg, nil, fmt.Errorf("data %q: want a length up to 65535", rest[0])
		}
		seg.flags, seg.payload = flagPSH|flagACK, capturePayload(n)
		return seg, rest[1:], nil
	case what[0] == '"':
		text, err := strconv.Unquote(what)
		seg.flags, seg.payload = flagPSH|flagACK, []byte(text)
		return seg, rest, err
	case what == "rexmit":
		if from.last.flags == 0 {
			return seg, nil, fmt.Errorf("rexmit, but nothing was sent")
		}
		seg.flags, seg.payload, seg.seq = from.last.flags, from.last.payload, from.last.seq
		return seg, rest, nil
	case what == "keepalive":
		seg.flags, seg.seq = flagACK, from.next-1
		return seg, rest, nil
	}
	flags, ok := captureFlags(what)
	if !ok {
		return seg, nil, fmt.Errorf("%q is no packet", what)
	}
	seg.flags = flags
	if flags&flagSYN != 0 {
		seg.seq = from.isn
	}
	return seg, rest, nil
}

// capturePayload is N bytes that look like no protocol.
func capturePayload(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte('a' + i%26)
	}
	return out
}

// defaults fills what Linux would send.
func (from *captureSide) defaults(f *captureFlow, to *captureSide, seg *captureSegment) {
	seg.ack, seg.win, seg.ttl = from.rcv, from.win, from.ttl
	seg.mss, seg.ws, seg.ts, seg.sack = -1, -1, f.ts, false
	seg.ipid = from.ipid
	switch {
	case seg.flags&flagSYN != 0:
		seg.mss, seg.ws, seg.sack = f.mss, f.ws, f.sack
		if from.win != 0 {
			seg.win = 64240
		}
		if seg.flags&flagACK != 0 {
			seg.ipid = 0
		}
	case seg.flags&flagRST != 0 && (seg.flags&flagACK == 0 || to.last.flags == flagSYN && !from.sent):
		// The kernel answers without a socket.
		seg.win, seg.ipid, seg.noOpts = 0, 0, true
		if seg.flags&flagACK != 0 {
			seg.seq = 0
		} else if to.sent && to.lastAck != 0 {
			seg.seq = to.lastAck
		}
	}
	if seg.ipid == from.ipid {
		from.ipid++
	}
	if seg.flags&flagACK == 0 {
		seg.ack = 0
	}
}

// captureFate is what happens to a packet besides being sent.
type captureFate struct {
	lost, unseen, dup bool
	snap              int
}

// override applies the words behind a packet.
func (seg *captureSegment) override(words []string, from, to *captureSide) (captureFate, error) {
	fate := captureFate{snap: 1 << 20}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n, err := strconv.Atoi(value)
		switch key {
		case "seq":
			seg.seq, err = captureNumber(value, seg.seq, from.isn)
		case "ack":
			seg.ack, err = captureNumber(value, seg.ack, to.isn)
		case "win":
			seg.win = n
		case "ttl":
			seg.ttl = n
		case "ipid":
			if seg.ipid = uint16(n); value == "copy" {
				seg.ipid, err = to.lastID, nil
			}
		case "mss", "wscale":
			if value == "off" {
				n, err = -1, nil
			}
			if key == "mss" {
				seg.mss = n
			} else {
				seg.ws = n
			}
		case "ts":
			seg.ts, err = captureSwitch(value)
		case "sack":
			seg.sack, err = captureSwitch(value)
		case "opts":
			if seg.noOpts, err = true, nil; value != "none" {
				err = fmt.Errorf("want opts=none")
			}
		case "len":
			seg.payload = capturePayload(max(n, 0))
		case "snap":
			fate.snap = max(n, 0)
		case "lost":
			fate.lost, err = true, nil
		case "unseen":
			fate.unseen, err = true, nil
		case "dup":
			fate.dup, err = true, nil
		default:
			err = fmt.Errorf("unknown word")
		}
		if err != nil {
			return fate, fmt.Errorf("%q: %w", w, err)
		}
	}
	return fate, nil
}

// captureNumber reads a sequence number: relative to the ISN, to the default, or raw.
func captureNumber(s string, usual, isn uint32) (uint32, error) {
	if raw, ok := strings.CutPrefix(s, "0x"); ok {
		v, err := strconv.ParseUint(raw, 16, 32)
		return uint32(v), err
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err == nil && s != "" && (s[0] == '+' || s[0] == '-') {
		return usual + uint32(v), nil
	}
	return isn + uint32(v), err
}

// end is the sequence number behind the segment.
func (seg *captureSegment) end() uint32 {
	n := seg.seq + uint32(len(seg.payload))
	if seg.flags&flagSYN != 0 {
		n++
	}
	if seg.flags&flagFIN != 0 {
		n++
	}
	return n
}

// remember keeps what later packets of the sender depend on.
func (from *captureSide) remember(seg *captureSegment, ip []byte) {
	from.sent, from.lastIP, from.lastID = true, ip, seg.ipid
	if seg.flags&flagACK != 0 {
		from.lastAck = seg.ack
	}
	if seg.end() == seg.seq || seg.flags&flagRST != 0 {
		return
	}
	from.last = *seg
	if int32(seg.end()-from.next) > 0 {
		from.next = seg.end()
	}
}

// arrives advances what the receiver acknowledges, over earlier segments that
// waited behind a hole too.
func (to *captureSide) arrives(seg *captureSegment) {
	if seg.ts && !seg.noOpts {
		to.tsEcr = seg.tsVal
	}
	if seg.flags&flagRST != 0 || seg.end() == seg.seq {
		return
	}
	if seg.flags&flagSYN != 0 {
		to.rcv = seg.end()
		return
	}
	to.early = append(to.early, [2]uint32{seg.seq, seg.end()})
	for moved := true; moved; {
		moved = false
		for _, e := range to.early {
			if int32(e[0]-to.rcv) <= 0 && int32(e[1]-to.rcv) > 0 {
				to.rcv, moved = e[1], true
			}
		}
	}
}
