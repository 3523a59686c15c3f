package pcap

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// How many of each are kept of a flow.
const (
	maxResets  = 8
	maxStalls  = 16
	maxIdle    = 4
	maxMarks   = 24
	marksAlike = 2 // marks of one name
)

// addReset notes a RST with what surrounds it, before the flow takes it in.
func (f *flow) addReset(p *packet, from int, fwd, rev *side) {
	more := f.more()
	more.counts.rst++
	if f.sawSYN && !f.sawSYNACK && from != int(f.client) && !rev.rst {
		f.refused = true
	}
	if f.rstFirst < 0 {
		f.rstFirst = int8(from)
	}
	if len(more.resets) >= maxResets {
		return
	}
	r := fact.Reset{
		Frame: p.frame, Time: timeOf(p.ts), From: f.who(from), ACK: p.flags&ack != 0, Seq: p.seq,
		Window: int(p.window), IPID: int(p.ipid), TTL: int(p.ttl), Options: p.hasOpts, Timestamps: p.hasTS,
		Form: resetForm(p, fwd), State: f.state(), ResetterFIN: fwd.fin, PeerFIN: rev.fin,
		PeerDataSinceOwn: fwd.sincePeer, PeerDataUnacked: f.unackedBy(p, fwd, rev),
	}
	if r.ACK {
		r.AckNo = p.ack
	}
	if f.before.any {
		r.SinceLast, r.AfterFrame = time.Duration(max(p.ts-f.last, 0)), int(f.lastFrame)
		r.AfterFrom, r.AfterLen = f.who(int(f.before.side)), int(f.before.payload)
	}
	if fwd.dataPackets+rev.dataPackets > 0 {
		r.SinceData = time.Duration(max(p.ts-f.lastData, 0))
	}
	r.UsualTTL, _ = fwd.ttls.most()
	if r.UsualTTL > 0 {
		r.UsualTTLPackets = int(fwd.packets)
	}
	r.CopiedIPID = p.hasID && p.ipid != 0 && rev.packets > 0 && rev.lastHasID && rev.lastID == p.ipid
	more.resets = append(more.resets, r)
}

// resetForm tells the kernel's own reasons apart by the traces they leave.
func resetForm(p *packet, fwd *side) string {
	switch {
	case p.flags&ack != 0 && p.seq == 0 && p.window == 0 && !p.hasOpts:
		return "refused"
	case p.flags&ack == 0 && p.window == 0 && !p.hasOpts:
		return "nosock"
	case p.flags&ack == 0 || p.flags&syn != 0:
		return "other"
	case fwd.timestamps && !p.hasTS:
		return "other" // a live socket of this flow writes time stamps
	case p.window != 0, fwd.hasAck && fwd.window == 0, p.hasTS:
		return "abort"
	}
	return "other"
}

// unackedBy is how much of the other side's payload the resetter never
// acknowledged, its RST included.
func (f *flow) unackedBy(p *packet, fwd, rev *side) int64 {
	top := fwd.ackTop
	if p.flags&ack != 0 && (!fwd.hasAckTop || after(p.ack, top)) {
		top = p.ack
	} else if !fwd.hasAckTop {
		return fwd.sincePeer
	}
	if rev.nextSeq == 0 || !after(rev.nextSeq, top) {
		return 0
	}
	n := int64(rev.nextSeq - top)
	if rev.fin {
		n--
	}
	return min(max(n, 0), rev.payload)
}

// mark keeps a frame that is worth citing.
func (f *flow) mark(name string, p *packet, from int) {
	alike, r := 0, f.more()
	for i := range r.marks {
		if r.marks[i].Name == name {
			alike++
		}
	}
	if alike >= marksAlike || len(r.marks) >= maxMarks {
		return
	}
	r.marks = append(r.marks, fact.Mark{Name: name, Frame: p.frame, Time: timeOf(p.ts), From: f.who(from)})
}

func (f *flow) markSigns(s sign, p *packet, from int) {
	for i, name := range signNames {
		if s&(1<<i) != 0 && name != "" {
			f.mark(name, p, from)
		}
	}
}

// minGap is the shortest silence that is kept: below it are round trips and
// delayed acknowledgements.
const minGap = 250_000_000

// gap notes the silence before a packet if it is among the longest. Keep-alive
// probes break it for what stands between the two ends, but not for the programs
// at the ends: for those the silence over the probes is kept too.
func (f *flow) gap(p *packet, from int, s sign) {
	if !f.before.any || f.tcp && !f.established && (f.sawSYN || f.sawSYNACK) || f.closed() {
		return
	}
	if d := p.ts - f.last; d >= minGap {
		f.keepGap(fact.Gap{From: timeOf(f.last), Duration: time.Duration(d), BeforeFrame: int(f.lastFrame)}, p, from, s)
	}
	switch spoken := p.flags&(fin|rst) != 0 || p.payload > 0; {
	case s&signKeepAlive != 0:
		f.more().probed = true
	case spoken && f.rare != nil && f.rare.probed:
		f.rare.probed = false
		if d := p.ts - f.lastData; d >= minGap && f.lastData > 0 {
			before := max(f.sides[0].lastDataFrame, f.sides[1].lastDataFrame)
			f.keepGap(fact.Gap{From: timeOf(f.lastData), Duration: time.Duration(d), BeforeFrame: int(before), Probed: true}, p, from, s)
		}
	}
}

// keepGap adds what ended a silence and keeps it if it is among the longest.
func (f *flow) keepGap(g fact.Gap, p *packet, from int, s sign) {
	g.AfterFrame, g.EndedFrom, g.EndedBy = p.frame, f.who(from), "ack"
	switch {
	case p.flags&rst != 0:
		g.EndedBy = "rst"
	case p.flags&fin != 0:
		g.EndedBy = "fin"
	case s&(signKeepAlive|signZeroWindowProbe) != 0:
		g.EndedBy = "keepalive"
	case p.payload > 0:
		g.EndedBy = "data"
	}
	r := f.more()
	at := len(r.idle)
	for at > 0 && r.idle[at-1].Duration < g.Duration {
		at--
	}
	if at >= maxIdle {
		return
	}
	if len(r.idle) < maxIdle {
		r.idle = append(r.idle, fact.Gap{})
	}
	copy(r.idle[at+1:], r.idle[at:])
	r.idle[at] = g
}
