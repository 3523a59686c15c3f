package analyze

import (
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Schema identifies the JSON form of a Result.
const Schema = "culprit/report/v1"

// Result is all that a run found. Its JSON form is the report contract; every
// report format is made from it alone.
type Result struct {
	Schema    string              `json:"schema"`
	Tool      Tool                `json:"tool"`
	Bundle    Bundle              `json:"bundle"`
	Verdict   Verdict             `json:"verdict"`
	Findings  []*Finding          `json:"findings"`
	Timeline  []TimelineEntry     `json:"timeline"`
	Entities  map[string][]Entity `json:"entities"`
	Artifacts []ArtifactStatus    `json:"artifacts"`
	Rules     []RuleStatus        `json:"rules"`
	// Collect lists what the bundle lacks that would have told more, the most useful
	// first.
	Collect []Wanted `json:"collect,omitempty"`
	// Baseline is the healthy bundle that rules compared with, nil if none.
	Baseline *Bundle `json:"baseline,omitempty"`
	// Census counts what stood in the bundle, so that two results can be compared.
	Census []Count `json:"census,omitempty"`
	// Overridden lists the findings that the user's overrides changed or took out.
	Overridden []Overridden `json:"overridden,omitempty"`
	// Limits lists limits that were hit during the run, in words.
	Limits []string `json:"limits,omitempty"`
}

// Tool names the program that made the result.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Bundle names what was analysed.
type Bundle struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	// Artifacts is the number of artifacts, Bytes their size after decompression.
	Artifacts int   `json:"artifacts"`
	Bytes     int64 `json:"bytes"`
	// Summary is the manifest's sentence about the incident.
	Summary string `json:"summary,omitempty"`
}

// Status of a verdict.
type Status string

// The statuses of a verdict.
const (
	StatusRootCause    Status = "root_cause"   // at least one root cause was found
	StatusSymptoms     Status = "symptoms"     // something is wrong, nothing explains it
	StatusClean        Status = "clean"        // rules ran, nothing at medium or above
	StatusInsufficient Status = "insufficient" // nothing could be judged
)

// Verdict is the answer in one sentence.
type Verdict struct {
	Status  Status `json:"status"`
	Summary string `json:"summary"`
	// RootCauses are finding IDs, most probable first.
	RootCauses []string `json:"root_causes"`
}

// TimelineEntry is one event of the merged timeline.
type TimelineEntry struct {
	Time        time.Time     `json:"time"`
	Basis       fact.Basis    `json:"basis"`
	Uncertainty time.Duration `json:"uncertainty_ns,omitempty"`
	Source      fact.Ref      `json:"source"`
	Text        string        `json:"text"`
	Finding     string        `json:"finding,omitempty"`
}

// The states of an artifact.
const (
	ArtifactParsed    = "parsed"    // read to the end
	ArtifactPartial   = "partial"   // read in part: cut, damaged, or a limit was hit
	ArtifactFailed    = "failed"    // its parser could not read it
	ArtifactUnclaimed = "unclaimed" // no parser knows it
	ArtifactSkipped   = "skipped"   // not opened: a link, a device, empty, over a limit
)

// ArtifactStatus says what became of one artifact.
type ArtifactStatus struct {
	Path    string   `json:"path"`
	Kind    string   `json:"kind,omitempty"`
	Parser  string   `json:"parser,omitempty"`
	Status  string   `json:"status"`
	Bytes   int64    `json:"bytes"`
	Facts   int      `json:"facts"`
	Skipped int64    `json:"skipped"`
	Issues  []string `json:"issues,omitempty"`
}

// The ways in which a rule ends.
const (
	RuleFinding = "finding"
	RuleClean   = "clean"
	RuleSkipped = "skipped"
	RuleFailed  = "failed"
)

// RuleStatus says how one rule ended and why.
type RuleStatus struct {
	ID     string `json:"id"`
	Title  string `json:"title,omitempty"`
	Status string `json:"status"`
	// Why is the reason for skipped and failed rules.
	Why string `json:"why,omitempty"`
	// Notes are the comparisons that decided.
	Notes []string `json:"notes,omitempty"`
	// Next are the commands that would have let it run.
	Next []string `json:"next,omitempty"`
}

// aboutBundle reports whether the rule judges the bundle and not the service: those
// of the family quality do.
func (s *RuleStatus) aboutBundle() bool { return strings.HasPrefix(s.ID, "quality/") }

// Finding returns the finding with an ID, nil if there is none.
func (r *Result) Finding(id string) *Finding {
	for _, f := range r.Findings {
		if f.ID == id {
			return f
		}
	}
	return nil
}

// Leads are the findings that the stories of a result begin with: the root causes,
// or, without any, what is wrong and unexplained.
func (r *Result) Leads() []*Finding {
	var out []*Finding
	for _, id := range r.Verdict.RootCauses {
		if f := r.Finding(id); f != nil {
			out = append(out, f)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, f := range r.Findings {
		if len(f.Causes) == 0 && f.Severity >= Medium {
			out = append(out, f)
		}
	}
	return out
}
