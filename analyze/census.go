package analyze

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Count is one line of a census: how many of something stood in a bundle, under a
// name that means the same in another bundle of the same system. It holds no pid,
// no ephemeral port and no address in memory. Package census makes counts.
type Count struct {
	// What is listener, peer, upstream, sockets, process, memory, open_files,
	// goroutines, lock, version, setting or limit.
	What string `json:"what"`
	// Name is which of them: "0.0.0.0:7700/tcp", "CLOSE_WAIT", "quotepushd". The
	// count without a name is that of all: its presence says that the bundle shows
	// such things at all, so that the absence of a name means something.
	Name string `json:"name,omitempty"`
	// Of is what it belongs to: a program, a service's address.
	Of   string `json:"of,omitempty"`
	Host string `json:"host,omitempty"`
	// N is how many, and Value what a version or a setting says, or who holds a
	// listener.
	N     int64  `json:"n,omitempty"`
	Value string `json:"value,omitempty"`
	// At is one place that shows it.
	At fact.Ref `json:"source"`
	// Time is when it was counted, where the bundle says so.
	fact.Time
}

// key is what equal things of two bundles share. The host is left to the caller.
func (c *Count) key() string { return c.What + "\x00" + c.Name + "\x00" + c.Of }

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

// Baseline is a healthy bundle of the same system, against which rules judge.
type Baseline struct {
	Bundle Bundle
	Counts []Count
	// Read is what was read of it, so that its lines can be quoted; nil if only its
	// counts are known.
	Read *Facts
}

// BaselinePrefix stands before the paths of a baseline's artifacts.
const BaselinePrefix = "baseline:"

// facts turns the baseline, what differs from it and what the manifest expects
// into facts that rules read. now is the census of the bundle.
func (b *Baseline) facts(now []Count) *fact.Shard {
	shard := &fact.Shard{}
	if b == nil {
		return shard
	}
	theirs := func(r fact.Ref) fact.Ref {
		if r.Artifact != "" {
			r.Artifact = BaselinePrefix + r.Artifact
		}
		return r
	}
	for _, c := range b.Counts {
		fact.Add(shard, fact.Baseline{
			At: theirs(c.At), What: c.What, Name: c.Name, Of: c.Of, Host: c.Host, N: c.N, Value: c.Value, Time: c.Time,
		})
	}
	for _, d := range Deviations(b.Counts, now, DefaultTolerance()) {
		c := d.Count()
		f := fact.Deviation{
			At: d.After.At, BaselineAt: theirs(d.Before.At), How: d.How, What: c.What, Name: c.Name, Of: c.Of, Host: c.Host,
			Before: d.Before.N, After: d.After.N, ValueBefore: d.Before.Value, ValueAfter: d.After.Value,
		}
		if d.How == Vanished {
			f.At = coverage(now, c)
		} else {
			f.Host = d.After.Host
		}
		fact.Add(shard, f)
	}
	return shard
}

// coverage is the place that shows that something is not there: the head of the
// table it is missing in.
func coverage(now []Count, missing *Count) fact.Ref {
	var at fact.Ref
	for _, c := range now {
		if c.What == missing.What && c.Name == "" && c.Of == "" && (at.IsZero() || c.Host == missing.Host) {
			at = c.At
		}
	}
	return at
}

// expectations are the manifest's inventory as facts.
func (m *Manifest) expectations() *fact.Shard {
	shard := &fact.Shard{}
	if m == nil {
		return shard
	}
	for _, e := range m.Expected {
		fact.Add(shard, fact.Expected{At: e.Ref, What: e.What, Name: e.Name, Value: e.Value, Path: "expected." + strings.ToLower(e.What)})
	}
	return shard
}
