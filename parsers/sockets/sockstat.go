package sockets

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// sockstatRow reads a row of FreeBSD's sockstat; -s adds the state at the end:
//
//	USER     COMMAND    PID   FD  PROTO  LOCAL ADDRESS         FOREIGN ADDRESS       STATE
//	www      nginx      998   6   tcp4   *:80                  *:*                   LISTEN
//	?        ?          ?     ?   tcp4   10.0.0.5:80           10.0.0.9:51000        TIME_WAIT
//	root     syslogd    731   4   dgram  /var/run/log
//
// A command may hold blanks: it ends where a pid, a descriptor and a protocol
// follow.
func (s *scanner) sockstatRow(b []byte, row *fact.Socket) bool {
	user, rest := nextField(b)
	command := skipBlanks(rest)
	_, at := nextField(command)
	for len(at) > 0 {
		pid, more := nextField(at)
		fd, more := nextField(more)
		kind, more := nextField(more)
		if row.Proto = sockstatProto(kind); row.Proto != "" && numberOrNone(pid) && numberOrNone(fd) {
			row.User = s.known(user)
			s.sockstatOwner(command[:len(command)-len(at)], pid, fd, row)
			return s.sockstatEnds(more, row)
		}
		_, at = nextField(at)
	}
	return false
}

// sockstatProto translates the column PROTO.
func sockstatProto(w []byte) string {
	switch string(w) {
	case "stream", "dgram", "seqpac", "seqpacket":
		return "unix"
	}
	return protocol(w)
}

func numberOrNone(w []byte) bool { return allDigits(w) || string(w) == "?" }

// known is a word, "" for the question mark of a socket that no process holds.
func (s *scanner) known(w []byte) string {
	if string(w) == "?" {
		return ""
	}
	return s.str.get(w)
}

func (s *scanner) sockstatOwner(command, pid, fd []byte, row *fact.Socket) {
	n, ok := number(pid)
	if !ok {
		return
	}
	o := fact.Owner{Process: s.known(command), PID: int(n)}
	if v, ok := number(fd); ok {
		o.FD = some(v)
	}
	s.owners = append(s.owners[:0], o)
	row.Owners = s.owned.list(s.owners)
}

// sockstatEnds reads the addresses and the state behind them. Without -s only a
// socket without a peer tells its state.
func (s *scanner) sockstatEnds(b []byte, row *fact.Socket) bool {
	local, rest := nextField(b)
	if row.Proto == "unix" {
		if len(local) > 0 && (local[0] == '/' || local[0] == '@') {
			row.Path = string(local)
		}
		return true
	}
	remote, rest := nextField(rest)
	if !hasPort(local) || !hasPort(remote) {
		return false
	}
	l, r := splitAddress(local), splitAddress(remote)
	s.ends(row, l, r)
	if row.Proto != "tcp" {
		return true
	}
	for w, more := nextField(rest); len(w) > 0; w, more = nextField(more) {
		if st := tcpState(w); st != "" {
			row.State = st
		}
	}
	if row.State == "" && bytes.Equal(remote, []byte("*:*")) {
		row.State = fact.StateListen
	}
	return true
}
