package pcap

// side is what one end of a flow has sent.
type side struct {
	// The TCP analysis, see analyse.go. Sequence numbers are raw.
	baseSeq, nextSeq, lastAck uint32
	maxToAck                  uint32
	lastAckTime, nextSeqTime  int64
	window                    uint16
	hasBase, hasAck           bool
	lastSYN                   bool // its last segment was a SYN, whose window is never scaled
	scale                     int8 // -1 unknown, -2 not in use
	lastSigns                 sign
	dupAcks                   int32

	// What it sent in all.
	packets, dataPackets            int32
	bytes, payload                  int64
	firstData, lastData             int64
	lastDataFrame, lastFrame        int32
	finFrame                        int32
	finTime                         int64
	syns                            int32
	mss                             uint16
	wscale                          int8 // as offered, -1: not
	sack, timestamps, fin, rst, syn bool
	maxSegment                      int32
	minWindow, maxWindow            uint32
	windowed                        bool
	ttls                            ttlCount
	lastID                          uint16
	lastHasID                       bool
	// ackTop is the highest acknowledgement it sent, for the other side's data.
	ackTop    uint32
	hasAckTop bool

	// sincePeer is payload that the other side sent after this side's last payload.
	sincePeer int64
	stall     *stallState // nil until the first
}

// ttlCount finds the most common TTL of a direction among the few that occur.
type ttlCount struct {
	ttl   [4]uint8
	count [4]int32
}

func (t *ttlCount) add(ttl uint8) {
	low := 0
	for i := range t.ttl {
		if t.count[i] > 0 && t.ttl[i] == ttl {
			t.count[i]++
			return
		}
		if t.count[i] < t.count[low] {
			low = i
		}
	}
	t.ttl[low], t.count[low] = ttl, t.count[low]+1
	if t.count[low] > 1 {
		t.count[low] = 1 // it replaced another one
	}
}

// most is the most common TTL, and of how many packets it is the TTL.
func (t *ttlCount) most() (int, int) {
	best := 0
	for i := range t.count {
		if t.count[i] > t.count[best] {
			best = i
		}
	}
	return int(t.ttl[best]), int(t.count[best])
}

// note counts a packet that this side sent.
func (s *side) note(p *packet) {
	s.packets++
	s.bytes += int64(p.wire)
	s.lastFrame = int32(p.frame)
	s.payload += int64(p.payload)
	if p.payload > 0 {
		if s.dataPackets == 0 {
			s.firstData = p.ts
		}
		s.dataPackets++
		s.lastData, s.lastDataFrame = p.ts, int32(p.frame)
		s.maxSegment = max(s.maxSegment, p.payload)
	}
	s.lastID, s.lastHasID = p.ipid, p.hasID
}

// noteTCP remembers what a segment says of its sender.
func (s *side) noteTCP(p *packet, other *side) {
	if p.flags&syn != 0 {
		if s.syn && s.baseSeq == p.seq || !s.syn {
			s.syns++
		}
		s.syn, s.mss, s.sack, s.wscale = true, p.mss, p.sackOK, p.wscale
	}
	if p.hasTS {
		s.timestamps = true
	}
	if p.flags&fin != 0 && !s.fin {
		s.fin, s.finFrame, s.finTime = true, int32(p.frame), p.ts
	}
	if p.flags&rst != 0 {
		s.rst = true
		return // its window and TTL say nothing of the connection
	}
	s.ttls.add(p.ttl)
	if p.flags&ack != 0 && (!s.hasAckTop || int32(p.ack-s.ackTop) > 0) {
		s.ackTop, s.hasAckTop = p.ack, true
	}
	if p.flags&syn == 0 {
		w := s.scaled(p.window, other)
		if !s.windowed || w < s.minWindow {
			s.minWindow = w
		}
		s.maxWindow, s.windowed = max(s.maxWindow, w), true
	}
}

// scaled is an advertised window in bytes, where the scale is known.
func (s *side) scaled(w uint16, other *side) uint32 {
	if s.wscale >= 0 && (other.wscale >= 0 || !other.syn) {
		return uint32(w) << s.wscale
	}
	return uint32(w)
}
