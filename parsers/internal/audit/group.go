package audit

import (
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Limits of what an assembler holds. They bound its memory, not its counting.
const (
	maxOpen       = 4096    // events waiting for further records
	maxEventBytes = 1 << 20 // records of one event beyond this are dropped
	waitSeconds   = 2       // as auditd's end_of_event_timeout
)

// Assembler groups records into events and decodes those that rules use. It is
// used by one goroutine.
type Assembler struct {
	// Emit receives the events that are kept, in the order of their first records,
	// when the assembler is closed.
	Emit func(fact.AuditEvent)
	// Form is the trail's form unless the records say otherwise.
	Form string
	// Jobs is how many goroutines may work for it, default 1. What it emits does
	// not depend on it.
	Jobs int

	// Grouping: used by Add and Close.
	artifact fact.ID
	open     map[groupKey]*group
	queue    []*group // open and finished events by first record
	head     int      // first one still waiting
	free     []*group
	last     *group
	nodes    interner
	pipe     *pipe // nil: events are judged where they are grouped

	// Judging: used by finish, on the pipe's goroutine if there is one.
	calls map[callKey]class
	trail trail
	keep  keeper
}

type groupKey struct {
	node   string
	stamp  int64 // milliseconds
	serial uint64
}

// group is one event whose records are being collected. Its buffers are reused.
type group struct {
	key         groupKey
	seq         int // of its first record among those of all events
	buf         []byte
	recs        []rec
	interpreted bool
	wall        bool
	done        bool
	pinned      bool // an execve of a process that a signal is about
	pid, ppid   int  // of an execve that is kept
}

// rec is where a record's type and body stand in the group's buffer, and where it
// stands in the artifact. It holds no pointers: thousands are kept.
type rec struct {
	kind, start, end int32
	bytes            int32
	line             int
	offset           int64
}

// small groups are used again; one that held a monster is left to the collector.
func (g *group) small() bool { return cap(g.buf) <= 64<<10 }

func (g *group) kind(r rec) []byte { return g.buf[r.kind:r.start] }
func (g *group) body(r rec) []byte { return g.buf[r.start:r.end] }

// find returns the first record of a type.
func (g *group) find(kind string) *rec {
	for i := range g.recs {
		if string(g.kind(g.recs[i])) == kind {
			return &g.recs[i]
		}
	}
	return nil
}

// ref is where a record stands.
func (a *Assembler) ref(r rec) fact.Ref {
	return fact.Ref{Artifact: a.artifact, Line: r.line, Offset: r.offset, Len: int(r.bytes)}
}

// Add takes one record that stands at a position.
func (a *Assembler) Add(r Record, at fact.Ref) {
	if a.open == nil {
		a.open = map[groupKey]*group{}
		a.calls = map[callKey]class{}
		a.nodes = interner{}
		a.artifact = at.Artifact
		a.trail.init(at)
		a.keep.init()
	}
	g := a.last
	stamp := r.Sec*1000 + r.Milli
	if g == nil || g.done || g.key.serial != r.Serial || g.key.stamp != stamp || g.key.node != string(r.Node) {
		g = a.group(groupKey{a.nodes.of(r.Node), stamp, r.Serial})
		g.interpreted, g.wall = r.Interpreted, r.Wall
	}
	a.last = g
	kind := r.Type
	if c := kind[0]; c >= '0' && c <= '9' || c == 'U' {
		kind = []byte(typeName(kind))
	}
	if string(kind) == "EOE" {
		g.done = true
	} else if len(g.buf)+len(kind)+len(r.Body) <= maxEventBytes {
		at := rec{kind: int32(len(g.buf)), bytes: int32(at.Len), line: at.Line, offset: at.Offset}
		g.buf = append(g.buf, kind...)
		at.start = int32(len(g.buf))
		g.buf = append(g.buf, r.Body...)
		at.end = int32(len(g.buf))
		g.recs = append(g.recs, at)
	}
	a.flush(false, stamp)
}

// group finds the open event of a key, or opens one.
func (a *Assembler) group(key groupKey) *group {
	if g := a.open[key]; g != nil {
		return g
	}
	var g *group
	if len(a.free) == 0 && a.pipe != nil {
		a.free = a.pipe.reclaim(a.free)
	}
	if n := len(a.free); n > 0 {
		g, a.free = a.free[n-1], a.free[:n-1]
		*g = group{buf: g.buf[:0], recs: g.recs[:0]}
	} else {
		g = &group{}
	}
	g.key = key
	a.open[key] = g
	a.queue = append(a.queue, g)
	return g
}

// flush hands on events from the front of the queue that are complete: ended by
// EOE, or older than any record can be late. Keeping the queue's order makes the
// order of events that of their first records.
func (a *Assembler) flush(all bool, now int64) {
	for a.head < len(a.queue) {
		g := a.queue[a.head]
		age := now - g.key.stamp
		late := age > waitSeconds*1000 || age < -waitSeconds*1000
		if !all && !g.done && !late && len(a.queue)-a.head <= maxOpen {
			break
		}
		a.queue[a.head] = nil
		a.head++
		delete(a.open, g.key)
		if g == a.last {
			a.last = nil
		}
		switch {
		case len(g.recs) == 0:
			a.free = append(a.free, g)
		case a.pipe != nil:
			a.pipe.send(g)
		default:
			a.finish(g)
			if g.small() {
				a.free = append(a.free, g)
			}
		}
	}
	if a.head > 1024 && a.head*2 > len(a.queue) {
		a.queue = append(a.queue[:0], a.queue[a.head:]...)
		a.head = 0
	}
}

// Close emits the events that are kept and returns what the log covers. ok is
// false when there was no record at all.
func (a *Assembler) Close() (t fact.AuditTrail, ok bool) {
	a.flush(true, 0)
	if a.pipe != nil {
		a.pipe.close()
	}
	if a.open == nil {
		return t, false
	}
	kept := a.keep.all()
	a.decode(kept)
	t = a.trail.fact()
	if t.Form == "" {
		t.Form = a.Form
	}
	t.Kept = len(kept)
	return t, true
}

// Filtered says that the records are what a search selected: gaps mean nothing.
func (a *Assembler) Filtered() { a.trail.filtered = true }

// finish judges a complete event.
func (a *Assembler) finish(g *group) {
	c := a.classify(g)
	a.trail.count(a, g, c)
	a.keep.put(g, c)
}

// interner keeps one copy of strings that repeat in most records.
type interner map[string]string

// maxInterned bounds the table; beyond it strings are copied.
const maxInterned = 32 << 10

func (in interner) of(b []byte) string {
	if s, ok := in[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(in) < maxInterned && len(s) <= 256 {
		in[s] = s
	}
	return s
}
