// Package ipaddr reads which addresses a host has: ip address, also in one line each
// (-o) and brief (-br), and ifconfig.
package ipaddr

import (
	"context"
	"net/netip"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads the addresses of a host's interfaces.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "ipaddr",
		Doc:   "Addresses of a host's interfaces: ip address (also -o and -br), ifconfig.",
		Emits: []fact.Kind{"host_info"},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniff wants the heading of an interface, with an address below it or on its line.
func sniff(h analyze.Head) analyze.Match {
	headings, addresses, n := 0, 0, 0
	for line, whole := range lines.Head(h.Bytes) {
		if n == 100 || !whole && n > 0 {
			break
		}
		n++
		s := string(line[:min(len(line), 512)])
		if heading(s) {
			headings++
		}
		addresses += len(addressesOf(s))
	}
	if headings > 0 && addresses > 0 {
		return analyze.Sure
	}
	return analyze.No
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	return lines.Each(ctx, in, out, func(s string, at fact.Ref) {
		for _, a := range addressesOf(s) {
			// Those are everybody's, or say nothing beyond their link.
			if !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				analyze.Emit(out, fact.HostInfo{At: at, Name: "address", Value: a.String()})
			}
		}
	})
}

// heading reports whether a line begins an interface:
//
//	2: eth0@if3: <BROADCAST,UP> mtu 1500 qdisc noqueue
//	2: eth0    inet 10.12.5.3/24 brd 10.12.5.255 scope global eth0
//	eth0@if3         UP             10.12.5.3/24
//	eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500
//	eth0      Link encap:Ethernet  HWaddr 02:42:ac:11:00:02
func heading(s string) bool {
	f := strings.Fields(s)
	if len(f) < 2 || s[0] == ' ' || s[0] == '\t' {
		return false
	}
	switch {
	case numbered(f[0]):
		return strings.Contains(s, " mtu ") || len(f) > 3 && (f[2] == "inet" || f[2] == "inet6")
	case strings.HasPrefix(f[1], "flags=") || f[1] == "Link" && len(f) > 2 && strings.HasPrefix(f[2], "encap:"):
		return true
	}
	switch f[1] {
	case "UP", "DOWN", "UNKNOWN", "LOWERLAYERDOWN", "DORMANT":
		return len(f) == 2 || addressOf(f[2]).IsValid()
	}
	return false
}

// numbered reports whether a word is the number of an interface, "2:".
func numbered(w string) bool {
	n, colon := strings.CutSuffix(w, ":")
	return colon && n != "" && strings.Trim(n, "0123456789") == ""
}

// addressesOf are the addresses of an interface that a line states: behind inet or
// inet6, or behind the state of a brief line. Those of peers and networks are not
// the host's.
func addressesOf(s string) []netip.Addr {
	f := strings.Fields(s)
	for i, w := range f {
		if i > 2 {
			break
		}
		if (w == "inet" || w == "inet6") && i+1 < len(f) {
			word := strings.TrimPrefix(f[i+1], "addr:")
			if word == "" && i+2 < len(f) {
				word = f[i+2] // "inet6 addr: fe80::1/64"
			}
			if a := addressOf(word); a.IsValid() {
				return []netip.Addr{a}
			}
			return nil
		}
	}
	if !heading(s) || numbered(f[0]) {
		return nil
	}
	var out []netip.Addr
	for i, w := range f[2:] {
		if a := addressOf(w); a.IsValid() && f[1+i] != "peer" {
			out = append(out, a)
		}
	}
	return out
}

// addressOf reads "10.12.5.3/24", "fe80::1%eth0" or a bare address; the zero Addr
// for others.
func addressOf(w string) netip.Addr {
	w, _, _ = strings.Cut(w, "/")
	a, err := netip.ParseAddr(w)
	if err != nil {
		return netip.Addr{}
	}
	return a.WithZone("").Unmap()
}
