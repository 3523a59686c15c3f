package sockets

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// address is one end as printed: host, port and interface.
type address struct{ host, port, iface []byte }

// ends writes both ends into a row, with the interface that the local one names.
func (s *scanner) ends(row *fact.Socket, local, remote address) {
	row.Local, row.LocalPort = s.str.get(local.host), s.str.get(local.port)
	row.Remote, row.RemotePort = s.str.get(remote.host), s.str.get(remote.port)
	row.Iface = s.str.get(local.iface)
}

// splitAddress takes "addr:port" apart at the last colon: "127.0.0.1:80",
// "[::1]:80", ":::111", "*:*", "0.0.0.0%virbr0:67", "[fe80::1]%eth0:546",
// "[fe80::1%14]:546", "rtnl:kernel". A word without colon is a host alone.
func splitAddress(w []byte) address {
	var a address
	if i := bytes.LastIndexByte(w, ':'); i >= 0 {
		a.host, a.port = w[:i], w[i+1:]
	} else {
		a.host = w
	}
	a.host, a.iface = splitHost(a.host)
	return a
}

// splitHost removes brackets and cuts off the interface.
func splitHost(h []byte) (host, iface []byte) {
	if i := bytes.IndexByte(h, '%'); i >= 0 {
		h, iface = h[:i], bytes.TrimSuffix(h[i+1:], []byte("]"))
	}
	if len(h) > 0 && h[0] == '[' {
		h = bytes.TrimSuffix(h[1:], []byte("]"))
	}
	return h, iface
}

// splitDotted takes BSD's "addr.port" apart at the last dot: "*.ssh",
// "127.0.0.1.25", "fe80::1%lo0.1024".
func splitDotted(w []byte) address {
	i := bytes.LastIndexByte(w, '.')
	if i < 0 {
		return address{host: w}
	}
	a := address{port: w[i+1:]}
	a.host, a.iface = splitHost(w[:i])
	return a
}

// hasPort reports whether a word has the form "something:port", where the port is
// a number, a service name or "*".
func hasPort(w []byte) bool {
	i := bytes.LastIndexByte(w, ':')
	if i < 0 || i == len(w)-1 || i == 0 {
		return false
	}
	for _, c := range w[i+1:] {
		if c == '/' || c == '(' || c == ')' || c == ',' || c == '"' || c == '=' {
			return false
		}
	}
	return true
}

// numericPort reports whether a port is a number or a wildcard.
func numericPort(p []byte) bool {
	return len(p) == 0 || allDigits(p) || len(p) == 1 && p[0] == '*'
}
