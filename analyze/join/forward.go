package join

import (
	"net/netip"
	"path"
	"strings"
)

// Forwards is where a process hands the connections on that it accepts, if its
// command line says so: docker-proxy and rootlessport to a container, socat to an
// address. What it resets or refuses is the affair of that address.
func (p *Process) Forwards() (netip.AddrPort, bool) {
	if p == nil {
		return netip.AddrPort{}, false
	}
	args := strings.Fields(p.Command)
	if len(args) == 0 {
		return netip.AddrPort{}, false
	}
	switch path.Base(args[0]) {
	case "docker-proxy", "rootlessport", "rootlesskit-docker-proxy":
		return ParseAddrPort(option(args, "container-ip") + ":" + option(args, "container-port"))
	case "socat":
		return socatTarget(args[1:])
	}
	return netip.AddrPort{}, false
}

// option is the value of "-name value", "--name value" or "-name=value".
func option(args []string, name string) string {
	for i, a := range args {
		key, value, joined := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case key != name || !strings.HasPrefix(a, "-"):
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// socatTarget reads "TCP-LISTEN:8080,fork TCP:10.0.0.5:80".
func socatTarget(args []string) (netip.AddrPort, bool) {
	listens := false
	var to netip.AddrPort
	for _, a := range args {
		kind, rest, _ := strings.Cut(a, ":")
		kind = strings.ToUpper(kind)
		rest, _, _ = strings.Cut(rest, ",")
		switch {
		case strings.HasPrefix(kind, "TCP") && strings.HasSuffix(kind, "-LISTEN"), kind == "TCP-L":
			listens = true
		case kind == "TCP" || kind == "TCP4" || kind == "TCP6" || kind == "TCP-CONNECT":
			to, _ = ParseAddrPort(rest)
		}
	}
	return to, listens && to.IsValid()
}
