package wire

import (
	"cmp"
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

	x *Index
}

// group puts cases with one class and culprit together. A service is one culprit
// by its address and port, clients are by their address, and a device that cuts
// idle connections is one by address, whether it serves or calls.
func (x *Index) group() {
	type key struct {
		class Class
		who   string
		death bool
	}
	groups := map[key]*Group{}
	for _, c := range x.Cases {
		if c.Class <= Scan {
			continue
		}
		who := x.key(c.Flow.At, c.Culprit())
		if !c.FromServer || c.Class == IdleTimeout {
			ap, _ := join.ParseAddrPort(c.Culprit())
			who = x.key(c.Flow.At, netip.AddrPortFrom(ap.Addr(), 0).String())
			if ap.Addr().IsLoopback() {
				// Everybody is 127.0.0.1; only the service tells them apart.
				who = x.key(c.Flow.At, c.Flow.Server)
			}
			if !c.FromServer && c.Class != IdleTimeout {
				who += " of " + c.Flow.Server
			}
		}
		k := key{c.Class, who, c.Death}
		g := groups[k]
		if g == nil {
			g = &Group{Class: c.Class, x: x}
			groups[k] = g
			x.Groups = append(x.Groups, g)
		}
		g.Cases = append(g.Cases, c)
		x.grouped[c] = g
	}
	for _, g := range x.Groups {
		slices.SortStableFunc(g.Cases, func(a, b *Case) int { return a.At().Compare(b.At()) })
		g.name()
	}
	slices.SortStableFunc(x.Groups, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(len(b.Cases), len(a.Cases)), cmp.Compare(a.Subject, b.Subject))
	})
}

// name finds the culprit's end: the address that it serves on where it serves in
// any of the cases, else its client address.
func (g *Group) name() {
	c := g.Cases[0]
	for _, o := range g.Cases {
		if o.FromServer {
			c = o
			break
		}
	}
	g.FromClients = !c.FromServer
	g.Server = g.x.Server(c.Flow)
	host := g.x.hosts.Of(c.Flow.At)
	if c.FromServer {
		g.End = g.x.ends.Server(c.Flow)
		g.Subject = g.x.hosts.Prefix(host) + c.Flow.Server
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
		g.Subject = g.x.hosts.Prefix(host) + "clients of " + c.Flow.Server
	default:
		g.Subject = g.x.hosts.Prefix(host) + addr.String()
	}
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
	return g.End.String()
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
	} else {
		out = append(out, analyze.Entity{Kind: join.KindEndpoint, Key: g.Subject, Name: g.Subject})
	}
	if g.End.Process != nil {
		out = append(out, g.End.Process.Entity())
	}
	for _, c := range g.Cases[:min(len(g.Cases), maxFlowEntities)] {
		out = append(out, join.FlowEntity(g.x.hosts.Of(c.Flow.At), c.Flow.Client, c.Flow.Server))
	}
	return out
}

// At is evidence at a frame of a conversation.
func At(f *fact.Flow, frame int, t time.Time, format string, args ...any) analyze.Evidence {
	e := analyze.Cite(f.Frame(frame), format, args...)
	if t.IsZero() {
		return e
	}
	return e.On(t, fact.Epoch, 0)
}

// Round shortens a duration for people: three significant digits.
func Round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for abs := d.Abs(); abs/unit >= 1000; unit *= 10 {
	}
	return d.Round(unit)
}
