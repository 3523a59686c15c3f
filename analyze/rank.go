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
	case len(titles) == 2:
		v.Status = StatusRootCause
		v.Summary = fmt.Sprintf("%s (%s). Also, independently: %s (%s).", titles[0], res.Findings[0].Confidence, titles[1], res.Findings[1].Confidence)
	case len(titles) > 2:
		v.Status = StatusRootCause
		v.Summary = fmt.Sprintf("%s (%s); %d more root causes found.", titles[0], res.Findings[0].Confidence, len(titles)-1)
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
