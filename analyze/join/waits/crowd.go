package waits

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Crowd is goroutines that do the same at one place.
type Crowd struct {
	Stacks []*Stack // largest first
	Count  int64
}

// First is the largest stack.
func (c *Crowd) First() *Stack { return c.Stacks[0] }

// Minutes is the longest wait.
func (c *Crowd) Minutes() (n int64) {
	for _, s := range c.Stacks {
		n = max(n, s.Minutes())
	}
	return n
}

// Crowds groups stacks by what key returns; those for which it returns "" are left
// out. The largest crowd comes first.
func (d *Dump) Crowds(key func(*Stack) string) []*Crowd {
	var out []*Crowd
	index := map[string]*Crowd{}
	for _, s := range d.Stacks {
		if s.Dumper {
			continue
		}
		k := key(s)
		if k == "" {
			continue
		}
		c := index[k]
		if c == nil {
			c = &Crowd{}
			index[k] = c
			out = append(out, c)
		}
		c.Stacks = append(c.Stacks, s)
		c.Count += s.Count
	}
	for _, c := range out {
		slices.SortStableFunc(c.Stacks, func(a, b *Stack) int { return cmp.Compare(b.Count, a.Count) })
	}
	slices.SortStableFunc(out, func(a, b *Crowd) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// Evidence cites up to n stacks of the crowd, each with its first goroutine, and
// what does the dump's process and other dumps say of the largest.
func (d *Dump) Evidence(c *Crowd, n int) []analyze.Evidence {
	var out []analyze.Evidence
	for _, s := range c.Stacks[:min(len(c.Stacks), n)] {
		more := ""
		if s.Count > 1 {
			more = fmt.Sprintf(", one of %d with this stack", s.Count)
		}
		out = append(out, s.Cite(s.First(), s.Shown(), "%s is %s in %s%s%s", s.Label(s.First()), s.Kind, s.At(s.Top()), aged(s.First()), more))
	}
	return slices.Concat(out, d.Link(), d.SupportFor(c.First()))
}

// Has reports whether a function stands in the stack. A name that ends in '.' or
// '(' matches every function that begins so.
func (s *Stack) Has(names ...string) bool {
	for _, f := range s.Frames {
		for _, n := range names {
			if f.Func == n || (strings.HasSuffix(n, ".") || strings.HasSuffix(n, "(")) && strings.HasPrefix(f.Func, n) {
				return true
			}
		}
	}
	return false
}

// Created is " They were started by main.serve at main.go:20.", or nothing.
func (s *Stack) Created() string {
	g := s.First()
	if g.CreatedBy == "" {
		return ""
	}
	at := ""
	if g.CreatedByFile != "" {
		at = fmt.Sprintf(" at %s:%d", g.CreatedByFile[strings.LastIndexAny(g.CreatedByFile, `/\`)+1:], g.CreatedByLine)
	}
	return fmt.Sprintf(" They were started by %s%s.", ShortFunc(g.CreatedBy), at)
}

// Finding begins a finding about a crowd: who, where, and what the dump cannot say.
func (d *Dump) Finding(subject string, c *Crowd) analyze.Finding {
	s := c.First()
	f := analyze.Finding{
		Subject:  subject + d.In(),
		Evidence: d.Evidence(c, 3),
		Missing:  d.Limits(),
		Next:     d.NextDumps(),
		Entities: d.Entities(),
	}
	if len(s.Frames) > 0 {
		f.Entities = append(f.Entities, s.SiteEntity(d.Host, s.Top()))
	}
	return f
}

// PanicFrame is the frame of the application that a crash happened in: the first
// one below the runtime's.
func PanicFrame(g *fact.Goroutine) int {
	start := 0
	for i, f := range g.Frames {
		if f.Func == "panic" || f.Func == "runtime.gopanic" || f.Func == "runtime.sigpanic" || f.Func == "runtime.throw" || f.Func == "runtime.fatal" {
			start = i + 1
		}
	}
	for i := start; i < len(g.Frames); i++ {
		if join.Application(g.Frames[i]) {
			return i
		}
	}
	return -1
}
