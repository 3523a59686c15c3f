package applog

import (
	"bytes"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// The journal's export format has a field a line and an empty line behind each
// record. Fields with line ends in them have a binary form, whose content is
// passed over.

// journalBegin reports whether b begins a record.
func journalBegin(b []byte) bool { return bytes.HasPrefix(b, []byte("__CURSOR=")) }

// journalField is a field of a record, nil if it has none.
func journalField(record []byte, name string) []byte {
	for len(record) > 0 {
		line := record
		if i := bytes.IndexByte(record, '\n'); i >= 0 {
			line, record = record[:i], record[i+1:]
		} else {
			record = nil
		}
		if len(line) > len(name) && line[len(name)] == '=' && string(line[:len(name)]) == name {
			return line[len(name)+1:]
		}
	}
	return nil
}

// journalTime is when the record was made, or else received.
func journalTime(record []byte) fact.Time {
	for _, name := range []string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"} {
		v := append(bytes.Clone(journalField(record, name)), ' ')
		if s, n := stamp.Parse(v, stamp.Unknown); n > 0 && s.Epoch {
			return s.Time(time.Time{})
		}
	}
	return fact.Time{}
}

// journalLine takes a line of a record: its message tells the shape.
func (s *scanner) journalLine(data, text []byte, pos, line int) {
	switch {
	case journalBegin(text):
		if s.open {
			s.finish(data, pos)
		}
		s.cur = span{start: pos, line: line, seq: s.seq}
		s.seq++
		s.open, s.trace, s.crash, s.python = true, false, false, false
		s.hash, s.kind = 0, &kind{}
	case bytes.HasPrefix(text, []byte("MESSAGE=")):
		msg := text[len("MESSAGE="):]
		s.hash = shapeHash(msg)
		s.kind = s.kindOf(msg, s.hash, span{})
	case bytes.Equal(text, kernelField):
		s.kernel = true
	case bytes.HasPrefix(text, []byte("PRIORITY=")) && len(text) == len("PRIORITY=")+1:
		// Emergency to error; the message's own words come on top.
		s.trace = text[len(text)-1] <= '3'
	}
}

// journalEvent makes the fact of a record.
func (s *scanner) journalEvent(k *kept) (ev fact.LogEvent, writer int) {
	ev = fact.LogEvent{At: k.at, Shape: shapeKey(k.hash), Time: journalTime(k.raw)}
	field := func(name string) string { return utf8Text(journalField(k.raw, name)) }
	var l level
	if p := journalField(k.raw, "PRIORITY"); len(p) == 1 {
		l = syslogLevel(int(p[0] - '0'))
	}
	msg := []byte(field("MESSAGE"))
	m := s.words.read(msg, l)
	ev.Level, ev.Host = l.String(), field("_HOSTNAME")
	if ev.Source = field("SYSLOG_IDENTIFIER"); ev.Source == "" {
		ev.Source = field("_COMM")
	}
	if pid := journalField(k.raw, "_PID"); len(pid) > 0 {
		ev.PID = fact.Some(int64(atoi(pid)))
	}
	m.fill(&ev, k.signs|m.signs)
	ev.Text = utf8Text(oneLine(msg))
	return ev, 0
}
