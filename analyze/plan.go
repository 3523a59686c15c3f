package analyze

import (
	"fmt"
	"slices"
	"strings"
)

// plan orders rules into levels: a rule stands in the level after the last rule
// it reads. Rules of one level may run in parallel. A rule named in After that
// is not configured is ignored, so that a user can run a part of the catalogue.
func plan(rules []*Rule) ([][]*Rule, error) {
	byID := make(map[string]*Rule, len(rules))
	for _, r := range rules {
		byID[r.ID] = r
	}
	level := map[string]int{}
	var visit func(r *Rule, path []string) (int, error)
	visit = func(r *Rule, path []string) (int, error) {
		if l, ok := level[r.ID]; ok {
			return l, nil
		}
		if i := slices.Index(path, r.ID); i >= 0 {
			return 0, fmt.Errorf("config: rules wait for each other: %s", strings.Join(append(path[i:], r.ID), " after "))
		}
		l := 0
		for _, id := range r.After {
			before, ok := byID[id]
			if !ok {
				continue
			}
			n, err := visit(before, append(slices.Clip(path), r.ID))
			if err != nil {
				return 0, err
			}
			l = max(l, n+1)
		}
		level[r.ID] = l
		return l, nil
	}
	var levels [][]*Rule
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	for _, r := range sorted {
		l, err := visit(r, nil)
		if err != nil {
			return nil, err
		}
		for len(levels) <= l {
			levels = append(levels, nil)
		}
		levels[l] = append(levels[l], r)
	}
	return levels, nil
}
