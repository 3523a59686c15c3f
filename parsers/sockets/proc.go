package sockets

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// procRow reads a row of /proc/net/tcp, tcp6, udp, udp6 or raw: "sl: local remote
// st tx:rx tr:when retrnsmt uid timeout inode ...", all but the last three in
// hexadecimal.
func (s *scanner) procRow(b []byte, row *fact.Socket) bool {
	var f [14][]byte
	n := 0
	for rest := b; n < len(f); n++ {
		if f[n], rest = nextField(rest); len(f[n]) == 0 {
			break
		}
	}
	if n < 10 || f[0][len(f[0])-1] != ':' {
		return false
	}
	local, ok1 := hexEnd(f[1])
	remote, ok2 := hexEnd(f[2])
	state, ok3 := hexNumber(f[3])
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	row.Proto = s.procProto(n)
	row.Local, row.LocalPort = s.str.get([]byte(local.Addr().String())), strconv.Itoa(int(local.Port()))
	row.Remote, row.RemotePort = s.str.get([]byte(remote.Addr().String())), strconv.Itoa(int(remote.Port()))
	row.State = kernelState(state)
	if row.RemotePort == "0" {
		row.RemotePort = "*"
	}
	tx, rx, _ := bytes.Cut(f[4], []byte(":"))
	if v, ok := hexNumber(tx); ok {
		row.SendQ = some(v)
	}
	if v, ok := hexNumber(rx); ok {
		row.RecvQ = some(v)
	}
	if v, ok := number(f[7]); ok {
		row.UID = some(v)
	}
	if v, ok := number(f[9]); ok {
		row.Inode = some(v)
	}
	s.procTimer(f[5], f[6], row)
	return true
}

// procProto tells the tables apart, which have the same header but for the last
// columns: by the file's name, else by the number of columns.
func (s *scanner) procProto(fields int) string {
	switch name := strings.ToLower(s.name); {
	case strings.Contains(name, "udp"):
		return "udp"
	case strings.Contains(name, "raw"):
		return "raw"
	case strings.Contains(name, "icmp"):
		return "icmp"
	case strings.Contains(name, "tcp"):
		return "tcp"
	}
	// A udp row ends in "ref pointer drops"; a tcp row has more columns there, or,
	// in TIME_WAIT, one less.
	if fields == 13 {
		return "udp"
	}
	return "tcp"
}

// procTimer reads "02:000A5C8D" and the retransmissions: kind 1 retransmission, 2
// keepalive, 3 time wait, 4 zero window probe; the time is in hundredths of a second.
func (s *scanner) procTimer(tr, retrans []byte, row *fact.Socket) {
	kind, when, _ := bytes.Cut(tr, []byte(":"))
	names := [...]string{"", "on", "keepalive", "timewait", "persist"}
	k, ok := hexNumber(kind)
	if !ok || k <= 0 || int(k) >= len(names) {
		return
	}
	t := s.timers.new()
	t.Name = names[k]
	if v, ok := hexNumber(when); ok {
		t.Expires = time.Duration(v) * 10 * time.Millisecond
		t.ExpiresMS = fact.Some(float64(v) * 10)
	}
	if v, ok := hexNumber(retrans); ok {
		t.Retrans = int(v)
	}
	row.Timer = t
}

// hexEnd reads "0100007F:1F90". The address is in words of the host's byte order,
// and practically every host is little-endian; the port is in network order.
func hexEnd(w []byte) (netip.AddrPort, bool) {
	host, port, ok := bytes.Cut(w, []byte(":"))
	p, okPort := hexNumber(port)
	if !ok || !okPort || p > 0xffff {
		return netip.AddrPort{}, false
	}
	var raw [16]byte
	if len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(host); i += 8 {
		v, ok := hexNumber(host[i : i+8])
		if !ok {
			return netip.AddrPort{}, false
		}
		for j := range 4 {
			raw[i/2+j] = byte(v >> (8 * j))
		}
	}
	if len(host) == 8 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw[:4])), uint16(p)), true
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw), uint16(p)), true
}

func hexNumber(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		switch {
		case isDigit(c):
			n = n<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// procUnixRow reads "Num: RefCount Protocol Flags Type St Inode [Path]".
func (s *scanner) procUnixRow(b []byte, row *fact.Socket) bool {
	rest := b
	var w []byte
	var flags, st int64
	for i := range 6 {
		if w, rest = nextField(rest); len(w) == 0 {
			return false
		}
		n, ok := hexNumber(bytes.TrimSuffix(w, []byte(":")))
		if i > 0 && !ok {
			return false
		}
		switch i {
		case 3:
			flags = n
		case 5:
			st = n
		}
	}
	w, rest = nextField(rest)
	ino, ok := number(w)
	if !ok {
		return false
	}
	row.Proto, row.Inode, row.Path = "unix", some(ino), string(skipBlanks(rest))
	switch {
	case flags&0x10000 != 0:
		row.State = "LISTENING"
	case st == 3:
		row.State = "CONNECTED"
	}
	return true
}
