package portconflict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// scriptOf is the first argument with a path or an extension: what an interpreter
// runs, with its directory.
func scriptOf(p *join.Process) string {
	f := strings.Fields(p.Command)
	for _, w := range f[min(1, len(f)):] {
		if !strings.HasPrefix(w, "-") {
			return w
		}
	}
	return ""
}

// namesPort reports whether a command line names a port: as a word of its own or
// behind a colon or an equals sign.
func namesPort(command string, port uint16) bool {
	words := strings.FieldsFunc(command, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '=' || r == ':' || r == ',' || r == '/'
	})
	return slices.Contains(words, strconv.Itoa(int(port)))
}

// maxVictims is how many processes that could not have the port are named.
const maxVictims = 3

func report(p *analyze.Pass, c *conflict) {
	h := join.HostsOf(p)
	f := analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Entities: []analyze.Entity{join.Port(c.host, int(c.port)), join.Endpoint(c.host, c.listener.Local)},
		Fix: "Stop the program that holds the port, or give one of the two another port; then restart the one that could not listen. A service that cannot bind its port " +
			"should exit with an error instead of going on without it, so that its supervisor and health checks notice.",
		Next: []string{fmt.Sprintf("ss -tlnp 'sport = :%d'", c.port)},
	}
	if c.want != c.listener.Local {
		f.Entities = append(f.Entities, join.Endpoint(c.host, c.want))
	}
	victim := "a program"
	if len(c.victims) > 0 {
		victim = c.victims[0].Process.String()
		if n := len(c.victims) - 1; n > 0 {
			victim += fmt.Sprintf(" and %d more", n)
		}
		for _, v := range c.victims[:min(len(c.victims), maxVictims)] {
			f.Entities = append(f.Entities, v.Process.Entity())
		}
	} else {
		f.Confidence = f.Confidence.Lower()
	}
	log := c.events[0].At.Artifact
	switch {
	case c.owner == nil:
		f.Subject = fmt.Sprintf("%sport %d", h.Prefix(c.host), c.port)
		f.Title = fmt.Sprintf("Port %d is taken: %s cannot listen there (EADDRINUSE in %s)", c.port, victim, log)
		f.Confidence = analyze.Likely
		f.Missing = append(f.Missing, "who holds the port: the tables name no owner")
	default:
		f.Subject = fmt.Sprintf("%sport %d, held by process %d (%s)", h.Prefix(c.host), c.port, c.owner.PID, c.owner.Name())
		f.Title = fmt.Sprintf("Port %d is held by %s: %s cannot listen there (EADDRINUSE in %s)", c.port, c.owner, victim, log)
		f.Entities = append(f.Entities, c.owner.Entity())
	}
	if c.same {
		// The port is where it should be; what is too many is the instance.
		f.Subject = c.owner.String()
		// An earlier instance is a leftover of something else that went wrong.
		f.Severity = analyze.Medium
		f.Next = append(f.Next, "ps axjf > ps_axjf_1.txt before the next restart, and again after it: whose child the earlier instance was, and is")
		if !p.Facts.Has("audit_event") {
			f.Next = append(f.Next, analyze.HowToCollect("audit_event"))
		}
		f.Fix = "Stop the earlier instance, and find out why it outlived its restart: stop the whole process group or control group, not only its first process."
	}
	f.Detail = c.detail(p)
	f.Evidence = c.evidence(p)
	clocks := join.ClocksOf(p)
	first, last := c.events[0], c.events[len(c.events)-1]
	f.From, _, _ = clocks.UTC(first.At.Artifact, first.Time)
	f.To, _, _ = clocks.UTC(last.At.Artifact, last.Time)
	p.Report(f)
	for _, effect := range p.Findings(logRule) {
		if slices.ContainsFunc(effect.Evidence, func(e analyze.Evidence) bool {
			return slices.ContainsFunc(c.events, func(own *fact.LogEvent) bool { return own.At == e.Ref })
		}) {
			p.Explains(p.IDOf(f.Subject), effect.ID)
		}
	}
}

func (c *conflict) detail(p *analyze.Pass) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %s EADDRINUSE (address already in use) for %s.", join.Count(len(c.events), "log line"), tables.Verb(len(c.events), "report"), c.want)
	switch {
	case c.owner == nil:
		fmt.Fprintf(b, " The table shows a listener on %s without naming its owner.", c.listener.Local)
	case c.same:
		fmt.Fprintf(b, " The listener on %s belongs to %s, another instance of the same program.", c.listener.Local, c.owner.Describe())
	default:
		fmt.Fprintf(b, " The listener on %s belongs to another program (%s).", c.listener.Local, c.owner.Describe())
	}
	for i, v := range c.victims {
		if i == maxVictims {
			fmt.Fprintf(b, "\n\n%d more could not have it either.", len(c.victims)-maxVictims)
			break
		}
		fmt.Fprintf(b, "\n\nIt was wanted by %s (%s).", v.Process.Describe(), v.Link.By)
	}
	if clients := c.clients(p); len(clients) > 0 && !c.same {
		fmt.Fprintf(b, "\n\nWhoever connects to the port reaches the program that holds it: %s did.", strings.Join(clients, ", "))
	}
	return b.String()
}

// clients are processes with a connection to the port.
func (c *conflict) clients(p *analyze.Pass) []string {
	var out []string
	for _, k := range join.SocketsOf(p).All {
		if k.Host != c.host || k.Local.Port() != c.port || k.Peer == nil {
			continue
		}
		if o := k.Peer.Owner(); o != nil && !slices.Contains(out, o.String()) {
			out = append(out, o.String())
		}
	}
	slices.Sort(out)
	const most = 4
	if len(out) > most {
		out = append(out[:most], fmt.Sprintf("%d more", len(out)-most))
	}
	return out
}

func (c *conflict) evidence(p *analyze.Pass) []analyze.Evidence {
	clocks := join.ClocksOf(p)
	e := c.events[0]
	out := []analyze.Evidence{clocks.Date(analyze.Cite(e.At, "%s cannot listen: the address is in use", c.want), e.Time)}
	row := tables.OwnerRow(c.listener)
	note := "who listens on the port"
	if c.owner != nil {
		note = fmt.Sprintf("%s listens on %s", c.owner, c.listener.Local)
	}
	out = append(out, analyze.Cite(row.At, "%s", note))
	if c.owner != nil && len(c.owner.Rows) > 0 {
		out = append(out, analyze.Cite(c.owner.Rows[0].At, "the program that holds the port"))
	}
	for i, v := range c.victims {
		if i < 2 && len(v.Process.Rows) > 0 {
			out = append(out, analyze.Cite(v.Process.Rows[0].At, "the program that wanted it"))
		}
	}
	for _, r := range c.listener.Rows {
		if r != row && len(r.Owners) > 0 {
			out = append(out, analyze.Cite(r.At, "another table with the same owner"))
			break
		}
	}
	return append(out, c.consequences(p)...)
}

// consequences are the first lines of other logs that complain about the address.
func (c *conflict) consequences(p *analyze.Pass) []analyze.Evidence {
	clocks := join.ClocksOf(p)
	var out []analyze.Evidence
	seen := map[fact.ID]bool{}
	for _, e := range c.events {
		seen[e.At.Artifact] = true
	}
	h := join.HostsOf(p)
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if len(out) == 3 || seen[e.At.Artifact] || h.Of(e.At) != c.host || !slices.Contains(e.Signs, fact.SignError) && !slices.Contains(e.Signs, fact.SignTimeout) {
			continue
		}
		for _, a := range e.Addresses {
			ap, ok := join.ParseAddrPort(a)
			if ok && ap.Port() == c.port {
				seen[e.At.Artifact] = true
				out = append(out, clocks.Date(analyze.Cite(e.At, "a client of the port complains"), e.Time))
				break
			}
		}
	}
	return out
}

// double reports two programs that listen on one port at different addresses, so
// that the address decides which of them a client reaches.
func double(p *analyze.Pass, socks *join.Sockets, known []*conflict) {
	for i, a := range socks.All {
		if a.Proto != "tcp" || a.State != fact.StateListen || a.Owner() == nil {
			continue
		}
		if slices.ContainsFunc(known, func(c *conflict) bool { return c.host == a.Host && c.port == a.Local.Port() }) {
			continue
		}
		for _, b := range socks.All[i+1:] {
			if b.Proto != "tcp" || b.State != fact.StateListen || !overlap(a, b) {
				continue
			}
			reportDouble(p, a, b)
			break
		}
	}
}

// overlap reports whether a client of one listener could have meant the other:
// the same port on the same host, other programs, and addresses that a name like
// localhost or the wildcard makes exchangeable.
func overlap(a, b *join.Socket) bool {
	x, y := a.Owner(), b.Owner()
	if a.Host != b.Host || a.Local.Port() != b.Local.Port() || y == nil || x == y || slices.Contains(b.Owners, x) {
		return false
	}
	if sameProgram(x, y) || x.Comm != "" && x.Comm == y.Comm || x.IsAncestorOf(y) || y.IsAncestorOf(x) {
		return false // several instances with SO_REUSEPORT, or an inherited listener
	}
	for _, o := range [...]*join.Process{x, y} {
		if n := o.Name() + " " + o.Comm; strings.Contains(n, "docker-proxy") || strings.Contains(n, "rootlesskit") || strings.Contains(n, "systemd") || strings.Contains(n, "kube-proxy") {
			return false // they hold ports for others
		}
	}
	if r, s := a.Row(), b.Row(); r.Inode.Known && r.Inode.V != 0 && r.Inode == s.Inode {
		return false
	}
	open := func(k *join.Socket) bool { return k.Local.Addr().IsUnspecified() || k.Local.Addr().IsLoopback() }
	return open(a) && open(b)
}

func reportDouble(p *analyze.Pass, a, b *join.Socket) {
	h := join.HostsOf(p)
	f := analyze.Finding{
		Subject:    fmt.Sprintf("%sport %d", h.Prefix(a.Host), a.Local.Port()),
		Title:      fmt.Sprintf("Two programs listen on port %d: %s on %s and %s on %s", a.Local.Port(), a.Owner(), a.Local, b.Owner(), b.Local),
		Detail:     "Which of the two a client reaches depends on the address or the address family it happens to use: localhost may mean either.",
		Severity:   analyze.Low,
		Confidence: analyze.Possible,
		Evidence: []analyze.Evidence{
			analyze.Cite(tables.OwnerRow(a).At, "%s listens on %s", a.Owner(), a.Local),
			analyze.Cite(tables.OwnerRow(b).At, "%s listens on %s", b.Owner(), b.Local),
		},
		Fix:      "Give each program a port of its own.",
		Entities: []analyze.Entity{join.Port(a.Host, int(a.Local.Port())), a.Owner().Entity(), b.Owner().Entity()},
	}
	if shared(a, b) {
		f.Severity, f.Confidence = analyze.High, analyze.Likely
		f.Title = fmt.Sprintf("Two programs share port %d: %s and %s both listen on %s", a.Local.Port(), a.Owner(), b.Owner(), a.Local)
		f.Detail = "Both have set SO_REUSEPORT, so neither bind fails, and the kernel deals the connections out between them: each program gets a part of what clients send to the other."
		f.Fix = "Stop the program that does not belong there, or give it a port of its own."
		f.Next = []string{fmt.Sprintf("ss -tlnpe 'sport = :%d'", a.Local.Port())}
	}
	p.Report(f)
}

// shared reports whether one table shows both listeners at the same address.
func shared(a, b *join.Socket) bool {
	return a.Local == b.Local && tables.OwnerRow(a).At.Artifact == tables.OwnerRow(b).At.Artifact
}
