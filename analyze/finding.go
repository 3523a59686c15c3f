package analyze

import (
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Severity is how bad what a finding describes is for the service.
type Severity int

// The severities. The zero value is unset and invalid in a finding.
const (
	SeverityUnset Severity = iota
	Info
	Low
	Medium
	High
	Critical
)

var severityNames = []string{"unset", "info", "low", "medium", "high", "critical"}

// Confidence is how sure a finding is. It is one of three words, see the
// constants.
type Confidence int

// The confidences. Possible: one artifact and a heuristic. Likely: one artifact
// with a specific signature, or two kinds that agree. Confirmed: a decisive
// record (kernel, runtime or audit statement), or two or more independent kinds
// joined on an entity with nothing against it.
const (
	ConfidenceUnset Confidence = iota
	Possible
	Likely
	Confirmed
)

var confidenceNames = []string{"unset", "possible", "likely", "confirmed"}

// Role is what a finding is in the story. It is computed by the engine.
type Role int

// The roles.
const (
	RoleUnset Role = iota
	Context
	Symptom
	Contributing
	RootCause
)

var roleNames = []string{"unset", "context", "symptom", "contributing", "root_cause"}

func word(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func unword(what string, names []string, text []byte) (int, error) {
	for i, n := range names {
		if n == string(text) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q, want one of %s", what, text, strings.Join(names[1:], ", "))
}

// String is the word used in reports.
func (s Severity) String() string { return word(severityNames, int(s)) }

// MarshalText writes the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *Severity) UnmarshalText(t []byte) error {
	i, err := unword("severity", severityNames, t)
	*s = Severity(i)
	return err
}

// String is the word used in reports.
func (c Confidence) String() string { return word(confidenceNames, int(c)) }

// MarshalText writes the word.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Confidence) UnmarshalText(t []byte) error {
	i, err := unword("confidence", confidenceNames, t)
	*c = Confidence(i)
	return err
}

// Lower is one level less, but never less than Possible.
func (c Confidence) Lower() Confidence { return max(Possible, c-1) }

// String is the word used in reports.
func (r Role) String() string { return word(roleNames, int(r)) }

// MarshalText writes the word.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the word.
func (r *Role) UnmarshalText(t []byte) error {
	i, err := unword("role", roleNames, t)
	*r = Role(i)
	return err
}

// Finding is one thing that a rule found. Rules fill the fields above the line;
// the engine fills the rest.
type Finding struct {
	// Subject is the entity it is about, short and stable: "process 3989
	// (quotepushd)", "127.0.0.1:8124". Together with the rule it identifies the
	// finding.
	Subject string `json:"subject"`
	// Title is one sentence, the finding as a reader would tell it.
	Title string `json:"title"`
	// Detail explains mechanism and numbers, as plain text in short paragraphs.
	Detail     string     `json:"detail"`
	Severity   Severity   `json:"severity"`
	Confidence Confidence `json:"confidence"`
	// From and To are in artifact time, aligned to UTC; zero if unknown.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Evidence is at least one position that says it; most telling first.
	Evidence []Evidence `json:"evidence"`
	// Against is what speaks against it. Each item costs a level of confidence,
	// which the rule has already taken off.
	Against []Evidence `json:"against,omitempty"`
	// Missing says in words what would have settled it.
	Missing []string `json:"missing,omitempty"`
	// Causes are the IDs of findings that explain this one. The engine adds those
	// that follow from Rule.ExplainedBy.
	Causes []string `json:"causes,omitempty"`
	// Because says, for causes that follow from Rule.ExplainedBy, how the cause
	// leads to this finding. The engine fills it.
	Because map[string]string `json:"because,omitempty"`
	// Raised lists findings that raised the odds of this one without causing it.
	Raised []string `json:"raised_by,omitempty"`
	// Fix says what to change, at the named place.
	Fix string `json:"fix,omitempty"`
	// Next are commands that would collect the missing evidence.
	Next []string `json:"next,omitempty"`
	// Entities are what the finding is about, by identity; findings are linked
	// through them.
	Entities []Entity `json:"entities,omitempty"`

	// ---- set by the engine ----

	// ID is the rule and a short hash of the subject; it stays the same when other
	// findings come and go.
	ID   string `json:"id"`
	Rule string `json:"rule"`
	Role Role   `json:"role"`
}

// Evidence is one position in an artifact and what it says.
type Evidence struct {
	fact.Ref
	// Note says in words what the position shows.
	Note string `json:"note,omitempty"`
	// Excerpt is the text there; the engine copies it at the end of a run.
	Excerpt string `json:"excerpt,omitempty"`
	// Time is when it happened, aligned to UTC by join.Clocks, zero if unknown; it
	// puts the evidence on the timeline. Basis says what the time rests on and
	// Uncertainty how far it may be off.
	Time        time.Time     `json:"time,omitzero"`
	Basis       fact.Basis    `json:"basis,omitzero"`
	Uncertainty time.Duration `json:"uncertainty_ns,omitempty"`
}

// On returns the evidence with a time.
func (e Evidence) On(t time.Time, basis fact.Basis, uncertainty time.Duration) Evidence {
	e.Time, e.Basis, e.Uncertainty = t, basis, uncertainty
	return e
}

// Cite is evidence at a fact's position.
func Cite(at fact.Ref, format string, args ...any) Evidence {
	return Evidence{Ref: at, Note: fmt.Sprintf(format, args...)}
}

// Entity is the identity of something that findings are about. Package join
// makes entities; two findings about the same thing carry equal Kind and Key.
type Entity struct {
	// Kind is host, process, endpoint, socket, flow, lock, goroutine, file, ...
	Kind string `json:"kind"`
	// Key identifies it within the run: "push-node-3/3989", "127.0.0.1:8124".
	Key string `json:"key"`
	// Name is what a person calls it: "quotepushd", "lock 0x3f57a702000".
	Name string `json:"name,omitempty"`
}

// Has reports whether the finding is about an entity of that kind and key.
func (f *Finding) Has(kind, key string) bool {
	for _, e := range f.Entities {
		if e.Kind == kind && e.Key == key {
			return true
		}
	}
	return false
}
