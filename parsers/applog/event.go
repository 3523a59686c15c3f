package applog

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// extract is what was read out of one event, before it becomes a fact.
type extract struct {
	status       level // of an access log in JSON, by its status
	level        level
	source, host string
	pid          int
	text         []byte
	marks        *marks
}

// parse reads the first line of an event: header, message, and what its words say.
func (s *scanner) parse(e *extract, line []byte, at span) {
	if to := min(at.to, len(line)); !utf8.Valid(line) {
		line = append(line[:to:to], utf8Text(line[to:])...)
	}
	e.text = line
	if s.l.json && len(line) > 0 && line[0] == '{' && s.parseJSON(e, line) {
		return
	}
	var st stamp.Stamp
	if at.to > 0 {
		// The zone may stand behind what Begins saw.
		if found, from, to := s.l.find(line); to > 0 {
			st, at.from, at.to = found, from, to
		}
	}
	n := 0
	if at.to == 0 {
		n = s.l.layer.stamped(line)
		e.source = string(bytes.Trim(line[:n], "[]| "))
	}
	h := parseHeader(line[n:], st, at.from, at.to)
	e.take(h)
	if at.to > 0 && innerLine(e.text) {
		s.parseInner(e, e.text)
	} else {
		e.marks = s.words.read(e.text, e.level)
	}
	if bytes.Contains(e.text, []byte(`" 504 `)) && e.text[0] == '"' {
		e.marks.signs |= hasTimeout
	}
}

// take adds what a header and the fields of its message say.
func (e *extract) take(h header) {
	if h.level != levelNone {
		e.level = h.level
	}
	if h.pid > 0 {
		e.pid = h.pid
	}
	if len(h.source) > 0 {
		e.source = string(h.source)
	}
	if len(h.host) > 0 {
		e.host = string(h.host)
	}
	e.text = h.msg
	if fields := logfmt(h.msg); fields.found {
		fields.apply(e)
	}
	if l := e.access(); l != levelNone {
		e.level = l
	}
}

// access is what the status of a line of an access log says.
func (e *extract) access() level {
	if e.status != levelNone {
		return e.status
	}
	if l := accessLevel(e.text); l != levelNone && e.text[0] == '"' {
		return l
	}
	if n := proxyStatus(e.text); n > 0 {
		return accessLevel(e.text[n:])
	}
	return levelNone
}

// innerLine reports whether the message behind a stamp is a whole line of another
// logger: syslog, CRI and the like pass on what programs print.
func innerLine(b []byte) bool {
	if len(b) > 10 && b[0] == '{' {
		return jsonLog(b)
	}
	b = trimLeft(b, "[(<")
	if len(b) < 12 || !digit(b[0]) && !letter(b[0]) {
		return false
	}
	s, n := stamp.Parse(b, stamp.Unknown)
	return n > 0 && !s.Clock && !s.Epoch && n < len(b)
}

// maxText is how much of a message an event keeps.
const maxText = 1 << 10

// maxLines is how much of the following lines is searched for errno and addresses.
const maxFollowing = 8 << 10

// event makes the fact of a kept event, and says which process wrote it.
func (s *scanner) event(k *kept) (ev fact.LogEvent, writer int) {
	if s.l.journal {
		return s.journalEvent(k)
	}
	first, following, _ := bytes.Cut(k.raw, []byte("\n"))
	first = s.strip(bytes.TrimSuffix(first, []byte("\r")))
	ev = fact.LogEvent{At: k.at, Shape: shapeKey(k.hash)}
	ev.Time = s.time(first, k.to)
	var e extract
	own, partial := first, false
	if s.l.layer != bare {
		_, partial = s.l.layer.source(first)
		first, own, following = s.whole(first, following)
	}
	if headed(first, k.to) {
		next, rest, _ := bytes.Cut(following, []byte("\n"))
		if next = s.strip(bytes.TrimSuffix(next, []byte("\r"))); len(next) > 0 {
			if line, ok := appendHeaded(nil, bytes.Clone(first), k.to, next); ok {
				first, following = line, rest
			}
		}
	}
	if partial && s.l.layer == boxed {
		s.parseInner(&e, own)
	} else {
		s.parse(&e, first, span{from: k.from, to: k.to})
	}
	text := e.text
	signs := k.signs | e.marks.signs
	if more, cause := s.following(following); len(more) > 0 {
		more = []byte(utf8Text(more))
		if (k.to == 0 || s.l.layer == cri) && crashLine(own) && len(cause) > 0 {
			text = cause // the error itself says more than the line before it
		}
		// Read again with what follows, for errno, addresses and signals; the
		// words of a stack trace are no reasons of their own.
		joined := append(append(append(make([]byte, 0, len(e.text)+1+len(more)), e.text...), '\n'), more...)
		signs |= s.words.read(joined, e.level).signs & (hasErrno | hasTimeout | hasOOM | hasSignal | hasError)
		e.marks = &s.words.m
	}
	if bytes.HasSuffix(first, raceReport) {
		text, signs = raceText(following), signs|hasError
	}
	m := e.marks
	ev.Level, ev.Source, ev.Host = e.level.String(), utf8Text([]byte(e.source)), e.host
	if e.pid > 0 {
		ev.PID = fact.Some(int64(e.pid))
	}
	m.fill(&ev, signs)
	ev.Text = utf8Text(oneLine(text))
	return ev, e.writer()
}

// fill copies what the words say into a fact.
func (m *marks) fill(ev *fact.LogEvent, signs signs) {
	ev.Errno, ev.Syscall, ev.Signal = m.errno, m.syscall, m.signal
	ev.Addresses = append([]string(nil), m.addrs.list...)
	for _, i := range m.addrs.listens {
		if signs&hasListen != 0 {
			ev.Listens = append(ev.Listens, ev.Addresses[i])
		}
	}
	for _, p := range m.pids {
		if int64(p) != ev.PID.Or(0) {
			ev.PIDs = append(ev.PIDs, p)
		}
	}
	ev.Signs = signs.list()
}

// writer is the process that an event says wrote the log, zero if it does not: the
// pid in the header, or one that the text gives while it starts or begins to
// listen, unless it speaks of a child. A system's log is written by everybody.
func (e *extract) writer() int {
	m := e.marks
	switch {
	case e.host != "":
		return 0
	case e.pid > 0:
		return e.pid
	case len(m.pids) > 0 && m.signs&(hasListen|hasStart) != 0 && m.signs&(hasStop|hasPeer) == 0 && !m.child:
		return m.pids[0]
	}
	return 0
}

// following picks what matters from the lines after the first: everything but the
// frames of stack traces. cause is the line that names the error.
func (s *scanner) following(b []byte) (more, cause []byte) {
	for len(b) > 0 && len(more) < maxFollowing {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimRight(line, "\r")
		if dumpHeader(line) {
			return more, cause
		}
		t := bytes.TrimSpace(line)
		if len(t) == 0 || bytes.HasPrefix(t, []byte("at ")) || bytes.HasPrefix(t, []byte("File \"")) {
			continue
		}
		// The last exception of a Python traceback is the one that was not handled;
		// elsewhere it is the first.
		if exceptionLine(t) && (cause == nil || bytes.HasPrefix(more, []byte("Traceback"))) {
			cause = t
		}
		if line[0] == ' ' || line[0] == '\t' {
			if !property(t) && !exceptionLine(t) {
				continue
			}
		}
		if len(more) > 0 {
			more = append(more, '\n')
		}
		more = append(more, line...)
	}
	return more, cause
}

// property reports whether an indented line is "code: 'ECONNRESET'," or key=value
// rather than source code or a frame.
func property(t []byte) bool {
	n := 0
	for n < len(t) && (letter(t[n]) || digit(t[n]) || t[n] == '_' || t[n] == '"' || t[n] == '\'') {
		n++
	}
	return n > 0 && n < len(t) && (t[n] == ':' || t[n] == '=') && len(t) < 256
}

// time is the time of an event by its first line, whose stamp ends at to.
func (s *scanner) time(line []byte, to int) fact.Time {
	if s.l.json {
		if st, ok := jsonTime(line); ok {
			return st.Time(s.l.modified)
		}
		return fact.Time{}
	}
	if to == 0 {
		return fact.Time{}
	}
	st, _, _ := s.l.find(line)
	if st.Clock {
		return st.On(noDay)
	}
	return st.Time(s.l.modified)
}

func oneLine(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = bytes.TrimSpace(b[:i])
	}
	if len(b) > maxText {
		b = b[:maxText]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		if n := len(b); n > 0 && b[n-1] >= 0xc0 {
			b = b[:n-1]
		}
	}
	return b
}

// accessPart is where the part of a line begins that accessLevel reads.
func accessPart(line []byte) []byte {
	if len(line) > 0 && line[0] == '{' {
		return jsonStatus(line)
	}
	if i := bytes.IndexByte(line, '"'); i >= 0 {
		if h := proxyStatus(line[:i]); h > 0 {
			return line[h:]
		}
		return line[i:]
	}
	return nil
}

// proxyStatus is where the status stands in a line of haproxy's httplog, behind
// "fe be/<NOSRV> 0/-1/-1/-1/0 ", zero if it is none.
func proxyStatus(b []byte) int {
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], ' ') + 1
		if n == 0 {
			return 0
		}
		if w := b[i : i+n-1]; bytes.Count(w, []byte("/")) == 4 && digits(b[i+n:]) == 3 && len(bytes.Trim(w, "0123456789/-+")) == 0 {
			return i + n
		}
		i += n
	}
	return 0
}

// accessLevel is error for a line of an access log with a status of 500 or more.
func accessLevel(b []byte) level {
	if len(b) > 3 && digits(b) == 3 && bytes.IndexByte([]byte(" ,}\""), b[3]) >= 0 { // the status itself, see accessPart
		if b[0] == '5' {
			return levelError
		}
		return levelInfo
	}
	if len(b) < 12 || b[0] != '"' {
		return levelNone
	}
	i := bytes.Index(b, []byte("\" "))
	if i < 0 || len(b) < i+5 || !bytes.Contains(b[:i], []byte(" HTTP/")) {
		return levelNone
	}
	if b[i+2] == '5' && digits(b[i+2:]) == 3 {
		return levelError
	}
	return levelInfo
}

// fields are the keys of a logfmt line that have a meaning.
type fields struct {
	found                    bool
	level, msg, source, host string
	pid                      int
	rest                     []byte
}

// logfmt reads key=value pairs where a line has level= or msg= among its first.
func logfmt(b []byte) fields {
	var f fields
	if !bytes.Contains(b[:min(len(b), 200)], []byte("level=")) && !bytes.Contains(b[:min(len(b), 400)], []byte("msg=")) && !bytes.Contains(b[:min(len(b), 100)], []byte("lvl=")) {
		return f
	}
	for len(b) > 0 {
		b = trimLeft(b, " \t")
		i := bytes.IndexByte(b, '=')
		if i <= 0 || bytes.IndexByte(b[:i], ' ') >= 0 {
			break
		}
		key := string(b[:i])
		val, n := logfmtValue(b[i+1:])
		pair := b[:i+1+n]
		b = b[i+1+n:]
		switch key {
		case "level", "lvl", "severity":
			f.level, f.found = val, true
		case "msg", "message":
			f.msg, f.found = val, true
		case "logger", "component", "caller", "source", "module":
			f.source = val
		case "host", "hostname":
			f.host = val
		case "pid":
			f.pid = atoi([]byte(val))
		default:
			f.rest = append(append(f.rest, ' '), pair...)
		}
	}
	if len(b) > 0 {
		f.rest = append(append(f.rest, ' '), b...)
	}
	return f
}

func logfmtValue(b []byte) (string, int) {
	if len(b) == 0 || b[0] != '"' {
		n := bytes.IndexAny(b, " \t")
		if n < 0 {
			n = len(b)
		}
		return string(b[:n]), n
	}
	i := 1
	for i < len(b) && b[i] != '"' {
		if b[i] == '\\' {
			i++
		}
		i++
	}
	end := min(i, len(b))
	return strings.ReplaceAll(string(b[1:end]), `\"`, `"`), min(end+1, len(b))
}

func (f fields) apply(e *extract) {
	if l := levelWord([]byte(f.level)); l != levelNone {
		e.level = l
	}
	if f.source != "" {
		e.source = f.source
	}
	if f.host != "" {
		e.host = f.host
	}
	if f.pid > 0 {
		e.pid = f.pid
	}
	e.text = append([]byte(f.msg), f.rest...)
}
