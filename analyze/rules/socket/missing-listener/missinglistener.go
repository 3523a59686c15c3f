// Package missinglistener finds listeners that should be there and are not.
package missinglistener

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds listeners that an inventory or a baseline has and the bundle lacks.
func Rule() *analyze.Rule {
	gone := func(rule, why string) analyze.Mechanism {
		return analyze.Mechanism{Rule: rule, Via: join.KindProcess, Why: why}
	}
	return &analyze.Rule{
		ID: "socket/missing-listener", Title: "expected listener is missing", Doc: doc, Severity: analyze.Medium,
		After: []string{refused},
		Needs: []fact.Kind{"socket_table"},
		AnyOf: []fact.Kind{"expected", "baseline"},
		Wants: []fact.Kind{"socket", "process_table"},
		Thresholds: []analyze.Threshold{
			{Name: "ephemeral", Default: 32768, Unit: "port", Doc: "a listener of the baseline on this port or above is one of the moment and not missed"},
		},
		ExplainedBy: []analyze.Mechanism{
			gone("process/oom-kill", "a killed process listens no more"),
			gone("process/signal-sender", "a killed process listens no more"),
			gone("process/exec-maxbuffer", "a killed process listens no more"),
			gone("process/operator-kill", "a killed process listens no more"),
			gone("process/supervisor-stop", "a stopped process listens no more"),
			gone("go/runtime-verdict", "a crashed process listens no more"),
			{Rule: "socket/port-conflict", Via: join.KindPort, Why: "another program has the port"},
		},
		Run: run,
	}
}

// refused reports attempts to connect to a port without a listener.
const refused = "tcp/refused"

// wanted is a listener that should be there.
type wanted struct {
	at       netip.AddrPort
	program  string // who should listen, "" if unknown
	host     string // where, "" if it does not say
	ref      fact.Ref
	baseline bool // known from a healthy bundle only
}

func run(_ context.Context, p *analyze.Pass) error {
	list := wantedOf(p)
	if len(list) == 0 {
		p.Skip("neither the inventory nor a baseline names a listener as address:port", "list the expected listeners in culprit.yaml, or name a healthy bundle with --baseline")
		return nil
	}
	socks := join.SocketsOf(p)
	judged := 0
	for _, w := range list {
		host, ok := w.place(p, socks)
		if !ok {
			continue
		}
		table, complete := socks.CompleteListeners(host)
		if !complete {
			continue
		}
		judged++
		if serves(socks, host, w.at) {
			continue
		}
		p.Note("nothing listens on %s", w.at)
		report(p, w, host, table)
	}
	if judged == 0 {
		p.Skip("no table shows all listeners of the hosts that should have them", "ss -tlnp > ss_tlnp.txt")
		return nil
	}
	p.Note("%s of %s looked for in the tables", join.Count(judged, "expected listener"), join.Count(len(list), "one"))
	return nil
}

// wantedOf lists what should listen: what a person wrote down, and what listened in
// the baseline.
func wantedOf(p *analyze.Pass) []wanted {
	var out []wanted
	seen := map[string]bool{}
	add := func(w wanted) {
		if key := w.host + " " + w.at.String(); !seen[key] {
			seen[key] = true
			out = append(out, w)
		}
	}
	for e := range fact.All[fact.Expected](p.Facts) {
		// A bare port of an inventory does not say on which machine.
		if at, ok := join.ParseAddrPort(e.Value); ok && e.What == "listener" && strings.Contains(e.Value, ":") {
			add(wanted{at: at, program: e.Name, ref: e.At})
		}
	}
	for b := range fact.All[fact.Baseline](p.Facts) {
		name, tcp := strings.CutSuffix(b.Name, "/tcp")
		at, ok := join.ParseAddrPort(name)
		if b.What != "listener" || !tcp || !ok {
			continue
		}
		if float64(at.Port()) >= p.Threshold("ephemeral") {
			p.Note("%s of the baseline has an ephemeral port: not missed", at)
			continue
		}
		add(wanted{at: at, program: b.Value, host: b.Host, ref: b.At, baseline: true})
	}
	return out
}

// place is the host on which the listener should be.
func (w wanted) place(p *analyze.Pass, socks *join.Sockets) (string, bool) {
	hosts := join.HostsOf(p)
	if !hosts.Several() {
		return hosts.Names[0], true
	}
	if slices.Contains(hosts.Names, w.host) {
		return w.host, true
	}
	return socks.HostOf(w.at.Addr())
}

// serves reports whether connections to the address are accepted: by a listener on
// it, on all addresses, or, where all were asked for, on any.
func serves(socks *join.Sockets, host string, at netip.AddrPort) bool {
	if at.Addr().IsUnspecified() {
		return len(socks.Listeners(host, "tcp", at.Port())) > 0
	}
	return socks.Listener(host, "tcp", at) != nil
}

func report(p *analyze.Pass, w wanted, host string, table fact.Ref) {
	h := join.HostsOf(p)
	f := analyze.Finding{
		Subject:  fmt.Sprintf("%sport %d", h.Prefix(host), w.at.Port()),
		Title:    fmt.Sprintf("Nothing listens on %s%s", w.at, w.expected()),
		Severity: analyze.High, Confidence: analyze.Likely,
		Entities: []analyze.Entity{join.Port(host, int(w.at.Port())), join.Endpoint(host, w.at)},
		Evidence: []analyze.Evidence{
			analyze.Cite(table, "this table shows the listeners of the host, and %s is not among them", w.at),
			analyze.Cite(w.ref, "%s should listen there", cmp.Or(w.program, "a program")),
		},
		Fix:  fmt.Sprintf("Find out why %s does not listen: whether it runs, what its log says of the start, which address it binds. Then start it.", cmp.Or(w.program, "the service")),
		Next: []string{fmt.Sprintf("ss -tlnp 'sport = :%d'", w.at.Port())},
	}
	if w.baseline {
		// It was there; whether it should be, nobody said.
		f.Severity = analyze.Medium
		f.Missing = append(f.Missing, "whether it was taken away on purpose")
	}
	for _, k := range join.SocketsOf(p).Listeners(host, "tcp", w.at.Port()) {
		f.Title += fmt.Sprintf("; the port is bound on %s only", k.Local)
		f.Evidence = append(f.Evidence, k.Cite("the listener on another address"))
		break
	}
	f.Detail = w.processes(p, host, &f)
	p.Report(f)
	for _, effect := range p.Findings(refused) {
		if effect.Has(join.KindEndpoint, join.Endpoint(host, w.at).Key) || effect.Has(join.KindPort, join.Port(host, int(w.at.Port())).Key) {
			p.Explains(p.IDOf(f.Subject), effect.ID)
		}
	}
}

func (w wanted) expected() string {
	switch {
	case w.baseline && w.program != "":
		return fmt.Sprintf(", where %s listened in the baseline", w.program)
	case w.baseline:
		return ", where something listened in the baseline"
	case w.program != "":
		return fmt.Sprintf(", where %s is expected", w.program)
	}
	return ", where a listener is expected"
}

// processes says whether the program runs, and ties the finding to its processes.
func (w wanted) processes(p *analyze.Pass, host string, f *analyze.Finding) string {
	if w.program == "" {
		return ""
	}
	running, gone := 0, 0
	for _, pr := range join.ProcessesOf(p).OnHost(host) {
		if pr.Name() != w.program && pr.Comm != w.program {
			continue
		}
		f.Entities = append(f.Entities, pr.Entity())
		if pr.Gone || len(pr.Rows) == 0 {
			gone++
			continue
		}
		running++
		f.Evidence = append(f.Evidence, analyze.Cite(pr.Rows[0].At, "%s runs and does not listen there", pr))
	}
	complete := false
	for t := range fact.All[fact.ProcessTable](p.Facts) {
		complete = complete || t.All && join.HostsOf(p).Of(t.At) == host
	}
	switch {
	case running > 0:
		return fmt.Sprintf("%s of %s still runs, but does not listen.", tables.Sentence(join.Count(running, "process")), w.program)
	case complete:
		f.Confidence = analyze.Confirmed
		return fmt.Sprintf("No process of %s is in the process table either%s.", w.program, map[bool]string{true: "; one that other artifacts name is gone"}[gone > 0])
	}
	return "Whether the program runs, no complete process table says."
}
