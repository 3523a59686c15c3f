package wire

import (
	"net/netip"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// TTL is the TTL that packets of an address usually carry in one capture, from
// conversations in which it sent more than resets; zero if there are none.
func (x *Index) TTL(capture fact.ID, addr netip.Addr) int {
	x.ttlOnce.Do(func() {
		counts := map[ttlKey]map[int]int64{}
		add := func(f *fact.Flow, end netip.AddrPort, d *fact.Direction, resets int64) {
			if d.TTL() == 0 || d.Packets()-resets < usualPackets {
				return
			}
			k := ttlKey{f.Ref().Artifact, end.Addr()}
			if counts[k] == nil {
				counts[k] = map[int]int64{}
			}
			counts[k][d.TTL()] += d.Packets()
		}
		for _, f := range x.Flows {
			resets := int64(len(f.Resets()))
			add(f, f.Server(), &f.ToClient, resets)
			add(f, f.Client(), &f.ToServer, resets)
		}
		x.ttls = map[ttlKey]int{}
		for k, by := range counts {
			for ttl, n := range by {
				best := by[x.ttls[k]]
				if n > best || n == best && ttl < x.ttls[k] {
					x.ttls[k] = ttl
				}
			}
		}
	})
	return x.ttls[ttlKey{capture, addr}]
}

type ttlKey struct {
	capture fact.ID
	addr    netip.Addr
}
