package netstats

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// interfaceColumns are the columns of netstat -i and of /proc/net/dev, nil if the
// line is no header of theirs. Only names of counters are kept; what is no counter
// is "".
//
//	Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop ...
//	Name    Mtu Network       Address              Ipkts Ierrs Idrop    Opkts Oerrs  Coll
func interfaceColumns(s string) []string {
	if strings.Contains(s, " RX-OK ") && strings.Contains(s, " TX-OK ") {
		names := strings.Fields(s)
		for i, n := range names {
			if !strings.HasPrefix(n, "RX-") && !strings.HasPrefix(n, "TX-") {
				names[i] = ""
			}
		}
		return names
	}
	if words := strings.Fields(s); len(words) > 6 && words[0] == "Name" && words[1] == "Mtu" && words[2] == "Network" {
		return append([]string{"", "", "", ""}, words[4:]...)
	}
	groups := strings.Split(s, "|")
	if len(groups) != 3 || strings.TrimSpace(groups[0]) != "face" {
		return nil
	}
	names := []string{""}
	for i, way := range []string{"RX-", "TX-"} {
		for _, n := range strings.Fields(groups[i+1]) {
			names = append(names, way+n)
		}
	}
	return names
}

// isRoutes recognises what no rule needs: the routing table of netstat -r and
// route, by its header in English or by a row, and netstat -g.
func isRoutes(s string) bool {
	f := strings.Fields(s)
	switch {
	case len(f) == 3 && f[0] == "Interface" && f[1] == "RefCnt" && f[2] == "Group":
		return true
	case len(f) >= 4 && f[0] == "Destination" && f[1] == "Gateway" && f[2] == "Flags": // BSD
		return true
	case len(f) >= 8 && (f[0] == "Destination" || f[0] == "Iface") && (f[1] == "Gateway" || f[1] == "Destination") && strings.Contains(s, "Flags"):
		return true
	}
	return len(f) == 8 && dotted(f[0]) && dotted(f[1]) && dotted(f[2]) && strings.Trim(f[3], "UGHRDMAC!") == ""
}

// dotted reports whether a word is an IPv4 address or the word for all.
func dotted(w string) bool {
	return w == "default" || strings.Count(w, ".") == 3 && strings.Trim(w, "0123456789.") == ""
}

// interfaces reads a header, or a row: the counters of one interface.
func (p *reader) interfaces(s string, ref fact.Ref) bool {
	if names := interfaceColumns(s); names != nil {
		p.names = names
		return true
	}
	f := strings.Fields(strings.Replace(s, ":", " ", 1))
	if p.names == nil || len(f) < 4 {
		return true // a title
	}
	if p.names[1] == "" && len(p.names) > 4 && p.names[3] == "" && p.names[4] == "Ipkts" {
		return p.bsdInterface(strings.Fields(s), ref)
	}
	if len(f) != len(p.names) {
		return false
	}
	for i, w := range f[1:] {
		if p.names[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return false
		}
		p.emit(ref, "interface", f[0]+"."+p.names[i+1], n)
	}
	return true
}

// bsdInterface reads a row of macOS or FreeBSD. Each address of an interface has a
// row; the counters of the interface stand in the one of the link, whose hardware
// address may be blank.
func (p *reader) bsdInterface(f []string, ref fact.Ref) bool {
	if !strings.HasPrefix(f[2], "<Link#") {
		return true
	}
	names := p.names[4:]
	if len(f) < 3+len(names) {
		return false
	}
	for i, w := range f[len(f)-len(names):] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return false
		}
		p.emit(ref, "interface", f[0]+"."+names[i], n)
	}
	return true
}
