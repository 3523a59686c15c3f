package pcap

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// limited follows how long a sender waits because the data that it has in flight
// fills the other side's window.
type limited struct {
	total           int64
	now, worst      span // going on; the longest one that is over
	waiting, ending bool // ending: it lasted to the end of the flow
}

// span is one time without a pause.
type span struct {
	from, length          int64
	firstFrame, lastFrame int32
	window                uint32
}

// minLimited is the least time that is worth keeping: windows fill up for a moment
// on every busy connection.
const minLimited = 200_000_000

// limit looks at both directions after a segment: what it carries takes room, what it
// acknowledges makes some.
func (f *flow) limit(p *packet, from int, s sign, fwd, rev *side) {
	if p.flags&(syn|rst) != 0 {
		return
	}
	if p.payload > 0 {
		f.waits(p, from, s&signRepeated != 0, fwd, rev)
	}
	if rev.dataPackets > 0 {
		f.waits(p, 1-from, false, rev, fwd)
	}
}

// waits notes whether one side has to wait for the other's window.
func (f *flow) waits(p *packet, sender int, again bool, snd, rcv *side) {
	if f.rare == nil || f.rare.limited[sender] == nil {
		if !snd.full(rcv) {
			return
		}
		f.more().limited[sender] = &limited{}
	}
	l := f.rare.limited[sender]
	switch full := snd.full(rcv); {
	case again && rcv.openWindow() > 0:
		l.waiting = false
	case full && !l.waiting:
		l.now, l.waiting = span{from: p.ts, firstFrame: int32(p.frame), lastFrame: int32(p.frame), window: rcv.openWindow()}, true
	case full:
		l.now.lastFrame, l.now.window = int32(p.frame), min(l.now.window, rcv.openWindow())
	case l.waiting:
		l.now.lastFrame = int32(p.frame)
		l.end(p.ts)
	}
}

// full reports whether what this side has in flight takes 95 % of the window that
// the other one announced last. A window that is closed is full of what came before.
// Without the SYN nothing is known of the window's scale.
func (s *side) full(rcv *side) bool {
	if !rcv.syn || rcv.scale == -1 || !rcv.hasAckTop || s.nextSeq == 0 {
		return false
	}
	flight := int64(int32(s.nextSeq - rcv.ackTop))
	window := int64(rcv.openWindow())
	return flight*20 >= window*19 && (flight > 0 || window == 0)
}

// end ends the span that goes on.
func (l *limited) end(at int64) {
	l.waiting = false
	l.now.length = max(at-l.now.from, 0)
	l.total += l.now.length
	if l.now.length > l.worst.length {
		l.worst = l.now
	}
}

// endLimited ends what is still going on.
func (f *flow) endLimited() {
	if f.rare == nil {
		return
	}
	for _, l := range f.rare.limited {
		if l != nil && l.waiting {
			l.end(f.last)
			l.ending = true
		}
	}
}

// limitedFacts are the sides that made the other wait, the client first.
func (f *flow) limitedFacts() (out []fact.Limited) {
	for _, sender := range []int{1 - int(f.client), int(f.client)} {
		l := f.rare.limited[sender]
		if l == nil || l.total < minLimited {
			continue
		}
		out = append(out, fact.Limited{
			By: f.who(1 - sender), Total: time.Duration(l.total), Longest: time.Duration(l.worst.length), From: timeOf(l.worst.from),
			FirstFrame: int(l.worst.firstFrame), LastFrame: int(l.worst.lastFrame), Window: int64(l.worst.window), Open: l.ending,
		})
	}
	return out
}
