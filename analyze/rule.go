package analyze

import (
	"context"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Rule is one diagnosis: a pure function from facts and earlier findings to
// findings. It is a plain value: each package below rules has a function Rule that
// returns one.
type Rule struct {
	// ID is "family/words"; it is never renamed or reused.
	ID string
	// Title is a short name for lists: "leaked lock".
	Title string
	// Doc is the rule's doc.md.
	Doc string
	// Severity is the usual one; a finding may carry another.
	Severity Severity
	// After lists rules whose findings this one reads; they run before it.
	After []string
	// Needs: the rule is skipped unless there are facts of all these kinds.
	// AnyOf: and of at least one of these. Wants: read if present.
	Needs, AnyOf, Wants []fact.Kind
	// Collect says, for a kind in Needs or AnyOf, which command would have
	// collected it. Kinds that are not named take the engine's general answer.
	Collect map[fact.Kind]string
	// Thresholds are the numbers the rule compares with, by name.
	Thresholds []Threshold
	// ExplainedBy lists the mechanisms that produce what this rule sees. After all
	// rules ran, a finding of Mechanism.Rule becomes a cause of a finding of this
	// rule when both are about the same entity of kind Via.
	ExplainedBy []Mechanism
	// Run reports findings. It returns an error only when the rule itself failed.
	// It may be called in parallel with rules of the same level, and must be
	// deterministic.
	Run func(context.Context, *Pass) error
}

// Threshold is a number that a rule compares with. Numbers are defaults to tune.
type Threshold struct {
	Name    string
	Default float64
	Unit    string // "sockets", "seconds", "share"
	Doc     string
}

// Mechanism says that findings of another rule explain findings of this one.
type Mechanism struct {
	Rule string
	Via  string // kind of the entity that both must share
	// Why is the link in words: "a process that waits for the lock does not read".
	Why string
	// Raises is true when the other finding only raised the odds: it becomes
	// contributing, not the cause.
	Raises bool
}

// Pass is what a rule sees of a run.
type Pass struct {
	// Facts is restricted to the kinds that the rule declared.
	Facts fact.View
	// Manifest is what the bundle's collector said, nil if nothing.
	Manifest *Manifest

	rule     *Rule
	run      *runState
	findings []*Finding
	dropped  int // findings beyond the limit
	skip     *skipReason
	notes    []string
	links    []link
}

type link struct{ cause, effect string }

type skipReason struct {
	why  string
	next []string
}

// Report adds a finding. The engine rejects one without subject, title, severity,
// confidence or evidence: the rule then counts as failed.
func (p *Pass) Report(f Finding) {
	f.Rule = p.rule.ID
	f.ID = findingID(p.rule.ID, f.Subject)
	p.findings = append(p.findings, &f)
}

// IDOf is the ID that a finding of this rule about a subject has.
func (p *Pass) IDOf(subject string) string { return findingID(p.rule.ID, subject) }

// Skip says that the rule cannot judge this bundle although its inputs are there
// (a table without timers, a capture of one direction), and which commands would
// change that. A rule that skips must not report.
func (p *Pass) Skip(why string, next ...string) {
	if p.skip == nil {
		p.skip = &skipReason{why: why, next: next}
	}
}

// Note records a comparison that decided something, so that a reader can see why
// the rule fired or stayed quiet: "3 flows, needs 5". The first few are kept.
func (p *Pass) Note(format string, args ...any) {
	if len(p.notes) < maxNotes {
		p.notes = append(p.notes, fmt.Sprintf(format, args...))
	}
}

const maxNotes = 8

// Threshold is the value in force for one of the rule's thresholds. It panics on
// a name that the rule does not declare.
func (p *Pass) Threshold(name string) float64 {
	for _, t := range p.rule.Thresholds {
		if t.Name == name {
			if len(p.run.thresholds) > 0 { // rules ask once a flow
				if v, ok := p.run.thresholds[p.rule.ID+"."+name]; ok {
					return v
				}
			}
			return t.Default
		}
	}
	panic(fmt.Sprintf("rule %s has no threshold %q", p.rule.ID, name))
}

// Findings returns what an earlier rule found. It panics unless the rule is in
// After. The findings are shared and must not be modified.
func (p *Pass) Findings(rule string) []*Finding {
	if !slices.Contains(p.rule.After, rule) {
		panic(fmt.Sprintf("rule %s reads findings of %s without declaring it in After", p.rule.ID, rule))
	}
	return p.run.findings[rule]
}

// Explains records that one finding is the cause of another, by their IDs. Use it
// in a composite that joins what earlier rules found.
func (p *Pass) Explains(cause, effect string) {
	p.links = append(p.links, link{cause, effect})
}
