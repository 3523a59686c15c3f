package wire

import (
	"slices"
	"sync"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Index holds the cases of a bundle.
type Index struct {
	// Flows are all TCP conversations; one that two captures show stands once.
	Flows []*fact.Flow
	// Cases are in the order of their flows.
	Cases  []*Case
	Groups []*Group

	hosts   *join.Hosts
	ends    *join.Flows
	sockets *join.Sockets
	byFlow  map[*fact.Flow]*Case
	grouped map[*Case]*Group
	twins   map[*fact.Flow][]*fact.Flow
	servers map[string]*Server
	order   []string // keys of servers, in order of appearance
	ttlOnce sync.Once
	ttls    map[ttlKey]int
}

// Server is an address that conversations go to.
type Server struct {
	Host, Addr string
	Flows      []*fact.Flow
}

var index = analyze.Derived[*Index]{
	Name:  "ends of conversations",
	Needs: []fact.Kind{"flow", "icmp_error"},
	Build: build,
}

// Of returns the cases of the bundle.
func Of(p *analyze.Pass) *Index { return index.Of(p) }

func build(p *analyze.Pass) *Index {
	x := &Index{
		hosts: join.HostsOf(p), ends: join.FlowsOf(p), sockets: join.SocketsOf(p),
		byFlow: map[*fact.Flow]*Case{}, grouped: map[*Case]*Group{},
		twins: map[*fact.Flow][]*fact.Flow{}, servers: map[string]*Server{},
	}
	x.collect(p)
	for _, f := range x.Flows {
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
	slices.SortStableFunc(x.Cases, func(a, b *Case) int { return a.Flow.At.Compare(b.Flow.At) })
	x.group()
	return x
}

func (x *Index) add(c *Case) {
	x.Cases = append(x.Cases, c)
	x.byFlow[c.Flow] = c
}

// Case is what ended a conversation, nil if nothing cut it short.
func (x *Index) Case(f *fact.Flow) *Case { return x.byFlow[f] }

// key names an address; a loopback address belongs to its host.
func (x *Index) key(at fact.Ref, addr string) string {
	if ap, ok := join.ParseAddrPort(addr); ok && ap.Addr().IsLoopback() {
		return x.hosts.Of(at) + "|" + addr
	}
	return "|" + addr
}

// Server is the address that a conversation goes to, with its other conversations.
func (x *Index) Server(f *fact.Flow) *Server { return x.servers[x.key(f.At, f.Server)] }

// Servers are all addresses that conversations go to, in order of appearance.
func (x *Index) Servers() []*Server {
	out := make([]*Server, len(x.order))
	for i, k := range x.order {
		out[i] = x.servers[k]
	}
	return out
}

// collect lists the TCP conversations. Two captures of one conversation have
// the same ends and the same client ISN; the one with a RST is kept.
func (x *Index) collect(p *analyze.Pass) {
	type identity struct {
		client, server string
		isn            uint32
	}
	seen := map[identity]int{}
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Proto != "tcp" {
			continue
		}
		id := identity{x.key(f.At, f.Client), x.key(f.At, f.Server), f.ClientISN.V}
		i, have := seen[id]
		if have && f.ClientISN.Known && x.Flows[i].At.Artifact != f.At.Artifact {
			first := x.Flows[i]
			if len(first.Resets) == 0 && len(f.Resets) > 0 {
				x.Flows[i], first, f = f, f, first
				x.twins[first] = x.twins[f]
			}
			x.twins[first] = append(x.twins[first], f)
			continue
		}
		seen[id] = len(x.Flows)
		x.Flows = append(x.Flows, f)
	}
	for _, f := range x.Flows {
		k := x.key(f.At, f.Server)
		s := x.servers[k]
		if s == nil {
			s = &Server{Host: x.hosts.Of(f.At), Addr: f.Server}
			x.servers[k] = s
			x.order = append(x.order, k)
		}
		s.Flows = append(s.Flows, f)
	}
}
