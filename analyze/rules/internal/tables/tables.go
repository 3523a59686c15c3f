// Package tables holds what the rules about socket tables share: groups of
// sockets by owner and service, and words for counts.
package tables

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Group is sockets of one owner with one service.
type Group struct {
	Host  string
	Owner *join.Process // nil where no table names owners
	// Service is the service's end: the owner's own where it serves, the other one
	// where it is the client.
	Service netip.AddrPort
	Client  bool // the owner is the client
	Sockets []*join.Socket
	// Likely is who the owner should be where no table names one, from logs and
	// command lines.
	Likely *join.Opener
}

// Name looks for the owner outside of the tables, where they do not name it.
func (g *Group) Name(p *analyze.Pass) {
	if g.Owner != nil {
		return
	}
	if g.Client {
		if o, ok := join.OpenersOf(p).Of(g.Host, g.Service); ok {
			g.Likely = &o
		}
		return
	}
	if e := join.FlowsOf(p).At(g.Host, "tcp", g.Service); e.Process != nil {
		g.Likely = &join.Opener{Process: e.Process, Link: e.Link, At: e.At}
	}
}

// Process is the owner, or who it should be; nil if nothing tells.
func (g *Group) Process() *join.Process {
	if g.Owner == nil && g.Likely != nil {
		return g.Likely.Process
	}
	return g.Owner
}

// Introduce says in a finding how the owner is known where no table names it. That
// costs a level.
func (g *Group) Introduce(f *analyze.Finding) {
	if g.Likely == nil {
		return
	}
	f.Detail += fmt.Sprintf("\n\nNo table names the owner; it should be %s: %s.", g.Likely.Process, g.Likely.Link.By)
	f.Evidence = append(f.Evidence, analyze.Cite(g.Likely.At, "%s: %s", g.Likely.Process, g.Likely.Link.By))
	f.Confidence = f.Confidence.Lower()
}

// Subject names the owner, or the service where the owner is unknown.
func (g *Group) Subject(h *join.Hosts) string {
	if pr := g.Process(); pr != nil {
		return pr.String()
	}
	return h.Prefix(g.Host) + g.Service.String()
}

// Who is the owner in a sentence.
func (g *Group) Who() string {
	if pr := g.Process(); pr != nil {
		return pr.String()
	}
	if g.Client {
		return "an unnamed process that connects to " + g.Service.String()
	}
	return "the unnamed process that serves " + g.Service.String()
}

// Entities are the owner, the service and its port.
func (g *Group) Entities() []analyze.Entity {
	var out []analyze.Entity
	if pr := g.Process(); pr != nil {
		out = append(out, pr.Entity())
	}
	out = append(out, join.Endpoint(g.Host, g.Service))
	if !g.Client {
		out = append(out, join.Port(g.Host, int(g.Service.Port())))
	}
	return out
}

// Groups puts sockets together by owner, side and service, largest group first.
// A process with many services or destinations has many groups.
func Groups(socks *join.Sockets, list []*join.Socket) []*Group {
	type key struct {
		host    string
		owner   *join.Process
		client  bool
		service netip.AddrPort
	}
	by := map[key]*Group{}
	var out []*Group
	for _, k := range list {
		if !k.Remote.IsValid() {
			continue
		}
		id := key{k.Host, k.Owner(), socks.ClientSide(k), k.Local}
		if id.client {
			id.service = k.Remote
		}
		g := by[id]
		if g == nil {
			g = &Group{Host: id.host, Owner: id.owner, Client: id.client, Service: id.service}
			by[id] = g
			out = append(out, g)
		}
		g.Sockets = append(g.Sockets, k)
	}
	slices.SortStableFunc(out, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(len(b.Sockets), len(a.Sockets)), a.Service.Compare(b.Service))
	})
	return out
}

// InState lists the sockets of a table in a TCP state, as that table shows it.
func InState(socks *join.Sockets, t *join.Table, state string) []*join.Socket {
	var out []*join.Socket
	for _, k := range socks.Shown(t) {
		if k.Proto != "tcp" {
			continue
		}
		r := k.RowIn(t)
		if r.State == state || r.State == "" && k.State == state {
			out = append(out, k)
		}
	}
	return out
}

// RunningTimer is the timer that runs on a socket, nil if none does. Whether none
// means anything depends on the table.
func RunningTimer(k *join.Socket) *fact.Timer {
	if t := k.Timer(); t != nil && t.Name != "off" {
		return t
	}
	return nil
}

// Key is the identity of a connection across samples.
func Key(local, remote netip.AddrPort) string { return local.String() + " " + remote.String() }

// RowKey is the identity of a row's connection; ok is false for listeners and for
// rows with names in place of numbers.
func RowKey(r *fact.Socket) (string, bool) {
	l, ok1 := join.ParseAddrPort(r.Local + ":" + r.LocalPort)
	m, ok2 := join.ParseAddrPort(r.Remote + ":" + r.RemotePort)
	return Key(l, m), ok1 && ok2 && m.Port() != 0
}

// Hosts lists the hosts that have socket tables, in order.
func Hosts(socks *join.Sockets) []string {
	var out []string
	for _, t := range socks.Tables {
		if !slices.Contains(out, t.Host) {
			out = append(out, t.Host)
		}
	}
	return out
}

// OwnerRow is the row that names the owner of a socket, else its first row.
func OwnerRow(k *join.Socket) *fact.Socket {
	for _, r := range k.Rows {
		if len(r.Owners) > 0 {
			return r
		}
	}
	return k.Row()
}

// OtherFamily is the wildcard listener of the other address family where a program
// wanted the wildcard address of one and nobody listens on that: a program that
// listens on both gets EADDRINUSE for the second where the first serves both. It
// returns nil if there is none.
func OtherFamily(socks *join.Sockets, host string, want netip.AddrPort) *join.Socket {
	if !want.Addr().IsUnspecified() {
		return nil
	}
	var out *join.Socket
	for _, k := range socks.Listeners(host, "tcp", want.Port()) {
		if !k.Local.Addr().IsUnspecified() || k.Local.Addr().Is4() == want.Addr().Is4() {
			return nil
		}
		out = k
	}
	return out
}

// CiteIn is evidence at the socket's row in a table.
func CiteIn(t *join.Table, k *join.Socket, format string, args ...any) analyze.Evidence {
	r := k.RowIn(t)
	if r == nil {
		r = k.Row()
	}
	return analyze.Cite(r.At, format, args...)
}

// Verb is the form of a verb after a count: "1 line reports", "2 lines report".
func Verb(n int, verb string) string {
	if n == 1 {
		return verb + "s"
	}
	return verb
}

// Sentence begins a sentence with a phrase. A host's name before it keeps its case.
func Sentence(phrase string) string {
	if phrase == "" || strings.Contains(strings.SplitN(phrase, " ", 2)[0], ":") {
		return phrase
	}
	return strings.ToUpper(phrase[:1]) + phrase[1:]
}
