package pcap

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// stallState is a window that one side keeps closed at the moment.
type stallState struct {
	from                  int64
	firstFrame, lastFrame int32
	probes                int32
}

// stall follows windows that close and open.
func (f *flow) stall(p *packet, from int, s sign, fwd, rev *side) {
	if rev.stall != nil && (s&(signZeroWindowProbe|signKeepAlive|signRepeated) != 0 || p.payload == 1) {
		rev.stall.probes++
	}
	st := fwd.stall
	switch {
	case p.flags&(syn|rst|fin) != 0:
	case p.window == 0 && st == nil:
		fwd.stall = &stallState{from: p.ts, firstFrame: int32(p.frame), lastFrame: int32(p.frame)}
	case p.window == 0:
		st.lastFrame = int32(p.frame)
	case st != nil:
		st.lastFrame = int32(p.frame)
		f.endStall(from, p.ts, false)
		fwd.stall = nil
	}
}

// endStall keeps a stall; when there are too many, the shortest gives way.
func (f *flow) endStall(by int, at int64, open bool) {
	st, r := f.sides[by].stall, f.more()
	done := fact.Stall{
		By: f.who(by), From: timeOf(st.from), Duration: time.Duration(max(at-st.from, 0)),
		FirstFrame: int(st.firstFrame), LastFrame: int(st.lastFrame), Probes: int(st.probes), Open: open,
	}
	if len(r.stalls) < maxStalls {
		r.stalls = append(r.stalls, done)
		return
	}
	low := 0
	for i := range r.stalls {
		if r.stalls[i].Duration < r.stalls[low].Duration {
			low = i
		}
	}
	if r.stalls[low].Duration < done.Duration {
		copy(r.stalls[low:], r.stalls[low+1:])
		r.stalls[maxStalls-1] = done
	}
}

// delay counts small segments that waited for a delayed acknowledgement: the
// sender has more to say, holds it back until the last small segment is
// acknowledged (Nagle), and the receiver takes its time with that.
type delay struct {
	sent, acked int64 // of the last small segment and of its acknowledgement
	side        int8
	waiting     bool
}

// Delayed acknowledgements of Linux and macOS take 40 ms, of Windows and others
// 200 ms; what is held back follows at once.
const (
	delayShortMin, delayShortMax = 35_000_000, 45_000_000
	delayLongMin, delayLongMax   = 180_000_000, 220_000_000
	delayAfterACK                = 1_000_000
)

func (d *delay) add(f *flow, p *packet, from int, rev *side) {
	mss := int32(rev.mss)
	if mss == 0 {
		mss = 536
	}
	switch {
	case p.flags&(syn|fin|rst) != 0:
		d.waiting = false
	case p.payload == 0:
		if d.waiting && int(d.side) != from && d.acked == 0 && p.ack == rev.nextSeq {
			d.acked = p.ts
		}
	default:
		held := d.acked - d.sent
		if d.waiting && int(d.side) == from && d.acked > 0 && p.ts-d.acked <= delayAfterACK &&
			(held >= delayShortMin && held <= delayShortMax || held >= delayLongMin && held <= delayLongMax) {
			f.more().delayed++
			f.mark("delayed_ack", p, from)
		}
		d.sent, d.acked, d.side, d.waiting = p.ts, 0, int8(from), p.payload < mss
	}
}
