package analyze

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// findingID is the rule and a short hash of the subject, so that the same finding
// keeps its ID when others come and go.
func findingID(rule, subject string) string {
	h := sha256.Sum256([]byte(rule + "\x00" + subject))
	return rule + "#" + hex.EncodeToString(h[:4])
}

// compareFindings is the one order of findings that does not depend on roles.
func compareFindings(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(b.Confidence, a.Confidence),
		a.From.Compare(b.From),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Subject, b.Subject),
		cmp.Compare(a.ID, b.ID),
	)
}

// judge links findings, computes their roles, orders them and writes the verdict.
func (s *runState) judge(res *Result, cfg *Config) {
	var all []*Finding
	for _, st := range s.statuses {
		all = append(all, s.findings[st.ID]...)
	}
	slices.SortFunc(all, compareFindings)
	g := newCauses(all)
	g.declared(s.links)
	g.mechanisms(cfg.Rules)
	g.roles()
	moment := s.moment(all)
	slices.SortStableFunc(all, func(a, b *Finding) int {
		return cmp.Or(
			cmp.Compare(b.Role, a.Role),
			cmp.Compare(moment.beside(a), moment.beside(b)),
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(b.Confidence, a.Confidence),
			cmp.Compare(g.explained(b), g.explained(a)),
			compareFindings(a, b),
		)
	})
	res.Findings = all
	res.Verdict = s.verdict(res)
	if res.Findings == nil {
		res.Findings = []*Finding{}
	}
	res.Collect = s.wanted(res, g, cfg)
}

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

// verdict says the answer in one sentence. Findings are in their final order.
func (s *runState) verdict(res *Result) Verdict {
	v := Verdict{RootCauses: []string{}}
	worst := SeverityUnset
	var titles []string
	for _, f := range res.Findings {
		worst = max(worst, f.Severity)
		if f.Role == RootCause {
			v.RootCauses = append(v.RootCauses, f.ID)
			titles = append(titles, strings.TrimRight(f.Title, "."))
		}
	}
	ran, all := 0, 0
	for _, r := range s.statuses {
		if r.aboutBundle() {
			continue // that the bundle is as it should be says nothing of the service
		}
		all++
		if r.Status == RuleClean || r.Status == RuleFinding {
			ran++
		}
	}
	switch {
	case len(titles) == 1:
		v.Status = StatusRootCause
		v.Summary = fmt.Sprintf("%s (%s).", titles[0], res.Findings[0].Confidence)
	case len(titles) > 1:
		v.Status = StatusRootCause
		v.Summary = fmt.Sprintf("%s (%s); %d more root causes found.", titles[0], res.Findings[0].Confidence, len(titles)-1)
		if len(titles) == 2 {
			v.Summary = fmt.Sprintf("%s (%s). Also, independently: %s (%s).", titles[0], res.Findings[0].Confidence, titles[1], res.Findings[1].Confidence)
		}
	case worst >= Medium:
		v.Status = StatusSymptoms
		v.Summary = fmt.Sprintf("%s, but nothing in the bundle explains it.", strings.TrimRight(res.Findings[0].Title, "."))
	case ran == 0:
		v.Status = StatusInsufficient
		v.Summary = "No rule could judge this bundle: see what was not read and what to collect."
	default:
		v.Status = StatusClean
		v.Summary = fmt.Sprintf("%d of %d rules could judge this bundle, and none found anything at medium severity or above.", ran, all)
	}
	return v
}

// entities lists what the findings are about, by kind, without repeats.
func entities(findings []*Finding) map[string][]Entity {
	out := map[string][]Entity{}
	for _, f := range findings {
		for _, e := range f.Entities {
			out[e.Kind] = append(out[e.Kind], e)
		}
	}
	for k, list := range out {
		slices.SortFunc(list, func(a, b Entity) int {
			return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(b.Name, a.Name))
		})
		out[k] = slices.CompactFunc(list, func(a, b Entity) bool { return a.Key == b.Key })
	}
	return out
}
