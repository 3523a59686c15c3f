package applog

import (
	"bytes"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// result is what one block holds, with lines counted from the block's start.
type result struct {
	lines     int
	shapes    []shapePart
	first     *kept // the first and the last event with a time
	last      *kept
	unstamped int64
	sections  []section
	cont      bool // the block goes on with the event before it
	inDump    bool // a dump of goroutines is open at its end
	wrapped   bool // a goroutine's header stands behind something else
	kernel    bool // a record of the journal is the kernel's
	holes     bool
}

// shapePart is one shape within a block.
type shapePart struct {
	fact  fact.LogShape
	hash  uint64
	signs signs
	kept  []kept
}

// kept is an event that may become a fact: its text, of which facts are made once
// it is sure that it stays.
type kept struct {
	raw      []byte
	at       fact.Ref
	from, to int // of the stamp in raw
	level    level
	signs    signs
	hash     uint64
}

// maxRaw is how much of an event is looked at.
const maxRaw = 32 << 10

// tallied is one event of a tally.
type tallied struct {
	tally *tally
	at    span
}

// collect lists what the scanner counted in a block.
func (res *result) collect(s *scanner, b *block) {
	res.cont = b.cont
	var first, last tallied // the earliest and the latest event with a known time
	res.shapes = make([]shapePart, 0, len(s.order))
	for _, t := range s.order {
		part := shapePart{hash: t.hash, signs: t.signs, fact: fact.LogShape{
			At: s.ref(t.first, b), LastAt: s.ref(t.last, b), Shape: shapeKey(t.hash), Level: t.level.String(), Count: t.count,
			First: s.timeAt(t.first, b), Last: s.timeAt(t.last, b),
		}}
		line := firstLine(b.data[t.first.start:t.first.end])
		if s.l.journal {
			line = journalField(b.data[t.first.start:t.first.end], "MESSAGE")
		}
		part.fact.Text = utf8Text([]byte(shapeText(trimLeft(line[min(t.first.to, len(line)):], "]>)\"':, "))))
		part.kept = make([]kept, 0, len(t.head)+len(t.tail))
		for _, at := range t.head {
			part.kept = append(part.kept, s.kept(at, t, b))
		}
		for i := range t.tail {
			part.kept = append(part.kept, s.kept(t.tail[(t.tailAt+i)%len(t.tail)], t, b))
		}
		for _, e := range []struct {
			at    span
			dated bool
		}{{t.first, part.fact.First.Known()}, {t.last, part.fact.Last.Known()}} {
			if e.dated && (first.tally == nil || e.at.seq < first.at.seq) {
				first = tallied{t, e.at}
			}
			if e.dated && (last.tally == nil || e.at.seq > last.at.seq) {
				last = tallied{t, e.at}
			}
		}
		if s.l.stamped && t.first.to == 0 {
			res.unstamped += t.count
		}
		res.shapes = append(res.shapes, part)
	}
	if first.tally != nil {
		k, k2 := s.kept(first.at, first.tally, b), s.kept(last.at, last.tally, b)
		res.first, res.last = &k, &k2
	}
	for _, d := range s.dumps {
		d.offset += b.offset
		res.sections = append(res.sections, d)
	}
}

// kept refers to the block's own memory; clone is for what outlives it.
func (s *scanner) kept(at span, t *tally, b *block) kept {
	raw := b.data[at.start:at.end]
	return kept{
		raw: raw[:min(len(raw), maxRaw)], at: s.l.ref(b, at.line, at.start, len(bytes.TrimRight(raw, "\r\n"))),
		from: at.from, to: at.to, level: t.level, signs: t.signs, hash: t.hash,
	}
}

func (k *kept) clone(buf []byte) kept {
	c := *k
	c.raw = append(buf[:0], k.raw...)
	return c
}

func (s *scanner) ref(at span, b *block) fact.Ref {
	return s.l.ref(b, at.line, at.start, len(firstLine(b.data[at.start:at.end])))
}

func (s *scanner) timeAt(at span, b *block) fact.Time {
	if s.l.journal {
		return journalTime(b.data[at.start:at.end])
	}
	return s.time(firstLine(b.data[at.start:at.end]), at.to)
}

func firstLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// The bounds of what one log keeps.
const (
	maxShapes = 2000
	maxKept   = 60_000
)

// shape is one shape over the whole log.
type shape struct {
	fact   fact.LogShape
	signs  signs
	heads  int
	tail   []kept // ring of the last ones
	tailAt int
}

// merger joins the results of blocks, in order.
type merger struct {
	l        *layout
	scan     *scanner // makes facts of kept events
	shapes   map[uint64]*shape
	order    []*shape
	other    *shape // shapes beyond the bound
	events   []fact.LogEvent
	lines    int64
	first    *kept
	last     kept
	log      fact.Log
	writers  []int
	sections []section
	wrapped  bool
	kernel   bool
	holes    bool
}

func newMerger(l *layout) *merger {
	return &merger{l: l, scan: newScanner(l), shapes: map[uint64]*shape{}}
}

func (m *merger) add(res *result) {
	base := int(m.lines)
	m.wrapped, m.kernel, m.holes = m.wrapped || res.wrapped, m.kernel || res.kernel, m.holes || res.holes
	for i := range res.shapes {
		part := &res.shapes[i]
		part.fact.At.Line += base
		part.fact.LastAt.Line += base
		sh := m.shape(part)
		for j := range part.kept {
			part.kept[j].at.Line += base
			m.keep(sh, &part.kept[j])
		}
	}
	if res.first != nil {
		res.first.at.Line += base
		res.last.at.Line += base
		if m.first == nil {
			c := res.first.clone(nil)
			m.first = &c
		}
		m.last = res.last.clone(m.last.raw)
	}
	for i, d := range res.sections {
		if i == 0 && res.cont && len(m.sections) > 0 && d.offset == m.sections[len(m.sections)-1].offset+m.sections[len(m.sections)-1].length {
			m.sections[len(m.sections)-1].length += d.length
			continue
		}
		d.line += base
		m.sections = append(m.sections, d)
	}
	m.log.Unstamped += res.unstamped
	m.lines += int64(res.lines)
}

// shape finds or makes the log's entry of a block's shape and adds its counts.
func (m *merger) shape(part *shapePart) *shape {
	sh := m.shapes[part.hash]
	if sh == nil {
		if len(m.order) >= maxShapes {
			if m.other == nil {
				m.other = &shape{fact: part.fact}
				m.other.fact.Shape, m.other.fact.Text, m.other.fact.Level, m.other.fact.Count = "other", "", "", 0
			}
			sh = m.other
		} else {
			sh = &shape{fact: part.fact, signs: part.signs}
			sh.fact.Count = 0
			m.shapes[part.hash] = sh
			m.order = append(m.order, sh)
		}
	}
	sh.fact.Count += part.fact.Count
	sh.fact.LastAt = part.fact.LastAt
	if part.fact.Last.Known() {
		sh.fact.Last = part.fact.Last
	}
	if !sh.fact.First.Known() {
		sh.fact.First = part.fact.First
	}
	return sh
}

// keep takes an event, or puts it into the ring of the shape's last ones.
func (m *merger) keep(sh *shape, k *kept) {
	heads := keepHead
	if sh == m.other {
		heads *= 10
	}
	if sh.heads < heads && len(m.events) < maxKept {
		sh.heads++
		m.event(k)
		return
	}
	if len(sh.tail) < keepTail {
		sh.tail = append(sh.tail, k.clone(nil))
		return
	}
	sh.tail[sh.tailAt] = k.clone(sh.tail[sh.tailAt].raw)
	sh.tailAt = (sh.tailAt + 1) % keepTail
}

// event makes the fact of an event that stays.
func (m *merger) event(k *kept) *fact.LogEvent {
	ev, writer := m.scan.event(k)
	m.events = append(m.events, ev)
	if writer > 0 && len(m.writers) < maxWriters && !slices.Contains(m.writers, writer) {
		m.writers = append(m.writers, writer)
	}
	return &m.events[len(m.events)-1]
}

// emit hands over the facts of the log.
func (m *merger) emit(out *analyze.Sink, form string) {
	if m.other != nil {
		m.order = append(m.order, m.other)
		out.Note("more than %d message shapes: the rest is counted together", maxShapes)
	}
	for _, sh := range m.order {
		for i := range sh.tail {
			ev := m.event(&sh.tail[(sh.tailAt+i)%len(sh.tail)])
			if n := sh.fact.Count - int64(sh.heads) - int64(len(sh.tail)); i == 0 && sh.signs != 0 && n > 0 {
				ev.Repeat = int(n) + 1
			}
		}
	}
	if m.l.stamped && m.first == nil {
		out.Note("its times have no date or no year, and the file's own time is unknown")
	}
	if m.holes {
		out.Note("it has holes of NULs: it was truncated while its writer kept its position")
	}
	m.ends()
	if m.l.finder.Clock() {
		m.date(out)
	}
	slices.SortStableFunc(m.events, func(a, b fact.LogEvent) int { return a.At.Line - b.At.Line })
	for i := range m.events {
		analyze.Emit(out, m.events[i])
	}
	for _, sh := range m.order {
		analyze.Emit(out, sh.fact)
	}
	m.log.At = fact.Ref{Artifact: m.l.id, Line: 1}
	m.log.Form, m.log.Lines, m.log.PIDs = form, m.lines, m.writers
	analyze.Emit(out, m.log)
	m.embed(out)
}

// ends keeps the first and the last dated event even if nothing else would, and
// takes the span of the log from them.
func (m *merger) ends() {
	if m.first == nil {
		return
	}
	for i, k := range []*kept{m.first, &m.last} {
		at := slices.IndexFunc(m.events, func(have fact.LogEvent) bool { return have.At.Offset == k.at.Offset })
		if at < 0 {
			m.event(k)
			at = len(m.events) - 1
		}
		ev := &m.events[at]
		if !slices.Contains(ev.Signs, fact.SignFirst) {
			ev.Signs = append(ev.Signs, fact.SignFirst)
			slices.Sort(ev.Signs)
		}
		if i == 0 {
			m.log.First, m.log.Basis = ev.Time, ev.Basis
		}
		m.log.Last = ev.Time
	}
}

// maxWriters bounds the processes that one log is said to be written by.
const maxWriters = 64
