package analyze

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Parser turns one kind of artifact into facts. It is a plain value: each package
// below parsers has a function Parser that returns one.
type Parser struct {
	// Name is the tool's or format's name; it is never renamed or reused.
	Name string
	// Doc is one sentence: what it reads.
	Doc string
	// Emits lists the kinds it may emit; emitting another one panics.
	Emits []fact.Kind
	// Sniff looks at the beginning of an artifact and says how sure it is that
	// the artifact is its own. It must not keep Head.Bytes.
	Sniff func(Head) Match
	// Parse reads the artifact as a stream and emits facts. It returns an error
	// only when it cannot go on: what was emitted before counts, and the artifact
	// is reported as partial. A bad record is no error but a Skip. Parse checks
	// ctx about once a record (or every few thousand cheap ones).
	Parse func(context.Context, *Input, *Sink) error
	// Excerpt, if set, renders cited positions of an artifact for the report; the
	// results stand at the same index as refs. Nil means: the lines themselves.
	Excerpt func(ctx context.Context, in *Input, refs []fact.Ref) ([]string, error)
	// Fold, if set, leaves out of an excerpt what tells a reader nothing, with a line
	// that says how much. The first line stays.
	Fold func(excerpt string) string
}

// Head is the beginning of an artifact.
type Head struct {
	Path string
	Size int64 // -1 if unknown
	// Bytes are the first HeadSize bytes, or all if there are fewer. Text in UTF-16 is
	// decoded, and the colours of a terminal are taken off.
	Bytes []byte
}

// HeadSize is how much of an artifact Sniff sees.
const HeadSize = 16 << 10

// Match is how sure a parser is.
type Match int

// The degrees. Names break ties: a parser that sees its content and its usual
// file name may answer one degree more than for the content alone.
const (
	No        Match = iota
	Maybe           // would take it if nobody else does
	Probably        // several signs of the format
	Sure            // a magic number or an unmistakable header
	Certain         // Sure, and more specific than another parser that is Sure
	Container       // holds several artifacts, of which one that is Certain would read the first
)

// Sink takes what a parser finds in one artifact. It is used by one goroutine.
type Sink struct {
	parser *Parser
	input  *Input
	shard  *fact.Shard
	limits Limits
	jobs   int

	skipped  int64
	problems []*SyntaxError
	notes    []string
	embedded []*Input
	partial  bool
	full     error
}

// Emit adds a fact. It panics when the parser did not declare the kind; the
// engine turns that into a failed artifact. After the limit of facts is reached,
// further facts are counted and dropped, and Full reports it.
func Emit[T fact.Fact](out *Sink, v T) {
	if !out.declared(v.Kind()) {
		panic(fmt.Sprintf("parser %s emits undeclared kind %q", out.parser.Name, v.Kind()))
	}
	if out.shard.Len() >= out.limits.FactsPerArtifact {
		out.full = fmt.Errorf("%w: more than %d facts in one artifact", ErrLimit, out.limits.FactsPerArtifact)
		out.partial = true
		return
	}
	fact.Add(out.shard, v)
}

// EmitAll adds a list of facts as Emit does, without copying them: the list belongs
// to the sink from then on.
func EmitAll[T fact.Fact](out *Sink, list []T) {
	var zero T
	if !out.declared(zero.Kind()) {
		panic(fmt.Sprintf("parser %s emits undeclared kind %q", out.parser.Name, zero.Kind()))
	}
	room := out.Room()
	fact.AddAll(out.shard, list[:min(len(list), room)])
	if len(list) > room {
		Emit(out, list[room]) // which says that it is one too many
	}
}

// Room is how many facts the sink still takes.
func (s *Sink) Room() int { return max(s.limits.FactsPerArtifact-s.shard.Len(), 0) }

// Sort puts the facts of one type that were emitted so far into the order of their
// positions, for a parser that finds them in another order, or in no certain one
// because it uses several goroutines.
func Sort[T fact.Fact](out *Sink, position func(*T) uint32) { fact.Sort(out.shard, position) }

func (s *Sink) declared(k fact.Kind) bool {
	return slices.Contains(s.parser.Emits, k)
}

// Full returns an error once the limit of facts is reached; a parser may stop
// then by returning it.
func (s *Sink) Full() error { return s.full }

// Input is the artifact being read.
func (s *Sink) Input() *Input { return s.input }

// Jobs is how many goroutines the parser may use for this artifact. What it emits
// must not depend on it.
func (s *Sink) Jobs() int { return s.jobs }

// Ref is a reference to a line of the artifact.
func (s *Sink) Ref(line int, offset int64, length int) fact.Ref {
	return fact.Ref{Artifact: s.input.ID(), Line: line, Offset: offset, Len: length}
}

// Skip records a record that could not be understood. All are counted, the first
// few are kept with their positions. Parsing goes on.
func (s *Sink) Skip(err *SyntaxError) {
	s.skipped++
	if len(s.problems) < maxProblems {
		if err.At.Artifact == "" {
			err.At.Artifact = s.input.ID()
		}
		s.problems = append(s.problems, err)
	}
}

// Note records a remark about the artifact that a reader of the report should
// know: a limit that was hit, a dump that is cut.
func (s *Sink) Note(format string, args ...any) {
	if len(s.notes) < maxProblems {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// Partial marks the artifact as incompletely read, so that no rule concludes from
// what is absent in it.
func (s *Sink) Partial() { s.partial = true }

// Embed hands over an artifact found inside this one (a dump inside a log). Its
// path must be the path of this one, '!' and a name.
func (s *Sink) Embed(in *Input) { s.embedded = append(s.embedded, in) }

// maxProblems is how many skipped records and notes are kept for each artifact.
const maxProblems = 5

// SyntaxError is a record that could not be understood.
type SyntaxError struct {
	At  fact.Ref
	Msg string
}

// Error is "where: what".
func (e *SyntaxError) Error() string { return e.At.String() + ": " + e.Msg }

// ErrLimit is wrapped by errors that report a limit of Limits.
var ErrLimit = errors.New("limit reached")

// ErrForeign is what a parser returns when, after all, the artifact is not its
// own; the engine then tries the next best parser.
var ErrForeign = errors.New("not this parser's format")
