package join

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// parseEnd makes an address of a table's two columns. "*" and "" are the
// unspecified address, a port that is no number fails. IPv4-mapped IPv6 becomes
// IPv4, so that the two tables of a dual-stack socket agree.
func parseEnd(host, port string) (netip.AddrPort, bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	if host == "*" || host == "" {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(n)), true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.Unmap().WithZone(""), uint16(n)), true
}

// ParseAddrPort reads "addr:port", with or without brackets around IPv6, "*:port"
// and ":port" as the unspecified address, and "localhost:port".
func ParseAddrPort(s string) (netip.AddrPort, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, false
	}
	host := s[:i]
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return parseEnd(host, s[i+1:])
}

// Endpoint is the identity of an address and port. A loopback address belongs to
// its host; others are the same thing wherever they are seen.
func Endpoint(host string, ap netip.AddrPort) analyze.Entity {
	key := ap.String()
	if ap.Addr().IsLoopback() {
		key = keyed(host, "%s", key)
	}
	return analyze.Entity{Kind: KindEndpoint, Key: key, Name: ap.String()}
}

// Port is the identity of a port number on a host, for findings about who holds
// or misses a port whatever the address.
func Port(host string, port int) analyze.Entity {
	return analyze.Entity{Kind: KindPort, Key: keyed(host, "%d", port), Name: "port " + strconv.Itoa(port)}
}

// FlowEntity is the identity of a conversation, by its ends.
func FlowEntity(host string, client, server netip.AddrPort) analyze.Entity {
	name := client.String() + " -> " + server.String()
	return analyze.Entity{Kind: KindFlow, Key: keyed(host, "%s", name), Name: name}
}

// Site is the identity of a source line in a program of a host.
func Site(host, file string, line int, name string) analyze.Entity {
	return analyze.Entity{Kind: KindSite, Key: keyed(host, "%s:%d", file, line), Name: name}
}
