package unexpectedpeer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// report makes one finding of all: they are the same mistake, a registration that
// outlived its machine.
func report(p *analyze.Pass, inv *inventory, members []*member) {
	h := join.HostsOf(p)
	host := members[0].services[0].host
	f := analyze.Finding{
		Subject:    h.Prefix(host) + names(members),
		Title:      title(inv, members),
		Detail:     detail(inv, members),
		Severity:   analyze.Medium,
		Confidence: analyze.Possible,
		Evidence:   evidence(p, inv, members),
		Fix: "Take these peers out of service: deregister them and stop what still runs there. Let registration accept only members of the inventory, and let health checks " +
			"test what the member is for, not only that it answers.",
	}
	logged, trouble, differs, retired := 0, 0, 0, 0
	services := map[netip.AddrPort]bool{}
	for _, m := range members {
		f.Entities = append(f.Entities, analyze.Entity{Kind: "peer", Key: m.addr.String(), Name: m.addr.String()})
		logged += min(len(m.logs), 1)
		trouble += len(m.troubles)
		differs += min(len(m.differs), 1)
		if m.retired != nil {
			retired++
		}
		for _, s := range m.services {
			if !services[s.at] {
				services[s.at] = true
				f.Entities = append(f.Entities, join.Endpoint(s.host, s.at))
			}
		}
	}
	switch {
	case logged > 0 || retired > 0:
		// Two kinds agree: the connection, and a log or the inventory by name.
		f.Severity, f.Confidence = analyze.High, analyze.Confirmed
	case len(services) > 1:
		f.Severity, f.Confidence = analyze.High, analyze.Likely
	default:
		// One connection to one service, and no log: it may be a client.
		f.Severity = analyze.Low
	}
	if inv.source == "baseline" {
		// A member that is new may have been added on purpose since.
		f.Severity, f.Confidence = min(f.Severity, analyze.Medium), min(f.Confidence, analyze.Likely)
		f.Missing = append(f.Missing, "an inventory: a peer that the baseline lacks may have been added on purpose")
	}
	if trouble > 0 || slices.ContainsFunc(members, func(m *member) bool { return m.idle != nil }) {
		f.Severity = analyze.High
	}
	if logged == 0 {
		f.Missing = append(f.Missing, "a log that says what these peers registered as")
	}
	f.Next = append(f.Next, "on each of these peers: ps -eo pid,lstart,args and the version of what runs there")
	p.Report(f)
}

// names joins the addresses; a long list is cut.
func names(members []*member) string {
	var out []string
	for i, m := range members {
		if i == 6 {
			return strings.Join(out, ", ") + fmt.Sprintf(" and %d more", len(members)-i)
		}
		out = append(out, m.addr.String())
	}
	return strings.Join(out, ", ")
}

func title(inv *inventory, members []*member) string {
	noun, verb := "peers", "are"
	if len(members) == 1 {
		noun, verb = "peer", "is"
	}
	where := members[0].services[0].at.String()
	if n := len(members[0].services); n > 1 {
		where += fmt.Sprintf(" and %s", join.Count(n-1, "other service"))
	}
	retired := "not in the " + inv.source
	if members[0].retired != nil {
		retired = "retired according to the inventory"
	}
	t := fmt.Sprintf("%d %s, %s, %s connected to %s like members but %s", len(members), noun, names(members), verb, where, retired)
	for _, m := range members {
		if len(m.differs) > 0 {
			return t + " (" + m.differs[0].words() + ")"
		}
	}
	return t
}

func detail(inv *inventory, members []*member) string {
	b := &strings.Builder{}
	for _, m := range members {
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(b, "%s holds connections to", m.addr)
		for i, s := range m.services {
			if i > 0 {
				b.WriteString(" and")
			}
			fmt.Fprintf(b, " %s", s.at)
		}
		if m.retired != nil {
			fmt.Fprintf(b, "; the inventory (%s) lists it as retired.", m.retired.at)
		} else {
			fmt.Fprintf(b, ", as do %s of the %[2]s; the %[2]s does not list it.", join.Count(len(m.siblings), "member"), inv.source)
		}
		for _, d := range m.differs {
			fmt.Fprintf(b, " A log states %s for it where %s %s.", strings.TrimSpace(d.name+" "+d.value), d.source(), d.want)
		}
		if m.idle != nil {
			fmt.Fprintf(b, " The capture shows %d bytes of payload between it and %s; its siblings exchange %d (median).", m.idle.bytes, m.idle.s.at, m.idle.median)
		}
		if n := len(m.troubles); n > 0 {
			fmt.Fprintf(b, " %s %s about it.", join.Count(n, "log line"), tables.Verb(n, "complain"))
		}
	}
	return b.String()
}

func evidence(p *analyze.Pass, inv *inventory, members []*member) []analyze.Evidence {
	clocks := join.ClocksOf(p)
	var out []analyze.Evidence
	for _, m := range members[:min(len(members), 6)] {
		s := m.services[0]
		out = append(out, analyze.Cite(s.peers[m.addr][0], "%s is connected to %s", m.addr, s.at))
		for _, e := range first(m.logs, 2) {
			out = append(out, clocks.Date(analyze.Cite(e.At, "a log announces %s as a member", m.addr), e.Time))
		}
		for _, e := range first(m.troubles, 1) {
			out = append(out, clocks.Date(analyze.Cite(e.At, "the first of %s about %s", join.Count(len(m.troubles), "complaint"), m.addr), e.Time))
		}
		if m.idle != nil {
			out = append(out, analyze.Cite(m.idle.flow.Ref(), "%s exchanges %d bytes with %s, its siblings %d", m.addr, m.idle.bytes, m.idle.s.at, m.idle.median))
		}
		if m.retired != nil {
			out = append(out, analyze.Cite(m.retired.at, "the inventory says that %s is retired", m.addr))
		}
	}
	// What the inventory says instead: the settings that differ, and its members.
	seen := map[fact.Ref]bool{}
	for _, m := range members {
		for _, d := range m.differs {
			switch {
			case seen[d.wantAt]:
			case d.listed:
				out = append(out, analyze.Cite(d.wantAt, "the inventory's %s", d.name))
			default:
				out = append(out, analyze.Cite(d.wantAt, "the same line about a sibling: %s", d.want))
			}
			seen[d.wantAt] = true
		}
	}
	for _, a := range members[0].siblings {
		if it, ok := inv.find(a); ok {
			out = append(out, analyze.Cite(it.at, "the %s's members, for example %s", inv.source, a))
			break
		}
	}
	return out
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }
