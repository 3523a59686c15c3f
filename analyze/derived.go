package analyze

import (
	"fmt"
	"sync"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Derived is a value that several rules need and that is built once per run, when
// the first of them asks: an index, an identity table, a graph.
type Derived[T any] struct {
	Name  string
	Needs []fact.Kind // what Build may read; empty means everything
	Build func(*Pass) T
}

// Of returns the value for this run. Build sees a Pass of its own that is open
// for the kinds in Needs, and must be deterministic. Concurrent callers wait for
// one build. A panic in Build fails each rule that asks.
func (d *Derived[T]) Of(p *Pass) T {
	cell := p.run.cell(d)
	cell.once.Do(func() {
		defer func() {
			if r := recover(); r != nil {
				cell.panicked = fmt.Sprintf("derived %s: %v", d.Name, r)
			}
		}()
		sub := &Pass{
			Facts: p.run.store.View("derived "+d.Name, d.Needs...), Manifest: p.Manifest,
			rule: &Rule{ID: "derived/" + d.Name}, run: p.run,
		}
		cell.value = d.Build(sub)
	})
	if cell.panicked != "" {
		panic(cell.panicked)
	}
	return cell.value.(T)
}

type derivedCell struct {
	once     sync.Once
	value    any
	panicked string
}

// Derive is Derived.Of outside of a rule, for tools and tests that hold a store.
func Derive[T any](d *Derived[T], store *fact.Store, m *Manifest) T {
	run := &runState{store: store, findings: map[string][]*Finding{}}
	return d.Of(&Pass{run: run, rule: &Rule{ID: "derive"}, Manifest: m})
}

// cells holds the derived values of a run.
type cells struct {
	mu sync.Mutex
	m  map[any]*derivedCell
}

// cell returns the place of a derived value, made on first use.
func (s *runState) cell(key any) *derivedCell {
	s.cells.mu.Lock()
	defer s.cells.mu.Unlock()
	if s.cells.m == nil {
		s.cells.m = map[any]*derivedCell{}
	}
	c := s.cells.m[key]
	if c == nil {
		c = &derivedCell{}
		s.cells.m[key] = c
	}
	return c
}
