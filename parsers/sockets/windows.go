package sockets

import "github.com/culprit-dev/culprit/analyze/fact"

// windowsRow reads "TCP local remote STATE [PID]" and "UDP local *:* [PID]". A
// state in a language that is not known stays as printed, except that a socket
// whose peer has port 0 listens.
func (s *scanner) windowsRow(b []byte, row *fact.Socket) bool {
	w, rest := nextField(b)
	if row.Proto = protocol(w); row.Proto != "tcp" && row.Proto != "udp" {
		return false
	}
	local, rest := nextField(rest)
	remote, rest := nextField(rest)
	if !hasPort(local) || !hasPort(remote) {
		return false
	}
	l, r := splitAddress(local), splitAddress(remote)
	s.ends(row, l, r)
	w, more := nextField(rest)
	if row.Proto == "tcp" {
		if len(w) == 0 || allDigits(w) {
			return false
		}
		rest = more
		row.State = tcpState(w)
		if row.State == "" {
			row.State = s.str.get(w)
			if row.RemotePort == "0" {
				row.State = fact.StateListen
			}
		}
		w, _ = nextField(rest)
	}
	if n, ok := number(w); ok && n > 0 {
		s.owners = append(s.owners[:0], fact.Owner{PID: int(n)})
		row.Owners = s.owned.list(s.owners)
	}
	return true
}
