package goroutine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/symbol"
)

// grouped is a debug=1 profile being read:
//
//	goroutine profile: total 571
//	566 @ 0x487f0e 0x41797c
//	# labels: {"route":"/search"}
//	#	0x66cfe4	main.query+0x64	/src/fanout/main.go:23
type grouped struct {
	dump  fact.Dump
	group fact.GoroutineGroup
	open  bool     // a group is being read
	pcs   []uint64 // its program counters, until the first frame
	sum   int64
	about about
}

var groupedHeaders = [][]byte{[]byte("goroutine profile: total "), []byte("goroutineleak profile: total ")}

func isGroupedHeader(line []byte) bool {
	for _, h := range groupedHeaders {
		if bytes.HasPrefix(line, h) {
			_, ok := parseDigits(line[len(h):])
			return ok
		}
	}
	return false
}

func (s *scanner) beginGrouped(line []byte) {
	s.dump.finish(s)
	s.dump.number++
	_, number, _ := bytes.Cut(line, []byte(" total "))
	total, _ := parseDigits(number)
	s.group = grouped{dump: fact.Dump{
		At: s.r.Ref(), Form: "debug=1", Dump: s.dump.number, Total: int(total),
		Leak: bytes.HasPrefix(line, []byte("goroutineleak")),
	}}
	s.pre, s.state = prefix{}, inGroup
	s.found++
}

// groupLine takes a line of a debug=1 profile.
func (s *scanner) groupLine(b []byte) {
	g := &s.group
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		s.endRecord()
	case b[0] == '#':
		if !g.open {
			s.foreign("a frame outside of a group", b)
			return
		}
		s.groupDetail(b)
	default:
		count, ok := groupCount(b)
		if !ok {
			s.endGroup()
			s.outside(b)
			return
		}
		s.endRecord()
		g.open = true
		g.sum += count
		g.group = fact.GoroutineGroup{At: s.r.Ref(), Count: count, Leaked: g.dump.Leak}
		g.pcs = programCounters(g.pcs[:0], b)
	}
}

// groupCount reads `566 @ 0x487f0e`.
func groupCount(b []byte) (int64, bool) {
	count, rest, ok := bytes.Cut(b, []byte(" @"))
	if !ok || len(rest) > 0 && !bytes.HasPrefix(rest, []byte(" 0x")) {
		return 0, false
	}
	return parseDigits(count)
}

// programCounters reads those behind the '@'.
func programCounters(pcs []uint64, b []byte) []uint64 {
	_, rest, _ := bytes.Cut(b, []byte("@"))
	for w := range bytes.FieldsSeq(rest) {
		pc, err := strconv.ParseUint(string(bytes.TrimPrefix(w, []byte("0x"))), 16, 64)
		if err != nil {
			return pcs[:0]
		}
		pcs = append(pcs, pc)
	}
	return pcs
}

// unnamed are the counters before that of the first frame, which the text prints
// one less than the return address.
func unnamed(pcs []uint64, first uint64) []uint64 {
	for i, pc := range pcs {
		if pc == first || pc == first+1 {
			return slices.Clone(pcs[:i])
		}
	}
	return nil
}

// groupDetail reads a line with '#': labels or a frame.
func (s *scanner) groupDetail(b []byte) {
	g := &s.group
	g.group.At.Len = int(s.r.Offset()-g.group.At.Offset) + len(b)
	if rest, ok := bytes.CutPrefix(b, []byte("# labels: ")); ok {
		if err := json.Unmarshal(rest, &g.group.Labels); err != nil {
			s.out.Skip(&analyze.SyntaxError{At: s.r.Ref(), Msg: "labels that are no JSON: " + quoteStart(rest)})
		}
		return
	}
	fr, ok := symbol.Parse(b)
	if !ok {
		s.foreign("a frame that is not understood", b)
		return
	}
	if len(fr.Func) == 0 {
		return
	}
	if len(g.group.Frames) == 0 {
		g.group.Unnamed = unnamed(g.pcs, fr.Addr)
	}
	f := fact.Frame{Func: s.intern(fr.Func), File: s.intern(fr.File), Line: fr.Line, At: s.r.Ref()}
	g.about = g.about.with(f)
	g.group.Frames = append(g.group.Frames, f)
}

func (s *scanner) endRecord() {
	if s.group.open {
		analyze.Emit(s.out, s.group.group)
		s.group.open = false
		s.group.dump.Goroutines++
	}
}

// endGroup emits the profile.
func (s *scanner) endGroup() {
	s.endRecord()
	d := s.group.dump
	d.Goroutines = int(s.group.sum)
	d.GoVersion, d.Module = s.group.about.version, cmp.Or(s.group.about.mainDir, s.group.about.pkg)
	if s.group.sum < int64(d.Total) {
		d.Cut = true
		s.out.Note("the profile states %d goroutines, its records have %s", d.Total, strconv.FormatInt(s.group.sum, 10))
		s.out.Partial()
	}
	analyze.Emit(s.out, d)
	s.state = outside
}
