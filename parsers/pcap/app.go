package pcap

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// maxText is how much of a payload is kept where a name is expected: a TLS
// greeting with today's key shares takes some 1,800 bytes.
const maxText = 2048

// app is a protocol that a few bytes of payload reveal.
type app uint8

const (
	appNone app = iota
	appHTTP
	appHTTP2
	appTLS
	appSSH
	appRedis
	appMySQL
	appPostgres
	appSMTP
	appAMQP
	appMongo
	appDNS
	appMemcache
	appKafka
	appWebSocket
	appTunnel
)

var appNames = [...]string{"", "http", "http2", "tls", "ssh", "redis", "mysql", "postgres", "smtp", "amqp", "mongodb", "dns", "memcached", "kafka", "websocket", "tunnel"}

// named reports whether a payload begins like one that holds a name.
func named(p *packet, b []byte) bool {
	if p.proto == protoUDP {
		return p.sport == 53 || p.dport == 53
	}
	return tlsHello(b) || httpRequest(b)
}

func tlsHello(b []byte) bool {
	return len(b) >= 6 && b[0] == 0x16 && b[1] == 3 && b[5] == 1
}

func httpRequest(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch string(b[:4]) {
	case "GET ", "PUT ", "POST", "HEAD", "DELE", "OPTI", "PATC", "CONN", "TRAC":
		return true
	}
	return false
}

// reveal guesses the protocol from the first payload of one side.
func reveal(p *packet, fromServer bool) app {
	b := p.head[:p.headLen]
	switch {
	case p.proto == protoUDP:
		if p.sport == 53 || p.dport == 53 || p.sport == 5353 || p.dport == 5353 {
			return appDNS
		}
		return appNone
	case httpRequest(b), bytes.HasPrefix(b, []byte("HTTP/1.")):
		return appHTTP
	case bytes.HasPrefix(b, []byte("PRI * HTTP/2")):
		return appHTTP2
	case len(b) >= 3 && b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4:
		return appTLS
	case bytes.HasPrefix(b, []byte("SSH-")):
		return appSSH
	case bytes.HasPrefix(b, []byte("AMQP")):
		return appAMQP
	case len(b) >= 4 && b[0] == '*' && b[1] >= '0' && b[1] <= '9' && bytes.Contains(b, []byte("\r\n")):
		return appRedis
	case bytes.HasPrefix(b, []byte("220 ")), bytes.HasPrefix(b, []byte("220-")), bytes.HasPrefix(b, []byte("EHLO ")):
		return appSMTP
	case bytes.HasPrefix(b, []byte("get ")), bytes.HasPrefix(b, []byte("VALUE ")):
		return appMemcache
	}
	return revealBinary(p, b, fromServer)
}

// upgraded is what an HTTP request turns the connection into, appHTTP if nothing:
// what follows the answer is no HTTP. An offer of HTTP/2 is mostly ignored.
func upgraded(request []byte) app {
	if bytes.HasPrefix(request, []byte("CONNECT ")) {
		return appTunnel
	}
	for head := request; len(head) > 0; {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		if name, to, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "upgrade") && strings.EqualFold(string(bytes.TrimSpace(to)), "websocket") {
			return appWebSocket
		}
		head = rest
	}
	return appHTTP
}

// revealBinary guesses protocols whose messages begin with their length.
func revealBinary(p *packet, b []byte, fromServer bool) app {
	if len(b) < 8 {
		return appNone
	}
	be, le := binary.BigEndian, binary.LittleEndian
	switch {
	// Start-up message of version 3, SSL or cancel request.
	case !fromServer && be.Uint32(b) == uint32(p.payload) && (be.Uint32(b[4:]) == 3<<16 || be.Uint32(b[4:])>>16 == 1234):
		return appPostgres
	// Greeting: length, sequence 0, protocol 10.
	case fromServer && int32(b[0])|int32(b[1])<<8|int32(b[2])<<16 == p.payload-4 && b[3] == 0 && b[4] == 10:
		return appMySQL
	case len(b) >= 16 && le.Uint32(b) == uint32(p.payload) && (le.Uint32(b[12:]) == 2013 || le.Uint32(b[12:]) == 2004):
		return appMongo
	case (p.sport == 53 || p.dport == 53) && int32(be.Uint16(b)) == p.payload-2:
		return appDNS
	// Length, then a small request key and version.
	case p.dport == 9092 && be.Uint32(b) == uint32(p.payload-4):
		return appKafka
	}
	return appNone
}

// serverName finds the server's name in a TLS greeting or an HTTP request.
func serverName(b []byte) string {
	if tlsHello(b) {
		return tlsName(b)
	}
	if !httpRequest(b) {
		return ""
	}
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\r\n"))
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "host") && len(rest) > 0 {
			return printable(bytes.TrimSpace(value))
		}
		b = rest
	}
	return ""
}

// tlsName walks a ClientHello to its server name. All of it may be cut anywhere.
func tlsName(b []byte) string {
	skip := func(n int) bool {
		if n > len(b) {
			return false
		}
		b = b[n:]
		return true
	}
	vector := func(size int) bool { // passes a vector behind its length
		if len(b) < size {
			return false
		}
		n := int(b[0])
		if size == 2 {
			n = n<<8 | int(b[1])
		}
		return skip(size + n)
	}
	// Record and handshake headers, version, random; session, ciphers, compression.
	if !skip(5+4+2+32) || !vector(1) || !vector(2) || !vector(1) || !skip(2) {
		return ""
	}
	for len(b) >= 4 {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			return ""
		}
		if kind == 0 && n > 5 && b[2] == 0 {
			end := 5 + int(binary.BigEndian.Uint16(b[3:]))
			if end <= n {
				return printable(b[5:end])
			}
			return ""
		}
		b = b[n:]
	}
	return ""
}

// printable is a name from the wire if it looks like one.
func printable(b []byte) string {
	if len(b) == 0 || len(b) > 255 {
		return ""
	}
	for _, c := range b {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return string(b)
}
