package audit

import (
	"cmp"
	"slices"
)

// How many events of a class are kept: the latest, because a log is saved after
// the incident. The execve of a process that sends or gets a signal while it is
// among them, and those of its ancestors, are kept beyond that.
const (
	keepSignals  = 16 << 10
	keepStates   = 16 << 10
	keepExecs    = 8 << 10
	keepDenied   = 8 << 10
	keepPinned   = 8 << 10
	keepProbes   = 4 << 10
	keepOthers   = 4 << 10
	keepSessions = 4 << 10

	keepBytes = 12 << 20 // records of the events of one class
)

// limit is how many events of a class are kept.
func (c class) limit() int {
	switch c {
	case classSignal:
		return keepSignals
	case classState:
		return keepStates
	case classExec:
		return keepExecs
	case classSession:
		return keepSessions
	case classDenied, classChange:
		return keepDenied
	case classProbe:
		return keepProbes
	}
	return keepOthers
}

// keeper holds the events that will be decoded, as their records.
type keeper struct {
	next   int
	kept   [classes]store
	pinned store
	lost   [classes]int
	execs  map[int]*group // the latest execve of a process that is kept
}

// store holds copies of events in blocks and drops the oldest block: large pieces
// of memory without pointers cost the collector nothing.
type store struct {
	blocks []*block
	count  int
	bytes  int
}

type block struct {
	groups []group
	recs   []rec
	buf    []byte
}

// The size of a block; an event beyond it gets one of its own.
const (
	blockEvents  = 128
	blockRecords = 1 << 10
	blockBytes   = 128 << 10
)

func (k *keeper) init() { k.execs = map[int]*group{} }

// put keeps a copy of an event.
func (k *keeper) put(g *group, c class) {
	g.seq = k.next
	k.next++
	if c == classSignal {
		k.pin(g)
	}
	s := &k.kept[c]
	var room *block
	if s.over(c.limit()) {
		room = s.drop()
		k.forget(room, c)
	}
	kept := s.add(g, room)
	if c == classExec {
		if kept.pid, kept.ppid = g.who(); kept.pid > 0 {
			k.execs[kept.pid] = kept
		}
	}
}

// forget counts the events of a block as lost, but for those that are pinned.
func (k *keeper) forget(b *block, c class) {
	for i := range b.groups {
		g := &b.groups[i]
		if g.pid > 0 && k.execs[g.pid] == g {
			delete(k.execs, g.pid)
		}
		if !g.pinned {
			k.lost[c]++
			continue
		}
		if k.pinned.over(keepPinned) {
			k.lost[c] += len(k.pinned.drop().groups)
		}
		k.pinned.add(g, nil)
	}
}

// pin marks the programs of the sender, the targets and their ancestors.
func (k *keeper) pin(g *group) {
	pid, ppid := g.who()
	k.lineage(pid)
	k.lineage(ppid)
	for _, r := range g.recs {
		if string(g.kind(r)) == "OBJ_PID" {
			k.lineage(atoi(rawField(g.body(r), "opid=")))
		}
	}
}

func (k *keeper) lineage(pid int) {
	for range 8 {
		g := k.execs[pid]
		if g == nil {
			return
		}
		g.pinned = true
		pid = g.ppid
	}
}

// who reads the process and its parent from the SYSCALL record.
func (g *group) who() (pid, ppid int) {
	call := g.find("SYSCALL")
	if call == nil {
		return 0, 0
	}
	body := g.body(*call)
	return atoi(rawField(body, "pid=")), atoi(rawField(body, "ppid="))
}

// all are the events that are kept, in the order of their first records.
func (k *keeper) all() []*group {
	all := k.pinned.list(nil)
	for i := range k.kept {
		all = k.kept[i].list(all)
		k.kept[i] = store{} // so that memory comes free while events are decoded
	}
	k.pinned, k.execs = store{}, nil
	slices.SortFunc(all, func(a, b *group) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// over reports whether the oldest block is more than what must be kept.
func (s *store) over(limit int) bool {
	if len(s.blocks) < 2 {
		return false
	}
	return s.count-len(s.blocks[0].groups) >= limit || s.bytes > keepBytes
}

// drop takes the oldest block off.
func (s *store) drop() *block {
	b := s.blocks[0]
	s.blocks = s.blocks[1:]
	s.count -= len(b.groups)
	s.bytes -= len(b.buf)
	return b
}

// add copies an event into the last block, or into a further one, for which room
// may be used.
func (s *store) add(g *group, room *block) *group {
	var b *block
	if n := len(s.blocks); n > 0 {
		b = s.blocks[n-1]
	}
	if b == nil || !b.fits(g) {
		if b = room; b != nil {
			*b = block{groups: b.groups[:0], recs: b.recs[:0], buf: b.buf[:0]}
		}
		if b == nil || !b.fits(g) {
			b = &block{
				groups: make([]group, 0, blockEvents),
				recs:   make([]rec, 0, max(blockRecords, len(g.recs))),
				buf:    make([]byte, 0, max(blockBytes, len(g.buf))),
			}
		}
		s.blocks = append(s.blocks, b)
	}
	rec, at := len(b.recs), len(b.buf)
	b.recs, b.buf = append(b.recs, g.recs...), append(b.buf, g.buf...)
	b.groups = append(b.groups, *g)
	kept := &b.groups[len(b.groups)-1]
	kept.recs, kept.buf = b.recs[rec:len(b.recs):len(b.recs)], b.buf[at:len(b.buf):len(b.buf)]
	s.count++
	s.bytes += len(g.buf)
	return kept
}

// fits reports whether an event can be added without moving what is there.
func (b *block) fits(g *group) bool {
	return len(b.groups) < cap(b.groups) && len(b.recs)+len(g.recs) <= cap(b.recs) && len(b.buf)+len(g.buf) <= cap(b.buf)
}

func (s *store) list(all []*group) []*group {
	for _, b := range s.blocks {
		for i := range b.groups {
			all = append(all, &b.groups[i])
		}
	}
	return all
}

// Dropped says, by class, how many events that a rule could have used were only
// counted because later ones of their kind were kept.
func (a *Assembler) Dropped() (signals, execs, denied, others int) {
	lost := a.keep.lost
	return lost[classSignal] + lost[classState], lost[classExec], lost[classDenied] + lost[classChange],
		lost[classOther] + lost[classProbe] + lost[classSession]
}
