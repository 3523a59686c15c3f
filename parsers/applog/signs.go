package applog

import (
	"bytes"
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// signs are the reasons for which an event is kept, as a set.
type signs uint16

const (
	hasConnect signs = 1 << iota
	hasErrno
	hasError
	hasFirst
	hasListen
	hasOOM
	hasPeer
	hasSignal
	hasStart
	hasStat
	hasStop
	hasTimeout
	hasWarn
)

// signNames stand in the order of the bits, which is alphabetical.
var signNames = [...]string{
	fact.SignConnect, fact.SignErrno, fact.SignError, fact.SignFirst, fact.SignListen, fact.SignOOM, fact.SignPeer,
	fact.SignSignal, fact.SignStart, fact.SignStat, fact.SignStop, fact.SignTimeout, fact.SignWarn,
}

func (s signs) list() []string {
	var out []string
	for i, n := range signNames {
		if s&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// marks is what the words of a message say.
type marks struct {
	signs   signs
	errno   string
	syscall string
	signal  string
	addrs   addresses
	pids    []int
	// pairs counts key=number, which periodic numbers are printed as; numbers
	// counts bare numbers.
	pairs, numbers int
	// child: the text is about a process that the writer started or manages.
	child bool
}

// reader reads the words of one message after another; its buffers are reused.
type reader struct {
	low []byte
	m   marks
}

// maxRead is how much of a message is read for signs.
const maxRead = 8 << 10

// read looks through a message. The result is valid until the next call.
func (r *reader) read(msg []byte, l level) *marks {
	msg = msg[:min(len(msg), maxRead)]
	r.low = lower(r.low[:0], msg)
	r.m = marks{addrs: addresses{list: r.m.addrs.list[:0]}, pids: r.m.pids[:0]}
	m := &r.m
	switch {
	case l >= levelError:
		m.signs |= hasError
	case l == levelWarn:
		m.signs |= hasWarn
	}
	han := false
	for i := 0; i < len(msg); {
		c := msg[i]
		switch {
		case letter(c):
			n := wordLen(msg[i:])
			r.word(msg, i, n, l)
			i += n
		case digit(c):
			i += m.digits(msg, i)
		case c == ':' || c == '*':
			i += m.addrs.colon(msg, i)
		case c == '[':
			i += m.addrs.bracket(msg, i)
		default:
			han = han || c >= 0x80
			i++
		}
	}
	if han {
		r.han(msg)
	}
	if m.errno == "" {
		m.abroad(msg)
	}
	m.settle(r.low, l)
	return m
}

func wordLen(b []byte) int {
	n := 1
	for n < len(b) && (letter(b[n]) || b[n] == '_') {
		n++
	}
	return n
}

// han looks for wordings that are not split into words.
func (r *reader) han(msg []byte) {
	for _, p := range hanPhrases {
		if bytes.Contains(msg, []byte(p.rest)) {
			r.m.take(p)
		}
	}
}

func (m *marks) take(p phrase) {
	m.signs |= p.signs
	if p.errno != "" {
		m.signs |= hasErrno
		if m.errno == "" {
			m.errno = p.errno
		}
	}
}

// digits reads a number: an address, a pid in a name, or just a number.
func (m *marks) digits(msg []byte, i int) int {
	if n := m.addrs.ip(msg, i); n > 0 {
		return n
	}
	n := digits(msg[i:])
	if i > 1 && msg[i-1] == '#' && letter(msg[i-2]) && i+n < len(msg) && msg[i+n] == ':' { // app_worker#3:30024
		if k := digits(msg[i+n+1:]); k > 1 && k < 8 {
			m.pid(atoi(msg[i+n+1 : i+n+1+k]))
			return n + 1 + k
		}
	}
	if i > 0 && msg[i-1] == '=' && amount(msg[i+n:]) {
		m.pairs++
	}
	m.numbers++
	return n
}

// amount reports whether what follows the digits of a number leaves it one: a
// fraction, a unit, the end of the word. An identifier goes on with more.
func amount(rest []byte) bool {
	n := 0
	for n < len(rest) && (letter(rest[n]) || digit(rest[n]) || rest[n] == '.' || rest[n] == '-') {
		if n++; n > 5 {
			return false
		}
	}
	return true
}

func (m *marks) pid(n int) {
	if n <= 0 || len(m.pids) >= 16 {
		return
	}
	if !slices.Contains(m.pids, n) {
		m.pids = append(m.pids, n)
	}
}

// settle draws the conclusions that need the whole message.
func (m *marks) settle(low []byte, l level) {
	if m.signal != "" {
		m.signs |= hasSignal
	}
	// What a shell prints when abort() ended its child; a request is aborted with
	// more words.
	if len(low) < 16 && string(bytes.Trim(low, " .\r\n")) == "aborted" {
		m.signs |= hasError | hasStop
	}
	// Who registers is told by address alone as often as with a port.
	if m.signs&hasPeer != 0 && len(m.addrs.list) == 0 && m.addrs.pending != "" {
		m.addrs.list = append(m.addrs.list, m.addrs.pending)
	}
	addressed := len(m.addrs.list) > 0
	if m.errno != "" {
		m.signs &^= hasListen | hasStart // "listen EADDRINUSE" is no start
		m.addrs.listens = nil
	}
	if m.addrs.onAddress && addressed && m.signs&(hasErrno|hasConnect|hasError|hasTimeout|hasPeer) == 0 {
		m.signs |= hasListen
	}
	if !addressed {
		m.signs &^= hasConnect
	}
	if !addressed && len(m.pids) == 0 {
		m.signs &^= hasPeer
	}
	if m.addrs.arrow && m.signs&(hasErrno|hasError|hasTimeout) == 0 {
		m.signs |= hasConnect
	}
	if m.signs == 0 && (m.pairs > 1 || m.numbers > 0 && (addressed || len(m.pids) > 0)) {
		m.signs |= hasStat
	}
	if m.signs == hasWarn || m.signs == hasError {
		return
	}
	// A stat line of a child is no start of it.
	if m.pairs >= 2 && m.signs == hasStart|hasStat {
		m.signs = hasStat
	}
}
