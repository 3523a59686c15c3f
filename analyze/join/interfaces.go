package join

import (
	"net/netip"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// addInterfaces takes the addresses of interfaces that no socket shows. One that
// several hosts have, as bridges of containers do, tells none of them.
func (s *Sockets) addInterfaces(p *analyze.Pass) {
	by := map[netip.Addr]string{}
	shared := map[netip.Addr]bool{}
	for hi := range fact.All[fact.HostInfo](p.Facts) {
		a, err := netip.ParseAddr(hi.Value)
		if hi.Name != "address" || err != nil {
			continue
		}
		host := s.hosts.Of(hi.At)
		if first, have := by[a]; have && first != host {
			shared[a] = true
		}
		by[a] = host
	}
	for a, host := range by {
		if _, have := s.addrHost[a]; !have && !shared[a] {
			s.addrHost[a] = host
		}
	}
}
