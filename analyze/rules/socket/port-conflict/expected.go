package portconflict

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// claim is a port and the program that should have it.
type claim struct {
	host    string
	at      netip.AddrPort
	program string
	ref     fact.Ref
	// baseline is true where the program had the port in a healthy bundle; that
	// nobody else should have it is then only likely.
	baseline bool
}

// unexpected reports listeners that another program holds than the one which the
// inventory names, or which had the port in the baseline. Ports about which a log
// complains are reported already.
func unexpected(p *analyze.Pass, socks *join.Sockets, known []*conflict) {
	for _, c := range claims(p) {
		k := socks.Listener(c.host, "tcp", c.at)
		if k == nil || k.Owner() == nil || runs(k.Owner(), c.program) {
			continue
		}
		if slices.ContainsFunc(known, func(o *conflict) bool { return o.host == c.host && o.port == c.at.Port() }) {
			continue
		}
		reportUnexpected(p, c, k)
	}
}

func claims(p *analyze.Pass) []claim {
	var out []claim
	h := join.HostsOf(p)
	for e := range fact.All[fact.Expected](p.Facts) {
		at, ok := join.ParseAddrPort(e.Value)
		if e.What != "listener" || e.Name == "" || !ok {
			continue
		}
		host, known := join.SocketsOf(p).HostOf(at.Addr())
		if !h.Several() {
			host, known = h.Names[0], true
		}
		if known {
			out = append(out, claim{host: host, at: at, program: e.Name, ref: e.At})
		}
	}
	for d := range fact.All[fact.Deviation](p.Facts) {
		name, tcp := strings.CutSuffix(d.Name, "/tcp")
		at, ok := join.ParseAddrPort(name)
		if d.What == "listener" && d.How == analyze.Changed && tcp && ok {
			out = append(out, claim{host: d.Host, at: at, program: d.ValueBefore, ref: d.BaselineAt, baseline: true})
		}
	}
	return out
}

// runs reports whether a process is what an inventory or a table calls a program:
// by its name, its executable, a script it runs or its unit.
func runs(pr *join.Process, program string) bool {
	program = strings.ToLower(program)
	for _, w := range strings.Fields(strings.ToLower(pr.Command + " " + pr.Comm + " " + pr.Name())) {
		if w == program || strings.HasPrefix(path.Base(w), program) {
			return true
		}
	}
	return strings.ToLower(pr.Name()) == program
}

func reportUnexpected(p *analyze.Pass, c claim, k *join.Socket) {
	h, owner := join.HostsOf(p), k.Owner()
	said := "the inventory says " + c.program
	f := analyze.Finding{
		Subject:  fmt.Sprintf("%sport %d, held by process %d (%s)", h.Prefix(c.host), c.at.Port(), owner.PID, owner.Name()),
		Severity: analyze.High, Confidence: analyze.Likely,
		Detail:   fmt.Sprintf("The listener on %s belongs to %s.", k.Local, owner.Describe()),
		Entities: []analyze.Entity{join.Port(c.host, int(c.at.Port())), join.Endpoint(c.host, k.Local), owner.Entity()},
		Evidence: []analyze.Evidence{k.Cite("%s listens on %s", owner, k.Local), analyze.Cite(c.ref, "%s should listen there", c.program)},
		Fix:      "Stop the program that holds the port, or correct what is expected there; then start the service whose port it is.",
		Next:     []string{fmt.Sprintf("ss -tlnp 'sport = :%d'", c.at.Port())},
	}
	started := slices.ContainsFunc(join.ProcessesOf(p).OnHost(c.host), func(pr *join.Process) bool { return runs(pr, c.program) })
	if !c.baseline && !started {
		// The inventory may call the program by another name than the system.
		f.Severity, f.Confidence = analyze.Low, analyze.Possible
		f.Missing = []string{fmt.Sprintf("a process called %s: the inventory may mean the one that listens", c.program)}
	}
	if c.baseline {
		said = "in the baseline it was " + c.program
		f.Severity, f.Confidence = analyze.Medium, analyze.Possible
		f.Missing = []string{"whether the program was replaced on purpose"}
	}
	f.Title = fmt.Sprintf("Port %d is held by %s; %s", c.at.Port(), owner, said)
	p.Report(f)
}
