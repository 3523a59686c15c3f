package celrule

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// maxListed bounds a named list, maxCited what a finding cites of it.
const (
	maxListed = 1 << 20
	maxCited  = 5
)

// asRule makes the rule that the engine runs.
func (r *compiled) asRule() *analyze.Rule {
	out := &analyze.Rule{
		ID: r.f.Rule, Title: r.f.Title, Doc: r.f.Doc, Severity: r.severity, After: r.f.After, Run: r.run,
	}
	for _, l := range r.lists {
		if l.name == r.f.Each || r.f.Each == "" && len(r.lists) == 1 {
			out.Needs = append(out.Needs, l.kind)
		} else {
			out.Wants = append(out.Wants, l.kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.f.Thresholds)) {
		t := r.f.Thresholds[name]
		out.Thresholds = append(out.Thresholds, analyze.Threshold{Name: name, Default: t.Default, Unit: t.Unit, Doc: t.Doc})
	}
	return out
}

// group is the facts that share a key.
type group struct {
	key   string
	facts []fact.Fact
}

func (r *compiled) run(ctx context.Context, p *analyze.Pass) error {
	limits := map[string]any{"findings": []findingType{}}
	for name := range r.f.Thresholds {
		limits["limit."+name] = p.Threshold(name)
	}
	vars := maps.Clone(limits)
	vars["key"], vars["findings"] = "", r.findings(p)
	var each []fact.Fact
	for _, l := range r.lists {
		facts, err := r.list(ctx, p, l, limits)
		if err != nil {
			return fmt.Errorf("facts.%s: %w", l.name, err)
		}
		vars[l.name] = facts
		if l.name == r.f.Each || r.f.Each == "" && len(each) == 0 {
			each = facts
		}
		p.Note("%s: %d facts fit", l.name, len(facts))
	}
	if r.f.Each == "" {
		return r.judge(ctx, p, vars, group{facts: each})
	}
	groups, err := r.groups(ctx, each, limits)
	if err != nil {
		return fmt.Errorf("by: %w", err)
	}
	for _, g := range groups {
		vars["key"], vars["group"] = g.key, g.facts
		if err := r.judge(ctx, p, vars, g); err != nil {
			return err
		}
	}
	return nil
}

// list collects the facts of a kind that fit.
func (r *compiled) list(ctx context.Context, p *analyze.Pass, l compiledList, limits map[string]any) ([]fact.Fact, error) {
	var out []fact.Fact
	vars := maps.Clone(limits)
	for f := range p.Facts.Each(l.kind) {
		if l.where != nil {
			vars["it"] = f
			ok, err := evalBool(ctx, l.where, vars)
			if err != nil {
				return nil, fmt.Errorf("at %s: %w", f.Ref(), err)
			}
			if !ok {
				continue
			}
		}
		if out = append(out, f); len(out) == maxListed {
			p.Note("%s: only the first %d facts are judged", l.name, maxListed)
			break
		}
	}
	return out, nil
}

// groups splits facts by key, in the order in which keys first appear.
func (r *compiled) groups(ctx context.Context, facts []fact.Fact, limits map[string]any) ([]group, error) {
	var out []group
	index := map[string]int{}
	vars := maps.Clone(limits)
	for _, f := range facts {
		key := f.Ref().String()
		if r.by != nil {
			vars["it"] = f
			v, err := evalString(ctx, r.by, vars)
			if err != nil {
				return nil, fmt.Errorf("at %s: %w", f.Ref(), err)
			}
			key = v
		}
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, group{key: key})
		}
		out[i].facts = append(out[i].facts, f)
	}
	return out, nil
}

// judge evaluates `when` for one group and reports it.
func (r *compiled) judge(ctx context.Context, p *analyze.Pass, vars map[string]any, g group) error {
	fires, err := evalBool(ctx, r.when, vars)
	if err != nil {
		return fmt.Errorf("when: %w", err)
	}
	if !fires || len(g.facts) == 0 {
		return nil
	}
	f := analyze.Finding{Severity: r.severity, Confidence: r.confidence, Fix: r.f.Fix, Next: r.f.Next}
	for _, part := range []struct {
		name string
		prog cel.Program
		into *string
	}{{"subject", r.subject, &f.Subject}, {"say", r.say, &f.Title}, {"detail", r.detail, &f.Detail}} {
		if part.prog == nil {
			continue
		}
		if *part.into, err = evalString(ctx, part.prog, vars); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	for _, c := range g.facts[:min(len(g.facts), maxCited)] {
		if at := c.Ref(); at.Line > 0 || at.Packet > 0 {
			f.Evidence = append(f.Evidence, analyze.Evidence{Ref: at})
		}
	}
	p.Report(f)
	return nil
}

func (r *compiled) findings(p *analyze.Pass) []findingType {
	out := []findingType{}
	for _, id := range r.f.After {
		for _, f := range p.Findings(id) {
			t := findingType{ID: f.ID, Rule: f.Rule, Subject: f.Subject, Title: f.Title, Detail: f.Detail,
				Severity: f.Severity.String(), Confidence: f.Confidence.String()}
			for _, e := range f.Entities {
				t.Entities = append(t.Entities, e.Kind+" "+e.Key)
			}
			out = append(out, t)
		}
	}
	return out
}

func evalBool(ctx context.Context, p cel.Program, vars map[string]any) (bool, error) {
	v, _, err := p.ContextEval(ctx, vars)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("want a bool, got %s", v.Type().TypeName())
	}
	return b, nil
}

func evalString(ctx context.Context, p cel.Program, vars map[string]any) (string, error) {
	v, _, err := p.ContextEval(ctx, vars)
	if err != nil {
		return "", err
	}
	s, ok := v.Value().(string)
	if !ok {
		return "", fmt.Errorf("want a string, got %s", v.Type().TypeName())
	}
	return s, nil
}
