package pcap

// history is a flow's life in the letters of Zeek's conn.log, upper case from the
// client: s SYN, h SYN-ACK, a pure ACK, d payload, f FIN, r RST, t repeated
// payload, w zero window, g gap, i SYN or RST with FIN. Each
// letter stands once a direction; d, t, w and g again at ten, a hundred and so on.
type history struct {
	text  [28]byte
	len   uint8
	once  [2]uint32
	count [2][4]int32
}

func (h *history) put(letter byte, client bool) {
	if client {
		letter -= 'a' - 'A'
	}
	if int(h.len) < len(h.text) {
		h.text[h.len] = letter
		h.len++
	}
}

func (h *history) add(letter byte, client bool) {
	side := 0
	if client {
		side = 1
	}
	repeats := -1
	switch letter {
	case 'd':
		repeats = 0
	case 't':
		repeats = 1
	case 'w':
		repeats = 2
	case 'g':
		repeats = 3
	}
	if repeats < 0 {
		if bit := uint32(1) << (letter - 'a'); h.once[side]&bit == 0 {
			h.once[side] |= bit
			h.put(letter, client)
		}
		return
	}
	n := &h.count[side][repeats]
	*n++
	for power := int32(1); power <= *n && power <= 1_000_000; power *= 10 {
		if power == *n {
			h.put(letter, client)
		}
	}
}

// segment adds the letters of a TCP segment.
func (h *history) segment(f *flow, p *packet, from int, s sign) {
	client := from == int(f.client)
	flags := p.flags & (syn | fin | rst | ack)
	switch {
	case flags&syn != 0 && flags&(fin|rst) != 0, flags&(fin|rst) == fin|rst:
		h.add('i', client)
	case flags&(syn|ack) == syn|ack:
		h.add('h', client)
	case flags&syn != 0:
		h.add('s', client)
	}
	if s&signLostSegment != 0 {
		h.add('g', client)
	}
	switch {
	case p.payload > 0 && s&signRepeated != 0:
		h.add('t', client)
	case p.payload > 0 && s&(signKeepAlive|signZeroWindowProbe) == 0:
		h.add('d', client)
	case flags == ack:
		h.add('a', client)
	}
	if s&signZeroWindow != 0 {
		h.add('w', client)
	}
	if flags&(fin|syn) == fin && flags&rst == 0 {
		h.add('f', client)
	}
	if flags&(rst|syn) == rst {
		h.add('r', client)
	}
}

func (h *history) String() string { return string(h.text[:h.len]) }
