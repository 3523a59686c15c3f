package goroutine

import "github.com/culprit-dev/culprit/analyze/fact"

// keepAlike is how many goroutines of a dump with one stack, state and creator are
// kept one by one. The rest is counted: a million goroutines that all do the same
// cost little more than the first few thousand, and say nothing more.
const keepAlike = 2000

// alike counts the goroutines of a dump by what they do.
type alike struct {
	crowds map[crowdKey]*crowd
	order  []*crowd // those of which some are only counted
}

type crowdKey struct {
	node    *node
	state   string
	created string
	line    int
	leaked  bool
}

type crowd struct {
	kept    int
	minutes int64 // the longest wait so far
	counted fact.Alike
	creator fact.Int // of the first that is counted
}

// countable reports whether one of many goroutines in a state may be counted only.
// Who waits for a lock is told by its arguments, and who runs is always of interest.
func countable(state string) bool {
	switch state {
	case "select", "chan receive", "chan send", "IO wait", "sleep", "sync.Cond.Wait", "sync.WaitGroup.Wait":
		return true
	}
	return false
}

// keep reports whether the goroutine of the block is to be kept. The one that has
// waited longest always is.
func (a *alike) keep(b *block) bool {
	if !countable(b.header.state) || len(b.labels) > 0 || b.broken || b.elided {
		return true
	}
	if a.crowds == nil {
		a.crowds = map[crowdKey]*crowd{}
	}
	key := crowdKey{b.node, b.header.state, b.created, b.byLine, b.leaked}
	c := a.crowds[key]
	if c == nil {
		c = &crowd{counted: fact.Alike{Like: b.id}}
		a.crowds[key] = c
	}
	longest := b.minutes.Or(0) > c.minutes
	if longest {
		c.minutes = b.minutes.V
	}
	if c.kept < keepAlike || longest {
		c.kept++
		return true
	}
	if len(c.counted.IDs) == 0 {
		a.order = append(a.order, c)
		c.creator, c.counted.OneCreator = b.byID, true
	}
	c.counted.OneCreator = c.counted.OneCreator && b.byID == c.creator
	c.counted.IDs = append(c.counted.IDs, b.id)
	return false
}

// take returns what was only counted, and begins anew for the next dump.
func (a *alike) take() []fact.Alike {
	var out []fact.Alike
	for _, c := range a.order {
		out = append(out, c.counted)
	}
	*a = alike{}
	return out
}
