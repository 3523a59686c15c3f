package establishedleak

import (
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// collect groups the ESTABLISHED sockets of a table. Where both ends of a
// connection are on this host, the group of the end that opened it stands for both:
// only that end can be wrong about still needing it, or both are.
func collect(p *analyze.Pass, socks *join.Sockets, t *join.Table) []*leak {
	established := tables.InState(socks, t, fact.StateEstablished)
	groups := tables.Groups(socks, established)
	known := timersKnown(socks, t)
	var out []*leak
	for _, g := range groups {
		l := &leak{Group: g, table: t, timersKnown: known, oldest: -1, median: -1}
		l.count()
		l.findBackend(groups)
		if !g.Client && l.backend == nil && l.paired*2 > len(g.Sockets) {
			continue // told from the other end
		}
		out = append(out, l)
	}
	for _, l := range out {
		l.Name(p)
		l.findFronts(socks, groups)
		l.findLimit(p)
		l.findGrowth(p, socks)
	}
	return out
}

// timersKnown reports whether any table of the moment shows timers.
func timersKnown(socks *join.Sockets, t *join.Table) bool {
	return slices.ContainsFunc(socks.Tables, func(o *join.Table) bool {
		return o.Host == t.Host && o.Moment == t.Moment && o.Meta.HasTimers && o.Meta.HasConnections && (o.Meta.Filter == "" || o.Meta.Filter == fact.StateEstablished)
	})
}

// count looks at each socket of the group.
func (l *leak) count() {
	var ages []int64
	for _, k := range l.Sockets {
		if k.SendQ().Or(0) == 0 && k.RecvQ().Or(0) == 0 {
			l.quiet++
		}
		if tables.RunningTimer(k) != nil {
			l.timed++
			continue
		}
		if k.SendQ().Or(0) != 0 || k.RecvQ().Or(0) != 0 {
			continue
		}
		l.silent++
		l.examples = append(l.examples, k)
		if k.Peer != nil {
			l.paired++
			if l.far == nil {
				l.far = k.Peer
			}
			if o := k.Peer.Owner(); o != nil && l.back == nil {
				l.back = o
			}
		}
		if i := k.Info(); i != nil && i.LastRcvMS.Known && i.LastSndMS.Known {
			ages = append(ages, min(i.LastRcvMS.V, i.LastSndMS.V))
		}
	}
	if len(ages) > 0 {
		slices.Sort(ages)
		l.oldest, l.median = ages[len(ages)-1], ages[len(ages)/2]
	}
}

// findBackend counts the connections that the owner of a service opened itself.
func (l *leak) findBackend(groups []*tables.Group) {
	if l.Client || l.Owner == nil {
		return
	}
	for _, g := range groups {
		if !g.Client || g.Owner != l.Owner {
			continue
		}
		l.backs += len(g.Sockets)
		if l.backend == nil {
			l.backend = g // the largest comes first
		}
	}
}

// findFronts counts the clients of the process that opened the group. Where owners
// are unknown, every other service of the host may be the front. A process that
// connects to itself holds the other ends, too: these are no clients.
func (l *leak) findFronts(socks *join.Sockets, groups []*tables.Group) {
	if !l.Client || l.scattered() {
		return
	}
	for _, k := range socks.All {
		if k.Host == l.Host && k.Proto == "tcp" && k.State == fact.StateListen && l.mayServe(k) {
			l.proxy = true
		}
	}
	for _, g := range groups {
		if g.Client || g.Owner != l.Owner || g.Service == l.Service || l.Owner == nil && g.Service.Port() == l.Service.Port() {
			continue
		}
		l.proxy = true
		l.fronts += len(g.Sockets)
		if l.front == nil {
			l.front = g.Sockets[0]
		}
	}
}

// scattered reports whether connections without an owner come from several addresses.
// The kernel gives all that a process opens to one service the same, so these are
// clients of their own, as those of a load generator are, and no proxy's.
func (l *leak) scattered() bool {
	first := l.Sockets[0].Local.Addr()
	return l.Owner == nil && slices.ContainsFunc(l.Sockets, func(k *join.Socket) bool { return k.Local.Addr() != first })
}

// mayServe reports whether a listener can be the front of the group's owner. The one
// that the group leads to cannot.
func (l *leak) mayServe(k *join.Socket) bool {
	if k.Local.Port() == l.Service.Port() && (l.Owner == nil || l.far != nil) {
		return false
	}
	return l.Owner == nil || slices.Contains(k.Owners, l.Owner)
}

// findLimit finds the owner's limit of open files.
func (l *leak) findLimit(p *analyze.Pass) {
	owner := l.Process()
	if owner == nil {
		return
	}
	h := join.HostsOf(p)
	for m := range fact.All[fact.Limit](p.Facts) {
		if m.Name == "Max open files" && m.PID == owner.PID && h.Of(m.At) == l.Host {
			l.limit = m
		}
	}
}

// findGrowth finds a number of open handles that rises, and an earlier sample of
// the table.
func (l *leak) findGrowth(p *analyze.Pass, socks *join.Sockets) {
	l.grown = tables.Growing(p, l.Host, l.Process(), float64(l.quiet)/2, p.Threshold("growth"))
	for _, e := range socks.Earlier(l.Host, fact.StateEstablished) {
		l.earlier = e
		for _, r := range e.Rows {
			if r.State == fact.StateEstablished && l.sameGroup(r) {
				l.before++
			}
		}
		return
	}
}

// sameGroup reports whether an earlier row belongs to the group.
func (l *leak) sameGroup(r *fact.Socket) bool {
	end, port := r.Local, r.LocalPort
	if l.Client {
		end, port = r.Remote, r.RemotePort
	}
	ap, ok := join.ParseAddrPort(end + ":" + port)
	return ok && ap == l.Service
}
