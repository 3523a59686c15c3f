package wire

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

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

// rejections turns ICMP messages about a connection attempt into refusals.
func (x *Index) rejections(p *analyze.Pass) {
	open := map[[2]string][]*fact.Flow{}
	for _, f := range x.Flows {
		if !f.Established && x.byFlow[f] == nil {
			open[[2]string{f.Client, f.Server}] = append(open[[2]string{f.Client, f.Server}], f)
		}
	}
	for e := range fact.All[fact.ICMPError](p.Facts) {
		if !Rejection(e) {
			continue
		}
		for _, f := range open[[2]string{e.Src, e.Dst}] {
			if x.byFlow[f] == nil && !e.Time.Before(f.First) && e.Time.Sub(f.First) < time.Minute {
				x.add(&Case{Flow: f, Class: Refused, ICMP: e, FromServer: true})
			}
		}
	}
}

// Rejection reports whether an ICMP error is a firewall's or a host's no to a
// connection, rather than a missing route or a packet that is too big.
func Rejection(e *fact.ICMPError) bool {
	v6 := false
	if ap, ok := join.ParseAddrPort(e.Src); ok {
		v6 = ap.Addr().Is6()
	}
	if v6 {
		return e.Type == 1 && (e.Code == 1 || e.Code == 4)
	}
	return e.Type == 3 && slices.Contains([]int{2, 3, 9, 10, 13}, e.Code)
}

// fallbacks finds refusals on one address family that were followed by success on
// the other, as clients do that try both ("happy eyeballs").
func (x *Index) fallbacks() {
	byPort := map[portKey][]*fact.Flow{}
	for _, f := range x.Flows {
		if f.Established {
			k, _ := x.port(f)
			byPort[k] = append(byPort[k], f)
		}
	}
	for _, c := range x.Cases {
		if c.Class != Refused {
			continue
		}
		k, v4 := x.port(c.Flow)
		for _, f := range byPort[k] {
			_, other := x.port(f)
			if other != v4 && f.First.Sub(c.At()).Abs() <= fallbackWindow {
				c.Class = Fallback
				break
			}
		}
	}
}

// portKey is a port of a host, whatever the address.
type portKey struct {
	host string
	port uint16
}

// port is the port that a conversation goes to, and whether by IPv4.
func (x *Index) port(f *fact.Flow) (k portKey, v4 bool) {
	ap, _ := join.ParseAddrPort(f.Server)
	return portKey{x.hosts.Of(f.At), ap.Port()}, ap.Addr().Is4()
}

// scans finds sources that were refused on many ports.
func (x *Index) scans() {
	ports := map[string]map[string]bool{}
	source := func(c *Case) string {
		ap, _ := join.ParseAddrPort(c.Flow.Client)
		return x.hosts.Of(c.Flow.At) + "|" + ap.Addr().String()
	}
	for _, c := range x.Cases {
		if c.Class == Refused {
			if ports[source(c)] == nil {
				ports[source(c)] = map[string]bool{}
			}
			ports[source(c)][c.Flow.Server] = true
		}
	}
	for _, c := range x.Cases {
		if c.Class == Refused && len(ports[source(c)]) >= scanPorts {
			c.Class = Scan
		}
	}
}

// deaths marks connections that ended together because their server's process
// did: they end within a moment, and afterwards nobody is accepted any more.
func (x *Index) deaths() {
	for _, s := range x.Servers() {
		var ends []time.Time
		abnormal := 0
		for _, f := range s.Flows {
			c := x.byFlow[f]
			switch {
			case c != nil && c.mayDie():
				abnormal++
				ends = append(ends, first(f.ToClient.FINTime, c.At()))
			case f.Closer == "server" && f.ToClient.FIN && !f.ToClient.FINTime.IsZero():
				ends = append(ends, f.ToClient.FINTime)
			}
		}
		if abnormal == 0 {
			continue
		}
		slices.SortFunc(ends, time.Time.Compare)
		last := ends[len(ends)-1]
		at := last
		for i := len(ends) - 1; i >= 0 && last.Sub(ends[i]) <= deathWindow; i-- {
			at = ends[i]
		}
		switch refused, tried := x.after(s, last); {
		case refused:
		case tried || !x.vanished(s, ends, abnormal):
			continue
		}
		for _, f := range s.Flows {
			if c := x.byFlow[f]; c != nil && c.mayDie() && !first(f.ToClient.FINTime, c.At()).Before(at) {
				c.Class, c.Death = Abort, true
			}
		}
	}
}

// mayDie reports whether a case can be one of a dying process.
func (c *Case) mayDie() bool {
	return c.FromServer && (c.Class == Abort || c.Class == WriteAfterClose)
}

// first is the earlier of two times, the zero time counting as unknown.
func first(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// after says what became of the attempts after a moment: whether the next one was
// refused, and whether there was any.
func (x *Index) after(s *Server, at time.Time) (refused, tried bool) {
	for _, f := range s.Flows {
		if !f.First.After(at) {
			continue
		}
		tried = true
		if c := x.byFlow[f]; c != nil && c.Class == Refused {
			return true, true
		}
		if f.Established {
			return false, true
		}
	}
	return false, tried
}

// vanished is the judgement when nobody tried again: several connections end in
// one instant, as only the end of a process does, and not as others had ended all
// along; and no table shows that somebody listens.
func (x *Index) vanished(s *Server, ends []time.Time, abnormal int) bool {
	last := ends[len(ends)-1]
	n := 0
	for n < len(ends) && last.Sub(ends[len(ends)-1-n]) <= deathInstant {
		n++
	}
	if n < deathFlows || n*2 <= abnormal {
		return false
	}
	ap, ok := join.ParseAddrPort(s.Addr)
	return ok && x.sockets.Listener(s.Host, "tcp", ap) == nil
}

// idleTimeouts finds connections that die after one silence. A RST that comes out
// of the silence measures the timer itself; one that answers the next packet, or
// no answer at all, only bounds it, so that survivors of longer silences refute it.
func (x *Index) idleTimeouts() {
	byPeer := map[string][]*Case{}
	var keys []string
	put := func(c *Case) {
		ap, _ := join.ParseAddrPort(c.Culprit())
		k := x.key(c.Flow.At, netip.AddrPortFrom(ap.Addr(), 0).String())
		if byPeer[k] == nil {
			keys = append(keys, k)
		}
		byPeer[k] = append(byPeer[k], c)
	}
	for _, c := range x.Cases {
		if g, ok := c.gapBefore(c.Flow.ToServer.LastDataFrame); ok && c.Class == Abort && c.lastMoment() {
			c.Provoked, c.Idle, c.IdleFrame = true, g.Duration, g.BeforeFrame
			put(c)
		} else if c.spontaneous() || c.provokedIdle() {
			put(c)
		}
	}
	for _, f := range x.Flows {
		if x.byFlow[f] != nil {
			continue
		}
		if c := silent(f); c != nil {
			put(c)
		}
	}
	for _, k := range keys {
		var timed, bounded []*Case
		for _, c := range byPeer[k] {
			if c.Provoked {
				bounded = append(bounded, c)
			} else {
				timed = append(timed, c)
			}
		}
		for _, c := range cluster(timed, idleSpread, 100*time.Millisecond) {
			c.Class = IdleTimeout
		}
		x.boundedIdle(bounded)
	}
}

// boundedIdle decides about connections on which the first packet after a silence
// met a RST or nothing. A peer that was restarted looks the same, but takes all
// connections with it: for a timer, some must survive shorter silences, and some
// older one must go on after the first death.
func (x *Index) boundedIdle(cases []*Case) {
	if len(cases) < idleFlows {
		return
	}
	shortest, death := cases[0].Idle, cases[0].At()
	for _, c := range cases {
		shortest, death = min(shortest, c.Idle), first(death, c.At())
	}
	goesOn := false
	seen := map[*Server]bool{}
	for _, c := range cases {
		s := x.Server(c.Flow)
		if seen[s] {
			continue
		}
		seen[s] = true
		d, _, _ := x.Survived(s)
		if d < minIdle || d >= shortest {
			return
		}
		for _, f := range s.Flows {
			goesOn = goesOn || f.First.Before(death) && f.ToServer.LastData.After(death) && f.ToClient.LastData.After(death)
		}
	}
	if !goesOn {
		return
	}
	for _, c := range cases {
		if c.Class == None {
			x.add(c)
		}
		c.Class = IdleTimeout
	}
}

// Survived is the longest silence after which a conversation with a server went
// on, and where it stands.
func (x *Index) Survived(s *Server) (longest time.Duration, f *fact.Flow, gap *fact.Gap) {
	if s == nil {
		return 0, nil, nil
	}
	for _, fl := range s.Flows {
		for i := range fl.Idle {
			g := &fl.Idle[i]
			if g.Duration <= longest || g.EndedBy != "data" || !survived(fl, g) {
				continue
			}
			longest, f, gap = g.Duration, fl, g
		}
	}
	return longest, f, gap
}

// survived reports whether the other side said something after the silence that
// was no RST.
func survived(f *fact.Flow, g *fact.Gap) bool {
	for _, r := range f.Resets {
		if r.AfterFrame == g.AfterFrame || r.Frame == g.AfterFrame {
			return false
		}
	}
	if g.EndedFrom == "server" {
		return f.ToServer.LastFrame > g.AfterFrame
	}
	// A bare ACK to the first payload is no sign of life: the RST may follow it.
	return f.ToClient.LastDataFrame > g.AfterFrame
}

// cluster is the largest set of cases whose silences differ by no more than the
// spread, if it is large enough.
func cluster(cases []*Case, spread float64, slack time.Duration) []*Case {
	sorted := slices.Clone(cases)
	slices.SortStableFunc(sorted, func(a, b *Case) int { return cmp.Compare(a.Idle, b.Idle) })
	var best []*Case
	j := 0
	for i := range sorted {
		limit := sorted[i].Idle + time.Duration(float64(sorted[i].Idle)*spread) + slack
		for j < len(sorted) && sorted[j].Idle <= limit {
			j++
		}
		if j-i > len(best) {
			best = sorted[i:j]
		}
	}
	if len(best) < idleFlows {
		return nil
	}
	return best
}

// races tells requests that crossed the end of an idle connection from writes of a
// client that ignores it, and from other aborts. A request that arrives just
// before the close lies unread in the server's queue, and then the close is a RST
// without any FIN; that it was the same timer shows in the silence that it has in
// common with connections that the server ended with FIN.
func (x *Index) races() {
	for _, s := range x.Servers() {
		var fins []ending
		var unread []*Case
		for _, f := range s.Flows {
			c := x.byFlow[f]
			switch {
			case c != nil && c.Class == WriteAfterClose && c.Crossed && c.Idle >= minIdle && f.Turns.Answers >= 1:
				c.Class = KeepaliveRace
				fins = append(fins, ending{c.Idle, f.ToClient.FINTime})
			case c != nil && c.Class == Abort && c.lastMoment():
				unread = append(unread, c)
			default:
				for _, g := range f.Idle {
					if f.ToClient.FIN && g.AfterFrame == f.ToClient.FINFrame && g.Duration >= minIdle {
						fins = append(fins, ending{g.Duration, f.ToClient.FINTime})
					}
				}
			}
		}
		if len(unread) > 0 {
			unreadRaces(fins, unread)
		}
	}
}

// ending is a silence that a server ended with FIN, and when.
type ending struct {
	silence time.Duration
	at      time.Time
}

// unreadRaces judges requests that lay unread when the server closed. A process
// that exits ends all its connections with FIN at one moment, after any silence:
// only endings at different times show a timer.
func unreadRaces(fins []ending, unread []*Case) {
	slices.SortFunc(fins, func(a, b ending) int { return cmp.Compare(a.silence, b.silence) })
	all := make([]time.Duration, 0, len(fins)+len(unread))
	for _, e := range fins {
		all = append(all, e.silence)
	}
	for _, c := range unread {
		all = append(all, c.silence())
	}
	slices.Sort(all)
	for _, c := range unread {
		d := c.silence()
		slack := crossing + time.Duration(idleSpread*float64(d))
		i, _ := slices.BinarySearchFunc(fins, d-slack, func(e ending, d time.Duration) int { return cmp.Compare(e.silence, d) })
		var earliest, latest time.Time
		for ; i < len(fins) && fins[i].silence <= d+slack && latest.Sub(earliest) <= deathWindow; i++ {
			earliest = first(earliest, fins[i].at)
			if fins[i].at.After(latest) {
				latest = fins[i].at
			}
		}
		if latest.Sub(earliest) > deathWindow && count(all, d-slack, d+slack) >= idleFlows {
			c.Idle, c.Class, c.Crossed = d, KeepaliveRace, true
		}
	}
}

// count is how many of sorted durations lie between two, both included.
func count(sorted []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(sorted, from)
	j, _ := slices.BinarySearch(sorted, to+1)
	return j - i
}

// TTL is the TTL that packets of an address usually carry in one capture, from
// conversations in which it sent more than resets; zero if there are none.
func (x *Index) TTL(capture fact.ID, addr netip.Addr) int {
	x.ttlOnce.Do(func() {
		counts := map[ttlKey]map[int]int64{}
		add := func(f *fact.Flow, end string, d *fact.Direction, resets int64) {
			ap, ok := join.ParseAddrPort(end)
			if !ok || d.TTL == 0 || d.Packets-resets < usualPackets {
				return
			}
			k := ttlKey{f.At.Artifact, ap.Addr()}
			if counts[k] == nil {
				counts[k] = map[int]int64{}
			}
			counts[k][d.TTL] += d.Packets
		}
		for _, f := range x.Flows {
			resets := int64(len(f.Resets))
			add(f, f.Server, &f.ToClient, resets)
			add(f, f.Client, &f.ToServer, resets)
		}
		x.ttls = map[ttlKey]int{}
		for k, by := range counts {
			for ttl, n := range by {
				best := by[x.ttls[k]]
				if n > best || n == best && ttl < x.ttls[k] {
					x.ttls[k] = ttl
				}
			}
		}
	})
	return x.ttls[ttlKey{capture, addr}]
}

type ttlKey struct {
	capture fact.ID
	addr    netip.Addr
}
