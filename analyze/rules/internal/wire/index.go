package wire

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Index holds the cases of a bundle.
type Index struct {
	// Flows are all TCP conversations; one that was captured twice stands once. Their
	// times are by the bundle's clock.
	Flows []*fact.Flow
	// Eventful are those of Flows to which something happened.
	Eventful []*fact.Flow
	// Cases are in the order of their flows.
	Cases  []*Case
	Groups []*Group

	hosts   *join.Hosts
	ends    *join.Flows
	sockets *join.Sockets
	byFlow  map[*fact.Flow]*Case
	grouped map[*Case]*Group
	twins   map[*fact.Flow]*twins
	servers map[addrKey]*Server
	order   []*Server // in order of appearance
	// captures are by the bundle's clock.
	captures map[fact.ID]*fact.Capture
	met      map[met]bool
	ttlOnce  sync.Once
	ttls     map[ttlKey]int
}

// Server is an address that conversations go to. A capture may hold a million of
// them, most of which are all right: who looks for trouble walks one of the short
// lists, all in the order of Flows.
type Server struct {
	Host, Addr string
	Flows      []*fact.Flow
	// Eventful are those to which something happened: see fact.Flow.Eventful.
	Eventful []*fact.Flow
	// Unmade are attempts of which no connection came.
	Unmade []*fact.Flow
	// Unanswered end with requests that the server's kernel took.
	Unanswered []*fact.Flow

	crowd crowd
}

var index = analyze.Derived[*Index]{
	Name:  "ends of conversations",
	Needs: []fact.Kind{"flow", "icmp_error", "capture"},
	Build: build,
}

// Of returns the cases of the bundle.
func Of(p *analyze.Pass) *Index { return index.Of(p) }

func build(p *analyze.Pass) *Index {
	x := &Index{
		hosts: join.HostsOf(p), ends: join.FlowsOf(p), sockets: join.SocketsOf(p),
		byFlow: map[*fact.Flow]*Case{}, grouped: map[*Case]*Group{},
		twins: map[*fact.Flow]*twins{}, servers: map[addrKey]*Server{},
		captures: map[fact.ID]*fact.Capture{}, met: map[met]bool{},
	}
	x.collect(p)
	for _, f := range x.Eventful {
		if c := judge(f); c != nil {
			x.add(c)
		}
	}
	x.rejections(p)
	x.fallbacks()
	x.scans()
	x.middleboxes()
	x.deaths()
	x.races()
	x.idleTimeouts()
	slices.SortStableFunc(x.Cases, func(a, b *Case) int { return a.Flow.Ref().Compare(b.Flow.Ref()) })
	x.group()
	return x
}

func (x *Index) add(c *Case) {
	x.Cases = append(x.Cases, c)
	x.byFlow[c.Flow] = c
}

// Case is what ended a conversation, nil if nothing cut it short.
func (x *Index) Case(f *fact.Flow) *Case { return x.byFlow[f] }

// addrKey is an address and port; a loopback address belongs to its host.
type addrKey struct {
	host string
	addr netip.AddrPort
}

func (x *Index) key(at fact.Ref, addr netip.AddrPort) addrKey {
	if addr.Addr().IsLoopback() {
		return addrKey{x.hosts.Of(at), addr}
	}
	return addrKey{"", addr}
}

// peer is the culprit's address, whatever the port.
func (x *Index) peer(c *Case) addrKey {
	return x.key(c.Flow.Ref(), netip.AddrPortFrom(c.Culprit().Addr(), 0))
}

// Server is the address that a conversation goes to, with its other conversations.
func (x *Index) Server(f *fact.Flow) *Server { return x.servers[x.key(f.Ref(), f.Server())] }

// Servers are all addresses that conversations go to, in order of appearance.
func (x *Index) Servers() []*Server { return x.order }

// collect lists the TCP conversations, each once and by the bundle's clock.
func (x *Index) collect(p *analyze.Pass) {
	clocks, known := join.ClocksOf(p), join.ConnectionsOf(p)
	dated := map[*fact.Flow]*fact.Flow{} // by the capture's clock to by the bundle's
	date := func(f *fact.Flow) *fact.Flow {
		skew := clocks.Skew(f.Ref().Artifact)
		if skew == 0 {
			return f
		}
		if dated[f] == nil {
			dated[f] = f.Shifted(skew)
		}
		return dated[f]
	}
	for c := range fact.All[fact.Capture](p.Facts) {
		moved, skew := *c, clocks.Skew(c.At.Artifact)
		moved.First, moved.Last = c.First.Add(skew), c.Last.Add(skew)
		x.captures[c.At.Artifact] = &moved
	}
	x.Flows = make([]*fact.Flow, 0, p.Facts.Count("flow"))
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Proto() != "tcp" {
			continue
		}
		k := known.Of(f)
		if k == nil {
			x.Flows = append(x.Flows, date(f))
			continue
		}
		if f != k.Flows[0] {
			continue
		}
		x.meets(k)
		told := x.telling(k)
		t := &twins{conn: k, told: told}
		for _, other := range k.Flows {
			if other != told {
				t.others = append(t.others, date(other))
			}
		}
		x.Flows = append(x.Flows, date(told))
		x.twins[date(told)] = t
	}
	for _, f := range x.Flows {
		x.file(f)
	}
}

// file puts a conversation into the lists of its server.
func (x *Index) file(f *fact.Flow) {
	k := x.key(f.Ref(), f.Server())
	s := x.servers[k]
	if s == nil {
		s = &Server{Host: x.hosts.Of(f.Ref()), Addr: f.Server().String()}
		x.servers[k] = s
		x.order = append(x.order, s)
	}
	s.Flows = append(s.Flows, f)
	if f.Eventful() {
		x.Eventful, s.Eventful = append(x.Eventful, f), append(s.Eventful, f)
	}
	if !f.Established {
		s.Unmade = append(s.Unmade, f)
	}
	if u := f.Turns.Unanswered; u != nil && u.Acked {
		s.Unanswered = append(s.Unanswered, f)
	}
}
