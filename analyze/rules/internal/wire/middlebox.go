package wire

import (
	"fmt"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// forged is the weight from which a RST is taken to be somebody else's.
const forged = 3

// oddTTL is the difference that routing does not explain; nearby is less.
const oddTTL = 3

// oddFlows is how many conversations with one odd TTL are no coincidence.
const oddFlows = 3

// usualPackets is how many packets of a direction make its TTL known.
const usualPackets = 3

// middleboxes weighs for each RST what does not fit the address that it carries.
// A TTL alone is no proof, because routes change; it needs a second sign, or
// several conversations with the same odd TTL while others between them carry the
// usual one.
func (x *Index) middleboxes() {
	type oddity struct {
		addr  addrKey
		ttl   int
		class Class
	}
	same, like := map[oddity][]*Case{}, map[oddity][]*Case{}
	of := func(c *Case) oddity { return oddity{x.key(c.Flow.Ref(), c.Culprit()), c.Reset.TTL, c.Class} }
	var weighed []*Case
	for _, c := range x.Cases {
		switch c.Class {
		case Abort, HalfOpen, Overflow, WriteAfterClose:
		default:
			continue
		}
		weighed = append(weighed, c)
		like[of(c)] = append(like[of(c)], c)
		if c.weigh(x.twins[c.Flow], x.covers) > 0 && c.FromServer {
			same[of(c)] = append(same[of(c)], c)
		}
	}
	proven := map[oddity]*Case{}
	for _, c := range weighed {
		if c.oddWeight == 0 {
			continue
		}
		if list := same[of(c)]; len(list) >= oddFlows && x.interleaved(list) {
			c.odd(2, "%d resets of this address carry TTL %d, and packets between them TTL %d", len(list), c.Reset.TTL, c.Reset.UsualTTL)
		} else if len(list) >= oddFlows && x.resetsOnly(list) {
			c.odd(2, "%d resets of this address carry TTL %d, and nothing else that it sends does", len(list), c.Reset.TTL)
		}
		if c.oddWeight >= forged {
			proven[of(c)] = c
		}
	}
	// What else resets in the same way, with that address and that TTL, is the same
	// device.
	for o, by := range proven {
		for _, c := range like[o] {
			if len(c.Genuine) > 0 {
				continue
			}
			if c.oddWeight < forged {
				c.odd(forged, "it is of the kind of the forged RST in frame %d", by.Frame().Packet)
			}
			c.Class = Middlebox
		}
	}
}

// interleaved reports whether conversations that began after the first of some
// RSTs still carry the usual TTL, so that it was no change of the route.
func (x *Index) interleaved(list []*Case) bool {
	start := slices.MinFunc(list, byTime)
	for _, f := range x.Server(start.Flow).Flows {
		if f.First().After(start.At()) && f.ToClient.TTL() == start.Reset.UsualTTL && f.ToClient.Packets() >= usualPackets {
			return true
		}
	}
	return false
}

// resetsOnly reports whether clients tried the address again and still heard nothing
// but RSTs with the odd TTL. A server that takes over an address has another TTL
// too, but goes on to serve with it.
func (x *Index) resetsOnly(list []*Case) bool {
	start := slices.MinFunc(list, byTime)
	again := false
	for _, f := range x.Server(start.Flow).Flows {
		if f.ToClient.Packets() > int64(len(f.Resets())) && f.ToClient.TTL() == start.Reset.TTL {
			return false
		}
		again = again || f.First().After(start.At())
	}
	return again
}

func (c *Case) odd(weight int, format string, args ...any) {
	c.oddWeight += weight
	c.Odd = append(c.Odd, fmt.Sprintf(format, args...))
}

// weigh collects what is odd about the first RST and returns by how much its TTL
// differs from the usual.
func (c *Case) weigh(t *twins, covers func(fact.ID, time.Time) bool) int {
	f, r := c.Flow, c.Reset
	shift := 0
	if r.UsualTTLPackets >= usualPackets && r.UsualTTL != r.TTL {
		shift = max(r.UsualTTL-r.TTL, r.TTL-r.UsualTTL)
		weight := 1
		if shift >= oddTTL {
			weight = 2
		}
		c.odd(weight, "its TTL is %d, that of %d earlier packets from the same address %d", r.TTL, r.UsualTTLPackets, r.UsualTTL)
	}
	if r.CopiedIPID && r.IPID != 0 {
		c.odd(1, "it copies the IP-ID %d of the packet that it answers", r.IPID)
	}
	if r.Form == "other" && r.ACK && r.Window == 0 && !r.Options && r.State == "established" && c.side().Timestamps {
		c.odd(1, "it has neither the window nor the TCP options of the connection")
	}
	last := r.Frame
	for i := range f.Resets() {
		o := &f.Resets()[i]
		if o.From == r.From {
			last = o.Frame
		} else if o.Time.Sub(r.Time).Abs() <= bothEnds {
			c.odd(2, "both ends are sent a RST within %v", bothEnds)
		}
	}
	if c.side().LastFrame() > last {
		c.odd(2, "%s goes on sending after the RST, in frame %d", c.Culprit(), c.side().LastFrame())
	}
	if c.elsewhere(t, covers); len(c.Genuine) > 0 {
		c.Odd, c.oddWeight = nil, 0 // its sender's side has it too
		return 0
	}
	return shift
}

// covers reports whether a capture was running at a time of the bundle's clock and
// had lost nothing, so that what it lacks did not pass it.
func (x *Index) covers(id fact.ID, at time.Time) bool {
	c := x.captures[id]
	return c != nil && c.Drops.Or(0) == 0 && c.Evicted == 0 && !at.Before(c.First.Add(-slip)) && at.Before(c.Last)
}

func hasReset(f *fact.Flow, r *fact.Reset) bool {
	for _, o := range f.Resets() {
		if o.From == r.From && o.Seq == r.Seq {
			return true
		}
	}
	return false
}
