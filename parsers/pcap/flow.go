package pcap

import (
	"github.com/culprit-dev/culprit/analyze/fact"
)

// flow is a conversation that is being followed. Side 0 is the lower end of its
// key. Everything rare stands behind slices that stay nil on an ordinary flow.
type flow struct {
	key        flowKey
	hash       uint32
	chain      *flow // the next that is free
	prev, next *flow // in its list
	list       *flowList

	firstOffset, first, last int64
	firstFrame, lastFrame    int32
	firstLen, iface          int32
	tunnel                   uint16
	client                   uint8 // index of the client's side
	sure, tcp, v4            bool
	sawSYN, sawSYNACK        bool
	established, shook       bool
	refused, evicted         bool
	synTimed                 bool
	synTime, lastData        int64
	rtt, initial             int64 // of the handshake, and what the analysis takes for it
	rstFirst                 int8  // index of the side that sent the first RST, -1 none
	firstClose               int8  // index of the side that closed first, -1 none

	sides   [2]side
	history history
	turns   turns
	delay   delay
	before  last // the packet before
	app     app
	rare    *rare
}

// rare is what an ordinary flow does not have.
type rare struct {
	counts  counts
	copies  *counts // those of frames captured twice
	delayed int
	probed  bool // keep-alive probes since the last payload
	name    string
	resets  []fact.Reset
	stalls  []fact.Stall
	limited [2]*limited // by the sending side, nil until the first
	idle    []fact.Gap
	marks   []fact.Mark
}

// more returns the rare part, made when it is first needed.
func (f *flow) more() *rare {
	if f.rare == nil {
		f.rare = &rare{}
	}
	return f.rare
}

// last is what is remembered of the packet before.
type last struct {
	payload int32
	side    uint8
	flags   uint8
	any     bool
}

// reset makes a flow ready for its first packet.
func (f *flow) reset(k flowKey, hash uint32, p *packet, from int) {
	times := f.turns.times[:0] // of a flow that was delivered
	*f = flow{
		key: k, hash: hash, firstOffset: p.offset, first: p.ts, last: p.ts, firstFrame: int32(p.frame), firstLen: p.length,
		iface: p.iface, tunnel: p.tunnel, tcp: p.proto == protoTCP, v4: p.v4, rstFirst: -1, firstClose: -1,
	}
	f.turns.times = times
	for i := range f.sides {
		f.sides[i].scale, f.sides[i].wscale = -1, -1
	}
	switch {
	case f.tcp && p.flags&(syn|ack) == syn:
		f.client, f.sure = uint8(from), true
	case f.tcp && p.flags&(syn|ack) == syn|ack:
		f.client, f.sure = uint8(1-from), true
	default:
		f.client = f.guess(p, from)
	}
}

// guess finds the client of a flow whose start was not captured: from what other
// flows said of the two ends, else from the ports.
func (f *flow) guess(p *packet, from int) uint8 {
	s, d := p.sport, p.dport
	if !f.tcp {
		// Who speaks first asks, except from a well-known port to another one.
		if s < 1024 && d >= 1024 {
			return uint8(1 - from)
		}
		return uint8(from)
	}
	switch p.server {
	case hintSource:
		return uint8(1 - from)
	case hintDestination:
		return uint8(from)
	}
	// 32768 is where Linux starts to give ports to clients, 1024 where anybody may.
	for _, border := range []uint16{1024, 32768} {
		if (s < border) != (d < border) {
			if s < border {
				return uint8(1 - from)
			}
			return uint8(from)
		}
	}
	if s < d {
		return uint8(1 - from)
	}
	return uint8(from)
}

// who is "client" or "server".
func (f *flow) who(side int) string {
	if side == int(f.client) {
		return "client"
	}
	return "server"
}

// add takes in a packet of one side.
func (f *flow) add(p *packet, from int) {
	fwd, rev := &f.sides[from], &f.sides[1-from]
	if f.tcp {
		f.addTCP(p, from, fwd, rev)
	} else {
		f.addUDP(p, from, fwd, rev)
	}
	fwd.note(p)
	if p.payload > 0 {
		f.lastData = p.ts
		f.reveal(p, from)
	}
	f.last = max(f.last, p.ts)
	f.lastFrame = int32(p.frame)
	f.before = last{p.payload, uint8(from), p.flags, true}
}

// addCopy takes in a frame that was captured twice. It counts in the analysis, as
// it does for Wireshark, and nowhere else: it is no second packet.
func (f *flow) addCopy(p *packet, from int) {
	s := f.analyse(p, &f.sides[from], &f.sides[1-from])
	r := f.more()
	if r.copies == nil {
		r.copies = &counts{}
	}
	for _, c := range []*counts{&r.counts, r.copies} {
		c.add(s)
		c.duplicate++
		if p.flags&rst != 0 {
			c.rst++
		}
	}
	f.mark("duplicate", p, from)
}

func (f *flow) addUDP(p *packet, from int, fwd, rev *side) {
	if rev.packets > 0 {
		f.established = true
	}
	f.gap(p, from, 0)
	if p.payload > 0 {
		f.turns.data(f, p, from, p.payload)
		fwd.sincePeer, rev.sincePeer = 0, rev.sincePeer+int64(p.payload)
		f.history.add('d', from == int(f.client))
	}
	fwd.ttls.add(p.ttl)
}

func (f *flow) addTCP(p *packet, from int, fwd, rev *side) {
	if p.flags&syn != 0 {
		scales(p, fwd, rev)
	}
	next := fwd.nextSeq
	s := f.analyse(p, fwd, rev)
	if s != 0 {
		f.more().counts.add(s)
		f.markSigns(s, p, from)
	}
	if p.flags&rst != 0 {
		f.addReset(p, from, fwd, rev)
	}
	f.gap(p, from, s)
	f.handshake(p, from, fwd, rev)
	fresh := fwd.fresh(p, next, s)
	if fresh > 0 {
		f.turns.data(f, p, from, fresh)
		fwd.sincePeer, rev.sincePeer = 0, rev.sincePeer+int64(fresh)
	}
	f.stall(p, from, s, fwd, rev)
	f.delay.add(f, p, from, rev)
	f.history.segment(f, p, from, s)
	fwd.noteTCP(p, rev)
	f.limit(p, from, s, fwd, rev)
	f.turns.acked(f, p, from)
	if f.firstClose < 0 && p.flags&(fin|rst) != 0 {
		f.firstClose = int8(from)
	}
}

// fresh is how many bytes of a segment were not sent before.
func (s *side) fresh(p *packet, next uint32, got sign) int32 {
	if p.payload == 0 || got&(signKeepAlive|signZeroWindowProbe|signSpurious) != 0 {
		return 0
	}
	if got&(signRetransmission|signFast) != 0 {
		if end := p.seq + uint32(p.payload); after(end, next) {
			return min(int32(end-next), p.payload)
		}
		return 0
	}
	return p.payload
}

// handshake follows the start of a connection.
func (f *flow) handshake(p *packet, from int, fwd, rev *side) {
	client := from == int(f.client)
	switch {
	case p.flags&(syn|ack) == syn && p.flags&rst == 0:
		f.sawSYN = true
		if fwd.syns > 0 {
			f.mark("syn_retransmission", p, from)
		}
	case p.flags&(syn|ack) == syn|ack && p.flags&rst == 0:
		f.sawSYNACK = true
		if fwd.syns > 0 {
			f.mark("syn_ack_retransmission", p, from)
		}
	case p.flags&rst != 0:
	case client && f.sawSYNACK && !f.shook && p.flags&ack != 0:
		f.shook, f.established = true, true
		if f.sawSYN && p.ack == rev.baseSeq+1 && p.seq == fwd.baseSeq+1 {
			f.rtt = max(p.ts-f.synTime, 0)
		}
	case fwd.packets+rev.packets > 0 && rev.dataPackets > 0 && p.payload > 0:
		f.established = true
	}
}

// closed reports whether nothing more is expected.
func (f *flow) closed() bool {
	a, b := &f.sides[0], &f.sides[1]
	return a.rst || b.rst || a.fin && b.fin
}

// state is the flow's state in the words of fact.Reset.
func (f *flow) state() string {
	c, s := &f.sides[f.client], &f.sides[1-f.client]
	switch {
	case c.rst || s.rst || c.fin && s.fin:
		return "closed"
	case c.fin:
		return "client_closing"
	case s.fin:
		return "server_closing"
	case f.established || !f.sawSYN && !f.sawSYNACK:
		return "established"
	case f.sawSYNACK:
		return "syn_recv"
	}
	return "syn_sent"
}

// reveal looks for protocol and name in the first payloads of each side.
func (f *flow) reveal(p *packet, from int) {
	const firstFew = 4
	if f.sides[from].dataPackets > firstFew {
		return
	}
	if f.app == appNone {
		f.app = reveal(p, from != int(f.client))
		if f.app == appHTTP && httpRequest(p.text) {
			f.app = upgraded(p.text)
		}
	}
	if p.text == nil || !f.tcp || f.rare != nil && f.rare.name != "" {
		return
	}
	if name := serverName(p.text); name != "" {
		f.more().name = name
	}
}
