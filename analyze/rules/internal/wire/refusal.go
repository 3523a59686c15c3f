package wire

import (
	"net/netip"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// rejections turns ICMP messages about a connection attempt into refusals.
func (x *Index) rejections(p *analyze.Pass) {
	if !p.Facts.Has(fact.ICMPError{}.Kind()) {
		return
	}
	open := map[[2]netip.AddrPort][]*fact.Flow{}
	for _, s := range x.Servers() {
		for _, f := range s.Unmade {
			if x.byFlow[f] == nil {
				for _, ends := range x.tuples(f) {
					open[ends] = append(open[ends], f)
				}
			}
		}
	}
	clocks := join.ClocksOf(p)
	for e := range fact.All[fact.ICMPError](p.Facts) {
		if !Rejection(e) {
			continue
		}
		src, _ := join.ParseAddrPort(e.Src)
		dst, _ := join.ParseAddrPort(e.Dst)
		for _, f := range open[[2]netip.AddrPort{src, dst}] {
			at := e.Time.Add(clocks.Skew(e.At.Artifact))
			if x.byFlow[f] == nil && !at.Before(f.First().Add(-slip)) && at.Sub(f.First()) < time.Minute {
				moved := *e
				moved.Time = at
				x.add(&Case{Flow: f, Class: Refused, ICMP: &moved, FromServer: true})
			}
		}
	}
}

// Rejection reports whether an ICMP error is a firewall's or a host's no to a
// connection, rather than a missing route or a packet that is too big.
func Rejection(e *fact.ICMPError) bool {
	v6 := false
	if ap, ok := join.ParseAddrPort(e.Src); ok {
		v6 = ap.Addr().Is6()
	}
	if v6 {
		return e.Type == 1 && (e.Code == 1 || e.Code == 4)
	}
	return e.Type == 3 && slices.Contains([]int{2, 3, 9, 10, 13}, e.Code)
}

// fallbacks finds refusals on one address family that were followed by success on
// the other, as clients do that try both ("happy eyeballs").
func (x *Index) fallbacks() {
	accepted := map[portKey][]time.Time{} // of refused ports, on the other family
	for _, c := range x.Cases {
		if c.Class == Refused {
			accepted[x.port(c.Flow).other()] = nil
		}
	}
	for _, s := range x.Servers() {
		k := x.port(s.Flows[0])
		list, asked := accepted[k]
		if !asked {
			continue
		}
		for _, f := range s.Flows {
			if f.Established {
				list = append(list, f.First())
			}
		}
		accepted[k] = list
	}
	for _, list := range accepted {
		slices.SortFunc(list, time.Time.Compare)
	}
	for _, c := range x.Cases {
		if c.Class != Refused {
			continue
		}
		list := accepted[x.port(c.Flow).other()]
		i, _ := slices.BinarySearchFunc(list, c.At().Add(-fallbackWindow), time.Time.Compare)
		if i < len(list) && list[i].Sub(c.At()) <= fallbackWindow {
			c.Class = Fallback
		}
	}
}

// portKey is a port of a host on one address family, whatever the address.
type portKey struct {
	host string
	port uint16
	v4   bool
}

func (k portKey) other() portKey {
	k.v4 = !k.v4
	return k
}

// port is the port that a conversation goes to.
func (x *Index) port(f *fact.Flow) portKey {
	return portKey{x.hosts.Of(f.Ref()), f.Server().Port(), f.Server().Addr().Is4()}
}

// scans finds sources that were refused on many ports.
func (x *Index) scans() {
	type origin struct {
		host string
		addr netip.Addr
	}
	ports := map[origin]map[netip.AddrPort]bool{}
	source := func(c *Case) origin { return origin{x.hosts.Of(c.Flow.Ref()), c.Flow.Client().Addr()} }
	for _, c := range x.Cases {
		if c.Class == Refused {
			if ports[source(c)] == nil {
				ports[source(c)] = map[netip.AddrPort]bool{}
			}
			ports[source(c)][c.Flow.Server()] = true
		}
	}
	for _, c := range x.Cases {
		if c.Class == Refused && len(ports[source(c)]) >= scanPorts {
			c.Class = Scan
		}
	}
}
