package join

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Socket is one TCP or UDP socket of one host, joined from all tables of the
// latest moment that show it.
type Socket struct {
	Host  string
	Proto string
	// State is that of the richest table.
	State string
	// Local and Remote; a listener's Remote is not valid. Without -n a table prints
	// service names, and such rows cannot be joined: they are not here.
	Local, Remote netip.AddrPort
	// Rows are the rows that show it, richest table first.
	Rows []*fact.Socket
	// Owners are the processes that hold it.
	Owners []*Process
	// Peer is the socket at the other end when it is on the same host too.
	Peer *Socket

	in []*Table // where each of Rows stands
}

// Listening reports whether it is a TCP listener or an unconnected UDP socket.
func (s *Socket) Listening() bool {
	return s.State == fact.StateListen || s.Proto == "udp" && !s.Remote.IsValid()
}

// Row is the richest row.
func (s *Socket) Row() *fact.Socket { return s.Rows[0] }

// Owner is the first process that holds it, nil if unknown.
func (s *Socket) Owner() *Process {
	if len(s.Owners) == 0 {
		return nil
	}
	return s.Owners[0]
}

// Timer is the running timer, nil if none is shown. Whether its absence means
// anything depends on the table: see Table.Meta.HasTimers.
func (s *Socket) Timer() *fact.Timer {
	for _, r := range s.Rows {
		if r.Timer != nil {
			return r.Timer
		}
	}
	return nil
}

// RecvQ is the receive queue in bytes (for a listener: connections waiting), and
// SendQ the send queue (for a listener: the limit); unset if no table shows it.
func (s *Socket) RecvQ() fact.Int { return s.Row().RecvQ }

// SendQ is described at RecvQ.
func (s *Socket) SendQ() fact.Int { return s.Row().SendQ }

// Info is tcp_info of the first table that shows it, nil if none does.
func (s *Socket) Info() *fact.TCPInfo {
	for _, r := range s.Rows {
		if r.TCPInfo != nil {
			return r.TCPInfo
		}
	}
	return nil
}

// String is "local -> remote" or "local".
func (s *Socket) String() string {
	if !s.Remote.IsValid() {
		return s.Local.String()
	}
	return s.Local.String() + " -> " + s.Remote.String()
}

// Entity is the socket's identity.
func (s *Socket) Entity() analyze.Entity {
	return analyze.Entity{Kind: KindSocket, Key: keyed(s.Host, "%s", s), Name: s.String()}
}

// Table is one socket table with its rows.
type Table struct {
	Host string
	Meta *fact.SocketTable
	Rows []*fact.Socket
	// Moment numbers the moments of a host from 0: tables that were taken together
	// share one.
	Moment int

	shown []*Socket // see Sockets.Shown
}

// Sockets holds the socket tables of a bundle.
type Sockets struct {
	// Tables are in the order of their time, per host.
	Tables []*Table
	// All are the sockets of the latest moment of each host, sorted by host, local
	// and remote address.
	All []*Socket

	conns     map[connKey]*Socket
	listeners map[listenKey][]*Socket
	addrHost  map[netip.Addr]string
	hosts     *Hosts
	free      []Socket
}

type connKey struct {
	host, proto   string
	local, remote netip.AddrPort
}

type listenKey struct {
	host, proto string
	port        uint16
}

var sockets = analyze.Derived[*Sockets]{
	Name:  "sockets",
	Needs: []fact.Kind{"socket", "socket_table", "open_file", "host_info"},
	Build: buildSockets,
}

// SocketsOf returns the sockets of the bundle.
func SocketsOf(p *analyze.Pass) *Sockets { return sockets.Of(p) }

// Conn is the connected socket with these ends on a host, nil if unknown.
func (s *Sockets) Conn(host, proto string, local, remote netip.AddrPort) *Socket {
	return s.conns[connKey{host, proto, local, remote}]
}

// Mirror is the other end of a connection, on the same host or in the tables of
// another one; nil if none shows it.
func (s *Sockets) Mirror(k *Socket) *Socket {
	if k.Peer != nil || !k.Remote.IsValid() || k.Remote.Addr().IsLoopback() {
		return k.Peer
	}
	host, ok := s.HostOf(k.Remote.Addr())
	if !ok || host == k.Host {
		return nil
	}
	return s.Conn(host, k.Proto, k.Remote, k.Local)
}

// Listener is the socket that listens for connections to an address on a host:
// on that address itself, else on the unspecified one.
func (s *Sockets) Listener(host, proto string, at netip.AddrPort) *Socket {
	var wild *Socket
	for _, l := range s.listeners[listenKey{host, proto, at.Port()}] {
		if l.Local.Addr() == at.Addr() {
			return l
		}
		if l.Local.Addr().IsUnspecified() && (wild == nil || len(wild.Owners) == 0 || len(l.Owners) > 0) {
			wild = l // ss and netstat write a wildcard of both families differently
		}
	}
	return wild
}

// Listeners are all sockets that listen on a port of a host.
func (s *Sockets) Listeners(host, proto string, port uint16) []*Socket {
	return s.listeners[listenKey{host, proto, port}]
}

// HostOf is the host that has an address, by its sockets or interfaces. Loopback addresses are
// everybody's: ok is false for them.
func (s *Sockets) HostOf(a netip.Addr) (string, bool) {
	h, ok := s.addrHost[a]
	return h, ok
}

// CompleteListeners reports whether a host has a table that shows its listeners,
// and where, so that the absence of one means something.
func (s *Sockets) CompleteListeners(host string) (fact.Ref, bool) {
	for _, t := range slices.Backward(s.Tables) {
		if t.Host == host && t.Meta.HasListeners && t.Meta.Filter == "" {
			return t.Meta.At, true
		}
	}
	return fact.Ref{}, false
}

// Latest is the richest table of a host's latest moment, nil if it has none.
func (s *Sockets) Latest(host string) *Table {
	var best *Table
	for _, t := range s.Tables {
		if t.Host == host && (best == nil || t.Moment > best.Moment || t.Moment == best.Moment && t.richness() > best.richness()) {
			best = t
		}
	}
	return best
}

// richness orders tables of one moment: what a table can say more than others.
func (t *Table) richness() int {
	n := 0
	if t.Meta.Filter == FilterLsof {
		return n // it has no queues, and only what it was asked for
	}
	for i, has := range []bool{t.Meta.HasInfo, t.Meta.HasInodes, t.Meta.HasTimers, t.Meta.HasOwners, t.Meta.HasConnections && t.Meta.HasListeners, t.Meta.Numeric} {
		if has {
			n += 1 << i
		}
	}
	return n
}

func buildSockets(p *analyze.Pass) *Sockets {
	s := &Sockets{
		listeners: map[listenKey][]*Socket{},
		addrHost:  map[netip.Addr]string{}, hosts: HostsOf(p),
	}
	s.collectTables(p)
	s.setMoments(SamplesOf(p))
	ps := ProcessesOf(p)
	latest := map[string]int{}
	for _, t := range s.Tables {
		latest[t.Host] = max(latest[t.Host], t.Moment)
	}
	byRichness := slices.DeleteFunc(slices.Clone(s.Tables), func(t *Table) bool { return t.Moment != latest[t.Host] })
	slices.SortStableFunc(byRichness, func(a, b *Table) int { return cmp.Compare(b.richness(), a.richness()) })
	most := 0 // tables of one moment mostly show the same sockets
	for _, t := range byRichness {
		most = max(most, len(t.Rows))
	}
	s.conns = make(map[connKey]*Socket, most)
	held := buildHolders(p, s.hosts, ps)
	for _, t := range byRichness {
		for _, row := range t.Rows {
			s.merge(t, row, ps, held)
		}
	}
	s.addInterfaces(p)
	for _, k := range s.All {
		a := k.Remote.Addr()
		// An address that no socket here has, as most remote ones, needs no lookup.
		if _, ours := s.addrHost[a]; ours || a.IsLoopback() {
			k.Peer = s.conns[connKey{k.Host, k.Proto, k.Remote, k.Local}]
		}
	}
	s.sort()
	for _, k := range s.All {
		for _, t := range k.in {
			t.shown = append(t.shown, k)
		}
	}
	return s
}

// sort puts All into its order. Equal sockets keep theirs: by their place in it,
// which is several times faster than a stable sort.
func (s *Sockets) sort() {
	type placed struct {
		*Socket
		at int
	}
	all := make([]placed, len(s.All))
	for i, k := range s.All {
		all[i] = placed{k, i}
	}
	slices.SortFunc(all, func(a, b placed) int {
		if c := cmp.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		if c := a.Local.Compare(b.Local); c != 0 {
			return c
		}
		if c := a.Remote.Compare(b.Remote); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Proto, b.Proto); c != 0 {
			return c
		}
		return a.at - b.at
	})
	for i, k := range all {
		s.All[i] = k.Socket
	}
}

// collectTables gives each table its rows: those between its header and the next.
func (s *Sockets) collectTables(p *analyze.Pass) {
	byArtifact := map[fact.ID][]*Table{}
	for m := range fact.All[fact.SocketTable](p.Facts) {
		t := &Table{Host: s.hosts.Of(m.At), Meta: m}
		if !m.Unix { // its rows take no part in any join
			s.Tables = append(s.Tables, t)
		}
		byArtifact[m.At.Artifact] = append(byArtifact[m.At.Artifact], t)
	}
	for row := range fact.All[fact.Socket](p.Facts) {
		var of *Table
		for _, t := range byArtifact[row.At.Artifact] {
			if t.Meta.At.Line <= row.At.Line {
				of = t
			}
		}
		if of != nil {
			of.Rows = append(of.Rows, row)
		}
	}
}

// setMoments orders the tables of each host in time and numbers their moments.
func (s *Sockets) setMoments(order *Samples) {
	slices.SortStableFunc(s.Tables, func(a, b *Table) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), order.Compare(a.Meta.At.Artifact, b.Meta.At.Artifact), cmp.Compare(a.Meta.At.Line, b.Meta.At.Line))
	})
	for i, t := range s.Tables {
		if i == 0 || s.Tables[i-1].Host != t.Host {
			continue
		}
		prev := s.Tables[i-1]
		t.Moment = prev.Moment
		if sameTool(prev, t) && order.Apart(prev.Meta.At.Artifact, t.Meta.At.Artifact) {
			t.Moment++
		}
	}
}

// sameTool reports whether two tables come from the same command, so that the
// second can be a later sample of the first. ss and netstat taken together are
// one moment even when they took seconds.
func sameTool(a, b *Table) bool {
	return a.Meta.Tool == b.Meta.Tool && a.Meta.Filter == b.Meta.Filter &&
		a.Meta.HasListeners == b.Meta.HasListeners && a.Meta.HasConnections == b.Meta.HasConnections
}

// merge adds a row to the socket it shows.
func (s *Sockets) merge(t *Table, row *fact.Socket, ps *Processes, held holders) {
	host := t.Host
	if row.Proto != "tcp" && row.Proto != "udp" || row.Cut {
		return
	}
	local, ok := parseEnd(row.Local, row.LocalPort)
	if !ok {
		return
	}
	if a := local.Addr(); !a.IsLoopback() && !a.IsUnspecified() {
		if _, have := s.addrHost[a]; !have {
			s.addrHost[a] = host
		}
	}
	remote, ok := parseEnd(row.Remote, row.RemotePort)
	if !ok || remote.Port() == 0 {
		remote = netip.AddrPort{}
	}
	sock := s.find(host, row, local, remote)
	if sock == nil {
		sock = s.alloc()
		*sock = Socket{Host: host, Proto: row.Proto, State: row.State, Local: local, Remote: remote}
		s.All = append(s.All, sock)
		if remote.IsValid() {
			s.conns[connKey{host, row.Proto, local, remote}] = sock
		} else {
			key := listenKey{host, row.Proto, local.Port()}
			s.listeners[key] = append(s.listeners[key], sock)
		}
	}
	sock.Rows, sock.in = append(sock.Rows, row), append(sock.in, t)
	if sock.State == "" {
		sock.State = row.State // a table filtered by state drops the column
	}
	for _, o := range row.Owners {
		if pr := ps.Get(host, o.PID); pr != nil && !slices.Contains(sock.Owners, pr) {
			sock.Owners = append(sock.Owners, pr)
		}
	}
	for _, pr := range held.of(host, row) {
		if !slices.Contains(sock.Owners, pr) {
			sock.Owners = append(sock.Owners, pr)
		}
	}
}

// alloc hands out sockets of a chunk: a table may show a hundred thousand.
func (s *Sockets) alloc() *Socket {
	if len(s.free) == 0 {
		s.free = make([]Socket, 64)
	}
	k := &s.free[0]
	s.free = s.free[1:]
	return k
}

// find is the socket that a row of another table shows too. Within one table two
// equal rows are two sockets (SO_REUSEPORT listeners, two namespaces).
func (s *Sockets) find(host string, row *fact.Socket, local, remote netip.AddrPort) *Socket {
	fits := func(k *Socket) bool {
		return !slices.ContainsFunc(k.Rows, func(r *fact.Socket) bool { return r.At.Artifact == row.At.Artifact })
	}
	if remote.IsValid() {
		if k := s.conns[connKey{host, row.Proto, local, remote}]; k != nil && fits(k) {
			return k
		}
		return nil
	}
	for _, k := range s.listeners[listenKey{host, row.Proto, local.Port()}] {
		if k.Local == local && fits(k) {
			return k
		}
	}
	return nil
}

// Unaccepted reports whether a connection still waits in the accept queue of its
// listener: a table that names the listener's owner names none for it. An accepted
// socket keeps an owner until it is closed, and then leaves these two states.
func (s *Sockets) Unaccepted(k *Socket) bool {
	if k.Proto != "tcp" || len(k.Owners) > 0 || k.State != fact.StateEstablished && k.State != fact.StateCloseWait {
		return false
	}
	named := func(l *Socket) bool {
		return slices.ContainsFunc(k.in, func(t *Table) bool {
			r := l.RowIn(t)
			return r != nil && len(r.Owners) > 0
		})
	}
	return slices.ContainsFunc(s.Listeners(k.Host, "tcp", k.Local.Port()), func(l *Socket) bool {
		return (l.Local.Addr() == k.Local.Addr() || l.Local.Addr().IsUnspecified()) && l.RecvQ().Or(0) > 0 && named(l)
	})
}

// Cite is evidence at the socket's row.
func (s *Socket) Cite(format string, args ...any) analyze.Evidence {
	return analyze.Cite(s.Row().At, format, args...)
}

// Describe is one line about it for details.
func (s *Socket) Describe() string {
	owner := "no owner shown"
	if o := s.Owner(); o != nil {
		owner = o.String()
	}
	return fmt.Sprintf("%s %s %s (%s)", s.Proto, s, s.State, owner)
}
