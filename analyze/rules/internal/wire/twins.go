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

// twins are the other sightings of a conversation that was captured more than once.
type twins struct {
	conn *join.Connection
	told *fact.Flow // the sighting that stands for it, as its capture dates it
	// others are by the bundle's clock.
	others []*fact.Flow
}

// telling chooses the sighting of a connection by which it is judged: one that
// lacks an answer which another has, or that has a RST, since a device may keep the
// one and make the other; then one whose server the bundle knows; then the one
// behind the NAT, where the server has its own address; then the fullest.
func (x *Index) telling(k *join.Connection) *fact.Flow {
	translated := slices.ContainsFunc(k.Flows, func(f *fact.Flow) bool { return f.Server() != k.Flows[0].Server() })
	rank := func(f *fact.Flow) (n int) {
		for bit, has := range []bool{translated && k.Ordered && f == k.Flows[len(k.Flows)-1], x.ends.Server(f).Process != nil, f.SynUnanswered || len(f.Resets()) > 0} {
			if has {
				n |= 1 << bit
			}
		}
		return n
	}
	return slices.MaxFunc(k.Flows, func(a, b *fact.Flow) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Packets(), b.Packets()))
	})
}

// met is a server's address as the clients' side of a path names it, and the path.
type met struct {
	client, server fact.ID
	addr           netip.AddrPort
}

// meets notes which servers two captures have in common.
func (x *Index) meets(k *join.Connection) {
	for i, a := range k.Flows {
		for _, b := range k.Flows[i+1:] {
			if k.Toward(a, b) < 0 && a.Ref().Artifact != b.Ref().Artifact {
				x.met[met{a.Ref().Artifact, b.Ref().Artifact, a.Server()}] = true
			}
		}
	}
}

// Unseen is a capture that was taken nearer to the server, shows other connections
// to it and was running at that time, but has nothing of this one: its packets got
// lost before, or a device answered them. It returns nil if there is none.
func (x *Index) Unseen(f *fact.Flow, at time.Time) *fact.Capture {
	var out *fact.Capture
	for m := range x.met {
		if m.client != f.Ref().Artifact || m.addr != f.Server() || !x.covers(m.server, at) {
			continue
		}
		if t := x.twins[f]; t != nil && slices.ContainsFunc(t.others, func(o *fact.Flow) bool { return o.Ref().Artifact == m.server }) {
			continue
		}
		if c := x.captures[m.server]; out == nil || c.At.Artifact < out.At.Artifact {
			out = c
		}
	}
	return out
}

// Answered is a sighting of the conversation, captured nearer to the server, that
// shows an answer which this one lacks; nil if there is none.
func (x *Index) Answered(f *fact.Flow) *fact.Flow {
	t := x.twins[f]
	if t == nil || f.ToClient.Packets() > 0 {
		return nil
	}
	for _, o := range t.others {
		if o.ToClient.Packets() > 0 && o.Ref().Artifact != f.Ref().Artifact {
			return o
		}
	}
	return nil
}

// tuples are the client and the server of a conversation at each point where it was
// captured: a NAT gives it several.
func (x *Index) tuples(f *fact.Flow) [][2]netip.AddrPort {
	out := [][2]netip.AddrPort{{f.Client(), f.Server()}}
	if t := x.twins[f]; t != nil {
		for _, o := range t.others {
			if ends := [2]netip.AddrPort{o.Client(), o.Server()}; !slices.Contains(out, ends) {
				out = append(out, ends)
			}
		}
	}
	return out
}

// addresses are all ends of a conversation, each once.
func (x *Index) addresses(f *fact.Flow) []netip.AddrPort {
	var out []netip.AddrPort
	for _, ends := range x.tuples(f) {
		for _, a := range ends {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// slip is how far two captures of one packet may be apart beyond what the offset of
// their clocks explains.
const slip = 2 * time.Second

// elsewhere weighs what the other captures of a conversation say of a RST. One that
// was taken nearer to the address that the RST carries must have seen it; one
// beyond need not, because the device that stands between may have kept it.
func (c *Case) elsewhere(t *twins, covers func(fact.ID, time.Time) bool) {
	if t == nil {
		return
	}
	for _, o := range t.others {
		side := t.conn.Toward(o, t.told)
		if !c.FromServer {
			side = -side
		}
		// Positive: the other capture was taken nearer to the RST's sender.
		switch has := hasReset(o, c.Reset); {
		case has && side > 0:
			c.Genuine = append(c.Genuine, o)
		case !has && side > 0 && covers(o.Ref().Artifact, c.At()):
			c.odd(forged, "%s, captured nearer to %s, shows the same connection without this RST", o.Ref().Artifact, c.Culprit())
			c.Between = append(c.Between, o)
		case !has && side == 0 && covers(o.Ref().Artifact, c.At()):
			c.odd(1, "%s shows the same connection without this RST", o.Ref().Artifact)
		}
	}
}

// Behind names the address by which clients know a service that a NAT hides, as
// " (reached as A)", or the one that a port forwarder hands its clients on to; ""
// where there is none.
func (g *Group) Behind() string {
	if g.FromClients {
		return ""
	}
	if to, ok := g.End.Process.Forwards(); ok {
		return " (which hands on to " + to.String() + ")"
	}
	for _, ends := range g.x.tuples(g.Cases[0].Flow)[1:] {
		if ends[1] != g.Cases[0].Flow.Server() {
			return " (reached as " + ends[1].String() + ")"
		}
	}
	return ""
}

// Confirmed says that captures nearer to the culprit show the RSTs too, "" if the
// bundle has none.
func (g *Group) Confirmed() string {
	n := 0
	var by fact.ID
	for _, c := range g.Cases {
		if len(c.Genuine) > 0 {
			n, by = n+1, c.Genuine[0].Ref().Artifact
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s, captured nearer to %s, shows %d of %s too: no device between the two captures made them.", by, g.End.Addr.Addr(), n, join.Count(len(g.Cases), "RST", "RSTs"))
}

// confirming cites the first RST in a capture nearer to the culprit.
func (g *Group) confirming() []analyze.Evidence {
	for _, c := range g.Cases {
		for _, o := range c.Genuine {
			for i := range o.Resets() {
				if r := &o.Resets()[i]; r.From == c.Reset.From && r.Seq == c.Reset.Seq {
					return []analyze.Evidence{At(o, r.Frame, r.Time, "the same RST, captured nearer to %s", c.Culprit())}
				}
			}
		}
	}
	return nil
}
