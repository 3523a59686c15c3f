package applog

import (
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
}

// shapePart is one shape within a block.
type shapePart struct {
	fact  fact.LogShape
	hash  uint64
	signs signs
	kept  []kept
}

// kept is an event that became a fact.
type kept struct {
	event  fact.LogEvent
	writer int
}

// collect makes facts of what the scanner counted in a block.
func (res *result) collect(s *scanner, b *block) {
	res.cont = b.cont
	var first, last *tally
	res.shapes = make([]shapePart, 0, len(s.order))
	for _, t := range s.order {
		part := shapePart{hash: t.hash, signs: t.signs, fact: fact.LogShape{
			At: s.ref(t.first, b), LastAt: s.ref(t.last, b), Shape: shapeKey(t.hash), Level: t.level.String(), Count: t.count,
			First: s.timeAt(t.first, b), Last: s.timeAt(t.last, b),
		}}
		line := firstLine(b.data[t.first.start:t.first.end])
		part.fact.Text = utf8Text([]byte(shapeText(trimLeft(line[min(t.first.to, len(line)):], "]>)\"':, "))))
		for _, at := range t.head {
			part.kept = append(part.kept, s.kept(at, t, b))
		}
		for i := range t.tail {
			part.kept = append(part.kept, s.kept(t.tail[(t.tailAt+i)%len(t.tail)], t, b))
		}
		if part.fact.First.Known() && (first == nil || t.first.seq < first.first.seq) {
			first = t
		}
		if part.fact.Last.Known() && (last == nil || t.last.seq > last.last.seq) {
			last = t
		}
		if s.l.stamped && t.first.to == 0 {
			res.unstamped += t.count
		}
		res.shapes = append(res.shapes, part)
	}
	if first != nil {
		k := s.kept(first.first, first, b)
		res.first = &k
		k2 := s.kept(last.last, last, b)
		res.last = &k2
	}
	for _, d := range s.dumps {
		d.offset += b.offset
		res.sections = append(res.sections, d)
	}
}

func (s *scanner) kept(at span, t *tally, b *block) kept {
	ev := s.event(b, at, t)
	var meta eventMeta
	meta.self(&ev, &s.words.m)
	return kept{ev, meta.writer}
}

func (s *scanner) ref(at span, b *block) fact.Ref {
	return s.l.ref(b, at.line, at.start, len(firstLine(b.data[at.start:at.end])))
}

func (s *scanner) timeAt(at span, b *block) fact.Time {
	return s.time(firstLine(b.data[at.start:at.end]), at)
}

func firstLine(b []byte) []byte {
	for i, c := range b {
		if c == '\n' {
			b = b[:i]
			break
		}
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
	tail   []kept
	tailAt int
}

// merger joins the results of blocks, in order.
type merger struct {
	l        *layout
	shapes   map[uint64]*shape
	order    []*shape
	other    *shape // shapes beyond the bound
	events   []kept
	lines    int64
	first    *kept
	last     *kept
	log      fact.Log
	writers  []int
	sections []section
}

func newMerger(l *layout) *merger {
	return &merger{l: l, shapes: map[uint64]*shape{}}
}

func (m *merger) add(res *result) {
	base := int(m.lines)
	move := func(k *kept) { k.event.At.Line += base }
	for i := range res.shapes {
		part := &res.shapes[i]
		part.fact.At.Line += base
		part.fact.LastAt.Line += base
		sh := m.shape(part)
		for j := range part.kept {
			move(&part.kept[j])
			m.keep(sh, part.kept[j])
		}
	}
	if res.first != nil {
		move(res.first)
		move(res.last)
		if m.first == nil {
			m.first = res.first
		}
		m.last = res.last
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
func (m *merger) keep(sh *shape, k kept) {
	heads := keepHead
	if sh == m.other {
		heads *= 10
	}
	if sh.heads < heads && len(m.events) < maxKept {
		sh.heads++
		m.events = append(m.events, k)
		return
	}
	if len(sh.tail) < keepTail {
		sh.tail = append(sh.tail, k)
		return
	}
	sh.tail[sh.tailAt] = k
	sh.tailAt = (sh.tailAt + 1) % keepTail
}

// emit hands over the facts of the log.
func (m *merger) emit(out *analyze.Sink, form string) {
	if m.other != nil {
		m.order = append(m.order, m.other)
		out.Note("more than %d message shapes: the rest is counted together", maxShapes)
	}
	for _, sh := range m.order {
		for i := range sh.tail {
			k := sh.tail[(sh.tailAt+i)%len(sh.tail)]
			if i == 0 && sh.signs != 0 {
				if n := sh.fact.Count - int64(sh.heads) - int64(len(sh.tail)); n > 0 {
					k.event.Repeat = int(n) + 1
				}
			}
			m.events = append(m.events, k)
		}
	}
	m.ends()
	slices.SortStableFunc(m.events, func(a, b kept) int { return a.event.At.Line - b.event.At.Line })
	for i := range m.events {
		analyze.Emit(out, m.events[i].event)
		m.writer(m.events[i].writer)
	}
	for _, sh := range m.order {
		analyze.Emit(out, sh.fact)
	}
	m.log.At = fact.Ref{Artifact: m.l.id, Line: 1}
	m.log.Form, m.log.Lines, m.log.PIDs = form, m.lines, m.writers
	if m.first != nil {
		m.log.First, m.log.Last, m.log.Basis = m.first.event.Time, m.last.event.Time, m.first.event.Basis
	}
	analyze.Emit(out, m.log)
	m.embed(out)
}

// ends keeps the first and the last dated event even if nothing else would.
func (m *merger) ends() {
	for _, k := range []*kept{m.first, m.last} {
		if k == nil {
			continue
		}
		i := slices.IndexFunc(m.events, func(have kept) bool { return have.event.At.Offset == k.event.At.Offset })
		if i < 0 {
			m.events = append(m.events, *k)
			i = len(m.events) - 1
		}
		ev := &m.events[i].event
		if !slices.Contains(ev.Signs, fact.SignFirst) {
			ev.Signs = append(ev.Signs, fact.SignFirst)
			slices.Sort(ev.Signs)
		}
	}
}

// maxWriters bounds the processes that one log is said to be written by.
const maxWriters = 64

func (m *merger) writer(pid int) {
	if pid > 0 && len(m.writers) < maxWriters && !slices.Contains(m.writers, pid) {
		m.writers = append(m.writers, pid)
	}
}
