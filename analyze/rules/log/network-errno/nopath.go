package networkerrno

import (
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

// rejected explains refusals by an ICMP message about an address that the lines
// name: so a closed UDP port answers.
func rejected(p *analyze.Pass, c *complaint, f *analyze.Finding, n string) {
	for e := range fact.All[fact.ICMPError](p.Facts) {
		to, ok := join.ParseAddrPort(e.Dst)
		if !ok || !wire.Rejection(e) || !c.names(e.Dst) {
			continue
		}
		by := "its host"
		if e.From != to.Addr().String() {
			by = e.From
		}
		f.Subject = join.HostsOf(p).Prefix(join.HostsOf(p).Of(c.events[0].At)) + e.Dst
		f.Title = fmt.Sprintf("Nothing takes what is sent to %s: %s answers with ICMP (%s), and %s says ECONNREFUSED: %s", e.Dst, by, e.Text, c.log, n)
		f.Detail += fmt.Sprintf("\n\nThe capture shows the ICMP messages: %s of %s. A closed UDP port answers so; for TCP it would be a firewall.", e.Text, e.From)
		f.Confidence = analyze.Confirmed
		if c.lines() >= int(p.Threshold("lines")) {
			f.Severity = analyze.High
		}
		f.Evidence = append(f.Evidence, analyze.Cite(e.At, "%s of %s, about %s", e.Text, e.From, e.Dst).On(e.Time, fact.Epoch, 0))
		f.Fix = "Find out why the service on " + e.Dst + " does not run, and start it; or correct the address."
		f.Missing, f.Next = nil, []string{"ss -lnup"}
		return
	}
}

// unreachable explains a host that the kernel cannot reach at all.
func unreachable(p *analyze.Pass, c *complaint, f *analyze.Finding, n string) {
	at := ""
	for _, e := range c.events {
		for _, a := range e.Addresses {
			if _, ok := join.ParseAddrPort(a); ok && at == "" {
				at = a
			}
		}
	}
	if at == "" || c.lines() < int(p.Threshold("lines")) {
		return
	}
	f.Subject = join.HostsOf(p).Prefix(join.HostsOf(p).Of(c.events[0].At)) + at
	f.Title = fmt.Sprintf("The host of %s cannot be reached: %s says %s: %s", at, c.log, c.errno, n)
	f.Severity, f.Confidence = analyze.High, analyze.Likely
	f.Missing = []string{"who should answer for the address: the neighbour table of the writer's host, or a capture with ARP and ICMP"}
	f.Next = []string{"ip neigh", "ip route get " + at, "tcpdump -ni any 'arp or icmp or icmp6'"}
	f.Fix = "See whether the host of " + at + " is up and still has that address, and whether a router or firewall on the way refuses it."
}

// names reports whether one of the lines names an address.
func (c *complaint) names(addr string) bool {
	for _, e := range c.events {
		for _, a := range e.Addresses {
			if a == addr {
				return true
			}
		}
	}
	return false
}
