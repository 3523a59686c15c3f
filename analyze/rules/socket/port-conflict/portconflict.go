// Package portconflict finds ports that another program holds than the one which
// should serve them.
package portconflict

import (
	"cmp"
	"context"
	_ "embed"
	"net/netip"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds ports that another program holds than the one which should serve them.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/port-conflict", Title: "port held by another program", Doc: doc, Severity: analyze.High,
		After: []string{logRule},
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket", "log_event", "log", "audit_event", "expected", "deviation"},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/exec-maxbuffer", Via: join.KindProcess, Why: "the killed shell left its service behind, which keeps the port"},
			{Rule: "process/orphans", Via: join.KindProcess, Why: "an orphaned instance keeps the port"},
			{Rule: "process/signal-sender", Via: join.KindProcess, Why: "the signal hit only a part of the process tree; what is left keeps the port"},
			{Rule: "process/supervisor-stop", Via: join.KindProcess, Why: "the stop hit only a part of the process tree; what is left keeps the port"},
			{Rule: "process/operator-kill", Via: join.KindProcess, Why: "the kill hit only a part of the process tree; what is left keeps the port"},
		},
		Run: run,
	}
}

// logRule reports every log that complains; a complaint that is settled here is
// explained by what was found.
const logRule = "log/resource-errno"

// conflict is one port that one program wanted and another one has.
type conflict struct {
	host     string
	port     uint16
	want     netip.AddrPort // as the log says it
	events   []*fact.LogEvent
	victims  []join.Opener
	listener *join.Socket
	owner    *join.Process // nil where no table names it
	same     bool          // owner and victim run the same program
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	list := complaints(p)
	for _, c := range list {
		if c.settle(p, socks) {
			report(p, c)
		}
	}
	double(p, socks, list)
	unexpected(p, socks, list)
	judged := false
	for _, host := range tables.Hosts(socks) {
		judged = judged || socks.Showing(host, fact.StateListen) != nil
	}
	if !judged {
		p.Skip("no table shows listeners", "ss -tlnp > ss_tlnp.txt")
	}
	return nil
}

// complaints groups EADDRINUSE lines by host and port.
func complaints(p *analyze.Pass) []*conflict {
	type key struct {
		host string
		port uint16
	}
	h, writers := join.HostsOf(p), join.OpenersOf(p)
	by := map[key]*conflict{}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno != "EADDRINUSE" || e.Syscall == "connect" {
			continue
		}
		at, ok := wanted(p, e)
		if !ok {
			continue
		}
		id := key{h.Of(e.At), at.Port()}
		c := by[id]
		if c == nil {
			c = &conflict{host: id.host, port: id.port, want: at}
			by[id] = c
		}
		c.events = append(c.events, e)
		if w, ok := writers.WriterOf(e); ok && !slices.ContainsFunc(c.victims, func(v join.Opener) bool { return v.Process == w.Process }) {
			c.victims = append(c.victims, w)
		}
	}
	var out []*conflict
	for _, c := range by {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *conflict) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port)) })
	return out
}

// wanted is the address that the writer could not have. Where the line names none,
// it is the only listener of another program whose port the writer's command line
// names.
func wanted(p *analyze.Pass, e *fact.LogEvent) (netip.AddrPort, bool) {
	for _, a := range e.Addresses {
		if ap, ok := join.ParseAddrPort(a); ok && ap.Port() != 0 {
			return ap, true
		}
	}
	w, ok := join.OpenersOf(p).WriterOf(e)
	if !ok {
		return netip.AddrPort{}, false
	}
	var found, shared []netip.AddrPort
	for _, k := range join.SocketsOf(p).All {
		at := k.Local
		if k.Host != w.Process.Host || k.State != fact.StateListen || slices.Contains(k.Owners, w.Process) || !namesPort(w.Process.Command, at.Port()) {
			continue
		}
		samePort := func(o netip.AddrPort) bool { return o.Port() == at.Port() }
		switch {
		case siblingNames(p, w.Process, at.Port()):
			shared = append(shared, at) // a service that all instances use
		case !slices.ContainsFunc(found, samePort):
			found = append(found, at)
		}
	}
	if len(found) == 0 && len(shared) == 1 {
		found = shared
	}
	if len(found) != 1 {
		return netip.AddrPort{}, false
	}
	return found[0], true
}

// siblingNames reports whether another instance of the program names the port too.
func siblingNames(p *analyze.Pass, pr *join.Process, port uint16) bool {
	for _, o := range join.ProcessesOf(p).OnHost(pr.Host) {
		if o != pr && o.Name() == pr.Name() && namesPort(o.Command, port) {
			return true
		}
	}
	return false
}

// settle finds who has the port and decides whether it is a conflict.
func (c *conflict) settle(p *analyze.Pass, socks *join.Sockets) bool {
	listeners := socks.Listeners(c.host, "tcp", c.port)
	for _, k := range listeners {
		if c.listener == nil || c.listener.Owner() == nil && k.Owner() != nil {
			c.listener = k
		}
	}
	if c.listener == nil {
		p.Note("port %d: %s with EADDRINUSE, but no table shows a listener on it", c.port, join.Count(len(c.events), "log line"))
		return false
	}
	c.owner = c.listener.Owner()
	if at, ok := c.resolved(p); ok {
		p.Note("port %d: the program got it in the end (%s)", c.port, at)
		return false
	}
	if c.owner == nil {
		return true
	}
	// A process that complains about its own port has tried again and succeeded.
	c.victims = slices.DeleteFunc(c.victims, func(v join.Opener) bool { return v.Process == c.owner })
	for _, v := range c.victims {
		c.same = c.same || sameProgram(v.Process, c.owner)
	}
	c.same = c.same || c.sharesLog(p)
	if c.same && len(c.victims) == 0 && tables.OtherFamily(socks, c.host, c.want) != nil {
		p.Note("port %d: %s has it already, by an address of the other family", c.port, c.owner)
		return false
	}
	w, ok := join.OpenersOf(p).Writer(c.events[0].At.Artifact)
	if ok && w.Process == c.owner && len(c.victims) == 0 {
		p.Note("port %d: its owner, %s, wrote the line itself and has the port now", c.port, c.owner)
		return false
	}
	return true
}

// resolved finds a line of the same log, after the last complaint, that says it
// listens on the port now.
func (c *conflict) resolved(p *analyze.Pass) (fact.Ref, bool) {
	last := c.events[len(c.events)-1]
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.At.Artifact != last.At.Artifact || e.At.Line <= last.At.Line || e.Errno != "" || !slices.Contains(e.Signs, fact.SignListen) {
			continue
		}
		for _, a := range e.Addresses {
			if ap, ok := join.ParseAddrPort(a); ok && ap.Port() == c.port {
				return e.At, true
			}
		}
	}
	return fact.Ref{}, false
}

// sharesLog reports whether the owner writes to the log that complains, or the log
// is called like it: then both are instances of one service.
func (c *conflict) sharesLog(p *analyze.Pass) bool {
	if join.CalledLike(c.owner, c.events[0].At.Artifact) {
		return true
	}
	for l := range fact.All[fact.Log](p.Facts) {
		if l.At.Artifact == c.events[0].At.Artifact && slices.Contains(l.PIDs, c.owner.PID) {
			return true
		}
	}
	return false
}

// sameProgram reports whether two processes are instances of one program: the same
// script or executable.
func sameProgram(a, b *join.Process) bool {
	return a.Name() != "" && a.Name() == b.Name() && (a.Command == b.Command || !a.Interpreted() || a.Command == "" || b.Command == "" || scriptOf(a) == scriptOf(b))
}
