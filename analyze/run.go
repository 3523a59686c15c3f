package analyze

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Config is what a run uses. The zero value runs nothing: set Parsers and Rules.
type Config struct {
	Parsers []*Parser
	Rules   []*Rule
	// Jobs bounds the goroutines that parse and judge; zero means GOMAXPROCS. The
	// result does not depend on it.
	Jobs   int
	Limits Limits
	// Bundle is copied into the result; Artifacts and Bytes are filled by Run.
	Bundle Bundle
	Tool   Tool
	// Manifest is what the collector said, nil if nothing.
	Manifest *Manifest
	// Thresholds override rule thresholds: "socket/close-wait-leak.sockets" to a number.
	Thresholds map[string]float64
	// Overrides change or suppress findings, each for a reason that the result shows.
	Overrides []Override
	// Census, if set, counts what stands in the bundle; the result shows it, and two
	// results can be compared. census.Of is the one that comes with the module.
	Census func(*Pass) []Count
	// Baseline is a healthy bundle of the same system to judge against, nil if none;
	// it needs Census. Nothing that is wrong with it is a finding.
	Baseline *Baseline
	// Hosts, if set, says which host an artifact comes from; join.HostOf is the one that
	// comes with the module. Without it, hosts are those that the manifest names.
	Hosts func(*Pass) func(fact.ID) string
	// Timeline, if set, lists what the bundle dates, in order: at most limit events, those
	// nearest to the time from from to to, and in words what it left out. The timeline of
	// the result then holds it, not only what the findings cite. timeline.All is the one
	// that comes with the module.
	Timeline func(p *Pass, from, to time.Time, limit int) ([]TimelineEntry, []string)
	// Progress, if set, is told how far the run is. Calls are serialised.
	Progress func(Progress)
	// Redact, if set, is given all texts of the result and returns what replaces
	// them; redact.New is the one that comes with the module. Positions, roles and
	// figures stay.
	Redact func(p *Pass, texts []string) func(string) string
}

// Progress says how far a run is.
type Progress struct {
	Stage string // "read", "rules", "excerpts"
	// Artifact is the one being read. Done and Total are bytes for "read" (Total
	// is -1 if a size is unknown), rules for "rules".
	Artifact    string
	Done, Total int64
}

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
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Jobs <= 0 {
		cfg.Jobs = runtime.GOMAXPROCS(0)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	levels, err := plan(cfg.Rules)
	if err != nil {
		return nil, err
	}
	read, err := ReadFrom(ctx, src, cfg)
	if err != nil {
		return nil, err
	}
	cfg.Manifest = read.Manifest
	run := &runState{
		store: read.Store, findings: map[string][]*Finding{},
		thresholds: cfg.Thresholds, manifest: cfg.Manifest, limits: cfg.Limits,
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
	res.Timeline = timeline(res.Findings, cfg.Limits.Timeline)
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

// census counts what stands in the bundle and adds to the store what follows from
// the baseline.
func (s *runState) census(cfg *Config) (counts []Count) {
	if cfg.Census == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			counts = nil
			s.limitsHit = append(s.limitsHit, fmt.Sprintf("the census failed, so that nothing can be compared: %v", v))
		}
	}()
	counts = cfg.Census(&Pass{
		Facts: s.store.View("census"), Manifest: s.manifest, rule: &Rule{ID: "census"}, run: s,
	})
	if cfg.Baseline != nil {
		s.store = s.store.With(cfg.Baseline.facts(counts))
	}
	return counts
}

// Against adds to the facts what follows from the baseline of cfg: its counts, and what
// deviates from them. Without a baseline or a census it adds nothing.
func (f *Facts) Against(cfg Config) {
	run := &runState{store: f.Store, manifest: f.Manifest, thresholds: cfg.Thresholds, limits: cfg.Limits.withDefaults()}
	run.census(&cfg)
	f.Store = run.store
	f.Limits = append(f.Limits, run.limitsHit...)
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
			s.findings[r.ID] = passes[i].findings
			s.links = append(s.links, passes[i].links...)
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

// runRule runs one rule, containing its panics.
func (s *runState) runRule(ctx context.Context, r *Rule) (p *Pass, st RuleStatus) {
	st = RuleStatus{ID: r.ID, Title: r.Title, Status: RuleClean}
	p = &Pass{rule: r, run: s, Manifest: s.manifest}
	p.Facts = s.store.View("rule "+r.ID, slices.Concat(r.Needs, r.AnyOf, r.Wants, []fact.Kind{noKind})...)
	if why, next := s.lacks(r); why != "" {
		st.Status, st.Why, st.Next = RuleSkipped, why, next
		return p, st
	}
	fail := func(why string) {
		p.findings, p.links = nil, nil
		st.Status, st.Why = RuleFailed, why
	}
	func() {
		defer func() {
			if v := recover(); v != nil {
				fail(fmt.Sprintf("panic: %v", v))
			}
		}()
		if err := r.Run(ctx, p); err != nil {
			fail(err.Error())
		}
	}()
	for _, f := range p.findings {
		f.dropImpossibleTimes()
		if err := f.validate(); err != nil {
			fail(err.Error())
			break
		}
	}
	st.Notes = p.notes
	switch {
	case st.Status == RuleFailed:
	case len(p.findings) > 0:
		st.Status = RuleFinding
		p.findings = s.trim(r, p.findings)
	case p.skip != nil:
		st.Status, st.Why, st.Next = RuleSkipped, p.skip.why, p.skip.next
	case len(st.Notes) == 0:
		st.Notes = []string{s.examined(r)}
	}
	return p, st
}

// examined says what a rule looked through that found nothing and noted nothing:
// no fact came near enough for a comparison.
func (s *runState) examined(r *Rule) string {
	var read []string
	for _, k := range slices.Concat(r.Needs, r.AnyOf, r.Wants) {
		if n := s.store.Count(k); n > 0 {
			read = append(read, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(k), "_", " ")))
		}
	}
	note := fmt.Sprintf("no candidate among %s", strings.Join(read, ", "))
	for i, t := range r.Thresholds {
		sep := ", "
		if i == 0 {
			sep = "; thresholds: "
		}
		v, ok := s.thresholds[r.ID+"."+t.Name]
		if !ok {
			v = t.Default
		}
		note += strings.TrimRight(fmt.Sprintf("%s%s %g %s", sep, t.Name, v, t.Unit), " ")
	}
	return note
}

// noKind keeps a view of a rule without declared kinds closed: a View without
// kinds would be open for everything.
const noKind fact.Kind = "\x00none"

// trim orders a rule's findings, drops repeats of a subject and applies the limit.
func (s *runState) trim(r *Rule, all []*Finding) []*Finding {
	slices.SortStableFunc(all, compareFindings)
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(f *Finding) bool {
		dup := seen[f.ID]
		seen[f.ID] = true
		return dup
	})
	for _, f := range all {
		if n := s.limits.EvidenceKept; len(f.Evidence) > n {
			f.Evidence = f.Evidence[:n]
		}
		if n := s.limits.EvidenceKept; len(f.Against) > n {
			f.Against = f.Against[:n]
		}
	}
	return all[:min(len(all), s.limits.FindingsPerRule)]
}

// missing are the kinds of facts without which a rule cannot run.
func (s *runState) missing(r *Rule) []fact.Kind {
	out := slices.DeleteFunc(slices.Clone(r.Needs), func(k fact.Kind) bool { return s.store.Count(k) > 0 })
	if !slices.ContainsFunc(r.AnyOf, func(k fact.Kind) bool { return s.store.Count(k) > 0 }) {
		out = append(out, r.AnyOf...)
	}
	return out
}

// lacks says which inputs a rule misses, and how to collect them.
func (s *runState) lacks(r *Rule) (why string, next []string) {
	var missing []string
	for _, k := range r.Needs {
		if s.store.Count(k) == 0 {
			missing = append(missing, kindWords(k))
			next = append(next, collect(r, k))
		}
	}
	if len(r.AnyOf) > 0 && !slices.ContainsFunc(r.AnyOf, func(k fact.Kind) bool { return s.store.Count(k) > 0 }) {
		var any []string
		for _, k := range r.AnyOf {
			any = append(any, kindWords(k))
			next = append(next, collect(r, k))
		}
		missing = append(missing, strings.Join(any, " or "))
	}
	if len(missing) == 0 {
		return "", nil
	}
	slices.Sort(next)
	next = slices.DeleteFunc(slices.Compact(next), func(s string) bool { return s == "" })
	return "the bundle has no " + strings.Join(missing, ", no "), next
}
