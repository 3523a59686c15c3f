package goroutine

import (
	"bytes"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/symbol"
)

// scanner is the state machine over the lines of an artifact.
type scanner struct {
	r   *lines.Reader
	out *analyze.Sink
	stacks
	pre   prefix
	state state
	block block
	dump  dump
	group grouped
	found int // goroutines and grouped profiles so far
	calls []fact.Call
	args  []byte
	lens  []int32 // ends of each frame's arguments in args
}

// state is what the next line may be.
type state int

const (
	// outside any goroutine; a header starts one:
	//	goroutine 7 [select, 3 minutes]:
	outside state = iota
	// wantFunc: a function, "created by", an elision, or a blank line that ends it:
	//	main.(*hub).run(0xc000010000, {0x7ccd58, 0xc00001c000})
	//	...additional frames elided...
	//	created by main.main in goroutine 1
	wantFunc
	// wantFile: after a function:
	//		/src/app/main.go:460 +0xa7 fp=0xc0 sp=0xc0 pc=0x46
	wantFile
	// wantCreatedFile: the same after "created by"
	wantCreatedFile
	// ancestors: after `[originating from goroutine 24]:` (GODEBUG=tracebackancestors)
	// until the blank line; nothing in it runs any more
	ancestors
	// inGroup: the records of a debug=1 profile
	inGroup
)

// block is the goroutine being read.
type block struct {
	header
	at      fact.Ref
	end     int64 // where its last line ends
	node    *node
	fn      []byte // function line that waits for its file line
	inlined bool
	bare    bool // the function line has no parentheses
	created string
	byID    fact.Int
	byFile  string
	byLine  int
	byCall  fact.Call
	elided  bool
	noStack bool
	broken  bool
	foreign int // lines of something else in a row
}

func newScanner(r *lines.Reader, out *analyze.Sink) *scanner {
	s := &scanner{r: r, out: out}
	s.strings = map[string]string{}
	return s
}

func (s *scanner) intern(b []byte) string { return s.stacks.intern(b) }

// line takes one line of the artifact.
func (s *scanner) line(raw []byte) {
	if s.state == outside {
		s.outside(raw)
		return
	}
	b := raw
	if s.pre != (prefix{}) {
		b = s.pre.strip(raw)
	}
	if s.state == inGroup {
		s.groupLine(b)
		return
	}
	if len(b) > 0 && b[0] == 'g' && isHeader(b) && findHeader(b) == 0 {
		// The blank line between two goroutines is missing.
		s.endBlock()
		s.begin(b)
		return
	}
	t := trimBlanks(b)
	if len(t) == 0 {
		s.endBlock()
		return
	}
	switch s.state {
	case wantFunc:
		s.funcLine(t)
	case wantFile:
		s.fileLine(t)
	case wantCreatedFile:
		s.createdFile(t)
	}
	if s.state != outside {
		s.block.end = s.r.Offset() + int64(len(raw))
	}
}

// outside looks for the beginning of a dump.
func (s *scanner) outside(raw []byte) {
	if len(raw) == 0 {
		return
	}
	if at := findHeader(raw); at >= 0 && (at == 0 || blankOnly(raw[:at]) || isSeparated(raw, at)) {
		s.pre = prefixOf(raw[:at])
		s.begin(raw[at:])
		return
	}
	if isGroupedHeader(raw) {
		s.beginGrouped(raw)
		return
	}
	s.dump.preamble(s, raw)
}

func blankOnly(b []byte) bool { return len(trimBlanks(b)) == 0 }

// trimBlanks is bytes.TrimLeft for blanks and tabs, several times as fast.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	return b
}

// begin starts a goroutine at its header.
func (s *scanner) begin(b []byte) {
	s.block = block{header: s.parseHeader(b), at: s.r.Ref(), node: &s.root}
	s.block.end = s.r.Offset() + int64(len(s.r.Bytes()))
	s.calls = s.calls[:0]
	s.args, s.lens = s.args[:0], s.lens[:0]
	s.state = wantFunc
}

// call is the position of the current line in the block.
func (s *scanner) call() fact.Call {
	return fact.Call{Line: int32(s.r.Number() - s.block.at.Line), Offset: int32(s.r.Offset() - s.block.at.Offset)}
}

// funcLine takes a line where a function is due.
func (s *scanner) funcLine(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("created by ")):
		name := b[len("created by "):]
		if i := bytes.LastIndex(name, []byte(" in goroutine ")); i >= 0 {
			if n, ok := parseDigits(name[i+len(" in goroutine "):]); ok {
				s.block.byID = fact.Some(n)
			}
			name = name[:i]
		}
		s.block.created, s.block.byCall = s.intern(name), s.call()
		s.state = wantCreatedFile
	case bytes.HasPrefix(b, []byte("...")) && bytes.HasSuffix(b, []byte("frames elided...")):
		s.block.elided = true
	case bytes.HasPrefix(b, []byte("[originating from goroutine ")):
		s.state = ancestors
	case bytes.HasPrefix(b, []byte("goroutine running on other thread")):
		s.block.noStack = true
	default:
		name, args, ok := splitCall(b)
		if !ok {
			s.foreignEnd(b)
			return
		}
		s.calls = append(s.calls, s.call())
		s.args = append(s.args, args...)
		s.lens = append(s.lens, int32(len(s.args)))
		s.block.fn = append(s.block.fn[:0], name...)
		s.block.bare = args == nil
		s.block.inlined = len(args) == 3 && string(args) == "..."
		s.state = wantFile
	}
}

// splitCall splits `pkg.(*T).m(0x1, {0x2, 0x3})` at the parenthesis of the
// arguments, which hold none themselves. Frames of C code have no parentheses:
// `non-Go function`, or what the program's symbolizer says.
func splitCall(b []byte) (name, args []byte, ok bool) {
	b = bytes.TrimRight(b, " \t")
	if n := len(b); b[n-1] == ')' {
		i := bytes.LastIndexByte(b, '(')
		if i <= 0 || b[i-1] == ' ' {
			return nil, nil, false
		}
		return b[:i], b[i+1 : n-1], true
	}
	if string(b) == "non-Go function" {
		return b, nil, true
	}
	// A symbolizer's bare name: one word of an identifier's characters.
	for _, c := range b {
		if c <= ' ' || c == '=' || c == ')' || c == '"' {
			return nil, nil, false
		}
	}
	if bytes.IndexByte(b, '(') >= 0 || bytes.HasSuffix(b, []byte(":")) || len(b) > 512 {
		return nil, nil, false
	}
	return b, nil, true
}

// fileLine takes a line where a function's file is due.
func (s *scanner) fileLine(b []byte) {
	where, ok := fileWord(b)
	if !ok {
		// The function line was no function after all, or its file is missing. A
		// line of something else in between is passed over.
		if _, _, isFunc := splitCall(b); isFunc || bytes.HasPrefix(b, []byte("created by ")) {
			s.block.broken = s.block.broken || !s.block.bare
			s.dropFunc()
			s.state = wantFunc
			s.funcLine(b)
			return
		}
		if s.block.bare {
			s.dropFunc()
			s.state = wantFunc
			s.foreignEnd(b)
			return
		}
		s.foreign("a function without its file", b)
		return
	}
	s.block.node = s.child(s.block.node, s.block.fn, where, s.block.inlined)
	s.block.foreign = 0
	s.state = wantFunc
}

// dropFunc forgets a function line that has no file.
func (s *scanner) dropFunc() {
	n := len(s.calls) - 1
	s.calls, s.lens = s.calls[:n], s.lens[:n]
	s.args = s.args[:0]
	if n > 0 {
		s.args = s.args[:s.lens[n-1]]
	}
}

// fileWord cuts "file:line" out of a file line. A frame of C code may have only a
// pc, then the word is empty.
func fileWord(b []byte) ([]byte, bool) {
	if bytes.HasPrefix(b, []byte("pc=0x")) {
		return nil, true
	}
	// Paths may hold blanks: the line number is before " +0x", " fp=", " pc=" or
	// the end.
	end := len(b)
	if i := bytes.LastIndexByte(b, ' '); i > 0 && i+1 < end && b[i+1] == '+' {
		end = i // nearly every line
	} else {
		for _, tail := range fileTails {
			if i := bytes.Index(b, tail); i >= 0 {
				end = i
				break
			}
		}
	}
	for end > 0 && blank(b[end-1]) {
		end--
	}
	i := end
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
	}
	if i == end || i < 2 || b[i-1] != ':' || end-i > 9 {
		return nil, false
	}
	return b[:end], true
}

// fileTails follow the line number, the leftmost first.
var fileTails = [][]byte{[]byte(" +0x"), []byte(" fp=0x"), []byte(" pc=0x")}

func (s *scanner) createdFile(b []byte) {
	where, ok := fileWord(b)
	if !ok {
		s.foreign("`created by` without its file", b)
		return
	}
	file, line := symbol.Place(where)
	s.block.byFile, s.block.byLine = s.intern(file), line
	s.state = wantFunc
}

// foreign passes over a line that is no part of a dump: another thread's output.
func (s *scanner) foreign(what string, b []byte) {
	s.out.Skip(&analyze.SyntaxError{At: s.r.Ref(), Msg: what + ": " + quoteStart(b)})
}

// maxForeign is how many lines in a row may stand inside a stack and be of
// something else.
const maxForeign = 3

// foreignEnd takes a line that is no frame where one could follow. Behind the
// creator the stack is complete, and what follows is the log that it stands in.
func (s *scanner) foreignEnd(b []byte) {
	s.block.foreign++
	if s.block.created != "" || s.block.foreign > maxForeign || causeColumn(b) >= 0 {
		s.endBlock()
		s.outside(b)
		return
	}
	s.foreign("neither a function nor the end of a stack", b)
}

// endBlock emits the goroutine.
func (s *scanner) endBlock() {
	b := &s.block
	if s.state == wantFile {
		b.broken = b.broken || !b.bare
		s.dropFunc()
	}
	b.broken = b.broken || s.state == wantCreatedFile || b.foreign > maxForeign
	s.state = outside
	g := fact.Goroutine{
		At: b.at, ID: b.id, State: b.header.state, WaitMinutes: b.minutes, LockedToThread: b.locked,
		Leaked: b.leaked, Bubble: b.bubble, Labels: b.labels, CreatedBy: b.created, CreatedByID: b.byID,
		CreatedByFile: b.byFile, CreatedByLine: b.byLine, CreatedByCall: b.byCall, Elided: b.elided,
		NoStack: b.noStack,
	}
	g.At.Len = int(b.end - b.at.Offset)
	g.Frames = b.node.path()
	g.Broken = b.broken || len(g.Frames) == 0 && !g.NoStack
	s.found++
	g.Dump = s.dump.add(s, &g, b.node.about)
	if s.dump.alike.keep(b) {
		g.Calls = s.keepCalls()
		analyze.Emit(s.out, g)
	}
}

// keepCalls copies the calls of the block, with one string for all arguments.
func (s *scanner) keepCalls() []fact.Call {
	if len(s.calls) == 0 {
		return nil
	}
	all := string(s.args)
	kept := make([]fact.Call, len(s.calls))
	from := int32(0)
	for i, c := range s.calls {
		c.Args = all[from:s.lens[i]]
		from = s.lens[i]
		kept[i] = c
	}
	return kept
}

// end closes what is open at the end of the artifact.
func (s *scanner) end() {
	switch s.state {
	case outside:
	case inGroup:
		s.endGroup()
	default:
		s.dump.cut = s.dump.cut || s.state == wantFile && !s.block.bare || s.state == wantCreatedFile
		s.endBlock()
	}
	s.dump.finish(s)
}

func parseDigits(b []byte) (int64, bool) {
	n := int64(0)
	for i, c := range b {
		if c < '0' || c > '9' || i > 17 {
			return n, i > 0 && c == ' '
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}
