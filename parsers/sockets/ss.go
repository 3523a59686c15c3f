package sockets

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// ssRow reads "[Netid] [State] Recv-Q Send-Q Local:Port Peer:Port [attributes]".
func (s *scanner) ssRow(hd *header, b []byte, row *fact.Socket) bool {
	w, rest := nextField(b)
	if hd.netid {
		if row.Proto = netid(w); row.Proto == "" {
			return false
		}
		w, rest = nextField(rest)
	}
	var state []byte
	if hd.state {
		if !isState(w) {
			return false
		}
		state = w
		w, rest = nextField(rest)
	}
	recvq, ok := number(w)
	if !ok {
		return false
	}
	w, rest = nextField(rest)
	sendq, ok := number(w)
	if !ok {
		return false
	}
	local, rest := nextField(rest)
	peer, rest := nextField(rest)
	if len(local) == 0 || len(peer) == 0 {
		return false
	}
	row.RecvQ, row.SendQ = some(recvq), some(sendq)
	if row.Proto == "unix" || row.Proto == "" && allDigits(peer) && !hasPort(local) {
		row.Proto, row.State = "unix", s.str.get(state)
		return s.ssUnix(local, peer, rest, row)
	}
	if row.Proto == "" {
		row.Proto = s.ssProto(state, peer)
	}
	if i := fusedAt(peer); i > 0 {
		rest = b[len(b)-len(rest)-len(peer)+i:]
		peer = peer[:i]
	}
	if row.Proto == "tcp" || row.Proto == "mptcp" {
		row.State = tcpState(state)
	} else {
		row.State = s.str.get(state)
	}
	l, p := splitAddress(local), splitAddress(peer)
	s.ends(row, l, p)
	if row.Iface == "" {
		row.Iface = s.str.get(p.iface)
	}
	if row.Proto == "nl" {
		s.netlinkOwner(l.port, row)
	}
	if (row.Proto == "tcp" || row.Proto == "udp") && (len(l.port) == 0 || len(p.port) == 0) {
		return false
	}
	s.attributes(rest, row)
	return true
}

// netlinkOwner reads the port of a netlink socket, which is its owner's name and
// pid where ss knows them: "rtnl:systemd-network/712".
func (s *scanner) netlinkOwner(port []byte, row *fact.Socket) {
	i := bytes.LastIndexByte(port, '/')
	if i < 0 {
		return
	}
	if pid, ok := number(port[i+1:]); ok && pid > 0 {
		s.owners = append(s.owners[:0], fact.Owner{Process: s.str.get(port[:i]), PID: int(pid)})
		row.Owners = s.owned.list(s.owners)
	}
}

// ssProto is the protocol of a table that dropped its Netid column, because only
// one protocol was asked for. Only a netlink socket's peer has no port.
func (s *scanner) ssProto(state, peer []byte) string {
	if len(peer) == 1 && peer[0] == '*' {
		return "nl"
	}
	if string(state) == "UNCONN" {
		if bytes.IndexByte([]byte(s.opts), 'w') >= 0 {
			return "raw"
		}
		return "udp"
	}
	if o := []byte(s.opts); bytes.IndexByte(o, 'u') >= 0 && bytes.IndexByte(o, 't') < 0 {
		return "udp"
	}
	return "tcp"
}

// fusedAt is where the process column begins when it ran together with the peer
// ("127.0.0.1:80users:((..."), 0 otherwise.
func fusedAt(peer []byte) int {
	for _, w := range [...]string{"users:((", "timer:(", "uid:", "ino:"} {
		if i := bytes.Index(peer, []byte(w)); i > 0 {
			return i
		}
	}
	return 0
}

// ssUnix reads the ends of a unix socket, "path inode path inode", of which first
// and second are the first two words. A path may hold blanks; an inode is a number.
func (s *scanner) ssUnix(first, second, rest []byte, row *fact.Socket) bool {
	name := append([]byte(nil), first...)
	w := second
	for !allDigits(w) {
		if len(w) == 0 {
			return false
		}
		name = append(append(name, ' '), w...)
		w, rest = nextField(rest)
	}
	ino, _ := number(w)
	row.Inode = some(ino)
	if string(name) != "*" {
		row.Path = s.str.get(name)
	}
	for {
		w, rest = nextField(rest)
		if len(w) == 0 {
			return true
		}
		if allDigits(w) {
			row.RemotePort = s.str.get(w) // the peer's inode
			break
		}
	}
	s.attributes(rest, row)
	return true
}

// attributes reads what follows the addresses, on the same line or on others.
func (s *scanner) attributes(b []byte, row *fact.Socket) {
	s.wordb = s.wordb[:0]
	info := row.TCPInfo
	for b = skipBlanks(b); len(b) > 0; b = skipBlanks(b) {
		if b[0] == 'u' && bytes.HasPrefix(b, []byte("users:((")) {
			b = s.usersOf(b[len("users:("):], row)
			continue
		}
		end, colon := 0, -1
		for end < len(b) && !isBlank(b[end]) {
			if b[end] == ':' && colon < 0 {
				colon = end
			}
			end++
		}
		w := b[:end]
		b = b[end:]
		if colon < 0 {
			b = s.bareWord(w, b)
			continue
		}
		key, value := w[:colon], w[colon+1:]
		switch string(key) {
		case "timer":
			s.timer(value, row)
		case "uid":
			if n, ok := number(value); ok {
				row.UID = some(n)
			}
		case "ino":
			if n, ok := number(value); ok {
				row.Inode = some(n)
			}
		case "sk":
			row.Cookie = string(value)
		case "cgroup":
			row.Cgroup = s.str.get(value)
		case "skmem", "mem":
			s.skmem(value, row)
		default:
			target := info
			if target == nil {
				target = s.spareInfo()
			}
			if tcpInfo(target, key, value) && info == nil {
				info, s.spare = target, nil
			}
		}
	}
	if len(s.wordb) > 0 {
		if info == nil {
			info, s.spare = s.spareInfo(), nil
		}
		info.Words = s.wordList(info.Words)
		info.AppLimited = info.AppLimited || bytes.Contains(s.wordb, []byte("app_limited"))
	}
	row.TCPInfo = info
}
