// Package kernelcounters finds kernel counters that rise where they should stand
// still.
package kernelcounters

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds kernel counters that rise where they should stand still.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "socket/kernel-counters", Title: "kernel counters", Doc: doc, Severity: analyze.Medium,
		After: strings.Fields(backlog + " " + unread + " " + resent),
		Needs: []fact.Kind{"counter"},
		Thresholds: []analyze.Threshold{
			{Name: "events", Default: 10, Unit: "events", Doc: "rise of a counter between two samples that is worth a finding at medium"},
			{Name: "rate", Default: 0.01, Unit: "share", Doc: "share of retransmitted or damaged segments"},
			{Name: "rate_min", Default: 50, Unit: "segments", Doc: "retransmitted or damaged segments below which the share says nothing"},
		},
		Run: run,
	}
}

// sign is a counter that should not rise.
type sign struct {
	name, means, fix string
	of               string // the counter it is a share of, "" for absolute ones
	// by are the rules whose mechanism makes the counter rise.
	by string
}

// Rules whose mechanisms make counters rise.
const (
	backlog = "tcp/accept-queue-full tcp/syn-flood"
	unread  = "tcp/zero-window socket/unread-receive-queue"
	resent  = "tcp/retransmission-storm tcp/mtu-blackhole tcp/connect-blackhole tcp/idle-timeout tcp/accept-queue-full"
)

var signs = [...]sign{
	{"TcpExtListenOverflows", "connections were dropped because a listener's accept queue was full", "Find the listener whose Recv-Q in ss -tln exceeds its Send-Q and why its process does not accept; only then raise the backlog and net.core.somaxconn.", "", backlog},
	{"TcpExtListenDrops", "connection attempts to listeners were dropped", "As for overflows of the accept queue; also look for memory pressure.", "", backlog},
	{"TcpExtTCPBacklogDrop", "segments were dropped because a socket's backlog was full", "The process does not get to its sockets: look at its CPU and at the size of the receive buffers.", "", unread},
	{"TcpExtTCPReqQFullDrop", "connection attempts were dropped because the SYN queue was full", "Look for a SYN flood or a lost return path; enable SYN cookies.", "", backlog},
	{"TcpExtTCPTimeWaitOverflow", "TIME_WAIT sockets were destroyed because there were too many", "Reuse connections; net.ipv4.tcp_max_tw_buckets is the limit.", "", ""},
	{"TcpExtTCPAbortOnMemory", "connections were aborted for lack of TCP memory", "Find what fills the socket buffers (ss -tm); net.ipv4.tcp_mem is the limit.", "", ""},
	{"TcpExtPruneCalled", "received data had to be pruned because a receive buffer was full", "A process does not read: find it by Recv-Q in ss -tn.", "", unread},
	{"TcpExtRcvPruned", "received segments were thrown away because a receive buffer was full", "A process does not read: find it by Recv-Q in ss -tn.", "", unread},
	{"TcpExtTCPRcvQDrop", "received segments were thrown away because a receive buffer was full", "A process does not read: find it by Recv-Q in ss -tn.", "", unread},
	{"UdpRcvbufErrors", "datagrams were thrown away because a receive buffer was full", "The reader of the UDP socket is too slow, or its buffer too small.", "", ""},
	{"TcpRetransSegs", "segments were retransmitted", "Look for loss on the path and on the interfaces (ip -s link, ethtool -S).", "TcpOutSegs", resent},
	{"TcpInErrs", "segments arrived damaged", "Look for errors of the interface, the cable or a tunnel (ethtool -S).", "TcpInSegs", ""},
}

// sample is one reading of the counters by one tool.
type sample struct {
	artifact fact.ID
	values   map[string]*fact.Counter
}

func run(_ context.Context, p *analyze.Pass) error {
	h := join.HostsOf(p)
	known := false
	for _, host := range h.Names {
		for _, list := range samples(p, h, host) {
			known = true
			if len(list) == 1 {
				single(p, h, host, list[0])
				continue
			}
			compare(p, h, host, list[0], list[len(list)-1])
		}
	}
	if !known {
		p.Skip("the bundle has settings and memory counters, but no counters of the network stack", "nstat -az > nstat_1.txt; sleep 30; nstat -az > nstat_2.txt")
	}
	return nil
}

// samples lists the readings of a host by tool, in time. An artifact in which a
// counter stands twice holds two readings.
func samples(p *analyze.Pass, h *join.Hosts, host string) [][]*sample {
	by := map[string][]*sample{}
	for c := range fact.All[fact.Counter](p.Facts) {
		if h.Of(c.At) != host || c.Source != "nstat" && c.Source != "netstat" && c.Source != "snmp" {
			continue
		}
		list := by[c.Source]
		var s *sample
		if n := len(list); n > 0 && list[n-1].artifact == c.At.Artifact && list[n-1].values[c.Name] == nil {
			s = list[n-1]
		} else {
			s = &sample{c.At.Artifact, map[string]*fact.Counter{}}
			by[c.Source] = append(list, s)
		}
		s.values[c.Name] = c
	}
	order := join.SamplesOf(p)
	var out [][]*sample
	for _, source := range [...]string{"nstat", "snmp", "netstat"} {
		list := by[source]
		if len(list) == 0 {
			continue
		}
		slices.SortStableFunc(list, func(a, b *sample) int { return order.Compare(a.artifact, b.artifact) })
		out = append(out, list)
	}
	slices.SortStableFunc(out, func(a, b []*sample) int { return cmp.Compare(len(b), len(a)) })
	if len(out) > 1 {
		out = out[:1] // the tools read the same counters
	}
	return out
}

// rise is how far a sign rose between two samples; ok is false when one of them
// lacks it or the counter was reset in between.
func (s sign) rise(a, b *sample) (n int64, share float64, ok bool) {
	x, y := a.values[s.name], b.values[s.name]
	if x == nil || y == nil || y.Value < x.Value {
		return 0, 0, false
	}
	n = y.Value - x.Value
	if s.of != "" {
		u, v := a.values[s.of], b.values[s.of]
		if u == nil || v == nil || v.Value <= u.Value {
			return 0, 0, false
		}
		share = float64(n) / float64(v.Value-u.Value)
	}
	return n, share, true
}

func compare(p *analyze.Pass, h *join.Hosts, host string, a, b *sample) {
	for _, s := range signs {
		n, share, ok := s.rise(a, b)
		if !ok || n == 0 {
			continue
		}
		if s.of != "" && (share < p.Threshold("rate") || float64(n) < p.Threshold("rate_min")) {
			p.Note("%s rose by %d, %.2f%% of %s", s.name, n, 100*share, s.of)
			continue
		}
		f := analyze.Finding{
			Subject:    h.Prefix(host) + s.name,
			Title:      fmt.Sprintf("%s between two samples: %s rose by %d", tables.Sentence(s.means), s.name, n),
			Detail:     fmt.Sprintf("%s was %d in %s and %d in %s.", s.name, a.values[s.name].Value, a.artifact, b.values[s.name].Value, b.artifact),
			Severity:   analyze.Low,
			Confidence: analyze.Likely,
			Evidence: []analyze.Evidence{
				analyze.Cite(b.values[s.name].At, "%s is %d", s.name, b.values[s.name].Value),
				analyze.Cite(a.values[s.name].At, "%s was %d", s.name, a.values[s.name].Value),
			},
			Fix:      s.fix,
			Entities: []analyze.Entity{h.Entity(host)},
			Causes:   s.causes(p, h, host),
		}
		if s.of != "" {
			f.Title += fmt.Sprintf(", %.1f%% of %s", 100*share, s.of)
		}
		if s.of != "" || float64(n) >= p.Threshold("events") {
			f.Severity = analyze.Medium
		}
		p.Report(f)
	}
}

// causes lists the findings of the host that make a sign rise.
func (s sign) causes(p *analyze.Pass, h *join.Hosts, host string) []string {
	var out []string
	for _, rule := range strings.Fields(s.by) {
		for _, f := range p.Findings(rule) {
			if slices.ContainsFunc(f.Evidence, func(e analyze.Evidence) bool { return h.Of(e.Ref) == host }) {
				out = append(out, f.ID)
			}
		}
	}
	return out
}

// single notes counters since boot: they may be days old, so they are context.
func single(p *analyze.Pass, h *join.Hosts, host string, s *sample) {
	var names []string
	f := analyze.Finding{
		Subject:    strings.TrimSuffix(h.Prefix(host)+"counters since boot", " "),
		Severity:   analyze.Info,
		Confidence: analyze.Possible,
		Detail:     "The counters run since the host was booted. What they count may have happened long before the incident; only a second sample tells.",
		Missing:    []string{"a second sample of the same counters"},
		Next:       []string{"nstat -az > nstat_1.txt; sleep 30; nstat -az > nstat_2.txt"},
		Entities:   []analyze.Entity{h.Entity(host)},
	}
	for _, x := range signs {
		c := s.values[x.name]
		if c == nil || c.Value == 0 || x.of != "" {
			continue
		}
		names = append(names, fmt.Sprintf("%s %d", x.name, c.Value))
		f.Evidence = append(f.Evidence, analyze.Cite(c.At, "%s: %s", x.name, x.means))
	}
	if len(names) == 0 {
		return
	}
	f.Title = fmt.Sprintf("Since boot, %s of the network stack %s trouble: %s", join.Count(len(names), "counter"), tables.Verb(len(names), "show"), strings.Join(names, ", "))
	p.Report(f)
}
