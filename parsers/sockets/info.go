package sockets

import (
	"bytes"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func (s *scanner) spareInfo() *fact.TCPInfo {
	if s.spare == nil {
		s.spare = s.infos.new()
	}
	return s.spare
}

// usersOf reads `("node",pid=3286,fd=19),("sh",pid=1,fd=3))` or the older
// `("sshd",1231,3))` and returns what follows. A name may hold any character, so
// its end is the first `",` that a number or a key follows.
func (s *scanner) usersOf(b []byte, row *fact.Socket) []byte {
	s.owners = append(s.owners[:0], row.Owners...)
	for len(b) > 1 && b[0] == '(' && b[1] == '"' {
		b = b[2:]
		end := nameEnd(b)
		if end < 0 {
			// Cut inside a name: what is there of it is not kept.
			b = nil
			break
		}
		o := fact.Owner{Process: s.str.get(b[:end])}
		b = ownerNumbers(b[end+2:], &o)
		if o.PID > 0 {
			s.owners = append(s.owners, o)
		}
		if len(b) > 0 && b[0] == ',' {
			b = b[1:]
		}
	}
	row.Owners = s.owned.list(s.owners)
	return bytes.TrimPrefix(b, []byte(")"))
}

// nameEnd is the index of the quote that ends a name, -1 if there is none.
func nameEnd(b []byte) int {
	from := 0
	for {
		i := bytes.Index(b[from:], []byte(`",`))
		if i < 0 {
			return -1
		}
		i += from
		next := b[i+2:]
		if len(next) > 0 && (isDigit(next[0]) || bytes.HasPrefix(next, []byte("pid=")) || bytes.HasPrefix(next, []byte("proc_ctx="))) {
			return i
		}
		from = i + 1
	}
}

// ownerNumbers reads `pid=3286,fd=19)` or `1231,3)` and returns what follows.
func ownerNumbers(b []byte, o *fact.Owner) []byte {
	end := bytes.IndexByte(b, ')')
	rest := []byte(nil)
	if end >= 0 {
		b, rest = b[:end], b[end+1:]
	}
	for i := 0; len(b) > 0; i++ {
		part, more, _ := bytes.Cut(b, []byte(","))
		b = more
		key, value, named := bytes.Cut(part, []byte("="))
		if !named {
			value = part
		}
		n, ok := number(value)
		if !ok {
			continue
		}
		switch {
		case named && string(key) == "pid" || !named && i == 0:
			o.PID = int(n)
		case named && string(key) == "fd" || !named && i == 1:
			o.FD = some(n)
		}
	}
	return rest
}

// timer reads `(keepalive,119min,0)`, also cut short.
func (s *scanner) timer(v []byte, row *fact.Socket) {
	v = bytes.TrimSuffix(bytes.TrimPrefix(v, []byte("(")), []byte(")"))
	name, rest, _ := bytes.Cut(v, []byte(","))
	expires, retrans, _ := bytes.Cut(rest, []byte(","))
	t := s.timers.new()
	t.Name = s.str.get(name)
	if d, ok := timerValue(expires); ok {
		t.Expires, t.ExpiresMS = d, fact.Some(float64(d)/float64(time.Millisecond))
	}
	if n, ok := number(retrans); ok {
		t.Retrans = int(n)
	}
	row.Timer = t
}

// timerValue reads what ss prints of a timer: 119min, 1min38sec, 35sec, 224ms,
// 004ms, and nothing for zero. Below ten seconds iproute2 prints seconds and
// milliseconds joined by a dot but with the unit of the second part: "9.151ms" is
// nine seconds and 151 milliseconds. Newer versions write "9.151sec".
func timerValue(v []byte) (time.Duration, bool) {
	if len(v) == 0 {
		return 0, true
	}
	total := time.Duration(0)
	if n, rest, ok := leading(v); ok && bytes.HasPrefix(rest, []byte("min")) {
		total, v = time.Duration(n)*time.Minute, rest[3:]
		if len(v) == 0 {
			return total, true
		}
	}
	dotted := bytes.IndexByte(v, '.') >= 0
	f, unit, ok := decimal(v)
	if !ok {
		return 0, false
	}
	switch {
	case string(unit) == "sec" || string(unit) == "s" || string(unit) == "ms" && dotted:
		return total + (time.Duration(f*1000+0.5) * time.Millisecond), true
	case string(unit) == "ms":
		return total + time.Duration(f)*time.Millisecond, true
	}
	return 0, false
}

// skmem reads `(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0)` and the older
// `(r0,w0,f0,t0)`.
func (s *scanner) skmem(v []byte, row *fact.Socket) {
	v = bytes.TrimSuffix(bytes.TrimPrefix(v, []byte("(")), []byte(")"))
	m := s.mems.new()
	for len(v) > 0 {
		part, more, _ := bytes.Cut(v, []byte(","))
		v = more
		i := 0
		for i < len(part) && !isDigit(part[i]) {
			i++
		}
		n, ok := number(part[i:])
		if !ok {
			continue
		}
		switch string(part[:i]) {
		case "r":
			m.Rmem = n
		case "rb":
			m.Rcvbuf = n
		case "t":
			m.Wmem = n
		case "tb":
			m.Sndbuf = n
		case "f":
			m.Fwd = n
		case "w":
			m.Wqueued = n
		case "o":
			m.Opt = n
		case "bl":
			m.Backlog = n
		case "d":
			m.Drop = n
		}
	}
	row.Skmem = m
}

// bareWord notes a word without a colon and returns what follows it. Some words
// are names of a value in the next word, "send 1.2Mbps".
func (s *scanner) bareWord(w, rest []byte) []byte {
	switch string(w) {
	case "send", "Send", "pacing_rate", "max_pacing_rate", "delivery_rate":
		_, rest = nextField(rest)
		return rest
	}
	c := w[0]
	if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') || bytes.IndexByte(w, '=') >= 0 || len(s.wordb) > 512 {
		return rest
	}
	if len(s.wordb) > 0 {
		s.wordb = append(s.wordb, ' ')
	}
	s.wordb = append(s.wordb, w...)
	return rest
}

// wordList is the list of the words noted; equal lists are shared.
func (s *scanner) wordList(have []string) []string {
	if list, ok := s.lists[string(s.wordb)]; ok && have == nil {
		return list
	}
	list := append(have[:len(have):len(have)], strings.Fields(string(s.wordb))...)
	if have == nil && len(s.lists) < internCount {
		s.lists[string(s.wordb)] = list
	}
	return list
}

// tcpInfo stores one "key:value" of ss -i and reports whether it belongs there.
func tcpInfo(t *fact.TCPInfo, key, v []byte) bool {
	if !durations(t, key, v) && !counts(t, key, v) {
		return false
	}
	return true
}

// durations stores the keys whose values are times, shares or pairs.
func durations(t *fact.TCPInfo, key, v []byte) bool {
	ms := func(to *fact.Opt[float64]) bool {
		f, _, ok := decimal(v)
		if ok {
			*to = fact.Some(f)
		}
		return ok
	}
	switch string(key) {
	case "wscale":
		t.WScale = wscale(v)
	case "rto":
		return ms(&t.RTOms)
	case "ato":
		return ms(&t.ATOms)
	case "minrtt":
		return ms(&t.MinRTTms)
	case "rtt":
		rtt, dev, pair := bytes.Cut(v, []byte("/"))
		if f, _, ok := decimal(rtt); ok {
			t.RTTms = fact.Some(f)
		}
		if f, _, ok := decimal(dev); pair && ok {
			t.RTTVarms = fact.Some(f)
		}
	case "retrans":
		now, total, pair := bytes.Cut(v, []byte("/"))
		if n, ok := number(now); ok {
			t.Retrans = some(n)
		}
		if n, ok := number(total); pair && ok {
			t.RetransTotal = some(n)
		}
	case "busy":
		if f, _, ok := decimal(v); ok {
			t.BusyMS = some(int64(f))
		}
	case "rwnd_limited":
		t.RwndLimited = share(v)
	case "sndbuf_limited":
		t.SndbufLimited = share(v)
	default:
		return false
	}
	return true
}

// commonScales are nearly all that kernels choose; naming them saves a string a row.
func wscale(v []byte) string {
	switch string(v) {
	case "7,7":
		return "7,7"
	case "10,10":
		return "10,10"
	case "8,7":
		return "8,7"
	case "9,7":
		return "9,7"
	}
	return string(v)
}

// share reads "8ms(50.0%)" as 0.5.
func share(v []byte) fact.Opt[float64] {
	_, in, ok := bytes.Cut(v, []byte("("))
	if !ok {
		return fact.Opt[float64]{}
	}
	f, rest, ok := decimal(in)
	if !ok || len(rest) == 0 || rest[0] != '%' {
		return fact.Opt[float64]{}
	}
	return fact.Some(f / 100)
}

// counts stores the keys whose values are whole numbers.
func counts(t *fact.TCPInfo, key, v []byte) bool {
	var to *fact.Int
	switch string(key) {
	case "mss":
		to = &t.MSS
	case "pmtu":
		to = &t.PMTU
	case "cwnd":
		to = &t.Cwnd
	case "ssthresh":
		to = &t.Ssthresh
	case "bytes_sent":
		to = &t.BytesSent
	case "bytes_retrans":
		to = &t.BytesRetrans
	case "bytes_acked":
		to = &t.BytesAcked
	case "bytes_received":
		to = &t.BytesReceived
	case "segs_out":
		to = &t.SegsOut
	case "segs_in":
		to = &t.SegsIn
	case "lastsnd":
		to = &t.LastSndMS
	case "lastrcv":
		to = &t.LastRcvMS
	case "lastack":
		to = &t.LastAckMS
	case "unacked":
		to = &t.Unacked
	case "lost":
		to = &t.Lost
	case "backoff":
		to = &t.Backoff
	case "notsent":
		to = &t.NotSent
	case "rcv_space":
		to = &t.RcvSpace
	case "snd_wnd":
		to = &t.SndWnd
	case "rcv_wnd":
		to = &t.RcvWnd
	default:
		return false
	}
	n, _, ok := leading(v)
	if ok {
		*to = some(n)
	}
	return ok
}
