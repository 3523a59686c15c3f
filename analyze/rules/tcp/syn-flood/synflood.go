// Package synflood finds ports with many handshakes that are never finished.
package synflood

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
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds ports with many handshakes that are never finished.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/syn-flood", Title: "unfinished handshakes", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"socket", "flow"},
		Wants: []fact.Kind{"kernel_event"},
		Thresholds: []analyze.Threshold{
			{Name: "handshakes", Default: 128, Unit: "handshakes", Doc: "unfinished handshakes on one port"},
			{Name: "share", Default: 0.8, Unit: "share", Doc: "of the sources that never finish one"},
		},
		Run: run,
	}
}

// port is a listening port with its unfinished handshakes.
type port struct {
	host    string
	at      netip.AddrPort
	sources map[netip.Addr]int
	done    map[netip.Addr]bool // sources that finished one
	n       int
	first   []analyze.Evidence
}

func run(_ context.Context, p *analyze.Pass) error {
	type key struct {
		host string
		port uint16
	}
	by := map[key]*port{}
	var order []*port
	get := func(host string, at netip.AddrPort) *port {
		k := key{host, at.Port()}
		q := by[k]
		if q == nil {
			q = &port{host: host, at: at, sources: map[netip.Addr]int{}, done: map[netip.Addr]bool{}}
			by[k] = q
			order = append(order, q)
		}
		return q
	}
	socks := join.SocketsOf(p).All
	for _, k := range socks {
		if k.State == fact.StateSynRecv && k.Remote.IsValid() {
			get(k.Host, k.Local).add(k.Remote.Addr(), k.Cite("SYN_RECV from %s", k.Remote))
		}
	}
	for _, k := range socks {
		if len(order) == 0 {
			break // nothing is unfinished, as nearly always
		}
		if k.State == fact.StateEstablished && k.Remote.IsValid() {
			if q := by[key{k.Host, k.Local.Port()}]; q != nil {
				q.done[k.Remote.Addr()] = true
			}
		}
	}
	report(p, order, "SYN_RECV rows")
	by, order = map[key]*port{}, nil
	for _, s := range wire.Of(p).Servers() {
		at, ok := join.ParseAddrPort(s.Addr)
		if !ok {
			continue
		}
		for _, f := range s.Unmade {
			if f.SynAckUnacked {
				get(s.Host, at).add(f.Client().Addr(), wire.At(f, f.Ref().Packet, f.First(), "SYN of %s; its SYN-ACK is never acknowledged", f.Client()))
			}
		}
	}
	for _, s := range wire.Of(p).Servers() {
		at, _ := join.ParseAddrPort(s.Addr)
		q := by[key{s.Host, at.Port()}]
		if q == nil {
			continue
		}
		for _, f := range s.Flows {
			if from := f.Client().Addr(); f.Established && q.sources[from] > 0 {
				q.done[from] = true
			}
		}
	}
	report(p, order, "handshakes in the capture")
	return nil
}

func (q *port) add(from netip.Addr, e analyze.Evidence) {
	q.n++
	q.sources[from]++
	if len(q.first) < 3 {
		q.first = append(q.first, e)
	}
}

func report(p *analyze.Pass, order []*port, what string) {
	for _, q := range order {
		if q.n == 0 {
			continue
		}
		never := 0
		for a := range q.sources {
			if !q.done[a] {
				never++
			}
		}
		share := float64(never) / float64(len(q.sources))
		p.Note("%s: %d unfinished %s from %d sources, %.0f %% of which finish none", q.at, q.n, what, len(q.sources), share*100)
		if float64(q.n) < p.Threshold("handshakes") || share < p.Threshold("share") {
			continue
		}
		end := join.FlowsOf(p).At(q.host, "tcp", q.at)
		f := analyze.Finding{
			Subject:  join.HostsOf(p).Prefix(q.host) + q.at.String(),
			Title:    fmt.Sprintf("%d handshakes with %s are unfinished, from %s", q.n, q.at, join.Count(len(q.sources), "source", "sources")),
			Severity: analyze.High, Confidence: analyze.Likely,
			Entities: append(end.Entities(), join.Port(q.host, int(q.at.Port()))),
			Evidence: q.first,
			Detail: fmt.Sprintf("The server answers SYNs with SYN-ACK and the ACK never comes; %.0f %% of the sources finish no handshake at all. Most: %s.\n\nEither the sources are forged (a SYN flood), or the way back to them is broken: the SYN-ACKs or the ACKs are lost.",
				share*100, q.top()),
			Fix:     "If the sources are strangers, turn SYN cookies on and filter before the host. If they are your clients, look at the return route and at devices on it.",
			Missing: []string{"whether the SYN-ACKs reach the sources"},
			Next:    []string{"nstat -az TcpExtSyncookiesSent TcpExtTCPReqQFullDoCookies", "sysctl net.ipv4.tcp_syncookies net.ipv4.tcp_max_syn_backlog"},
		}
		for e := range fact.All[fact.KernelEvent](p.Facts) {
			if e.Event == "syn-flood" && strings.Contains(e.Text, fmt.Sprint(q.at.Port())) {
				f.Confidence = analyze.Confirmed
				f.Evidence = append(f.Evidence, analyze.Cite(e.At, "the kernel says so: %s", e.Text))
			}
		}
		p.Report(f)
	}
}

// top names the sources with most unfinished handshakes.
func (q *port) top() string {
	var list []netip.Addr
	for a := range q.sources {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(q.sources[b], q.sources[a]), a.Compare(b)) })
	var words []string
	for _, a := range list[:min(len(list), 5)] {
		words = append(words, fmt.Sprintf("%s (%d)", a, q.sources[a]))
	}
	return strings.Join(words, ", ")
}
