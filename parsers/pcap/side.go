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
	firstData, lastData, lastTime   int64
	lastDataFrame, lastFrame        int32
	finFrame                        int32
	finTime                         int64
	syns                            int32
	synFrame                        int32
	mss                             uint16
	wscale                          int8 // as offered, -1: not
	sack, timestamps, fin, rst, syn bool
	maxSegment                      int32
	minWindow, maxWindow            int64
	windowed                        bool
	ttls                            ttlCount
	lastID                          uint16
	lastHasID                       bool
	// ackTop is the highest acknowledgement it sent, for the other side's data.
	ackTop    uint32
	hasAckTop bool

	// sincePeer is payload that the other side sent after this side's last payload.
	sincePeer int64
	// recent are its last packets, to know copies of them.
	recent [4]seen
	turn   uint8
	stall  stallState
}

// seen is what tells a packet from its copy.
type seen struct {
	ts            int64
	seq, ack, len uint32
	place         uint32
	checksum      uint16
	id            uint16
	flags         uint8
	used          bool
}

// duplicateWithin is how far apart two captures of one packet may be.
const duplicateWithin = 1_000_000 // 1 ms

// copied reports whether the packet was captured before, at another point of the
// same host or by a mirror port: the same IP-ID, sequence, length and checksum. A
// retransmission has another IP-ID. Packets without one (IPv6, or zero as Linux
// writes for what is not fragmented) are only copies if they were seen at another
// interface.
func (s *side) copied(p *packet) bool {
	for i := range s.recent {
		r := &s.recent[i]
		if !r.used || r.seq != p.seq || r.ack != p.ack || r.len != uint32(p.payload) || r.flags != p.flags ||
			r.checksum != p.checksum || p.ts-r.ts > duplicateWithin || r.ts-p.ts > duplicateWithin {
			continue
		}
		if p.hasID && p.ipid != 0 && r.id == p.ipid || p.place != r.place {
			return true
		}
	}
	r := &s.recent[s.turn&3]
	s.turn++
	*r = seen{p.ts, p.seq, p.ack, uint32(p.payload), p.place, p.checksum, p.ipid, p.flags, true}
	return false
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
	s.lastFrame, s.lastTime = int32(p.frame), p.ts
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
		if !s.syn {
			s.synFrame = int32(p.frame)
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
func (s *side) scaled(w uint16, other *side) int64 {
	if s.wscale >= 0 && (other.wscale >= 0 || !other.syn) {
		return int64(w) << s.wscale
	}
	return int64(w)
}
