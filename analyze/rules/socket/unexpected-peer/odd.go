package unexpectedpeer

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// odd finds, without an inventory, peers of a service that a log announces with
// another version than most of their siblings. A rolling release looks the same,
// so that it is never more than possible, and of weight only where the odd peers
// are complained about or get no traffic.
func odd(p *analyze.Pass, services []*service) (found bool) {
	announced := announcements(p)
	for _, s := range services {
		lines := map[fact.ID][]*fact.LogEvent{}
		var logs []fact.ID
		peers := map[*fact.LogEvent]netip.Addr{}
		for _, a := range s.order {
			for _, e := range announced[a] {
				if lines[e.At.Artifact] == nil {
					logs = append(logs, e.At.Artifact)
				}
				lines[e.At.Artifact] = append(lines[e.At.Artifact], e)
				peers[e] = a
			}
		}
		for _, id := range logs {
			if members := minority(p, s, lines[id], peers); len(members) > 0 {
				reportOdd(p, s, members)
				found = true
				break
			}
		}
	}
	return found
}

var version = regexp.MustCompile(`^[vV]?\d+(\.\d+)+([-+.][0-9A-Za-z.]+)?$`)

// minority are the peers whose lines state another version than most lines of the
// same form do.
func minority(p *analyze.Pass, s *service, lines []*fact.LogEvent, peers map[*fact.LogEvent]netip.Addr) []*member {
	words := make([][]string, len(lines))
	for i, e := range lines {
		words[i] = splitWords(e.Text)
	}
	for i := range words[0] {
		counts := map[string][]*fact.LogEvent{}
		most := ""
		for j, w := range words {
			if len(w) != len(words[0]) || !version.MatchString(w[i]) || !setting(w[i]) {
				continue
			}
			counts[w[i]] = append(counts[w[i]], lines[j])
			if n := len(counts[w[i]]); n > len(counts[most]) {
				most = w[i]
			}
		}
		usual := counts[most]
		if float64(len(usual)) < p.Threshold("siblings") || len(usual)*2 <= len(lines) || len(usual) == len(lines) {
			continue
		}
		var out []*member
		for j, e := range lines {
			if w := words[j]; len(w) != len(words[0]) || w[i] == most || !version.MatchString(w[i]) {
				continue
			}
			m := &member{addr: peers[e], services: []*service{s}, logs: []*fact.LogEvent{e},
				differs: []difference{{name: "version", want: most, wantAt: usual[0].At, value: words[j][i]}}}
			for _, u := range usual {
				m.siblings = append(m.siblings, peers[u])
			}
			m.trouble(p)
			m.compareTraffic()
			out = append(out, m)
		}
		return out
	}
	return nil
}

func reportOdd(p *analyze.Pass, s *service, members []*member) {
	n, d := len(members), members[0].differs[0]
	f := analyze.Finding{
		Subject: join.HostsOf(p).Prefix(s.host) + names(members),
		Title:   fmt.Sprintf("A log announces %s of %s, %s, with %s", join.Count(n, "peer"), s.at, names(members), d.words()),
		Detail: fmt.Sprintf("It announces %s of the service with version %s. There is no inventory to say which is right: it is an old instance that was never stopped, or a release on its way.",
			join.Count(len(members[0].siblings), "other peer"), d.want),
		Severity: analyze.Low, Confidence: analyze.Possible,
		Missing:  []string{"an inventory, which would say who belongs to the service and in which version"},
		Fix:      "If no release is under way, take the odd instances out of service.",
		Next:     []string{"on each of these peers: ps -eo pid,lstart,args and the version of what runs there", "list the expected peers in inventory.yaml or in culprit.yaml"},
		Evidence: evidence(p, &inventory{}, members),
		Entities: []analyze.Entity{join.Endpoint(s.host, s.at)},
	}
	if slices.ContainsFunc(members, func(m *member) bool { return len(m.troubles) > 0 || m.idle != nil }) {
		f.Severity = analyze.Medium
	}
	for _, m := range members {
		f.Entities = append(f.Entities, analyze.Entity{Kind: "peer", Key: m.addr.String(), Name: m.addr.String()})
	}
	p.Report(f)
}
