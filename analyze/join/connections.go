package join

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Connection is one TCP connection that was captured more than once: at two points
// of its path, or before and behind a NAT.
type Connection struct {
	// Flows are its sightings, from the client's side to the server's as far as
	// Ordered tells, else in the order of their captures.
	Flows   []*fact.Flow
	Ordered bool
	// By says how it was recognised, in words.
	By string
}

// Connections knows which flows are sightings of one connection.
type Connections struct {
	// All are in the order of their first sightings.
	All []*Connection
	of  map[*fact.Flow]*Connection
}

var connections = analyze.Derived[*Connections]{
	Name:  "connections",
	Needs: []fact.Kind{"flow"},
	Build: buildConnections,
}

// ConnectionsOf returns the connections that were captured more than once.
func ConnectionsOf(p *analyze.Pass) *Connections { return connections.Of(p) }

// Of is the connection that a flow is one sighting of, nil if it is the only one.
func (c *Connections) Of(f *fact.Flow) *Connection { return c.of[f] }

// buildConnections matches flows by their initial sequence numbers, which a NAT
// leaves alone, and those that began before a capture by their addresses.
func buildConnections(p *analyze.Pass) *Connections {
	c := &Connections{of: map[*fact.Flow]*Connection{}}
	n := p.Facts.Count("flow")
	flows := make([]*fact.Flow, 0, n) // whose SYN was captured
	starts := make([]uint64, 0, n)    // the number that each began with, and its index
	captures := map[fact.ID]bool{}
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Proto() != "tcp" {
			continue
		}
		captures[f.Artifact()] = true
		if f.ClientISN().Known {
			starts = append(starts, uint64(f.ClientISN().V)<<32|uint64(len(flows)))
			flows = append(flows, f)
		}
	}
	slices.Sort(starts)
	var same []*fact.Flow
	for i := 1; i < len(starts); {
		if starts[i]>>32 != starts[i-1]>>32 {
			i++
			continue
		}
		same = append(same[:0], flows[uint32(starts[i-1])])
		for isn := starts[i] >> 32; i < len(starts) && starts[i]>>32 == isn; i++ {
			same = append(same, flows[uint32(starts[i])])
		}
		c.matchISN(same)
	}
	if len(captures) > 1 {
		c.matchAddresses(p)
	}
	for _, k := range c.All {
		k.order()
	}
	slices.SortStableFunc(c.All, func(a, b *Connection) int { return a.Flows[0].Ref().Compare(b.Flows[0].Ref()) })
	return c
}

// commonISN is how many flows may begin with one number until it tells nothing: a
// scanner sends all its SYNs with the same.
const commonISN = 64

// matchISN joins flows that begin with one number.
func (c *Connections) matchISN(list []*fact.Flow) {
	if len(list) > commonISN {
		byEnds := map[[2]netip.AddrPort][]*fact.Flow{}
		for _, f := range list {
			k := [2]netip.AddrPort{f.Client(), f.Server()}
			byEnds[k] = append(byEnds[k], f)
		}
		for _, f := range list {
			k := [2]netip.AddrPort{f.Client(), f.Server()}
			if alike := byEnds[k]; len(alike) <= commonISN {
				c.matchISN(alike)
			}
			delete(byEnds, k)
		}
		return
	}
	for i, a := range list {
		for _, b := range list[i+1:] {
			if by := sameStart(a, b); by != "" {
				c.join(a, b, by)
			}
		}
	}
}

// sameStart says how two flows with the client's ISN in common are one connection,
// "" if they are two.
func sameStart(a, b *fact.Flow) string {
	sameTuple := a.Client() == b.Client() && a.Server() == b.Server()
	if a.Ref().Artifact == b.Ref().Artifact && (sameTuple || a.First().Sub(b.First()).Abs() > time.Second) {
		return ""
	}
	switch both := a.ServerISN().Known && b.ServerISN().Known; {
	case both && a.ServerISN().V != b.ServerISN().V:
		return ""
	case sameTuple:
		return "the same addresses and initial sequence numbers"
	case both:
		return "the same two initial sequence numbers on translated addresses"
	}
	// Half of the evidence: the port that a NAT keeps, or the end it leaves alone,
	// makes up for the other number.
	if a.Server() == b.Server() || a.Client().Port() == b.Client().Port() {
		return "the same initial sequence number on translated addresses"
	}
	return ""
}

// matchAddresses joins flows of several captures by their addresses where one
// capture began after the connection, and no numbers can be compared.
func (c *Connections) matchAddresses(p *analyze.Pass) {
	type ends struct{ client, server netip.AddrPort }
	late := map[ends][]*fact.Flow{}
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Proto() == "tcp" && !f.ClientISN().Known && !f.Server().Addr().IsLoopback() {
			late[ends{f.Client(), f.Server()}] = append(late[ends{f.Client(), f.Server()}], f)
		}
	}
	if len(late) == 0 {
		return
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		if f.Proto() != "tcp" {
			continue
		}
		for _, o := range [2]ends{{f.Client(), f.Server()}, {f.Server(), f.Client()}} {
			if list := late[o]; len(list) == 1 && list[0].Ref().Artifact != f.Ref().Artifact {
				c.join(list[0], f, "the same addresses and ports")
			}
		}
	}
}

func (c *Connections) join(a, b *fact.Flow, by string) {
	k, o := c.of[a], c.of[b]
	switch {
	case k != nil && k == o:
		return
	case k == nil && o == nil:
		k = &Connection{By: by}
		c.All = append(c.All, k)
	case k == nil:
		k = o
	case o != nil:
		return // two connections that a third flow could belong to
	}
	for _, f := range []*fact.Flow{a, b} {
		if c.of[f] == nil {
			c.of[f] = k
			k.Flows = append(k.Flows, f)
		}
	}
}

// order sorts the sightings from the client's side to the server's.
func (k *Connection) order() {
	slices.SortStableFunc(k.Flows, func(a, b *fact.Flow) int { return a.Ref().Compare(b.Ref()) })
	k.Ordered = true
	for i, a := range k.Flows {
		for _, b := range k.Flows[i+1:] {
			k.Ordered = k.Ordered && nearer(a, b) != 0
		}
	}
	if k.Ordered {
		slices.SortStableFunc(k.Flows, nearer)
	}
}

// Toward compares two sightings of the connection: negative when a was captured
// nearer to the client than b, positive when nearer to the server, zero when that
// is not known.
func (k *Connection) Toward(a, b *fact.Flow) int { return nearer(a, b) }

// nearer tells by the TTLs, which every router lowers, and else by the times: what
// the client sends passes its side first, what the server sends the other, whatever
// the clocks say.
func nearer(a, b *fact.Flow) int {
	if a.ToServer.TTL() > 0 && b.ToServer.TTL() > 0 && a.ToServer.TTL() != b.ToServer.TTL() &&
		(a.ToClient.TTL()-b.ToClient.TTL())*(a.ToServer.TTL()-b.ToServer.TTL()) <= 0 {
		return cmp.Compare(b.ToServer.TTL(), a.ToServer.TTL())
	}
	if there, back, ok := passages(a, b).medians(); ok {
		return cmp.Compare(back, there)
	}
	return 0
}

// passage is how much later one capture's clock says that packets passed than
// another's: those to the server and those to the client.
type passage struct{ there, back []time.Duration }

// passages compares the packets that both flows date.
func passages(a, b *fact.Flow) (d passage) {
	add := func(list *[]time.Duration, x, y time.Time) {
		if !x.IsZero() && !y.IsZero() {
			*list = append(*list, y.Sub(x))
		}
	}
	if a.ClientISN().Known && b.ClientISN().Known {
		if a.ToServer.SYNs() == b.ToServer.SYNs() {
			add(&d.there, a.First(), b.First())
		}
		if a.HandshakeRTT() > 0 && b.HandshakeRTT() > 0 {
			add(&d.there, a.First().Add(a.HandshakeRTT()), b.First().Add(b.HandshakeRTT()))
		}
		add(&d.there, a.ToServer.FirstData(), b.ToServer.FirstData())
		add(&d.back, a.ToClient.FirstData(), b.ToClient.FirstData())
	}
	add(&d.there, a.ToServer.FINTime(), b.ToServer.FINTime())
	add(&d.back, a.ToClient.FINTime(), b.ToClient.FINTime())
	for i := range a.Resets() {
		r := &a.Resets()[i]
		for j := range b.Resets() {
			o := &b.Resets()[j]
			if r.From != o.From || r.Seq != o.Seq || r.ACK != o.ACK {
				continue
			}
			if r.From == "client" {
				add(&d.there, r.Time, o.Time)
			} else {
				add(&d.back, r.Time, o.Time)
			}
			break
		}
	}
	slices.Sort(d.there)
	slices.Sort(d.back)
	return d
}

func (d passage) medians() (there, back time.Duration, ok bool) {
	if len(d.there) == 0 || len(d.back) == 0 {
		return 0, 0, false
	}
	return d.there[len(d.there)/2], d.back[len(d.back)/2], true
}
