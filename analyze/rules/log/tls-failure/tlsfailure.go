// Package tlsfailure finds logs that say why TLS connections fail: a certificate that
// is expired, not trusted or of another name, or no common protocol.
package tlsfailure

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// Rule finds logs that say why TLS connections fail.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "log/tls-failure", Title: "TLS failure", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"log_event"},
		Wants: []fact.Kind{"flow", "process", "host_info"},
		Thresholds: []analyze.Threshold{
			{Name: "lines", Default: 3, Unit: "lines", Doc: "lines of one log about one certificate that make a service fail"},
			{Name: "handshakes", Default: 10, Unit: "lines", Doc: "failed handshakes of one log that are worth a finding; a few are scanners"},
		},
		Run: run,
	}
}

// near is how far a line may be from the end of its connection.
const near = time.Second

// shown is how many connections of one log a finding names.
const shown = 100

// source is the lines of one log with one reason about one peer.
type source struct {
	log    fact.ID
	class  int
	peer   string // as the lines name it, or the server that the capture shows; "" if unknown
	events []*fact.LogEvent
	lines  int
	flows  []*fact.Flow // connections to the peer that end when the lines are written
}

// failure is what all logs say of one reason and one peer.
type failure struct {
	class   int
	peer    string
	sources []*source // the one with most lines first
	lines   int
}

func run(_ context.Context, p *analyze.Pass) error {
	all := classes()
	for _, f := range gather(sources(p, all)) {
		least := p.Threshold("lines")
		if all[f.class].noise {
			least = p.Threshold("handshakes")
		}
		p.Note("%s: %d lines say that %s, needs %.0f", cmp.Or(f.peer, "unknown peer"), f.lines, all[f.class].title, least)
		if float64(f.lines) >= least {
			f.report(p, &all[f.class])
		}
	}
	return nil
}

func sources(p *analyze.Pass, all []class) []*source {
	type key struct {
		log   fact.ID
		class int
		peer  string
	}
	by := map[key]*source{}
	var list []*source
	for e := range fact.All[fact.LogEvent](p.Facts) {
		i := classOf(all, e.Text)
		if i < 0 {
			continue
		}
		k := key{e.At.Artifact, i, peerOf(e)}
		if by[k] == nil {
			by[k] = &source{log: k.log, class: i, peer: k.peer}
			list = append(list, by[k])
		}
		by[k].events = append(by[k].events, e)
		by[k].lines += max(1, e.Repeat)
	}
	if len(list) > 0 {
		ends := endings(p)
		for _, s := range list {
			s.seen(p, ends)
		}
	}
	return list
}

// gather puts together what several logs say of one peer. Lines that name no peer
// belong to the only one with this reason, if it is the only one.
func gather(list []*source) []*failure {
	peers := map[int][]string{}
	for _, s := range list {
		if s.peer != "" && !slices.Contains(peers[s.class], s.peer) {
			peers[s.class] = append(peers[s.class], s.peer)
		}
	}
	var out []*failure
	for _, s := range list {
		peer := s.peer
		if peer == "" && len(peers[s.class]) == 1 {
			peer = peers[s.class][0]
		}
		i := slices.IndexFunc(out, func(f *failure) bool { return f.class == s.class && f.peer == peer })
		if i < 0 {
			i, out = len(out), append(out, &failure{class: s.class, peer: peer})
		}
		out[i].sources = append(out[i].sources, s)
		out[i].lines += s.lines
	}
	for _, f := range out {
		slices.SortStableFunc(f.sources, func(a, b *source) int { return cmp.Compare(b.lines, a.lines) })
	}
	return out
}

// named is a host with its port, as in a URL or before a message.
var named = regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*:[0-9]{2,5}\b`)

// peerOf is the peer that a line names, "" if none.
func peerOf(e *fact.LogEvent) string {
	for _, a := range e.Addresses {
		if ap, ok := join.ParseAddrPort(a); ok && ap.Port() < join.EphemeralFrom {
			return ap.String()
		}
	}
	for _, m := range named.FindAllString(e.Text, 4) {
		if host, _, _ := strings.Cut(m, ":"); strings.ContainsAny(host, ".-") || strings.Contains(e.Text, "//"+m) {
			return m
		}
	}
	return ""
}

func (f *failure) report(p *analyze.Pass, c *class) {
	to, ask := "", "HOST:PORT"
	if f.peer != "" {
		to, ask = " to "+f.peer, f.peer
	}
	host := ask
	if h, _, err := net.SplitHostPort(ask); err == nil {
		host = h
	}
	out := analyze.Finding{
		Subject:  fmt.Sprintf("TLS%s: %s", to, c.title),
		Title:    fmt.Sprintf("TLS connections%s fail: %s (%s of %s)", to, c.title, join.Count(f.lines, "line"), f.logs()),
		Detail:   c.means,
		Severity: analyze.High, Confidence: analyze.Likely,
		Fix: c.fix,
		Next: []string{fmt.Sprintf("openssl s_client -connect %s -servername %s -showcerts </dev/null | openssl x509 -noout -dates -subject -ext subjectAltName",
			ask, host)},
	}
	if c.noise {
		out.Severity, out.Confidence = analyze.Medium, analyze.Possible
	}
	seen := map[analyze.Entity]bool{}
	for i, s := range f.sources {
		out.Entities = append(out.Entities, analyze.Entity{Kind: join.KindFile, Key: string(s.log), Name: string(s.log)})
		s.cite(p, &out, i == 0)
		for _, flow := range s.flows[:min(len(s.flows), shown)] {
			e := join.FlowEntity(join.HostsOf(p).Of(flow.Ref()), flow.Client(), flow.Server())
			if len(seen) == 0 {
				at := flow.Last().Add(join.ClocksOf(p).Skew(flow.Ref().Artifact))
				out.Evidence = append(out.Evidence, analyze.Cite(flow.Ref(), "one of the TLS connections that end when the log says so").On(at, fact.Epoch, 0))
			}
			if !seen[e] {
				seen[e] = true
				out.Entities = append(out.Entities, e)
			}
		}
	}
	if !c.noise && (len(seen) > 0 || len(f.sources) > 1) {
		out.Confidence = analyze.Confirmed
	}
	if ap, ok := join.ParseAddrPort(f.peer); ok {
		out.Entities = append(out.Entities, join.Endpoint(join.HostsOf(p).OfArtifact(f.sources[0].log), ap))
	} else {
		out.Missing = append(out.Missing, "No line and no capture ties this to the address of the server.")
	}
	p.Report(out)
}

// logs names the logs: one, or how many.
func (f *failure) logs() string {
	if len(f.sources) == 1 {
		return string(f.sources[0].log)
	}
	return fmt.Sprintf("%s and %s", f.sources[0].log, join.Count(len(f.sources)-1, "other file"))
}

// cite adds the first lines, of the first log three, and widens the finding's time.
func (s *source) cite(p *analyze.Pass, out *analyze.Finding, first bool) {
	clocks := join.ClocksOf(p)
	note, most := "another log says the same", 1
	if first {
		note, most = "the log says why", 3
	}
	for i, e := range s.events {
		if at, _, ok := clocks.UTC(e.At.Artifact, e.Time); ok {
			if out.From.IsZero() || at.Before(out.From) {
				out.From = at
			}
			if at.After(out.To) {
				out.To = at
			}
		}
		if i < most {
			out.Evidence = append(out.Evidence, join.CiteLog(clocks, e, "%s", note))
		}
	}
}

// ending is the end of a TLS connection; order is its place among all.
type ending struct {
	at    time.Time
	flow  *fact.Flow
	order int
}

// endings are the ends of the bundle's TLS connections in the order of time.
func endings(p *analyze.Pass) []ending {
	clocks := join.ClocksOf(p)
	var out []ending
	for flow := range fact.All[fact.Flow](p.Facts) {
		if flow.App() == "tls" {
			out = append(out, ending{flow.Last().Add(clocks.Skew(flow.Ref().Artifact)), flow, len(out)})
		}
	}
	slices.SortStableFunc(out, func(a, b ending) int { return a.at.Compare(b.at) })
	return out
}

// seen looks for the server whose TLS connections end when the lines are written: at
// two of them, and at half of all.
func (s *source) seen(p *analyze.Pass, ends []ending) {
	clocks := join.ClocksOf(p)
	var times []time.Time
	for _, e := range s.events {
		if at, _, ok := clocks.UTC(e.At.Artifact, e.Time); ok {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	hits := map[netip.AddrPort][]ending{}
	next := 0
	for _, t := range times {
		from, _ := slices.BinarySearchFunc(ends, t.Add(-near), func(e ending, t time.Time) int { return e.at.Compare(t) })
		for next = max(next, from); next < len(ends) && !ends[next].at.After(t.Add(near)); next++ {
			server := ends[next].flow.Server()
			hits[server] = append(hits[server], ends[next])
		}
	}
	best := slices.SortedFunc(maps.Keys(hits), func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(len(hits[b]), len(hits[a])), a.Compare(b))
	})
	if len(best) == 0 || len(hits[best[0]]) < 2 || len(hits[best[0]])*2 < len(times) {
		return
	}
	server := best[0].String()
	if s.peer != "" && s.peer != server {
		return
	}
	s.peer = server
	slices.SortFunc(hits[best[0]], func(a, b ending) int { return cmp.Compare(a.order, b.order) })
	for _, e := range hits[best[0]] {
		s.flows = append(s.flows, e.flow)
	}
}
