package pcap

import (
	"math"
	"strings"
)

// history is a flow's life in the letters of Zeek's conn.log, upper case from the
// client: s SYN, h SYN-ACK, a pure ACK, d payload, f FIN, r RST, t repeated
// payload, w zero window, g gap, i SYN or RST with FIN. Each
// letter stands once a direction; d, t, w and g again at ten, a hundred and so on.
type history struct {
	text  [23]byte
	len   uint8
	once  [2]uint16
	count [2][4]uint16
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
	at := strings.IndexByte(letters, letter)
	if at >= repeating {
		if bit := uint16(1) << at; h.once[side]&bit == 0 {
			h.once[side] |= bit
			h.put(letter, client)
		}
		return
	}
	n := &h.count[side][at]
	if *n == math.MaxUint16 {
		return
	}
	*n++
	switch *n {
	case 1, 10, 100, 1000, 10000:
		h.put(letter, client)
	}
}

// letters are those in use; the first ones are put down again and again.
const (
	letters   = "dtwgshafri"
	repeating = 4
)

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
