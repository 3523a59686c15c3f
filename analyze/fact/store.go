package fact

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// chunkSize is how many facts stand in one chunk of a column. A column is a list
// of chunks and never moves a fact: appending costs no copy of what is there
// (about 110 ns a fact, against 1,600 ns for a doubling slice behind an
// interface), and pointers into it stay good.
const chunkSize = 1024

// column holds all facts of one type, in the order they were added.
type column[T Fact] struct{ chunks [][]T }

func (c *column[T]) add(v T) {
	if n := len(c.chunks); n == 0 || len(c.chunks[n-1]) == cap(c.chunks[n-1]) {
		size := chunkSize
		if n == 0 {
			size = 8 // most artifacts emit a handful of most kinds
		}
		c.chunks = append(c.chunks, make([]T, 0, size))
	}
	last := &c.chunks[len(c.chunks)-1]
	*last = append(*last, v)
}

func (c *column[T]) len() int {
	n := 0
	for _, k := range c.chunks {
		n += len(k)
	}
	return n
}

func (c *column[T]) join(other anyColumn) anyColumn {
	out := &column[T]{chunks: slices.Clip(c.chunks)}
	out.chunks = append(out.chunks, other.(*column[T]).chunks...)
	return out
}

func (c *column[T]) each(yield func(Fact) bool) bool {
	for _, chunk := range c.chunks {
		for i := range chunk {
			if !yield(any(&chunk[i]).(Fact)) {
				return false
			}
		}
	}
	return true
}

// anyColumn is a column whose type only All knows. *T implements Fact whenever T
// does, so each can yield pointers for every T with value receivers.
type anyColumn interface {
	len() int
	join(anyColumn) anyColumn
	each(func(Fact) bool) bool
}

// Shard collects the facts of one artifact. It is not safe for concurrent use;
// each parser run has its own.
type Shard struct {
	columns map[Kind]anyColumn
	n       int
}

// Add appends a fact to the shard. T must implement Fact with value receivers.
// It panics if another type already uses the same kind, because then no rule
// could read either.
func Add[T Fact](s *Shard, v T) {
	columnOf[T](s).add(v)
	s.n++
}

// AddAll appends a list of facts without copying it; the list belongs to the shard
// from then on. It panics like Add.
func AddAll[T Fact](s *Shard, list []T) {
	if len(list) == 0 {
		return
	}
	col := columnOf[T](s)
	col.chunks = append(col.chunks, slices.Clip(list))
	s.n += len(list)
}

// columnOf is the column of a type, made when it is first needed.
func columnOf[T Fact](s *Shard) *column[T] {
	var zero T
	kind := zero.Kind()
	if s.columns == nil {
		s.columns = map[Kind]anyColumn{}
	}
	col, ok := s.columns[kind]
	if !ok {
		col = &column[T]{}
		s.columns[kind] = col
	}
	typed, ok := col.(*column[T])
	if !ok {
		panic(fmt.Sprintf("fact: kind %q is used by two types, one of them %T", kind, zero))
	}
	return typed
}

// Sort puts the facts of one type into the order of their positions, in place: a
// parser that finds facts in another order than it reports them needs no second copy
// of them. Facts of one position stay in the order in which they were added.
// Pointers into the shard do not survive it, so it is for parsers, not for rules.
func Sort[T Fact](s *Shard, position func(*T) uint32) {
	var zero T
	col, ok := s.columns[zero.Kind()].(*column[T])
	if !ok {
		return
	}
	order := make([]uint64, 0, col.len()) // a position, and who is there now
	all := make([]*T, 0, col.len())
	for _, chunk := range col.chunks {
		for i := range chunk {
			order = append(order, uint64(position(&chunk[i]))<<32|uint64(len(all)))
			all = append(all, &chunk[i])
		}
	}
	slices.Sort(order)
	// The low half of order[i] says which fact belongs at i. Each cycle of it is
	// walked once.
	const done = 1<<32 - 1
	for start := range order {
		if from := uint32(order[start]); from == done || int(from) == start {
			continue
		}
		first := *all[start]
		for at := start; ; {
			from := int(uint32(order[at]))
			order[at] = done
			if from == start {
				*all[at] = first
				break
			}
			*all[at] = *all[from]
			at = from
		}
	}
}

// Len is the number of facts in the shard.
func (s *Shard) Len() int { return s.n }

// Kinds lists the kinds of which the shard holds a fact, sorted.
func (s *Shard) Kinds() []Kind { return slices.Sorted(maps.Keys(s.columns)) }

// Store is the sealed set of facts of a run. It is read-only and safe for
// concurrent use.
type Store struct {
	columns   map[Kind]anyColumn
	artifacts []Artifact
}

// Artifact is what the engine knows of an input that was read.
type Artifact struct {
	ID     ID
	Parser string // name of the parser that read it, "" if none
	Facts  int
	// Main is the kind of fact that its parser is for, Kinds those that it found, sorted.
	Main  Kind
	Kinds []Kind
	// Partial is true when the parser stopped before the end or skipped records;
	// rules must not conclude from absence in a partial artifact.
	Partial bool
	// Unclaimed is true when no parser knows the format.
	Unclaimed bool
	// Skipped counts records that could not be understood; SkippedAt are the first.
	Skipped   int64
	SkippedAt []Ref
	// Host is the host that a manifest names for the artifact, "" otherwise.
	Host string
	// ModTime is the time the archive or file system gives, zero if none.
	ModTime Time
}

// Seal joins shards into a store, in the order given. The shards must not be
// used afterwards. It panics if two shards use one kind for different types.
func Seal(artifacts []Artifact, shards ...*Shard) *Store {
	st := &Store{columns: map[Kind]anyColumn{}, artifacts: artifacts}
	for _, s := range shards {
		if s == nil {
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(s.columns)) {
			if have, ok := st.columns[k]; ok {
				st.columns[k] = have.join(s.columns[k])
			} else {
				st.columns[k] = s.columns[k]
			}
		}
	}
	return st
}

// With is the store with the facts of further shards behind its own. The shards
// must not be used afterwards.
func (st *Store) With(shards ...*Shard) *Store {
	return Seal(st.artifacts, append([]*Shard{{columns: st.columns}}, shards...)...)
}

// Kinds lists the kinds of which the store holds at least one fact, sorted.
func (st *Store) Kinds() []Kind { return slices.Sorted(maps.Keys(st.columns)) }

// Count is the number of facts of a kind.
func (st *Store) Count(k Kind) int {
	if c, ok := st.columns[k]; ok {
		return c.len()
	}
	return 0
}

// Each yields pointers to all facts of a kind, in artifact order.
func (st *Store) Each(k Kind) iter.Seq[Fact] {
	return func(yield func(Fact) bool) {
		if c, ok := st.columns[k]; ok {
			c.each(yield)
		}
	}
}

// View opens the store for a reader that declared the kinds it reads. reader is
// the name used when it reads another kind. With no kinds, everything is open.
func (st *Store) View(reader string, kinds ...Kind) View {
	return View{store: st, reader: reader, kinds: kinds}
}

// View is a store restricted to declared kinds. The zero View is empty.
type View struct {
	store  *Store
	reader string
	kinds  []Kind
}

func (v View) check(k Kind) {
	if len(v.kinds) > 0 && !slices.Contains(v.kinds, k) {
		panic(fmt.Sprintf("%s reads facts of kind %q without declaring it", v.reader, k))
	}
}

// Has reports whether there is at least one fact of a kind.
func (v View) Has(k Kind) bool { return v.Count(k) > 0 }

// Count is the number of facts of a kind.
func (v View) Count(k Kind) int {
	v.check(k)
	if v.store == nil {
		return 0
	}
	return v.store.Count(k)
}

// Each yields pointers to all facts of a kind, for readers that take any type. It
// panics like All on a kind that the reader did not declare.
func (v View) Each(k Kind) iter.Seq[Fact] {
	v.check(k)
	if v.store == nil {
		return func(func(Fact) bool) {}
	}
	return v.store.Each(k)
}

// Artifacts lists what was read, in path order. It must not be modified.
func (v View) Artifacts() []Artifact {
	if v.store == nil {
		return nil
	}
	return v.store.artifacts
}

// All yields a pointer to each fact of type T, by artifact path and then in the
// order the parser found them. The facts belong to the store: they stay valid
// for the whole run and must not be modified. All panics on a kind that the
// reader did not declare; the engine turns that into a failed rule.
func All[T Fact](v View) iter.Seq[*T] {
	var zero T
	kind := zero.Kind()
	v.check(kind)
	return func(yield func(*T) bool) {
		if v.store == nil {
			return
		}
		col, ok := v.store.columns[kind]
		if !ok {
			return
		}
		for _, chunk := range col.(*column[T]).chunks {
			for i := range chunk {
				if !yield(&chunk[i]) {
					return
				}
			}
		}
	}
}
