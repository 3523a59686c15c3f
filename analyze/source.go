package analyze

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Source hands over inputs while it still finds more, so that a large artifact is
// read while its bundle is being unpacked. It calls yield any number of times,
// from one goroutine, and returns what the collector said of the bundle, nil if
// nothing; the manifest may come last. Inputs must be readable from the moment
// they are yielded. An error ends the run.
//
// The result does not depend on the order or the time of arrival.
type Source func(ctx context.Context, yield func(...*Input)) (*Manifest, error)

// Inputs is a source of inputs that are there already.
func Inputs(inputs []*Input, m *Manifest) Source {
	return func(_ context.Context, yield func(...*Input)) (*Manifest, error) {
		yield(inputs...)
		return m, nil
	}
}

// queue holds inputs that wait for a reader.
type queue struct {
	mu     sync.Mutex
	more   sync.Cond
	inputs []*Input
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.more.L = &q.mu
	return q
}

func (q *queue) push(in ...*Input) {
	q.mu.Lock()
	q.inputs = append(q.inputs, in...)
	// Large ones first, from the end: the longest job decides when all are done.
	slices.SortStableFunc(q.inputs, func(a, b *Input) int { return cmp.Compare(a.Size, b.Size) })
	q.mu.Unlock()
	q.more.Broadcast()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.more.Broadcast()
}

// pop waits for an input; it returns nil after the last one.
func (q *queue) pop() *Input {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.inputs) == 0 && !q.closed {
		q.more.Wait()
	}
	if len(q.inputs) == 0 {
		return nil
	}
	last := len(q.inputs) - 1
	in := q.inputs[last]
	q.inputs = q.inputs[:last]
	return in
}

// gather reads what a source yields, on cfg.Jobs goroutines, and returns it in the
// order of paths.
func gather(ctx context.Context, src Source, cfg *Config, m *meter) ([]*parsed, *Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := newQueue()
	var mu sync.Mutex
	var all []*parsed
	var wg sync.WaitGroup
	for range cfg.Jobs {
		wg.Go(func() {
			for in := q.pop(); in != nil; in = q.pop() {
				if ctx.Err() != nil {
					continue
				}
				d := parseOne(ctx, in, cfg.Manifest.parser(in), cfg, m)
				mu.Lock()
				all = append(all, d)
				mu.Unlock()
			}
		})
	}
	seen := map[string]bool{}
	var twice error
	manifest, err := src(ctx, func(inputs ...*Input) {
		for _, in := range inputs {
			if seen[in.Path] && twice == nil {
				twice = fmt.Errorf("two inputs have the path %q", in.Path)
				cancel()
			}
			seen[in.Path] = true
			m.expect(in)
		}
		q.push(inputs...)
	})
	if err != nil {
		cancel()
	}
	q.close()
	wg.Wait()
	switch {
	case twice != nil:
		return nil, nil, twice
	case err != nil:
		return nil, nil, err
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	}
	if manifest == nil {
		manifest = cfg.Manifest
	}
	// A manifest that came last may name the parser of what was read before it.
	err = parallel(ctx, cfg.Jobs, len(all), func(i int) {
		if name := manifest.parser(all[i].in); name != all[i].forced {
			all[i] = parseOne(ctx, all[i].in, name, cfg, m)
		}
	})
	slices.SortFunc(all, func(a, b *parsed) int { return strings.Compare(a.in.Path, b.in.Path) })
	return all, manifest, err
}
