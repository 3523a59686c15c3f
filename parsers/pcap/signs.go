package pcap

import "github.com/culprit-dev/culprit/analyze/fact"

// names of the marks that signs leave, at the index of their bit. Frames that
// happen all the time on a healthy flow leave none.
var signNames = [...]string{
	"zero_window_probe", "zero_window", "lost_segment", "keep_alive", "", "window_full", "", "zero_window_probe_ack",
	"dup_ack", "acked_lost_segment", "spurious_retransmission", "fast_retransmission", "out_of_order", "retransmission",
}

// counts are the counters of a flow, in the order of fact.Counts.
type counts struct {
	rst, duplicate int32
	signs          [len(signNames)]int32
}

func (c *counts) add(s sign) {
	for i := range c.signs {
		if s&(1<<i) != 0 {
			c.signs[i]++
		}
	}
}

func (c *counts) of(s sign) (n int32) {
	for i := range c.signs {
		if s&(1<<i) != 0 {
			n += c.signs[i]
		}
	}
	return n
}

func (c *counts) fact() fact.Counts {
	return fact.Counts{
		RST: c.rst, Duplicate: c.duplicate,
		ZeroWindow: c.of(signZeroWindow), WindowFull: c.of(signWindowFull), WindowUpdate: c.of(signWindowUpdate),
		Retransmission: c.of(signRepeated), FastRetransmission: c.of(signFast), SpuriousRetransmission: c.of(signSpurious),
		OutOfOrder: c.of(signOutOfOrder), DupACK: c.of(signDupACK), KeepAlive: c.of(signKeepAlive),
		KeepAliveACK: c.of(signKeepAliveACK), ZeroWindowProbe: c.of(signZeroWindowProbe),
		ZeroWindowProbeACK: c.of(signZeroWindowProbeACK), LostSegment: c.of(signLostSegment), ACKedLostSegment: c.of(signACKedLost),
	}
}
