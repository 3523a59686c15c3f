package goroutineleak

import (
	"cmp"
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// poolSpread is how far the ids of goroutines that one loop started may lie apart:
// the largest span of ids for each goroutine of the crowd. Others that start at the
// same time take ids in between.
const poolSpread = 1.5

// pool reports whether a crowd looks like a pool of workers that one goroutine
// started together, and not like goroutines that were left behind one by one: their
// ids lie close, they have one creator, and who has waited longer does not follow
// from who is older. What leaks waits in the order of its age; the workers of a
// pool take turns.
func pool(c *waits.Crowd) bool {
	var all []*fact.Goroutine
	var ids []int64
	for _, s := range c.Stacks {
		all = append(all, s.Members...)
		for _, a := range s.Counted {
			if !a.OneCreator {
				return false
			}
			ids = append(ids, a.IDs...)
		}
	}
	for _, g := range all {
		ids = append(ids, g.ID)
	}
	if int64(len(ids)) != c.Count {
		return false // a grouped profile has no ids
	}
	slices.SortFunc(all, func(a, b *fact.Goroutine) int { return cmp.Compare(a.ID, b.ID) })
	first := all[0]
	if float64(slices.Max(ids)-slices.Min(ids)+1) > poolSpread*float64(len(ids)) {
		return false
	}
	for _, g := range all {
		if g.CreatedBy != first.CreatedBy || g.CreatedByLine != first.CreatedByLine || g.CreatedByID != first.CreatedByID {
			return false
		}
	}
	return !agesInOrder(all)
}

// agesInOrder reports whether goroutines, given by ascending id, wait the longer
// the older they are, over at least three different ages.
func agesInOrder(all []*fact.Goroutine) bool {
	ages, wrong := map[int64]bool{}, 0
	for i, g := range all {
		ages[g.WaitMinutes.Or(0)] = true
		if i > 0 && g.WaitMinutes.Or(0) > all[i-1].WaitMinutes.Or(0) {
			wrong++
		}
	}
	return len(ages) >= 3 && wrong <= len(all)/20
}
