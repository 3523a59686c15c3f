package fact

import (
	"net/netip"
	"time"
)

// Flow is one TCP or UDP conversation of a capture. A five-tuple used again
// after a close is another flow: identity is the tuple and the client's ISN.
// There is no fact for a packet; Marks keep the frames that evidence needs.
//
// A capture may hold a million flows, so a flow is packed into some 330 bytes:
// what many have in common stands behind one pointer, what few have behind another,
// and methods say the rest. FlowRecord is the same with plain fields, and describes
// them. The zero value is an empty flow.
type Flow struct {
	// All pointers stand in front: the garbage collector reads no further.
	common *flowCommon // never nil in a flow of a packer
	rare   *flowRare   // nil if nothing of it happened
	// Turns summarises requests and answers by turn-taking.
	Turns Turns

	offset      int64
	first, last instant
	rtt         time.Duration
	packet, len int32
	lastFrame   int32
	isn         [2]uint32 // of client and server
	isnKnown    [2]bool
	client      endpoint
	server      endpoint
	ipv6        bool
	partial     uint8 // bits, see partials
	closer      side

	// ClientSure: the client is known, not guessed.
	ClientSure bool
	// Refused: a SYN was answered by RST. SynUnanswered: SYNs and nothing from the
	// server. SynAckUnacked: the handshake stopped after the SYN-ACK.
	Refused, SynUnanswered, SynAckUnacked bool
	// Established: a handshake was seen, or data both ways.
	Established bool
	// ToServer is what the client sent, ToClient what the server sent.
	ToServer, ToClient Direction
}

// flowCommon is what a flow shares with many others of its capture.
type flowCommon struct {
	Artifact   ID
	Proto      string
	History    string
	App        string
	ServerName string
	Tunnel     []string
	Interface  int
}

// flowRare is what an ordinary flow does not have.
type flowRare struct {
	counts  Counts
	copies  *Counts
	resets  []Reset
	stalls  []Stall
	limited []Limited
	idle    []Gap
	marks   []Mark
	delayed int32
}

// Kind is "flow".
func (Flow) Kind() Kind { return "flow" }

// Ref is the first frame.
func (f Flow) Ref() Ref {
	return Ref{Artifact: f.shared().Artifact, Packet: int(f.packet), Offset: f.offset, Len: int(f.len)}
}

// Artifact is the capture.
func (f *Flow) Artifact() ID { return f.shared().Artifact }

// Frame is a reference to another frame of the same capture.
func (f *Flow) Frame(n int) Ref { return Ref{Artifact: f.shared().Artifact, Packet: n} }

var noCommon = &flowCommon{} // never written

func (f *Flow) shared() *flowCommon {
	if f.common == nil {
		return noCommon
	}
	return f.common
}

// Proto is tcp or udp.
func (f *Flow) Proto() string { return f.shared().Proto }

// Client sent the SYN, or is guessed where the start was not captured.
func (f *Flow) Client() netip.AddrPort { return f.client.addrPort() }

// Server is the other end.
func (f *Flow) Server() netip.AddrPort { return f.server.addrPort() }

// ClientISN is the client's initial sequence number.
func (f *Flow) ClientISN() Opt[uint32] { return Opt[uint32]{f.isn[0], f.isnKnown[0]} }

// ServerISN is the server's initial sequence number.
func (f *Flow) ServerISN() Opt[uint32] { return Opt[uint32]{f.isn[1], f.isnKnown[1]} }

// First is the time of the first packet, Last that of the last one.
func (f *Flow) First() time.Time { return f.first.time() }

// Last is the time of the last packet.
func (f *Flow) Last() time.Time { return f.last.time() }

// FirstFrame is the frame of the first packet.
func (f *Flow) FirstFrame() int { return int(f.packet) }

// LastFrame is the frame of the last packet.
func (f *Flow) LastFrame() int { return int(f.lastFrame) }

// Packets counts those of both directions.
func (f *Flow) Packets() int64 { return f.ToServer.Packets() + f.ToClient.Packets() }

// Bytes are those on the wire, link header included.
func (f *Flow) Bytes() int64 { return f.ToServer.Bytes() + f.ToClient.Bytes() }

// PayloadBytes are those of both directions.
func (f *Flow) PayloadBytes() int64 { return f.ToServer.PayloadBytes() + f.ToClient.PayloadBytes() }

// History is in the letters of Zeek's conn.log; upper case from the client.
func (f *Flow) History() string { return f.shared().History }

// Tunnel lists what the flow was carried in, outermost first: vlan:12 gre vxlan:7.
func (f *Flow) Tunnel() []string { return f.shared().Tunnel }

// Interface is the index of the capture interface of the first frame.
func (f *Flow) Interface() int { return f.shared().Interface }

// App is what a few payload bytes reveal: http, tls, redis, mysql, postgres, dns.
func (f *Flow) App() string { return f.shared().App }

// ServerName is the TLS server name or the HTTP host, if seen.
func (f *Flow) ServerName() string { return f.shared().ServerName }

// Partial says what is missing of the flow: "no start", "no end", "evicted". The
// result is shared.
func (f *Flow) Partial() []string { return partials[f.partial] }

// HandshakeRTT is from SYN to the ACK of the SYN-ACK, zero if not seen.
func (f *Flow) HandshakeRTT() time.Duration { return f.rtt }

// Closer is who sent the first FIN or RST: "client", "server" or "".
func (f *Flow) Closer() string { return sides[f.closer] }

// Eventful reports whether anything happened that an ordinary flow does not have:
// only then are there counts, resets, stalls, silences, marks or delayed ACKs.
func (f *Flow) Eventful() bool { return f.rare != nil }

// Counts are those of the TCP analysis.
func (f *Flow) Counts() Counts {
	if f.rare == nil {
		return Counts{}
	}
	return f.rare.counts
}

// Copies is how much of Counts comes from frames captured twice, nil if none was.
func (f *Flow) Copies() *Counts {
	if f.rare == nil {
		return nil
	}
	return f.rare.copies
}

// Resets are the first RSTs.
func (f *Flow) Resets() []Reset {
	if f.rare == nil {
		return nil
	}
	return f.rare.resets
}

// Stalls are the times with a closed window.
func (f *Flow) Stalls() []Stall {
	if f.rare == nil {
		return nil
	}
	return f.rare.stalls
}

// Limited is the time that a sender waited for room, at most one for each side.
func (f *Flow) Limited() []Limited {
	if f.rare == nil {
		return nil
	}
	return f.rare.limited
}

// Idle are the longest silences on an established flow, longest first.
func (f *Flow) Idle() []Gap {
	if f.rare == nil {
		return nil
	}
	return f.rare.idle
}

// Marks are frames worth citing, the first of each name.
func (f *Flow) Marks() []Mark {
	if f.rare == nil {
		return nil
	}
	return f.rare.marks
}

// Delayed counts small segments that waited for a delayed ACK.
func (f *Flow) Delayed() int {
	if f.rare == nil {
		return 0
	}
	return int(f.rare.delayed)
}

// Retransmitted is the number of segments that were really sent again: the
// retransmissions without the frames that were captured twice.
func (f *Flow) Retransmitted() int {
	n := f.Counts().Retransmission
	if c := f.Copies(); c != nil {
		n -= c.Retransmission
	}
	return int(n)
}

// Direction is one half of a flow; DirectionRecord describes what the methods say.
type Direction struct {
	bytes, payload               int64
	firstData, lastData, finTime instant
	packets, dataPackets         int32
	lastDataFrame, lastFrame     int32
	finFrame, syns, maxSegment   int32
	unacked                      uint32
	minWindow, maxWindow         uint32
	mss                          uint16
	ttl                          uint8
	wscale                       uint8 // plus one, zero if unknown

	FIN, SACK, Timestamps bool
}

// Packets counts those that this side sent.
func (d *Direction) Packets() int64 { return int64(d.packets) }

// Bytes are those on the wire.
func (d *Direction) Bytes() int64 { return d.bytes }

// PayloadBytes counts payload as often as it was sent.
func (d *Direction) PayloadBytes() int64 { return d.payload }

// DataPackets counts packets with payload.
func (d *Direction) DataPackets() int64 { return int64(d.dataPackets) }

// FirstData is the time of the first payload, zero if there was none.
func (d *Direction) FirstData() time.Time { return d.firstData.time() }

// LastData is the time of the last payload, zero if there was none.
func (d *Direction) LastData() time.Time { return d.lastData.time() }

// LastDataFrame is the last frame with payload.
func (d *Direction) LastDataFrame() int { return int(d.lastDataFrame) }

// LastFrame is the last frame.
func (d *Direction) LastFrame() int { return int(d.lastFrame) }

// FINFrame is the frame of the first FIN, zero if there was none.
func (d *Direction) FINFrame() int { return int(d.finFrame) }

// FINTime is the time of the first FIN.
func (d *Direction) FINTime() time.Time { return d.finTime.time() }

// SYNs counts SYN or SYN-ACK segments with the same sequence number.
func (d *Direction) SYNs() int { return int(d.syns) }

// MSS is what the SYN offered.
func (d *Direction) MSS() int { return int(d.mss) }

// WScale is what the SYN offered; unset if not seen, or not offered.
func (d *Direction) WScale() Opt[int] {
	if d.wscale == 0 {
		return Opt[int]{}
	}
	return Some(int(d.wscale) - 1)
}

// TTL is the most common TTL or hop limit.
func (d *Direction) TTL() int { return int(d.ttl) }

// MaxSegment is the longest payload of one packet.
func (d *Direction) MaxSegment() int { return int(d.maxSegment) }

// Unacked is the payload sent that the other side never acknowledged.
func (d *Direction) Unacked() int64 { return int64(d.unacked) }

// MinWindow is the smallest window that this side advertised.
func (d *Direction) MinWindow() int64 { return int64(d.minWindow) }

// MaxWindow is the largest window that this side advertised.
func (d *Direction) MaxWindow() int64 { return int64(d.maxWindow) }

// Turns are the requests and answers of a flow; TurnsRecord describes them.
type Turns struct {
	// Unanswered is the trailing part: requests after the server's last payload.
	Unanswered                 *Unanswered
	median, max                time.Duration
	requests, answers, slowest int32
	// ServerFirst: the server spoke first (SMTP, MySQL, banner).
	ServerFirst bool
}

// Requests counts client bursts.
func (t *Turns) Requests() int { return int(t.requests) }

// Answers counts server bursts that followed one.
func (t *Turns) Answers() int { return int(t.answers) }

// MedianAnswer is from the last byte of a request to the first of its answer.
func (t *Turns) MedianAnswer() time.Duration { return t.median }

// MaxAnswer is the longest such time.
func (t *Turns) MaxAnswer() time.Duration { return t.max }

// SlowestFrame is the first frame of the answer that took it.
func (t *Turns) SlowestFrame() int { return int(t.slowest) }
