package pcap

// sign is what the TCP analysis says of a segment.
type sign uint32

// The signs, in the order of Wireshark's tests.
const (
	signZeroWindowProbe sign = 1 << iota
	signZeroWindow
	signLostSegment
	signKeepAlive
	signWindowUpdate
	signWindowFull
	signKeepAliveACK
	signZeroWindowProbeACK
	signDupACK
	signACKedLost
	signSpurious
	signFast
	signOutOfOrder
	signRetransmission
)

// signRepeated are the signs of payload that was sent before.
const signRepeated = signSpurious | signFast | signRetransmission

// Times that tell a reordered segment from a repeated one.
const (
	reorderWithin = 3_000_000  // 3 ms, where the round trip is unknown
	fastWithin    = 20_000_000 // 20 ms after the last duplicate ACK
)

// after compares sequence numbers, which wrap around.
func after(a, b uint32) bool { return int32(b-a) < 0 }

// analyse applies the TCP analysis to a segment whose length is known.
func (f *flow) analyse(p *packet, fwd, rev *side) (s sign) {
	if p.short {
		fwd.begin(p, rev)
	} else {
		s = analyse(p, fwd, rev, f.initial)
	}
	f.initialRTT(p) // it does not count for the segment that shows it
	return s
}

// initialRTT measures the round trip as Wireshark does: from the last SYN to the first
// acknowledgement of either side, whatever that acknowledges.
func (f *flow) initialRTT(p *packet) {
	switch p.flags & (syn | ack) {
	case syn:
		f.synTime, f.synTimed = p.ts, true
	case ack:
		if f.synTimed && f.initial == 0 {
			f.initial = max(p.ts-f.synTime, 0)
		}
	}
}

// analyse applies the TCP analysis that Wireshark documents in its user's guide
// ("TCP Analysis"), with the tests in its order of precedence. fwd is the sender's
// side, rev the other; rtt is the initial round trip, zero if unknown.
// Sequence number zero stands for "not seen yet", as it does there: a refusing RST
// carries it, and must not be taken for the start of a stream.
func analyse(p *packet, fwd, rev *side, rtt int64) sign {
	fwd.begin(p, rev)
	s, done := ackSigns(p, fwd, rev)
	if !done {
		s |= repeatedACK(p, fwd, rev)
	}
	if p.ack != fwd.lastAck || !fwd.hasAck {
		fwd.dupAcks = 0
	}
	s |= beyondSeen(p, fwd, rev)
	if p.payload > 0 || p.flags&(syn|fin) != 0 {
		s |= repeated(p, fwd, rev, s, rtt)
	}
	fwd.advance(p, s)
	return s
}

// begin notes where the numbers of both sides start.
func (s *side) begin(p *packet, rev *side) {
	switch {
	case p.flags&syn != 0 && !s.syn:
		s.baseSeq, s.hasBase = p.seq, true
	case !s.hasBase:
		s.baseSeq, s.hasBase = p.seq-1, true
	}
	if !rev.hasBase && p.flags&ack != 0 {
		rev.baseSeq, rev.hasBase = p.ack-1, true
	}
}

// ackSigns are the tests of position and window. done means that the test for
// repeated acknowledgements does not follow.
func ackSigns(p *packet, fwd, rev *side) (s sign, done bool) {
	plain := p.flags&(syn|fin|rst) == 0
	atNext := fwd.nextSeq != 0 && p.seq == fwd.nextSeq
	if p.payload == 1 && atNext && rev.nextSeq != 0 && rev.window == 0 {
		return signZeroWindowProbe, true
	}
	if p.window == 0 && plain {
		s |= signZeroWindow
	}
	if fwd.nextSeq != 0 && after(p.seq, fwd.nextSeq) && p.flags&rst == 0 {
		s |= signLostSegment
	}
	if p.payload <= 1 && fwd.nextSeq != 0 && p.seq == fwd.nextSeq-1 && plain {
		s |= signKeepAlive
	}
	sameAck := fwd.hasAck && p.ack == fwd.lastAck
	if p.payload == 0 && p.window != 0 && p.window != fwd.window && atNext && sameAck && plain {
		s |= signWindowUpdate
	}
	if p.payload > 0 && plain && rev.hasAck && rev.scale != -1 && p.seq+uint32(p.payload) == rev.lastAck+rev.openWindow() {
		s |= signWindowFull
	}
	return s, false
}

// openWindow is the window that this side advertised last, in bytes.
func (s *side) openWindow() uint32 {
	if s.scale > 0 && !s.lastSYN {
		return uint32(s.window) << s.scale
	}
	return uint32(s.window)
}

// repeatedACK are the tests of an acknowledgement that says nothing new.
func repeatedACK(p *packet, fwd, rev *side) sign {
	if p.payload != 0 || p.flags&(syn|fin|rst) != 0 || !fwd.hasAck || fwd.nextSeq == 0 ||
		p.window != fwd.window || p.seq != fwd.nextSeq {
		return 0
	}
	same := p.ack == fwd.lastAck
	switch {
	case p.window != 0 && same && rev.lastSigns&signKeepAlive != 0:
		return signKeepAliveACK
	case p.window == 0 && (same || p.ack == fwd.lastAck+1) && rev.lastSigns&signZeroWindowProbe != 0:
		if !same { // the receiver took the byte of the probe
			rev.nextSeq, rev.maxToAck = p.ack, p.ack
		}
		return signZeroWindowProbeACK
	case p.window != 0 && same:
		fwd.dupAcks++
		return signDupACK
	}
	return 0
}

// beyondSeen tests for an acknowledgement of what was never captured.
func beyondSeen(p *packet, fwd, rev *side) (s sign) {
	if rev.maxToAck == 0 || p.flags&ack == 0 || !after(p.ack, rev.maxToAck) {
		return 0
	}
	if fwd.hasAck && p.ack == fwd.lastAck+1 && p.seq == fwd.nextSeq && rev.lastSigns&signZeroWindowProbe != 0 {
		s = signWindowUpdate // the probe's byte was taken and the window opens again
	} else {
		s = signACKedLost
	}
	rev.maxToAck = p.ack
	return s
}

// repeated tests a segment that occupies sequence numbers: was it sent before?
func repeated(p *packet, fwd, rev *side, s sign, rtt int64) sign {
	if s&signKeepAlive != 0 {
		return 0
	}
	old := fwd.nextSeq != 0 && after(fwd.nextSeq, p.seq)
	if p.payload > 1 && fwd.nextSeq-1 == p.seq {
		old = false // new data behind what was a probe
	}
	if p.payload > 0 && rev.hasAck && rev.lastAck != 0 && !after(p.seq+uint32(p.payload), rev.lastAck) {
		return signSpurious
	}
	if !old {
		return 0
	}
	// A capture whose times go backwards proves nothing by them.
	if since := p.ts - rev.lastAckTime; rev.dupAcks >= 2 && rev.lastAck == p.seq && since >= 0 && since < fastWithin {
		return signFast
	}
	within := int64(reorderWithin)
	if rtt > 0 {
		within = rtt
	}
	if since := p.ts - fwd.nextSeqTime; since >= 0 && since < within && fwd.nextSeq != p.end() {
		return signOutOfOrder
	}
	return signRetransmission
}

// advance remembers the segment for the tests of the next ones.
func (s *side) advance(p *packet, got sign) {
	next := p.end()
	if got&signZeroWindowProbe == 0 {
		if s.nextSeq == 0 || after(next, s.nextSeq) {
			s.nextSeq, s.nextSeqTime = next, p.ts
		}
		if s.maxToAck == 0 || p.seq == s.maxToAck {
			s.maxToAck = s.nextSeq
		}
	}
	s.window, s.lastAck, s.lastAckTime, s.hasAck = p.window, p.ack, p.ts, true
	s.lastSYN = p.flags&syn != 0
	s.lastSigns = got
}

// scales settles the window scales of both sides when a SYN was seen: both sides
// must offer one, else none is in use.
func scales(p *packet, fwd, rev *side) {
	switch {
	case p.wscale < 0:
		fwd.scale, rev.scale = -2, -2
	case p.flags&ack != 0 && rev.scale == -2:
		fwd.scale = -2
	default:
		fwd.scale = p.wscale
	}
}
