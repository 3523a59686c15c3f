package sockets

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// bsdRow reads a row of macOS or FreeBSD: "[blocks] tcp4 0 0 addr.port addr.port
// [state] [more]".
func (s *scanner) bsdRow(hd *header, b []byte, row *fact.Socket) bool {
	var w []byte
	rest := b
	for range hd.lead {
		if w, rest = nextField(rest); len(w) == 0 {
			return false
		}
		if row.Cookie == "" {
			row.Cookie = s.str.get(w)
		}
	}
	w, rest = nextField(rest)
	if row.Proto = protocol(w); row.Proto == "" {
		return false
	}
	for i := range hd.numbers {
		w, more := nextField(rest)
		n, ok := number(w)
		if !ok {
			break // UDP rows leave TCP's columns blank
		}
		rest = more
		switch {
		case hd.queues && i == 0:
			row.RecvQ = some(n)
		case hd.queues && i == 1:
			row.SendQ = some(n)
		}
	}
	local, rest := nextField(rest)
	remote, rest := nextField(rest)
	if bytes.IndexByte(local, '.') < 0 || bytes.IndexByte(remote, '.') < 0 {
		return false
	}
	l, r := splitDotted(local), splitDotted(remote)
	s.ends(row, l, r)
	row.Cut = hd.width > 0 && (len(local) >= hd.width || len(remote) >= hd.width)
	if hd.state {
		w, more := nextField(rest)
		if st := tcpState(w); st != "" {
			row.State, rest = st, more
		}
		s.bsdAfter(hd, rest, row)
	}
	return true
}

// bsdAfter reads the columns after the state: "pid", or "process:pid" on newer
// systems.
func (s *scanner) bsdAfter(hd *header, b []byte, row *fact.Socket) {
	for _, name := range hd.after {
		var w []byte
		if w, b = nextField(b); len(w) == 0 {
			return
		}
		var o fact.Owner
		switch name {
		case "pid":
			n, ok := number(w)
			if !ok {
				return
			}
			o.PID = int(n)
		case "process:pid":
			i := bytes.LastIndexByte(w, ':')
			if i < 0 {
				return
			}
			n, ok := number(w[i+1:])
			if !ok {
				return
			}
			o.PID, o.Process = int(n), s.str.get(w[:i])
		default:
			continue
		}
		if o.PID > 0 {
			s.owners = append(s.owners[:0], o)
			row.Owners = s.owned.list(s.owners)
		}
		return
	}
}

// bsdUnixRow reads "address type recvq sendq inode conn refs nextref [path]".
func (s *scanner) bsdUnixRow(b []byte, row *fact.Socket) bool {
	cookie, rest := nextField(b)
	kind, rest := nextField(rest)
	switch string(kind) {
	case "stream", "dgram", "seqpac":
	default:
		return false
	}
	row.Proto, row.Cookie = "unix", string(cookie)
	w, rest := nextField(rest)
	if n, ok := number(w); ok {
		row.RecvQ = some(n)
	}
	w, rest = nextField(rest)
	if n, ok := number(w); ok {
		row.SendQ = some(n)
	}
	for range 4 {
		if w, rest = nextField(rest); len(w) == 0 {
			return false
		}
	}
	row.Path = string(skipBlanks(rest))
	return true
}
