// Package unexpectedpeer finds members of a service that the inventory does not
// know.
package unexpectedpeer

import (
	"context"
	_ "embed"
	"net/netip"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// Rule finds members of a service that the inventory does not know.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/unexpected-peer", Title: "peer that the inventory does not know", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"socket", "flow"},
		Wants: []fact.Kind{"expected", "baseline", "socket_table", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "siblings", Default: 2, Unit: "peers", Doc: "expected peers on a service from which others on it are compared with them"},
			{Name: "expected_share", Default: 0.3, Unit: "share", Doc: "share of a service's lasting peers that must be in the inventory before the rest is unexpected"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	inv := inventoryOf(p)
	inv.resolve(p)
	if len(inv.items) == 0 && len(inv.names) > 0 {
		p.Skip("the inventory lists members by name, and no log says which addresses they have", "add the addresses to the inventory")
		return nil
	}
	if len(inv.items) == 0 {
		if odd(p, servicesOf(p)) {
			return nil
		}
		p.Skip("there is no inventory to compare the peers with", "list the expected peers in inventory.yaml or in culprit.yaml, or name a healthy bundle with --baseline")
		return nil
	}
	services := servicesOf(p)
	members := judge(p, inv, services)
	if len(members) == 0 {
		p.Note("%d services with lasting connections; no peer of them behaves like a member without being in the %s (%d addresses)", len(services), inv.source, len(inv.items))
		return nil
	}
	report(p, inv, members)
	return nil
}

// inventory is what should be there.
type inventory struct {
	// source is "inventory", or "baseline" where the peers are those of a healthy
	// bundle: these were there, which is less than that no other should be.
	source string
	items  []item
	// facts that logs repeat of members: version, topic.
	settings []*fact.Expected
	// names are members without an address.
	names []item
}

type item struct {
	prefix  netip.Prefix
	retired bool
	at      fact.Ref
	name    string
}

func inventoryOf(p *analyze.Pass) *inventory {
	inv := &inventory{source: "inventory"}
	for e := range fact.All[fact.Expected](p.Facts) {
		switch e.What {
		case "peer", "retired":
			it := item{retired: e.What == "retired", at: e.At, name: e.Name}
			if prefix, ok := parsePeer(e.Value); ok {
				it.prefix = prefix
				inv.items = append(inv.items, it)
			} else {
				it.name = e.Value
				inv.names = append(inv.names, it)
			}
		case "version", "setting":
			inv.settings = append(inv.settings, e)
		}
	}
	if len(inv.items)+len(inv.names) > 0 {
		return inv
	}
	for b := range fact.All[fact.Baseline](p.Facts) {
		if prefix, ok := parsePeer(b.Name); ok && b.What == "peer" {
			inv.source = "baseline"
			inv.items = append(inv.items, item{prefix: prefix, at: b.At})
		}
	}
	return inv
}

// resolve gives members that are listed by name the address with which a log
// announces them: a line that names the member and one address only.
func (inv *inventory) resolve(p *analyze.Pass) {
	if len(inv.names) == 0 {
		return
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(e.Signs, fact.SignPeer) {
			continue
		}
		addrs := eventAddrs(e)
		if len(addrs) != 1 {
			continue
		}
		words := strings.FieldsFunc(e.Text, func(r rune) bool { return strings.ContainsRune(" =:,;()[]{}\"'", r) })
		for _, n := range inv.names {
			if slices.Contains(words, n.name) {
				n.prefix = netip.PrefixFrom(addrs[0], addrs[0].BitLen())
				inv.items = append(inv.items, n)
			}
		}
	}
}

// parsePeer reads an address, an address with port, or a prefix.
func parsePeer(s string) (netip.Prefix, bool) {
	if pre, err := netip.ParsePrefix(s); err == nil {
		return pre.Masked(), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		ap, ok := join.ParseAddrPort(s)
		if !ok || ap.Addr().IsUnspecified() {
			return netip.Prefix{}, false
		}
		a = ap.Addr()
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// find is the most specific item that holds an address.
func (inv *inventory) find(a netip.Addr) (item, bool) {
	best, ok := item{}, false
	for _, it := range inv.items {
		if it.prefix.Contains(a) && (!ok || it.prefix.Bits() > best.prefix.Bits() || it.retired) {
			best, ok = it, true
		}
	}
	return best, ok
}

func (inv *inventory) knows(a netip.Addr) bool {
	it, ok := inv.find(a)
	return ok && !it.retired
}

// service is an address that peers connect to, with those whose connections last.
type service struct {
	host  string
	at    netip.AddrPort
	peers map[netip.Addr][]fact.Ref // rows or frames of lasting connections
	order []netip.Addr
	flows map[netip.Addr][]*fact.Flow
}

// servicesOf lists the services of the bundle with their lasting peers, from the
// socket tables or, for addresses that no table has, from the capture. A
// connection in TIME_WAIT, or one that was closed in the capture, is a visit, not
// a membership.
func servicesOf(p *analyze.Pass) []*service {
	by := map[string]*service{}
	var out []*service
	add := func(host string, at netip.AddrPort, peer netip.Addr, ref fact.Ref) {
		key := host + " " + at.String()
		s := by[key]
		if s == nil {
			s = &service{host: host, at: at, peers: map[netip.Addr][]fact.Ref{}, flows: map[netip.Addr][]*fact.Flow{}}
			by[key] = s
			out = append(out, s)
		}
		if s.peers[peer] == nil {
			s.order = append(s.order, peer)
		}
		s.peers[peer] = append(s.peers[peer], ref)
	}
	socks := join.SocketsOf(p)
	for _, k := range socks.All {
		if k.Proto == "tcp" && k.State == fact.StateEstablished && k.Remote.IsValid() && !socks.ClientSide(k) && !k.Remote.Addr().IsLoopback() {
			add(k.Host, k.Local, k.Remote.Addr(), k.Row().At)
		}
	}
	inTables := map[string]bool{}
	for key := range by {
		inTables[key] = true // there a capture only adds evidence
	}
	h := join.HostsOf(p)
	for f := range fact.All[fact.Flow](p.Facts) {
		client, server := f.Client(), f.Server()
		if f.Proto() != "tcp" || !f.Established || f.Closer() != "" || client.Addr().IsLoopback() {
			continue
		}
		host := h.Of(f.Ref())
		key := host + " " + server.String()
		if !inTables[key] || by[key].peers[client.Addr()] != nil {
			add(host, server, client.Addr(), f.Ref())
		}
		if s := by[key]; s != nil {
			s.flows[client.Addr()] = append(s.flows[client.Addr()], f)
		}
	}
	for _, s := range out {
		slices.SortFunc(s.order, netip.Addr.Compare)
	}
	return out
}
