package wire

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Group is the cases of one class with one culprit: what one finding is about.
type Group struct {
	Class Class
	// Cases are in the order of time.
	Cases []*Case
	// End is the culprit's end; its address is that of the service where the culprit
	// serves, else of the first case. Subject names it for findings.
	End     join.End
	Subject string
	// Server is the service that the conversations go to, where it is one.
	Server *Server
	// FromClients: the culprits are clients.
	FromClients bool
	// Upstream are conversations that the culprit, a proxy, reset as a client in the
	// same moments as those of Cases.
	Upstream []*Case

	x *Index
}

// group puts cases with one class and culprit together: a service by its address
// and port, clients by their address and the service they call.
func (x *Index) group() {
	type key struct {
		class Class
		who   addrKey
		of    netip.AddrPort // the service that a client calls
		death bool
	}
	groups := map[key]*Group{}
	for _, c := range x.Cases {
		if c.Class <= Scan {
			continue
		}
		k := key{class: c.Class, who: x.key(c.Flow.Ref(), c.Culprit()), death: c.Death}
		if !c.FromServer {
			k.who, k.of = x.peer(c), c.Flow.Server()
		}
		g := groups[k]
		if g == nil {
			g = &Group{Class: c.Class, FromClients: !c.FromServer, x: x}
			groups[k] = g
			x.Groups = append(x.Groups, g)
		}
		g.Cases = append(g.Cases, c)
		x.grouped[c] = g
	}
	for _, g := range x.Groups {
		slices.SortStableFunc(g.Cases, byTime)
	}
	x.proxies()
	for _, g := range x.Groups {
		g.name()
	}
	slices.SortStableFunc(x.Groups, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(len(b.Cases), len(a.Cases)), cmp.Compare(a.Subject, b.Subject))
	})
}

// halves is how close in time a proxy gives up the two halves of a connection.
const halves = 10 * time.Millisecond

// proxies gives the resets that a proxy sends upstream to the group of those that
// it sends to its own clients in the same moments: one culprit, one story.
func (x *Index) proxies() {
	for _, up := range x.Groups {
		if !up.FromClients {
			continue
		}
		for _, down := range x.Groups {
			if down.FromClients || up.Cases[0].Flow.Client().Addr() != down.Cases[0].Flow.Server().Addr() ||
				x.hosts.Of(up.Cases[0].Flow.Ref()) != x.hosts.Of(down.Cases[0].Flow.Ref()) {
				continue
			}
			if !up.beside(down) {
				continue
			}
			down.Upstream = append(down.Upstream, up.Cases...)
			for _, c := range up.Cases {
				x.grouped[c] = down
			}
			up.Cases = nil
			break
		}
	}
	x.Groups = slices.DeleteFunc(x.Groups, func(g *Group) bool { return len(g.Cases) == 0 })
}

// beside reports whether nearly all cases of a group happened in the same moments as
// cases of another.
func (g *Group) beside(o *Group) bool {
	near := 0
	for _, c := range g.Cases {
		if len(within(o.Cases, c.At(), halves)) > 0 {
			near++
		}
	}
	return near*5 >= len(g.Cases)*4
}

// PassesOn reports whether a proxy resets its clients because of what another group
// shows of its backend: its command line names that address, or its host was
// the client there in the same moments.
func (g *Group) PassesOn(backend *Group) bool {
	if g.FromClients || backend.FromClients || g.Server == backend.Server {
		return false
	}
	if to, ok := g.End.Process.Forwards(); ok {
		return to == backend.End.Addr
	}
	return len(g.Cases) >= idleFlows && g.x.sameHost(g.End.Addr.Addr(), backend.Cases[0].Flow.Client().Addr()) && g.beside(backend)
}

// sameHost reports whether two addresses are known to be one host's.
func (x *Index) sameHost(a, b netip.Addr) bool {
	if a == b {
		return !a.IsLoopback()
	}
	h, known := x.sockets.HostOf(a)
	o, ok := x.sockets.HostOf(b)
	return known && ok && h == o
}

// name finds the culprit's end and the words for it.
func (g *Group) name() {
	c := g.Cases[0]
	g.Server = g.x.Server(c.Flow)
	host := g.x.hosts.Of(c.Flow.Ref())
	if c.FromServer {
		g.End = g.x.ends.Server(c.Flow)
		g.Subject = g.prefix(host) + c.Flow.Server().String()
		if g.Death() {
			g.Subject += " (its process ended)"
		}
		return
	}
	g.End = g.x.ends.Client(c.Flow)
	addr := g.End.Addr.Addr()
	switch {
	case g.End.Process != nil:
		g.Subject = g.End.Process.String()
	case addr.IsLoopback():
		g.Subject = g.x.hosts.Prefix(host) + "clients of " + c.Flow.Server().String()
	default:
		g.Subject = g.prefix(host) + addr.String()
	}
}

// prefix names the culprit's host: whose address it is, not where it was captured.
func (g *Group) prefix(captured string) string {
	if owner, ok := g.x.sockets.HostOf(g.End.Addr.Addr()); ok {
		return g.x.hosts.Prefix(owner)
	}
	if g.End.Addr.Addr().IsLoopback() {
		return g.x.hosts.Prefix(captured)
	}
	return ""
}

// Of lists the groups of a class.
func (x *Index) Of(class Class) []*Group {
	var out []*Group
	for _, g := range x.Groups {
		if g.Class == class {
			out = append(out, g)
		}
	}
	return out
}

// GroupOf is the group of a case, nil if it is in none.
func (x *Index) GroupOf(c *Case) *Group { return x.grouped[c] }

// Death reports whether the connections ended together, as when a process dies.
func (g *Group) Death() bool { return g.Cases[0].Death }

// ManyDied reports whether several connections died with their process, so that
// their loss is the story and not a trace of it.
func (g *Group) ManyDied() bool { return g.Death() && len(g.Cases) >= deathFlows }

// Who is the culprit in words: address and process.
func (g *Group) Who() string {
	if g.FromClients && g.End.Process == nil {
		return g.End.Addr.Addr().String()
	}
	return g.End.String() + g.Behind()
}

// From and To are the times of the first and the last case.
func (g *Group) From() time.Time { return g.Cases[0].At() }

// To is the time of the last case.
func (g *Group) To() time.Time { return g.Cases[len(g.Cases)-1].At() }

// maxFlowEntities bounds the conversations that one finding names.
const maxFlowEntities = 32

// Entities are the culprit, its port where it serves, and the conversations.
func (g *Group) Entities() []analyze.Entity {
	host := g.End.Host
	out := []analyze.Entity{}
	if !g.FromClients {
		out = append(out, join.Endpoint(host, g.End.Addr), join.Port(host, int(g.End.Addr.Port())))
		out = append(out, g.translated()...)
	} else {
		out = append(out, analyze.Entity{Kind: join.KindEndpoint, Key: g.Subject, Name: g.Subject})
	}
	if g.End.Process != nil {
		out = append(out, g.End.Process.Entity())
	}
	for _, c := range g.Cases[:min(len(g.Cases), maxFlowEntities)] {
		for _, ends := range g.x.tuples(c.Flow) {
			out = append(out, join.FlowEntity(g.x.hosts.Of(c.Flow.Ref()), ends[0], ends[1]))
		}
	}
	for _, c := range g.Upstream[:min(len(g.Upstream), maxFlowEntities)] {
		out = append(out, join.FlowEntity(g.x.hosts.Of(c.Flow.Ref()), c.Flow.Client(), c.Flow.Server()))
	}
	return out
}

// translated are other addresses of the service: those under which clients know it,
// because a NAT translates them, and the one that a port forwarder hands them on to.
func (g *Group) translated() []analyze.Entity {
	var out []analyze.Entity
	for _, ends := range g.x.tuples(g.Cases[0].Flow)[1:] {
		if ends[1] != g.End.Addr {
			out = append(out, join.Endpoint(g.End.Host, ends[1]))
		}
	}
	if to, ok := g.End.Process.Forwards(); ok {
		out = append(out, join.Endpoint(g.End.Host, to))
	}
	return out
}

// Both says that the culprit gave up both halves of proxied connections, "" if it
// did not.
func (g *Group) Both() string {
	if len(g.Upstream) == 0 {
		return ""
	}
	return fmt.Sprintf("%s it reset its own connection to %s in the same moment: it is a proxy that gives both halves up, and the service behind it is not at fault.",
		join.Count(len(g.Upstream), "time", "times"), g.Upstream[0].Flow.Server())
}

// At is evidence at a frame of a conversation.
func At(f *fact.Flow, frame int, t time.Time, format string, args ...any) analyze.Evidence {
	e := analyze.Cite(f.Frame(frame), format, args...)
	if t.IsZero() {
		return e
	}
	return e.On(t, fact.Epoch, 0)
}

// Round shortens a duration for people: three significant digits, or whole seconds.
func Round(d time.Duration) time.Duration {
	if d.Abs() >= time.Minute {
		return d.Round(time.Second)
	}
	unit := time.Duration(1)
	for abs := d.Abs(); abs/unit >= 1000; unit *= 10 {
	}
	return d.Round(unit)
}
