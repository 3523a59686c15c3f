package join

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// End is one end of a conversation: an address and who stood behind it.
type End struct {
	Addr netip.AddrPort
	// Host is the host of that address, "" where unknown or the only one; Known
	// says whether the bundle shows that host's sockets.
	Host  string
	Known bool
	// Process is nil when nothing names it. Link says how it was found.
	Process *Process
	Link    Link
	// At is the position that ties the process to the address.
	At fact.Ref
	// Socket is the socket of a table, nil if no table shows it.
	Socket *Socket
}

// Entities are the identities of the end: its endpoint and, if known, process.
func (e End) Entities() []analyze.Entity {
	out := []analyze.Entity{Endpoint(e.Host, e.Addr)}
	if e.Process != nil {
		out = append(out, e.Process.Entity())
	}
	return out
}

// String is "127.0.0.1:8124 (process 1527 (node))" or just the address.
func (e End) String() string {
	if e.Process == nil {
		return e.Addr.String()
	}
	return e.Addr.String() + " (" + e.Process.Brief() + ")"
}

// Flows finds who stands at the ends of conversations.
type Flows struct {
	hosts   *Hosts
	sockets *Sockets
	procs   *Processes
	stated  map[connKey]statement // a log's or lsof's word for an address
	opens   map[connKey]statement
}

// statement is a process that another artifact ties to an address.
type statement struct {
	pid  int
	at   fact.Ref
	by   string
	sure analyze.Confidence
}

var flows = analyze.Derived[*Flows]{
	Name:  "flows",
	Needs: []fact.Kind{"open_file", "log_event", "log"},
	Build: buildFlows,
}

// FlowsOf returns what is known about the ends of conversations.
func FlowsOf(p *analyze.Pass) *Flows { return flows.Of(p) }

func buildFlows(p *analyze.Pass) *Flows {
	f := &Flows{hosts: HostsOf(p), sockets: SocketsOf(p), procs: ProcessesOf(p), stated: map[connKey]statement{}, opens: map[connKey]statement{}}
	for of := range fact.All[fact.OpenFile](p.Facts) {
		f.openFile(of)
	}
	writers := map[fact.ID]int{}
	for l := range fact.All[fact.Log](p.Facts) {
		if len(l.PIDs) == 1 {
			writers[l.At.Artifact] = l.PIDs[0]
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if slices.Contains(e.Signs, fact.SignListen) && e.Errno == "" {
			f.listenLog(e, writers[e.At.Artifact])
		}
	}
	return f
}

// openFile reads the addresses of an lsof row: "a:p->b:p (ESTABLISHED)", "*:p (LISTEN)".
func (f *Flows) openFile(of *fact.OpenFile) {
	if of.Type != "IPv4" && of.Type != "IPv6" {
		return
	}
	name, _, _ := strings.Cut(of.Name, " ")
	from, to, connected := strings.Cut(name, "->")
	local, ok := ParseAddrPort(from)
	if !ok {
		return
	}
	host := f.hosts.Of(of.At)
	key := connKey{host: host, proto: strings.ToLower(of.Node), local: local}
	if connected {
		if key.remote, ok = ParseAddrPort(to); !ok {
			return
		}
	}
	if _, have := f.opens[key]; !have {
		f.opens[key] = statement{pid: of.PID, at: of.At, by: "its open file", sure: analyze.Confirmed}
	}
}

// listenLog takes "listening on ADDR" from a log whose writer is known.
func (f *Flows) listenLog(e *fact.LogEvent, writer int) {
	pid := writer
	switch {
	case e.PID.Known:
		pid = int(e.PID.V)
	case len(e.PIDs) == 1:
		pid = e.PIDs[0]
	}
	if pid == 0 {
		return
	}
	listens := e.Listens
	if len(listens) == 0 {
		listens = e.Addresses
	}
	for _, a := range listens {
		if local, ok := ParseAddrPort(a); ok {
			key := connKey{host: f.hosts.Of(e.At), proto: "tcp", local: local}
			if _, have := f.stated[key]; !have {
				f.stated[key] = statement{pid: pid, at: e.At, by: "its log says that it listens there", sure: analyze.Likely}
			}
		}
	}
}

// Server is the server's end of a flow: who holds the exact connection, else who
// listens for it.
func (f *Flows) Server(fl *fact.Flow) End { return f.end(fl, fl.Server(), fl.Client(), true) }

// Client is the client's end of a flow.
func (f *Flows) Client(fl *fact.Flow) End { return f.end(fl, fl.Client(), fl.Server(), false) }

func (f *Flows) end(fl *fact.Flow, l, r netip.AddrPort, server bool) End {
	host := f.hosts.Of(fl.Ref())
	if h, ok := f.sockets.HostOf(l.Addr()); ok {
		host = h
	}
	e := f.at(host, fl.Proto(), l, r, server)
	if e.Link.Sure == analyze.Confirmed && e.Socket != nil && e.Socket.State == fact.StateEstablished && over(fl) {
		// The table is older than the end of the connection, or its port was used again.
		e.Link.Sure, e.Link.By = analyze.Likely, e.Link.By+", which is over in the capture"
	}
	return e
}

// over reports whether the capture shows the end of a connection.
func over(fl *fact.Flow) bool {
	return len(fl.Resets()) > 0 || fl.ToServer.FIN && fl.ToClient.FIN
}

// At is who stands behind an address of a host: a listener, or who a log or lsof
// says it is.
func (f *Flows) At(host, proto string, at netip.AddrPort) End {
	if h, ok := f.sockets.HostOf(at.Addr()); ok {
		host = h
	}
	return f.at(host, proto, at, netip.AddrPort{}, true)
}

func (f *Flows) at(host, proto string, l, r netip.AddrPort, server bool) End {
	e := End{Addr: l, Host: host}
	_, e.Known = f.sockets.HostOf(l.Addr())
	if l.Addr().IsLoopback() {
		_, e.Known = f.sockets.CompleteListeners(host)
	}
	if r.IsValid() {
		if s := f.sockets.Conn(host, proto, l, r); s != nil {
			e.Socket = s
			if s.Owner() != nil {
				return e.owned(s.Owner(), ownerRow(s), "the same connection in "+string(s.Row().At.Artifact), analyze.Confirmed)
			}
		}
		if st, ok := f.opens[connKey{host, proto, l, r}]; ok {
			return e.stated(f.procs, st)
		}
	}
	if !server || !e.Known && f.own(host, r) {
		// A host's own client talks to an address that is not the host's: who listens
		// on that port here does not matter.
		return e
	}
	if s := f.sockets.Listener(host, proto, l); s != nil {
		if e.Socket == nil {
			e.Socket = s
		}
		if s.Owner() != nil {
			return e.owned(s.Owner(), ownerRow(s), "the listener on port "+strconv.Itoa(int(l.Port()))+" in "+string(s.Row().At.Artifact), analyze.Likely)
		}
	}
	wild := netip.AddrPortFrom(netip.IPv4Unspecified(), l.Port())
	wild6 := netip.AddrPortFrom(netip.IPv6Unspecified(), l.Port())
	for _, at := range []netip.AddrPort{l, wild, wild6} {
		for _, known := range []map[connKey]statement{f.opens, f.stated} {
			if st, ok := known[connKey{host: host, proto: proto, local: at}]; ok {
				return e.stated(f.procs, st)
			}
		}
	}
	return f.byCommand(e, host)
}

// own reports whether an address is one of the host's, loopback left out.
func (f *Flows) own(host string, a netip.AddrPort) bool {
	h, ok := f.sockets.HostOf(a.Addr())
	return ok && h == host
}

// byCommand falls back on command lines: the only process of the host that names
// the address and port among its arguments. A client may name it too, so a match
// is only possible, and two are none.
func (f *Flows) byCommand(e End, host string) End {
	var found *Process
	for _, pr := range f.procs.OnHost(host) {
		if slices.ContainsFunc(strings.Fields(pr.Command), func(a string) bool { return strings.HasSuffix(a, e.Addr.String()) }) {
			if found != nil {
				return e
			}
			found = pr
		}
	}
	if found == nil {
		return e
	}
	at, _ := found.Cite()
	return e.owned(found, at, "its command line names the address", analyze.Possible)
}

// ownerRow is the row that names the socket's owner.
func ownerRow(s *Socket) fact.Ref {
	for _, r := range s.Rows {
		if len(r.Owners) > 0 {
			return r.At
		}
	}
	return s.Row().At
}

func (e End) owned(pr *Process, at fact.Ref, by string, sure analyze.Confidence) End {
	e.Process, e.At, e.Link = pr, at, Link{By: by, Sure: sure}
	return e
}

func (e End) stated(ps *Processes, st statement) End {
	pr := ps.Get(e.Host, st.pid)
	if pr == nil {
		pr = &Process{Host: e.Host, PID: st.pid, At: []fact.Ref{st.at}, prefix: ps.hosts.Prefix(e.Host)}
	}
	return e.owned(pr, st.at, st.by, st.sure)
}
