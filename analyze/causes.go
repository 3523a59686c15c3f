package analyze

import (
	"slices"
	"strings"
)

// causes is the graph of which finding explains which.
type causes struct {
	all     []*Finding
	byID    map[string]*Finding
	effects map[string][]string // cause to effects
	raises  map[string]bool     // findings that raised the odds of another
}

func newCauses(all []*Finding) *causes {
	g := &causes{all: all, byID: map[string]*Finding{}, effects: map[string][]string{}, raises: map[string]bool{}}
	for _, f := range all {
		g.byID[f.ID] = f
	}
	for _, f := range all {
		given := f.Causes
		f.Causes = nil
		for _, c := range given {
			g.link(c, f.ID)
		}
	}
	return g
}

// link adds an edge unless it is unknown, known already, or closes a circle: the
// first explanation given stands.
func (g *causes) link(cause, effect string) {
	c, e := g.byID[cause], g.byID[effect]
	if c == nil || e == nil || c == e || slices.Contains(e.Causes, cause) || g.reaches(effect, cause) {
		return
	}
	e.Causes = append(e.Causes, cause)
	g.effects[cause] = append(g.effects[cause], effect)
}

// because notes in words how a cause leads to its effect; the first words stand.
func (g *causes) because(cause string, effect *Finding, why string) {
	if why == "" || effect.Because[cause] != "" || !slices.Contains(effect.Causes, cause) {
		return
	}
	if effect.Because == nil {
		effect.Because = map[string]string{}
	}
	effect.Because[cause] = why
}

func (g *causes) reaches(from, to string) bool {
	seen := map[string]bool{}
	todo := []string{from}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if id == to {
			return true
		}
		if !seen[id] {
			seen[id] = true
			todo = append(todo, g.effects[id]...)
		}
	}
	return false
}

func (g *causes) declared(links []link) {
	for _, l := range links {
		g.link(l.cause, l.effect)
	}
}

// mechanisms links findings through the entities they share, as the rules'
// ExplainedBy say. A cause may not begin after its effect ended.
func (g *causes) mechanisms(rules []*Rule) {
	byRule := map[string][]*Finding{}
	for _, f := range g.all {
		byRule[f.Rule] = append(byRule[f.Rule], f)
	}
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	for _, r := range sorted {
		for _, m := range r.ExplainedBy {
			for _, effect := range byRule[r.ID] {
				for _, cause := range byRule[m.Rule] {
					if !shareEntity(cause, effect, m.Via) || startsAfter(cause, effect) {
						continue
					}
					if m.Raises {
						g.raises[cause.ID] = true
						if !slices.Contains(effect.Raised, cause.ID) {
							effect.Raised = append(effect.Raised, cause.ID)
						}
						continue
					}
					g.link(cause.ID, effect.ID)
					g.because(cause.ID, effect, m.Why)
				}
			}
		}
	}
}

func shareEntity(a, b *Finding, kind string) bool {
	for _, e := range a.Entities {
		if e.Kind == kind && b.Has(kind, e.Key) {
			return true
		}
	}
	return false
}

func startsAfter(cause, effect *Finding) bool {
	return !cause.From.IsZero() && !effect.To.IsZero() && cause.From.After(effect.To)
}

// explained is the number of findings that one explains, through others too.
func (g *causes) explained(f *Finding) int { return len(g.explainedBy(f)) }

// explainedBy are the findings that one explains, through others too.
func (g *causes) explainedBy(f *Finding) []*Finding {
	seen := map[string]bool{f.ID: true}
	var out []*Finding
	todo := slices.Clone(g.effects[f.ID])
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[id] {
			seen[id] = true
			out = append(out, g.byID[id])
			todo = append(todo, g.effects[id]...)
		}
	}
	return out
}

// roles computes each finding's role. A root cause is a finding that nothing
// explains and that either explains another at medium or above or stands at high
// severity itself.
func (g *causes) roles() {
	for _, f := range g.all {
		switch {
		case len(f.Causes) > 0:
			f.Role = Symptom
		case f.Severity >= High:
			f.Role = RootCause
		case f.Severity >= Medium && slices.ContainsFunc(g.effects[f.ID], func(id string) bool { return g.byID[id].Severity >= Medium }):
			f.Role = RootCause
		case g.raises[f.ID]:
			f.Role = Contributing
		default:
			f.Role = Context
		}
	}
}
