package rulecase

import (
	"fmt"
	"strconv"
	"strings"
)

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
