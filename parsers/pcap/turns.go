package pcap

import (
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// turns sees a conversation as requests and answers.
type turns struct {
	requests, answers int32
	spoke             uint8 // who spoke last: 0 nobody, 1 client, 2 server
	serverFirst       bool
	lastRequest       int64 // last byte of the request
	longest           int64
	slowest           int32 // frame of the slowest answer
	times             []int64
	stride, until     int32 // every stride-th time is kept
	// The requests after the server's last payload.
	segments              int32
	bytes                 int64
	firstFrame, lastFrame int32
	first, last           int64
	end                   uint32
	answerFrame, ackFrame int32
	ended                 bool // end is set
}

// maxTimes bounds the samples of which the median is taken.
const maxTimes = 32

// data takes in payload that was not sent before.
func (t *turns) data(f *flow, p *packet, from int, n int32) {
	if from == int(f.client) {
		if t.spoke != 1 {
			t.requests++
			t.segments, t.bytes, t.ackFrame = 0, 0, 0
			t.firstFrame, t.first = int32(p.frame), p.ts
		}
		t.spoke, t.lastRequest = 1, p.ts
		t.segments++
		t.bytes += int64(n)
		t.lastFrame, t.last, t.ackFrame = int32(p.frame), p.ts, 0
		t.end, t.ended = p.seq+uint32(p.payload), f.tcp
		return
	}
	if t.spoke == 0 {
		t.serverFirst = true
	}
	if t.spoke == 1 {
		t.answers++
		t.sample(max(p.ts-t.lastRequest, 0), int32(p.frame))
	}
	t.spoke, t.answerFrame = 2, int32(p.frame)
	t.segments, t.bytes = 0, 0
}

// sample keeps the time of an answer; when the samples become too many, every
// second one is dropped and from then on twice as many are passed over.
func (t *turns) sample(d int64, frame int32) {
	if d > t.longest || t.slowest == 0 {
		t.longest, t.slowest = d, frame
	}
	if t.until > 0 {
		t.until--
		return
	}
	if len(t.times) == maxTimes {
		for i := range maxTimes / 2 {
			t.times[i] = t.times[2*i]
		}
		t.times = t.times[:maxTimes/2]
		t.stride = max(t.stride, 1) * 2
	}
	t.times = append(t.times, d)
	t.until = max(t.stride, 1) - 1
}

// acked notes the server's acknowledgement of all requests that are open.
func (t *turns) acked(f *flow, p *packet, from int) {
	if t.segments > 0 && t.ended && t.ackFrame == 0 && from != int(f.client) && p.flags&(ack|rst) == ack && !after(t.end, p.ack) {
		t.ackFrame = int32(p.frame)
	}
}

func (t *turns) fact(f *flow) fact.TurnsRecord {
	out := fact.TurnsRecord{
		Requests: int(t.requests), Answers: int(t.answers), MaxAnswer: time.Duration(t.longest),
		SlowestFrame: int(t.slowest), ServerFirst: t.serverFirst,
	}
	if len(t.times) > 0 {
		slices.Sort(t.times)
		out.MedianAnswer = time.Duration(t.times[len(t.times)/2])
	}
	if t.segments > 0 {
		out.Unanswered = &fact.Unanswered{
			Segments: int(t.segments), Bytes: t.bytes, FirstFrame: int(t.firstFrame), LastFrame: int(t.lastFrame),
			First: timeOf(t.first), Last: timeOf(t.last), LastAnswerFrame: int(t.answerFrame),
			Acked: t.ackFrame > 0, AckFrame: int(t.ackFrame), Silence: time.Duration(max(f.last-t.first, 0)),
		}
	}
	return out
}
