package applog

import (
	"bytes"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// layout is what is known of a log before it is read: what Detect found in its
// beginning. It is shared by all scanners.
type layout struct {
	id     fact.ID
	finder stamp.Finder
	// stamped: lines that begin an event have a stamp. json: they are objects.
	// journal: they are records of the journal's export format.
	stamped, json, journal bool
	// modified is when the file last changed, for stamps without a year.
	modified time.Time
	layer    layer
}

// ref is the position of n bytes of a block.
func (l *layout) ref(b *block, line, start, n int) fact.Ref {
	return fact.Ref{Artifact: l.id, Line: line + 1, Offset: b.offset + int64(start), Len: n}
}

// begins reports whether a line surely begins an event.
func (l *layout) begins(line []byte) bool {
	if len(line) > 0 && bytes.IndexByte(line, 0x1b) >= 0 {
		line = appendPlain(nil, line)
	}
	line = afterHole(line)
	if l.layer != bare {
		if body := l.layer.text(line); len(body) == 0 || l.layer.indented(body) || continues(body) {
			return false
		}
	}
	switch {
	case len(line) == 0:
		return false
	case l.journal:
		return journalBegin(line)
	case l.json:
		return line[0] == '{'
	case l.stamped:
		_, to := l.beginsAt(line)
		return to > 0
	}
	return line[0] != ' ' && line[0] != '\t' && !continues(line)
}

// span is one event in a block: where it stands and where its stamp is.
type span struct {
	start, end int
	line       int // within the block, from 0
	from, to   int // of the stamp, relative to start; to is zero without one
	seq        int // running number of the event in the block
}

// tally counts the events of one shape in one block.
type tally struct {
	hash   uint64
	level  level
	signs  signs
	count  int64
	first  span
	last   span
	head   []span // the first that are kept
	tail   []span // ring of the last that are kept
	tailAt int
}

const (
	keepHead = 200
	keepTail = 50
)

// keep remembers an event for extraction.
func (t *tally) keep(s span) {
	switch {
	case len(t.head) < keepHead:
		t.head = append(t.head, s)
	case len(t.tail) < keepTail:
		t.tail = append(t.tail, s)
	default:
		t.tail[t.tailAt] = s
		t.tailAt = (t.tailAt + 1) % keepTail
	}
}

// kind is what the shape of a first line tells about its event.
type kind struct {
	level level
	signs signs
	// access: it is a line of an access log, whose status counts although it is a
	// number.
	access bool
	tally  *tally // where events without signs are counted
}

// recent is an entry of the small table in front of scanner.kinds: a log repeats a
// few shapes, and a map costs more than all the rest of a line.
type recent struct {
	hash uint64
	kind *kind
}

// scanner turns blocks into results. Its memory is reused from block to block.
type scanner struct {
	l      *layout
	words  reader
	kinds  map[uint64]*kind
	recent [512]recent // the latest of kinds, by the hash's upper bits
	fine   map[uint64]*tally
	order  []*tally
	plain  []byte // a line without colour codes
	colour bool

	// The event being read.
	cur    span
	kind   *kind
	hash   uint64
	open   bool
	trace  bool // a stack trace follows in it
	crash  bool // it begins with the text of a crash
	python bool // a traceback of Python is open: the error follows
	dump   bool // it holds goroutines
	dumpAt span // where the dump begins
	// dumpEnd is where the dump ends before the event does, zero if with it.
	dumpEnd int
	seq     int
	dumps   []section
	wrapped bool // a goroutine's header stands behind something else
	kernel  bool // a record of the journal is the kernel's
	frames  bool // goroutines that stand below a layer follow in the event

	// panicked: net/http says that a request panicked. race: the race detector's
	// report follows.
	panicked, race bool
	heading        bool   // the message follows in the next line
	joined         []byte // a heading and its message

	holes bool // NULs stand before a line

	// Below a layer: whose event it is, and whether its last line goes on.
	source  []byte
	partial bool
}

// section is a part of a log that is an artifact of its own.
type section struct {
	offset int64
	length int64
	line   int
}

func newScanner(l *layout) *scanner {
	return &scanner{l: l, kinds: map[uint64]*kind{}, fine: map[uint64]*tally{}}
}

// scan reads one block. inDump says that it begins inside a dump of goroutines.
func (s *scanner) scan(b *block, inDump bool, res *result) {
	clear(s.kinds)
	clear(s.recent[:])
	clear(s.fine)
	s.order, s.dumps, s.seq = nil, nil, 0
	s.open, s.dump, s.wrapped, s.kernel, s.partial, s.heading, s.holes = false, false, false, false, false, false, false
	data := b.data
	s.colour = bytes.IndexByte(data, 0x1b) >= 0
	if inDump {
		// The rest of a dump that did not fit a block; it goes on with the section
		// of the block before.
		s.open, s.dump, s.trace, s.crash = true, true, false, false
		s.cur, s.dumpAt, s.hash = span{}, span{}, 0
		s.kind = &kind{}
	}
	line, pos := 0, 0
	for pos < len(data) {
		end := len(data)
		next := end
		if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
			end = pos + i
			next = end + 1
		}
		text := data[pos:end]
		if n := len(text); n > 0 && text[n-1] == '\r' {
			text = text[:n-1]
		}
		at := pos
		if len(text) > 0 && text[0] == 0 {
			n := len(text)
			text = afterHole(text)
			at += n - len(text)
			s.holes = s.holes || at-pos >= minHole
		}
		s.line(data, text, at, line)
		pos = next
		line++
	}
	res.inDump, res.wrapped, res.kernel, res.holes = s.dump, s.wrapped, s.kernel, s.holes
	if s.open {
		s.finish(data, len(data))
	}
	if b.open {
		line--
	}
	res.lines = line
	res.collect(s, b)
}

// line takes one line: it begins an event or continues the one before.
func (s *scanner) line(data, text []byte, pos, line int) {
	if len(text) == 0 {
		return
	}
	if s.colour {
		if text = s.strip(text); len(text) == 0 {
			return
		}
	}
	if s.l.journal {
		s.journalLine(data, text, pos, line)
		return
	}
	body, layered := text, s.l.layer != bare
	if layered {
		body = s.l.layer.text(text)
		if s.below(text, body, pos, line) {
			return
		}
	} else if s.heading && s.message(data, text) {
		return
	} else if c := text[0]; (c == ' ' || c == '\t') && s.open {
		if !s.trace && traceLine(text) {
			s.trace = true
		}
		return
	}
	var from, to int
	if s.l.stamped {
		from, to = s.l.beginsAt(text)
	}
	if to == 0 && s.open && !layered && s.goesOn(text, pos, line) {
		return
	}
	if s.open {
		s.finish(data, pos)
	}
	s.cur = span{start: pos, line: line, from: from, to: to, seq: s.seq}
	s.seq++
	s.open, s.trace, s.dump = true, false, false
	s.crash = (to == 0 || s.l.layer == cri) && crashLine(body)
	s.python = s.crash && body[0] == 'T' && body[1] == 'r'
	s.frames = layered && dumpHeader(body)
	s.heading = !layered && headed(text, to)
	s.panicked = to > 0 && bytes.Contains(text[to:min(len(text), to+80)], []byte("http: panic serving "))
	s.race = bytes.Equal(text[to:], raceReport)
	s.hash = shapeHash(text[to:])
	s.kind = s.kindOf(text, s.hash, s.cur)
}

// kindOf looks up what the shape means, or reads the line for it.
func (s *scanner) kindOf(text []byte, hash uint64, at span) *kind {
	slot := &s.recent[hash>>55]
	if slot.hash == hash && slot.kind != nil {
		return slot.kind
	}
	if k := s.kinds[hash]; k != nil {
		*slot = recent{hash, k}
		return k
	}
	k := &kind{}
	*slot = recent{hash, k}
	var e extract
	if !s.wrapped {
		_, s.wrapped = wrapperOf(text)
	}
	s.kernel = s.kernel || s.l.json && bytes.Contains(text, kernelMember)
	s.parse(&e, text, at)
	k.level, k.signs = e.level, e.marks.signs
	if k.access = e.access() != levelNone; k.access {
		k.level, k.signs = levelInfo, k.signs&^(hasError|hasTimeout)
	}
	s.kinds[hash] = k
	return k
}

// finish counts the event that ends at end.
func (s *scanner) finish(data []byte, end int) {
	s.cur.end = end
	if s.dump {
		stop := end
		if s.dumpEnd > s.dumpAt.start {
			stop = s.dumpEnd
		}
		s.dumps = append(s.dumps, section{offset: int64(s.dumpAt.start), length: int64(stop - s.dumpAt.start), line: s.dumpAt.line})
		s.dump = false
	}
	s.open = false
	k := s.kind
	signs, grave := k.signs, k.level
	if k.access {
		if accessLevel(accessPart(firstLine(data[s.cur.start:end]))) == levelError {
			grave, signs = levelError, signs&^hasStat|hasError
		}
	}
	if s.trace && k.level != levelDebug && k.level != levelTrace {
		signs |= hasError
	}
	if s.crash {
		signs |= hasError | hasStop
	}
	t := k.tally
	if t == nil || signs != 0 {
		hash := s.hash
		if signs != 0 {
			hash = fineHash(hash, data[s.cur.start+s.cur.to:end])
		}
		if signs != k.signs {
			hash = (hash ^ uint64(signs)) * hashPrime
		}
		t = s.fine[hash]
		if t == nil {
			t = &tally{hash: hash, level: grave, signs: signs, first: s.cur}
			s.fine[hash] = t
			s.order = append(s.order, t)
		}
		if signs == 0 {
			k.tally = t
		}
	}
	t.count++
	t.last = s.cur
	if t.signs != 0 {
		t.keep(s.cur)
	}
}

// strip removes terminal colour codes.
func (s *scanner) strip(text []byte) []byte {
	if bytes.IndexByte(text, 0x1b) < 0 {
		return text
	}
	s.plain = appendPlain(s.plain[:0], text)
	return s.plain
}

// appendPlain copies b without escape sequences.
func appendPlain(dst, b []byte) []byte { return analyze.AppendPlain(dst, b) }
