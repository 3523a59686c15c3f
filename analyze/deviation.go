package analyze

import (
	"cmp"
	"slices"
)

// The ways in which a count differs from an earlier one.
const (
	Appeared = "appeared"
	Vanished = "vanished"
	Grew     = "grew"
	Shrank   = "shrank"
	Changed  = "changed" // its value
)

// Deviation is a count that differs between two bundles. The zero Count stands for
// what is not there.
type Deviation struct {
	How           string
	Before, After Count
}

// Tolerance is how far counts may differ before it means something.
type Tolerance struct {
	// Factor and Least: a group grew when there are Factor times as many and at
	// least Least more; the same, the other way, for one that shrank.
	Factor float64
	Least  int64
}

// DefaultTolerance is what a busy and healthy service varies by.
func DefaultTolerance() Tolerance { return Tolerance{Factor: 1.5, Least: 10} }

// Deviations compares two censuses. Only what both bundles show at all is
// compared: a bundle without a goroutine dump has not lost its goroutines. Where
// one of them has a single host, names of hosts do not count.
func Deviations(before, after []Count, t Tolerance) []Deviation {
	oneHost := len(hostsOf(before)) <= 1 || len(hostsOf(after)) <= 1
	place := func(c *Count) string {
		if oneHost {
			return ""
		}
		return c.Host
	}
	then, now := indexCounts(before, place), indexCounts(after, place)
	var out []Deviation
	for _, k := range now.order {
		a, b := now.counts[k], then.counts[k]
		switch {
		case a.Name == "" && a.Of == "":
			continue // all of them: a list of its parts says more
		case b != nil:
			if how := t.compare(b, a); how != "" {
				out = append(out, Deviation{How: how, Before: *b, After: *a})
			}
		case then.shows(a, place):
			out = append(out, Deviation{How: Appeared, After: *a})
		}
	}
	for _, k := range then.order {
		b := then.counts[k]
		if now.counts[k] == nil && (b.Name != "" || b.Of != "") && now.shows(b, place) {
			out = append(out, Deviation{How: Vanished, Before: *b})
		}
	}
	slices.SortStableFunc(out, func(x, y Deviation) int {
		a, b := x.Count(), y.Count()
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.What, b.What), cmp.Compare(y.size(), x.size()), cmp.Compare(a.key(), b.key()))
	})
	return out
}

// Count is the side that exists, the later one if both do.
func (d *Deviation) Count() *Count {
	if d.How == Vanished {
		return &d.Before
	}
	return &d.After
}

// size orders deviations of one sort: the largest difference first.
func (d *Deviation) size() int64 { return max(d.After.N-d.Before.N, d.Before.N-d.After.N) }

// compare says how a count differs, "" if it does not.
func (t Tolerance) compare(before, after *Count) string {
	switch {
	case before.Value != after.Value:
		if before.Value == "" || after.Value == "" {
			return "" // one of the two does not say
		}
		return Changed
	case t.exceeds(before.N, after.N):
		return Grew
	case t.exceeds(after.N, before.N):
		return Shrank
	}
	return ""
}

func (t Tolerance) exceeds(small, large int64) bool {
	return large-small >= t.Least && float64(large) >= t.Factor*float64(small)
}

type countIndex struct {
	counts map[string]*Count
	order  []string
	shown  map[string]bool
}

func indexCounts(list []Count, place func(*Count) string) countIndex {
	x := countIndex{counts: map[string]*Count{}, shown: map[string]bool{}}
	for i := range list {
		c := &list[i]
		if c.Name == "" && c.Of == "" {
			x.shown[c.What+"\x00"+place(c)] = true
		}
		k := c.key() + "\x00" + place(c)
		if have := x.counts[k]; have != nil {
			// Two hosts that count as one.
			sum := *have
			sum.N += c.N
			x.counts[k] = &sum
			continue
		}
		x.counts[k] = c
		x.order = append(x.order, k)
	}
	return x
}

// shows reports whether the bundle shows things of that sort where c stands.
func (x countIndex) shows(c *Count, place func(*Count) string) bool {
	return x.shown[c.What+"\x00"+place(c)]
}

func hostsOf(list []Count) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Host)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
