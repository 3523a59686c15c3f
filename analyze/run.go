package analyze

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// ErrUnusable is returned when not one input could be opened: there is no bundle
// to speak of. The Result then still lists each artifact with its reason.
var ErrUnusable = errors.New("nothing in the bundle could be read")

// Run analyses inputs. It returns an error for misuse (a bad Config, two inputs
// with one path), when ctx ends, and ErrUnusable, with a Result, when nothing
// could be read. What goes wrong inside an artifact or a rule is part of the
// Result.
func Run(ctx context.Context, inputs []*Input, cfg Config) (*Result, error) {
	return RunFrom(ctx, Inputs(inputs, cfg.Manifest), cfg)
}

// RunFrom is Run for inputs that are still being found. What the source says of
// the manifest comes before Config.Manifest.
func RunFrom(ctx context.Context, src Source, cfg Config) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	levels, err := plan(cfg.Rules)
	if err != nil {
		return nil, err
	}
	read, err := cfg.read(ctx, src)
	if err != nil {
		return nil, err
	}
	cfg.Manifest = read.Manifest
	run := &runState{
		store: read.Store, findings: map[string][]*Finding{},
		thresholds: cfg.Thresholds, manifest: cfg.Manifest, limits: cfg.Limits,
	}
	if cfg.Progress != nil {
		cfg.Progress(Progress{Stage: "rules", Total: int64(len(cfg.Rules))})
	}
	census := run.census(&cfg)
	if err := run.rules(ctx, levels, &cfg); err != nil {
		return nil, err
	}
	res := &Result{
		Schema: Schema, Tool: cfg.Tool, Bundle: cfg.Bundle, Census: census,
		Artifacts: read.Artifacts, Rules: run.statuses, Limits: slices.Concat(read.Limits, run.limitsHit),
	}
	res.Bundle.Artifacts = len(read.Artifacts)
	for _, a := range read.Artifacts {
		res.Bundle.Bytes += a.Bytes
	}
	if cfg.Manifest != nil {
		res.Bundle.Summary = cfg.Manifest.Summary
	}
	if cfg.Baseline != nil {
		res.Baseline = &cfg.Baseline.Bundle
	}
	res.Overridden = run.override(cfg.Overrides)
	run.judge(res, &cfg)
	if err := read.excerpts(ctx, res.Findings, &cfg); err != nil {
		return nil, err
	}
	res.cite(cfg.Limits.Timeline)
	if cfg.Timeline != nil {
		run.everything(res, &cfg)
	}
	res.Entities = entities(res.Findings)
	if cfg.Redact != nil {
		run.redact(res, cfg.Redact)
	}
	if !read.readable {
		return res, ErrUnusable
	}
	return res, nil
}

// runState is what the rules of one run share.
type runState struct {
	store      *fact.Store
	manifest   *Manifest
	thresholds map[string]float64
	limits     Limits

	cells     cells
	findings  map[string][]*Finding // by rule, complete for earlier levels
	links     []link
	statuses  []RuleStatus
	limitsHit []string
}

// rules runs all levels. Within a level rules run in parallel; what they return
// is merged in the order of their IDs.
func (s *runState) rules(ctx context.Context, levels [][]*Rule, cfg *Config) error {
	total, done := int64(len(cfg.Rules)), int64(0)
	for _, level := range levels {
		passes := make([]*Pass, len(level))
		status := make([]RuleStatus, len(level))
		err := parallel(ctx, cfg.Jobs, len(level), func(i int) {
			passes[i], status[i] = s.runRule(ctx, level[i])
		})
		if err != nil {
			return err
		}
		for i, r := range level {
			p := passes[i]
			s.findings[r.ID] = p.findings
			s.links = append(s.links, p.links...)
			if p.dropped > 0 {
				s.limitsHit = append(s.limitsHit, fmt.Sprintf("%s: the first %d of %d findings are kept", r.ID, len(p.findings), len(p.findings)+p.dropped))
			}
		}
		s.statuses = append(s.statuses, status...)
		done += int64(len(level))
		if cfg.Progress != nil {
			cfg.Progress(Progress{Stage: "rules", Done: done, Total: total})
		}
	}
	slices.SortFunc(s.statuses, func(a, b RuleStatus) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// runRule runs one rule if the bundle has what it needs, and says how it ended.
func (s *runState) runRule(ctx context.Context, r *Rule) (p *Pass, st RuleStatus) {
	st = RuleStatus{ID: r.ID, Title: r.Title, Status: RuleClean}
	p = &Pass{rule: r, run: s, Manifest: s.manifest}
	p.Facts = s.store.View("rule "+r.ID, slices.Concat(r.Needs, r.AnyOf, r.Wants, []fact.Kind{noKind})...)
	if why, next := s.lacks(r); why != "" {
		st.Status, st.Why, st.Next = RuleSkipped, why, next
		return p, st
	}
	err := p.apply(ctx)
	st.Notes = p.notes
	switch {
	case err != nil:
		p.findings, p.links = nil, nil
		st.Status, st.Why = RuleFailed, err.Error()
	case len(p.findings) > 0:
		st.Status = RuleFinding
		p.trim()
	case p.skip != nil:
		st.Status, st.Why, st.Next = RuleSkipped, p.skip.why, p.skip.next
	case len(st.Notes) == 0:
		st.Notes = []string{s.examined(r)}
	}
	return p, st
}

// noKind keeps a view of a rule without declared kinds closed: a View without
// kinds would be open for everything.
const noKind fact.Kind = "\x00none"

// apply lets the rule report, containing its panics, and checks what it reported.
func (p *Pass) apply(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if err := p.rule.Run(ctx, p); err != nil {
		return err
	}
	for _, f := range p.findings {
		f.dropImpossibleTimes()
		if err := f.validate(); err != nil {
			return err
		}
	}
	return nil
}

// trim orders the findings, drops repeats of a subject and applies the limits.
func (p *Pass) trim() {
	slices.SortStableFunc(p.findings, compareFindings)
	seen := map[string]bool{}
	p.findings = slices.DeleteFunc(p.findings, func(f *Finding) bool {
		dup := seen[f.ID]
		seen[f.ID] = true
		return dup
	})
	limits := p.run.limits
	for _, f := range p.findings {
		f.Evidence = f.Evidence[:min(len(f.Evidence), limits.EvidenceKept)]
		f.Against = f.Against[:min(len(f.Against), limits.EvidenceKept)]
	}
	kept := min(len(p.findings), limits.FindingsPerRule)
	p.dropped = len(p.findings) - kept
	p.findings = p.findings[:kept]
}
