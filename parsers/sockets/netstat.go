package sockets

import (
	"bytes"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// netstatRow reads a row of net-tools or BusyBox.
func (s *scanner) netstatRow(hd *header, b []byte, row *fact.Socket) bool {
	w, rest := nextField(b)
	if string(w) == "unix" {
		return s.netstatUnix(hd, rest, row)
	}
	if row.Proto = protocol(w); row.Proto == "" || hd.dialect != linux {
		return false
	}
	w, rest = nextField(rest)
	recvq, ok := number(w)
	if !ok {
		return false
	}
	w, rest = nextField(rest)
	sendq, ok := number(w)
	if !ok {
		return false
	}
	row.RecvQ, row.SendQ = some(recvq), some(sendq)
	l, rest, ok := s.netstatEnd(hd, rest, row)
	if !ok {
		return false
	}
	r, rest, ok := s.netstatEnd(hd, rest, row)
	if !ok {
		return false
	}
	s.ends(row, l, r)
	rest = s.netstatTimer(rest, row)
	rest = s.netstatState(rest, row)
	s.netstatTail(rest, row)
	return true
}

// netstatEnd reads one address. Where it fills its column exactly the tool may
// have cut it: a host name always loses its end that way, an IPv4 address never, and
// one that is mapped into IPv6 only where it could go on.
func (s *scanner) netstatEnd(hd *header, b []byte, row *fact.Socket) (a address, rest []byte, ok bool) {
	w, rest := nextField(b)
	if len(w) == 0 {
		return a, b, false
	}
	if hd.ports {
		a.host, a.iface = splitHost(w)
		a.port, rest = nextField(rest)
		return a, rest, len(a.port) > 0
	}
	if !hasPort(w) {
		return a, b, false
	}
	a = splitAddress(w)
	if hd.width > 0 && len(w) == hd.width && !isIPv4(a.host) && !wholeMapped(a) {
		row.Cut = true
	}
	return a, rest, true
}

// wholeMapped reports whether nothing can be missing of "::ffff:10.1.0.60:34462":
// net-tools cuts the host and BusyBox the port, and neither can have one digit more.
func wholeMapped(a address) bool {
	v4, mapped := bytes.CutPrefix(a.host, []byte("::ffff:"))
	if !mapped || !isIPv4(v4) || bytes.Count(v4, []byte(".")) != 3 || len(a.port) != 5 {
		return false
	}
	last, _, ok := leading(v4[bytes.LastIndexByte(v4, '.')+1:])
	return ok && last > 25
}

func isIPv4(h []byte) bool {
	for _, c := range h {
		if !isDigit(c) && c != '.' {
			return false
		}
	}
	return len(h) > 0
}

// netstatTimer cuts "keepalive (7194.07/0/0)" off the end of a row: seconds until
// it fires, retransmissions, probes.
func (s *scanner) netstatTimer(b []byte, row *fact.Socket) []byte {
	b = trimRight(b)
	if len(b) == 0 || b[len(b)-1] != ')' {
		return b
	}
	open := bytes.LastIndexByte(b, '(')
	if open < 0 || bytes.IndexByte(b[open:], '/') < 0 {
		return b
	}
	secs, counts, ok := seconds(b[open+1 : len(b)-1])
	if !ok {
		return b
	}
	head := trimRight(bytes.TrimRight(b[:open], "(")) // Estonian has a second one
	start := len(head)
	for start > 0 && !isBlank(head[start-1]) {
		start--
	}
	t := s.timers.new()
	t.Name = s.timerName(head[start:])
	if t.Name != "off" {
		t.Expires = time.Duration(secs*1000+0.5) * time.Millisecond
		t.ExpiresMS = fact.Some(secs * 1000)
	}
	if n, _, ok := leading(counts); ok {
		t.Retrans = int(n)
	}
	row.Timer = t
	return head[:start]
}

// seconds reads "7194.07/0/0", also with the decimal comma of many locales, and
// returns what stands behind the first slash.
func seconds(b []byte) (secs float64, counts []byte, ok bool) {
	whole, counts, ok := bytes.Cut(b, []byte("/"))
	if !ok {
		return 0, nil, false
	}
	n, frac, ok := leading(whole)
	if !ok {
		return 0, nil, false
	}
	secs = float64(n)
	if len(frac) == 3 && (frac[0] == '.' || frac[0] == ',') && allDigits(frac[1:]) {
		hundredths, _ := number(frac[1:])
		secs += float64(hundredths) / 100
	} else if len(frac) > 0 {
		return 0, nil, false
	}
	return secs, counts, true
}

// timerName is the name that ss has for a timer of net-tools, whose translations
// translate it. A name that is not known stays as printed.
func (s *scanner) timerName(w []byte) string {
	switch string(w) {
	case "off", "aus", "vyp", "desligado", "オフ", "eikäi":
		return "off"
	case "on", "ein", "em", "zapnut", "オン", "käib":
		return "on"
	case "probe":
		return "persist"
	case "キープアライブ":
		return "keepalive"
	case "時間待ち":
		return "timewait"
	}
	return s.str.get(w)
}

// netstatState cuts the state off the front. UDP rows often have none; raw rows
// have a number. A TCP state in a language that is not known stays as printed,
// except that a socket without a peer listens.
func (s *scanner) netstatState(b []byte, row *fact.Socket) []byte {
	w, rest := nextField(b)
	switch {
	case len(w) == 0 || ownerLike(w):
		return b
	case row.Proto == "tcp":
		if more, ok := bytes.CutPrefix(skipBlanks(b), []byte("POSLEDNÍ ACK")); ok { // Czech, the only state of two words
			row.State = fact.StateLastAck
			return more
		}
		row.State = tcpState(w)
		if row.State == "" {
			row.State = s.str.get(w)
			if row.RemotePort == "*" {
				row.State = fact.StateListen
			}
		}
		return rest
	case isState(w), row.Proto == "raw" && allDigits(w):
		row.State = s.str.get(w)
		return rest
	}
	return b
}

// ownerLike reports whether a word is "1279/qpidd" or "-".
func ownerLike(w []byte) bool {
	if len(w) == 1 && w[0] == '-' {
		return true
	}
	_, rest, ok := leading(w)
	return ok && len(rest) > 0 && rest[0] == '/'
}

// netstatTail reads "[User Inode] [PID/Program name]".
func (s *scanner) netstatTail(b []byte, row *fact.Socket) {
	// Headers are translated, in part: two words, the second a number, can only be
	// user and inode.
	first, rest := nextField(b)
	second, rest := nextField(rest)
	if inode, ok := number(second); ok && !ownerLike(first) {
		row.Inode = some(inode)
		if n, ok := number(first); ok {
			row.UID = some(n)
		} else {
			row.User = s.str.get(first)
		}
		b = rest
	}
	s.netstatOwner(trimRight(skipBlanks(b)), row)
}

// netstatOwner reads "1279/qpidd", "12387/Passenger Rac", "1279" or "mongod". The
// name is cut to what fits the column, and a relative path keeps its directory.
func (s *scanner) netstatOwner(b []byte, row *fact.Socket) {
	if len(b) == 0 || b[0] == '-' {
		return
	}
	n, name, ok := leading(b)
	if !ok {
		name = b
	} else if len(name) > 0 && name[0] != '/' {
		return
	}
	name = bytes.TrimPrefix(name, []byte("/"))
	s.owners = append(s.owners[:0], fact.Owner{PID: int(n), Process: s.str.get(bytes.TrimPrefix(name, []byte("./")))})
	row.Owners = s.owned.list(s.owners)
}

// netstatUnix reads "2 [ ACC ] STREAM LISTENING 13851 1/systemd /run/x" after the
// word unix.
func (s *scanner) netstatUnix(hd *header, b []byte, row *fact.Socket) bool {
	row.Proto = "unix"
	w, b := nextField(b)
	if !allDigits(w) {
		return false
	}
	b = skipBlanks(b)
	if end := bytes.IndexByte(b, ']'); len(b) > 0 && b[0] == '[' && end > 0 {
		b = b[end+1:]
	} else {
		return false
	}
	w, b = nextField(b) // the type: STREAM, DGRAM, SEQPACKET
	if len(w) == 0 || allDigits(w) {
		return false
	}
	w, rest := nextField(b)
	if !allDigits(w) {
		row.State = s.str.get(w)
		w, rest = nextField(rest)
	}
	n, ok := number(w)
	if !ok {
		return false
	}
	row.Inode = some(n)
	rest = skipBlanks(rest)
	if owner, _ := nextField(rest); hd.owner || ownerLike(owner) {
		owner, rest = cutOwner(rest)
		s.netstatOwner(owner, row)
	}
	row.Path = string(trimRight(skipBlanks(rest)))
	return true
}

// cutOwner cuts "12387/Passenger Rac" off a row whose next column is a path.
func cutOwner(b []byte) (owner, rest []byte) {
	for i := 0; i+1 < len(b); i++ {
		if isBlank(b[i]) && (isBlank(b[i+1]) || b[i+1] == '/' || b[i+1] == '@') {
			return b[:i], b[i:]
		}
	}
	return b, nil
}
