package unexpectedpeer

import (
	"net/netip"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// member is a peer that behaves like a member and is not in the inventory.
type member struct {
	addr     netip.Addr
	services []*service
	siblings []netip.Addr // expected peers on the same services
	retired  *item
	logs     []*fact.LogEvent // lines that announce it
	troubles []*fact.LogEvent // lines that complain about it
	differs  []difference
	idle     *idle
}

// idle is a service with which the member exchanges next to nothing, though its
// siblings do.
type idle struct {
	s      *service
	bytes  int64
	median int64 // of the siblings
	flow   *fact.Flow
}

// judge finds peers that are not in the inventory but do as its members do: they
// hold connections to the same services, are announced in logs as they are, or
// are listed as retired.
func judge(p *analyze.Pass, inv *inventory, services []*service) []*member {
	by := map[netip.Addr]*member{}
	var out []*member
	get := func(a netip.Addr) *member {
		m := by[a]
		if m == nil {
			m = &member{addr: a}
			by[a] = m
			out = append(out, m)
		}
		return m
	}
	for _, s := range services {
		siblings := expected(inv, s)
		enough := float64(len(siblings)) >= p.Threshold("siblings") && float64(len(siblings)) >= p.Threshold("expected_share")*float64(len(s.order))
		for _, a := range s.order {
			it, listed := inv.find(a)
			switch {
			case listed && it.retired:
				m := get(a)
				m.retired = &it
				m.services = append(m.services, s)
			case !listed && enough && !ownAddress(p, a):
				m := get(a)
				m.services = append(m.services, s)
				for _, x := range siblings {
					if !slices.Contains(m.siblings, x) {
						m.siblings = append(m.siblings, x)
					}
				}
			}
		}
	}
	announced := announcements(p)
	out = slices.DeleteFunc(out, func(m *member) bool { return !m.convincing(p, inv, services, announced) })
	slices.SortFunc(out, func(a, b *member) int { return a.addr.Compare(b.addr) })
	return out
}

func expected(inv *inventory, s *service) []netip.Addr {
	var out []netip.Addr
	for _, a := range s.order {
		if inv.knows(a) {
			out = append(out, a)
		}
	}
	return out
}

// ownAddress reports whether an address serves something itself in the bundle's
// tables: a balancer that connects to its bus is no unknown node.
func ownAddress(p *analyze.Pass, a netip.Addr) bool {
	for _, k := range join.SocketsOf(p).All {
		if k.State == fact.StateListen && k.Local.Addr() == a {
			return true
		}
	}
	return false
}

// announcements are log lines about a peer, by its address: that it registered,
// joined, is listed.
func announcements(p *analyze.Pass) map[netip.Addr][]*fact.LogEvent {
	out := map[netip.Addr][]*fact.LogEvent{}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(e.Signs, fact.SignPeer) || e.Level == "warn" || e.Level == "error" || e.Level == "fatal" {
			continue // a complaint announces nobody
		}
		for _, a := range eventAddrs(e) {
			if !slices.ContainsFunc(out[a], func(have *fact.LogEvent) bool { return have.At.Artifact == e.At.Artifact }) {
				out[a] = append(out[a], e) // one line of each log is enough
			}
		}
	}
	return out
}

func eventAddrs(e *fact.LogEvent) []netip.Addr {
	var out []netip.Addr
	for _, s := range e.Addresses {
		a, err := netip.ParseAddr(s)
		if err != nil {
			ap, ok := join.ParseAddrPort(s)
			if !ok {
				continue
			}
			a = ap.Addr()
		}
		if a = a.Unmap(); !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// convincing decides whether the member is more than a visitor: what logs announce
// of its siblings they must announce of it, and where siblings are connected to
// several services it must be as well.
func (m *member) convincing(p *analyze.Pass, inv *inventory, services []*service, announced map[netip.Addr][]*fact.LogEvent) bool {
	m.logs = announced[m.addr]
	m.differences(inv, announced)
	m.trouble(p)
	m.compareTraffic()
	if m.retired != nil {
		return true
	}
	logged, both := 0, 0
	for _, a := range m.siblings {
		if len(announced[a]) > 0 {
			logged++
		}
		if countServices(services, a) > len(m.services) {
			both++
		}
	}
	switch {
	case logged*2 > len(m.siblings) && len(m.logs) == 0:
		p.Note("%s is on %s like %d expected peers, but no log announces it as it does them: a client", m.addr, m.services[0].at, len(m.siblings))
		return false
	case len(m.logs) == 0 && both*2 > len(m.siblings):
		p.Note("%s is on fewer services than the expected peers: a client", m.addr)
		return false
	}
	return true
}

func countServices(services []*service, a netip.Addr) int {
	n := 0
	for _, s := range services {
		if len(s.peers[a]) > 0 {
			n++
		}
	}
	return n
}

// trouble collects lines that complain about the member.
func (m *member) trouble(p *analyze.Pass) {
	for e := range fact.All[fact.LogEvent](p.Facts) {
		bad := e.Level == "warn" || e.Level == "error" || e.Level == "fatal" || slices.Contains(e.Signs, fact.SignTimeout) || slices.Contains(e.Signs, fact.SignError)
		if bad && slices.Contains(eventAddrs(e), m.addr) {
			m.troubles = append(m.troubles, e)
		}
	}
}

// idleShare is the part of its siblings' median payload below which a member
// counts as idle, and idleFrom the payload that makes a comparison worthwhile.
const (
	idleShare = 0.05
	idleFrom  = 4 << 10
)

// compareTraffic finds a service that serves the siblings and not the member.
func (m *member) compareTraffic() {
	for _, s := range m.services {
		var others []int64
		for _, a := range m.siblings {
			if n, f := payload(s, a); f != nil {
				others = append(others, n)
			}
		}
		own, f := payload(s, m.addr)
		if f == nil || len(others) < 2 {
			continue
		}
		slices.Sort(others)
		median := others[len(others)/2]
		if median >= idleFrom && float64(own) < idleShare*float64(median) {
			m.idle = &idle{s, own, median, f}
			return
		}
	}
}

// payload is what a peer exchanged with a service in the capture, and one of its
// flows.
func payload(s *service, a netip.Addr) (n int64, f *fact.Flow) {
	for _, x := range s.flows[a] {
		n += x.PayloadBytes()
		f = x
	}
	return n, f
}
