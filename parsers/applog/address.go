package applog

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// addresses collects the addr:port pairs and the ports of one message, in order.
type addresses struct {
	list []string
	// listens are those that the text says the writer listens on: indexes of list.
	listens []int
	// pending is an address still without its port ("host:1.2.3.4, port:80"), which
	// ends at pendingEnd.
	pending    string
	pendingEnd int
	// listening and serving: such a word was read before the next address.
	listening, serving, peer bool
	// onAddress: an address follows "on" or "at"; arrow: two stand around "->".
	onAddress, arrow bool
}

const maxAddresses = 16

// add appends an address that starts at start in msg, once.
func (a *addresses) add(msg []byte, start int, s string) {
	if len(a.list) >= maxAddresses {
		return
	}
	before := bytes.TrimRight(msg[max(0, start-16):start], " [(\"'/=")
	if url := bytes.LastIndexByte(before, ':'); url >= 0 && url == len(before)-1 { // http://
		before = bytes.TrimRight(before[:max(0, bytes.LastIndexByte(before, ' '))], " [(\"'")
	}
	switch {
	case hasWord(before, "->"):
		a.arrow = a.arrow || len(a.list) > 0
	case hasWord(before, "upstream"), hasWord(before, "from"), hasWord(before, "to"), hasWord(before, "pool"), hasWord(before, "backend"):
		a.listening = false
	case hasWord(before, "on"):
		if !a.peer {
			a.onAddress = true
			a.listens = append(a.listens, len(a.list))
		}
	case a.listening && len(a.listens) == 0:
		a.listens = append(a.listens, len(a.list))
	case a.serving && (hasWord(before, "at") || hasWord(before, "addr") || hasWord(before, "address") || hasWord(before, "listen") || hasWord(before, "bind")):
		a.onAddress = true
		a.listens = append(a.listens, len(a.list))
	}
	if s[0] == ':' && slices.ContainsFunc(a.list, func(have string) bool { return strings.HasSuffix(have, s) }) {
		if n := len(a.listens); n > 0 && a.listens[n-1] == len(a.list) {
			a.listens = a.listens[:n-1]
		}
		return // the port of an address that is there already
	}
	if !slices.Contains(a.list, s) {
		a.list = append(a.list, s)
	} else if n := len(a.listens); n > 0 && a.listens[n-1] == len(a.list) {
		a.listens[n-1] = slices.Index(a.list, s)
	}
}

func hasWord(b []byte, w string) bool {
	return bytes.HasSuffix(b, []byte(w)) && (len(b) == len(w) || !letter(b[len(b)-len(w)-1]))
}

// ip reads an IPv4 address with its port at msg[i]; it returns 0 if there is none.
// A port may stand behind a space or a word: "127.0.0.1 9527", "host:127.0.0.1,
// port:6062".
func (a *addresses) ip(msg []byte, i int) int {
	if i > 0 && (letter(msg[i-1]) || msg[i-1] == '.' || msg[i-1] == '_' || digit(msg[i-1]) || msg[i-1] == '-') {
		return 0
	}
	n := ipv4(msg[i:])
	if n == 0 {
		return 0
	}
	end := i + n
	if byteAt(msg, end) == ':' {
		if k := digits(msg[end+1:]); k > 0 && k <= 5 && !(byteAt(msg, end+1+k) == '.' && digit(byteAt(msg, end+2+k))) {
			a.add(msg, i, string(msg[i:end+1+k]))
			return n + 1 + k
		}
	}
	if byteAt(msg, end) == ' ' && portFollows(msg, i, end+1) {
		k := digits(msg[end+1:])
		a.add(msg, i, string(msg[i:end])+":"+string(msg[end+1:end+1+k]))
		return n + 1 + k
	}
	a.pending, a.pendingEnd = string(msg[i:end]), end
	return n
}

// portFollows reports whether the number behind "127.0.0.1 " is a port: the
// address follows a word that wants one.
func portFollows(msg []byte, start, i int) bool {
	k := digits(msg[i:])
	if k < 2 || k > 5 || atoi(msg[i:i+k]) > 65535 {
		return false
	}
	if c := byteAt(msg, i+k); c != 0 && c != ' ' && c != ',' && c != '\n' && c != ')' {
		return false
	}
	before := bytes.TrimRight(msg[:start], " ")
	for _, w := range [...]string{"on", "listening", "listen", "at", "to", "from", "bind", "connect", "address"} {
		if hasWord(before, w) {
			return true
		}
	}
	return false
}

// ipv4 is the length of a dotted quad at the beginning of b.
func ipv4(b []byte) int {
	i := 0
	for part := range 4 {
		n := digits(b[i:])
		if n == 0 || n > 3 || atoi(b[i:i+n]) > 255 {
			return 0
		}
		i += n
		if part == 3 {
			break
		}
		if byteAt(b, i) != '.' {
			return 0
		}
		i++
	}
	if c := byteAt(b, i); letter(c) || c == '_' || c == '.' && digit(byteAt(b, i+1)) {
		return 0
	}
	return i
}

// bracket reads [::1]:8080.
func (a *addresses) bracket(msg []byte, i int) int {
	end := bytes.IndexByte(msg[i:min(len(msg), i+48)], ']')
	if end < 3 || byteAt(msg, i+end+1) != ':' {
		return 1
	}
	ip, err := netip.ParseAddr(string(msg[i+1 : i+end]))
	k := digits(msg[min(len(msg), i+end+2):])
	if err != nil || !ip.Is6() || k == 0 || k > 5 {
		return 1
	}
	n := end + 2 + k
	a.add(msg, i, string(msg[i:i+n]))
	return n
}

// colon reads what begins with ':' or '*': ":8080", "*:8080", ":::3000", "::1:80",
// and the port of a name before it ("localhost:3000", "http://db:5432/").
func (a *addresses) colon(msg []byte, i int) int {
	if msg[i] == '*' {
		if byteAt(msg, i+1) == ':' {
			if k := digits(msg[i+2:]); k > 0 && k <= 5 {
				a.add(msg, i, "*"+string(msg[i+1:i+2+k]))
				return 2 + k
			}
		}
		return 1
	}
	if byteAt(msg, i+1) == ':' {
		return a.six(msg, i)
	}
	k := digits(msg[i+1:])
	if k < 2 || k > 5 {
		return a.keyword(msg, i)
	}
	port := string(msg[i+1 : i+1+k])
	if n, _ := strconv.Atoi(port); n > 65535 {
		return 1
	}
	if c := byteAt(msg, i+1+k); letter(c) || c == ':' && digit(byteAt(msg, i+2+k)) || c == '.' && digit(byteAt(msg, i+2+k)) {
		return 1
	}
	start := i
	for start > 0 && (letter(msg[start-1]) || digit(msg[start-1]) || msg[start-1] == '.' || msg[start-1] == '-' || msg[start-1] == '_') {
		start--
	}
	name := msg[start:i]
	before := bytes.TrimRight(msg[:start], " [(\"'")
	switch {
	case len(name) == 0:
		if i > 0 && msg[i-1] != ' ' && msg[i-1] != '=' && msg[i-1] != '[' && msg[i-1] != '(' && msg[i-1] != '"' {
			return 1
		}
		if i > 1 && msg[i-1] == '"' && msg[i-2] != '=' && msg[i-2] != ' ' {
			return 1 // a key of JSON
		}
		if i > 0 && len(before) > 0 && digit(before[len(before)-1]) {
			return 1
		}
		a.add(msg, i, ":"+port)
	case string(name) == "port":
		return a.port(msg, i+1)
	case string(name) == "localhost", bytes.HasSuffix(msg[:start], []byte("://")), wantsHost(before) && hostLike(name):
		a.add(msg, start, string(name)+":"+port)
	default:
		return 1
	}
	return 1 + k
}

// keyword reads "port: 6379", which has no digits right behind the colon.
func (a *addresses) keyword(msg []byte, i int) int {
	if i >= 4 && string(msg[i-4:i]) == "port" && (i == 4 || !letter(msg[i-5])) {
		return a.port(msg, i+1)
	}
	if bytes.HasSuffix(msg[:i], []byte("port(s)")) { // Tomcat
		return a.port(msg, i+1)
	}
	return 1
}

// port takes the number at msg[i] as the port of a pending address, or as a port
// alone. It returns the bytes taken from the colon.
func (a *addresses) port(msg []byte, i int) int {
	start := i
	for i < len(msg) && i-start < 3 && (msg[i] == ' ' || msg[i] == '=' || msg[i] == '"' || msg[i] == '\'') {
		i++
	}
	k := digits(msg[min(i, len(msg)):])
	if k == 0 || k > 5 {
		return 1
	}
	p := string(msg[i : i+k])
	if n, _ := strconv.Atoi(p); n == 0 || n > 65535 {
		return 1
	}
	if a.pending != "" && start-a.pendingEnd < 24 {
		a.add(msg, a.pendingEnd-len(a.pending), a.pending+":"+p)
		a.pending = ""
	} else {
		word := bytes.LastIndex(msg[:start], []byte("port"))
		a.add(msg, max(0, word), ":"+p)
	}
	return i + k - start + 1
}

// six reads "::1:80", ":::3000" and "fe80::1" around a double colon at msg[i].
func (a *addresses) six(msg []byte, i int) int {
	start, end := i, i
	for start > 0 && hexColon(msg[start-1]) {
		start--
	}
	for end < len(msg) && (hexColon(msg[end]) || msg[end] == '.') {
		end++
	}
	n := max(end-i, 1)
	tok := bytes.TrimRight(msg[start:end], ":.")
	j := bytes.LastIndexByte(tok, ':')
	if j < 2 || digits(tok[j+1:]) != len(tok)-j-1 || len(tok)-j-1 < 2 {
		return n
	}
	host := tok[:j]
	if string(host) == ":" {
		host = tok[:j+1]
	}
	ip, err := netip.ParseAddr(string(host))
	if err != nil && len(host) > 2 && host[len(host)-1] == ':' { // ":::3000" is "::" and its port
		ip, err = netip.ParseAddr(string(host[:len(host)-1]))
	}
	if err != nil || !ip.Is6() {
		return n
	}
	a.add(msg, start, "["+ip.String()+"]:"+string(tok[j+1:]))
	return n
}

func hexColon(c byte) bool {
	return digit(c) || c == ':' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// wantsHost reports whether a host name is expected after these words.
func wantsHost(before []byte) bool {
	for _, w := range [...]string{"tcp", "to", "from", "connect", "host", "upstream", "on", "at", "addr", "address", "server", "peer", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH"} {
		if hasWord(bytes.TrimRight(before, "=:"), w) {
			return true
		}
	}
	return false
}

// hostLike tells "redis-1.internal" from "main.go" and "Error".
func hostLike(b []byte) bool {
	if i := bytes.LastIndexByte(b, '.'); i > 0 {
		switch string(b[i+1:]) {
		case "go", "js", "ts", "mjs", "cjs", "py", "rb", "java", "c", "cc", "cpp", "h", "rs", "php", "log", "json":
			return false
		}
	}
	return letterIn(b) && !(b[0]-'A' < 26)
}
