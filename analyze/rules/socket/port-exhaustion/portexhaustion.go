// Package portexhaustion finds clients that use up the local ports for one
// destination.
package portexhaustion

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds clients that use up the local ports for one destination.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/port-exhaustion", Title: "local ports used up", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"socket_table"},
		Wants: []fact.Kind{"socket", "counter", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "share", Default: 0.8, Unit: "share", Doc: "share of the local port range in use for one destination"},
			{Name: "full", Default: 0.95, Unit: "share", Doc: "share from which new connections are about to fail"},
			{Name: "with_error", Default: 0.3, Unit: "share", Doc: "share that counts when a log reports EADDRNOTAVAIL for the destination"},
			{Name: "inferred", Default: 200, Unit: "ports", Doc: "ports in one dense block from which the block is taken for the range, when a log reports EADDRNOTAVAIL"},
			{Name: "range", Default: 28232, Unit: "ports", Doc: "size of the port range where the bundle does not say it (Linux: 32768 to 60999)"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "socket/established-leak", Via: join.KindEndpoint, Why: "connections that are never closed keep their ports"},
		},
		Run: run,
	}
}

// ports is the local ports that one address uses towards one destination.
type ports struct {
	host   string
	source netip.Addr
	dest   netip.AddrPort
	used   map[uint16]bool
	states map[string]int
	first  map[string]*join.Socket // an example of each state
	table  *join.Table
}

// portRange is the host's range of local ports.
type portRange struct {
	size    float64
	text    string
	at      *fact.Counter
	assumed bool
	seen    bool // inferred from the ports in use
}

func run(_ context.Context, p *analyze.Pass) error {
	socks := join.SocketsOf(p)
	judged := false
	for _, host := range tables.Hosts(socks) {
		for _, t := range socks.Views(host, fact.StateTimeWait) {
			if t.Meta.Filter == join.FilterLsof {
				continue // lsof cannot show TIME_WAIT
			}
			judged = true
			r := rangeOf(p, host)
			for _, u := range use(socks, t) {
				judge(p, u, r)
			}
		}
	}
	if !judged {
		p.Skip("no table shows connections in TIME_WAIT", "ss -tan > ss_tan.txt; sysctl net.ipv4.ip_local_port_range > sysctl.txt")
	}
	return nil
}

// rangeOf reads the range from the sysctl output of the host.
func rangeOf(p *analyze.Pass, host string) portRange {
	h := join.HostsOf(p)
	for c := range fact.All[fact.Counter](p.Facts) {
		if c.Name != "net.ipv4.ip_local_port_range" || h.Of(c.At) != host {
			continue
		}
		f := strings.Fields(c.Text)
		if len(f) != 2 {
			continue
		}
		from, err1 := strconv.Atoi(f[0])
		to, err2 := strconv.Atoi(f[1])
		if err1 == nil && err2 == nil && to >= from {
			return portRange{size: float64(to - from + 1), text: c.Text, at: c}
		}
	}
	return portRange{size: p.Threshold("range"), text: "32768 60999", assumed: true}
}

// use counts local ports by source address and destination, on the side that
// opened the connections. TIME_WAIT on the listening side costs no port.
func use(socks *join.Sockets, t *join.Table) []*ports {
	type key struct {
		source netip.Addr
		dest   netip.AddrPort
	}
	by := map[key]*ports{}
	var out []*ports
	for _, k := range socks.Shown(t) {
		if k.Proto != "tcp" || !k.Remote.IsValid() || !socks.ClientSide(k) {
			continue
		}
		id := key{k.Local.Addr(), k.Remote}
		u := by[id]
		if u == nil {
			u = &ports{
				host: t.Host, source: id.source, dest: id.dest, table: t,
				used: map[uint16]bool{}, states: map[string]int{}, first: map[string]*join.Socket{},
			}
			by[id] = u
			out = append(out, u)
		}
		state := k.State
		if r := k.RowIn(t); r.State != "" {
			state = r.State
		}
		u.used[k.Local.Port()] = true
		if u.states[state]++; u.first[state] == nil {
			u.first[state] = k
		}
	}
	return out
}

// judge reports a destination for which the range is nearly used up, or for which
// it is largely used and a log says that no port was left.
func judge(p *analyze.Pass, u *ports, r portRange) {
	var failed []*fact.LogEvent
	for _, e := range join.OpenersOf(p).Failed(u.host, u.dest) {
		if e.Errno == "EADDRNOTAVAIL" {
			failed = append(failed, e)
		}
	}
	if len(failed) > 0 && r.assumed {
		r = u.inferRange(p, r)
	}
	share := float64(len(u.used)) / r.size
	if share >= 0.05 || len(failed) > 0 {
		p.Note("%s to %s: %d of %.0f local ports (%.0f%%), EADDRNOTAVAIL in %s", u.source, u.dest, len(u.used), r.size, 100*share, join.Count(len(failed), "log line"))
	}
	switch {
	case len(failed) > 0 && share >= p.Threshold("with_error"):
		report(p, u, r, share, failed, analyze.High, analyze.Confirmed)
	case share >= p.Threshold("full"):
		report(p, u, r, share, failed, analyze.High, analyze.Likely)
	case share >= p.Threshold("share"):
		report(p, u, r, share, failed, analyze.Medium, analyze.Likely)
	}
}

// inferRange is the range that the ports themselves show, when a log says that none
// is left and the bundle does not state the range: a dense block of them is the
// range. Scattered ports leave the assumption as it is.
func (u *ports) inferRange(p *analyze.Pass, assumed portRange) portRange {
	low, high := uint16(65535), uint16(0)
	for port := range u.used {
		low, high = min(low, port), max(high, port)
	}
	size := float64(high) - float64(low) + 1
	n := float64(len(u.used))
	if n < p.Threshold("inferred") || n < 0.8*size {
		return assumed
	}
	return portRange{size: size, text: fmt.Sprintf("%d %d", low, high), assumed: true, seen: true}
}

// most is the state that most of the sockets are in.
func (u *ports) most() string {
	best := ""
	for _, s := range [...]string{fact.StateTimeWait, fact.StateEstablished, fact.StateCloseWait, fact.StateFinWait1, fact.StateFinWait2, fact.StateSynSent, fact.StateLastAck} {
		if u.states[s] > u.states[best] {
			best = s
		}
	}
	return best
}

func report(p *analyze.Pass, u *ports, r portRange, share float64, failed []*fact.LogEvent, sev analyze.Severity, conf analyze.Confidence) {
	h := join.HostsOf(p)
	f := analyze.Finding{
		Subject: h.Prefix(u.host) + u.dest.String(), Severity: sev, Confidence: conf,
		Entities: []analyze.Entity{join.Endpoint(u.host, u.dest)},
	}
	who := "Something on " + u.source.String()
	opener, known := join.OpenersOf(p).Of(u.host, u.dest)
	if known {
		who = tables.Sentence(opener.Process.String())
		f.Entities = append(f.Entities, opener.Process.Entity())
	} else {
		f.Missing = append(f.Missing, "who opens the connections: sockets in TIME_WAIT have no owner")
		f.Next = append(f.Next, fmt.Sprintf("ss -tanp dst %s", u.dest))
	}
	state := u.most()
	fails := ""
	if len(failed) > 0 {
		fails = ", and connect fails with EADDRNOTAVAIL"
	} else {
		f.Missing = append(f.Missing, "a log of the client, which would say whether connect fails (EADDRNOTAVAIL)")
		f.Next = append(f.Next, fmt.Sprintf("the own log of what connects to %s, around the incident", u.dest))
	}
	f.Title = fmt.Sprintf("%s uses up the local ports for %s: %d of %.0f are taken, %d of them in %s%s", who, u.dest, len(u.used), r.size, u.states[state], state, fails)
	f.Detail = detail(u, r, share, failed, state)
	if known {
		f.Detail += fmt.Sprintf("\n\nThe connections are opened by %s: %s.", opener.Process, opener.Link.By)
	}
	if r.assumed {
		what := "the range of local ports; Linux's default of 32768 to 60999 is assumed"
		if r.seen {
			what = "the range of local ports; it is inferred from the ports in use"
		}
		f.Missing = append(f.Missing, what)
		f.Next = append(f.Next, "sysctl net.ipv4.ip_local_port_range")
	}
	f.Fix = "Keep connections open and reuse them (keep-alive, a pool of fixed size) in place of one connection for each request. Only then widen net.ipv4.ip_local_port_range, add source or " +
		"destination addresses, or set net.ipv4.tcp_tw_reuse=1 for outgoing connections."
	f.Evidence = evidence(p, u, r, failed, state)
	if known {
		f.Evidence = append(f.Evidence, analyze.Cite(opener.At, "%s: %s", opener.Process, opener.Link.By))
	}
	if len(failed) > 0 {
		clocks := join.ClocksOf(p)
		f.From, _, _ = clocks.UTC(failed[0].At.Artifact, failed[0].Time)
		f.To, _, _ = clocks.UTC(failed[len(failed)-1].At.Artifact, failed[len(failed)-1].Time)
	}
	p.Report(f)
}

func detail(u *ports, r portRange, share float64, failed []*fact.LogEvent, state string) string {
	b := &strings.Builder{}
	var parts []string
	for s, n := range u.states {
		parts = append(parts, fmt.Sprintf("%d %s", n, s))
	}
	slices.Sort(parts)
	fmt.Fprintf(b, "From %s to %s, %d distinct local ports are in use (%s), %.0f%% of the range %s", u.source, u.dest, len(u.used), strings.Join(parts, ", "), 100*share, strings.ReplaceAll(r.text, " ", " to "))
	switch {
	case r.seen:
		b.WriteString(" (inferred: the ports in use form one block without gaps)")
	case r.assumed:
		b.WriteString(" (assumed)")
	}
	b.WriteString(".")
	if state == fact.StateTimeWait {
		b.WriteString("\n\nWho closes a connection first keeps its port for a minute in TIME_WAIT. A client that opens a connection for each request and closes it itself " +
			"can make only so many a minute to one destination as it has local ports; the server is not at fault.")
	}
	if len(failed) > 0 {
		fmt.Fprintf(b, "\n\n%s %s EADDRNOTAVAIL for this destination: connect found no free local port.", join.Count(len(failed), "log line"), tables.Verb(len(failed), "report"))
	}
	return b.String()
}

func evidence(p *analyze.Pass, u *ports, r portRange, failed []*fact.LogEvent, state string) []analyze.Evidence {
	var out []analyze.Evidence
	clocks := join.ClocksOf(p)
	if len(failed) > 0 {
		out = append(out, clocks.Date(analyze.Cite(failed[0].At, "the first of %s: no local port is left for %s", join.Count(len(failed), "such line"), u.dest), failed[0].Time))
	}
	if k := u.first[state]; k != nil {
		out = append(out, tables.CiteIn(u.table, k, "one of %d in %s: %s", u.states[state], state, k))
	}
	if r.at != nil {
		out = append(out, analyze.Cite(r.at.At, "the range has %.0f ports", r.size))
	}
	if n := len(failed); n > 1 {
		out = append(out, clocks.Date(analyze.Cite(failed[n-1].At, "the last of these lines"), failed[n-1].Time))
	}
	return out
}
