package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/culprit-dev/culprit/analyze"
)

// ErrSchema is wrapped by the errors of Decode for a document that is not a
// report of this version.
var ErrSchema = errors.New("not a report of schema " + analyze.Schema)

// encodeJSON writes the report contract. Angle brackets stay as they are: people
// search these files for "->", and nobody embeds them in HTML.
func encodeJSON(w io.Writer, r *analyze.Result, _ Options) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(withLists(*r)); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return nil
}

// withLists makes the lists that the contract promises: an empty one is [] and
// never null, so that a reader need not ask.
func withLists(r analyze.Result) analyze.Result {
	list(&r.Verdict.RootCauses)
	list(&r.Findings)
	list(&r.Timeline)
	list(&r.Artifacts)
	list(&r.Rules)
	if r.Entities == nil {
		r.Entities = map[string][]analyze.Entity{}
	}
	return r
}

func list[T any](s *[]T) {
	if *s == nil {
		*s = []T{}
	}
}

// Decode reads what the json encoder wrote. It refuses other schemas, fields that
// it does not know and references that lead nowhere, because a report made again
// from such a document would silently say less.
//
// A decoded Result equals the encoded one except for fact.Ref.Len, which only
// serves the copying of excerpts during a run, and for empty lists that may come
// back as nil.
func Decode(in io.Reader) (*analyze.Result, error) {
	raw, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	// The schema first: a document of another version should be called that and
	// not be refused for the first field that differs.
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	switch {
	case head.Schema == nil:
		return nil, fmt.Errorf("%w: no schema field", ErrSchema)
	case *head.Schema != analyze.Schema:
		return nil, fmt.Errorf("%w: schema %q", ErrSchema, *head.Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var r analyze.Result
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if err := check(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return &r, nil
}

// check refuses a result that no run produces.
func check(r *analyze.Result) error {
	switch r.Verdict.Status {
	case analyze.StatusRootCause, analyze.StatusSymptoms, analyze.StatusClean, analyze.StatusInsufficient:
	default:
		return fmt.Errorf("unknown verdict status %q", r.Verdict.Status)
	}
	known := map[string]bool{}
	for i, f := range r.Findings {
		switch {
		case f == nil:
			return fmt.Errorf("finding %d is null", i)
		case f.ID == "" || f.Rule == "" || f.Title == "":
			return fmt.Errorf("finding %d lacks an id, a rule or a title", i)
		case known[f.ID]:
			return fmt.Errorf("two findings have the id %q", f.ID)
		case f.Severity == analyze.SeverityUnset || f.Confidence == analyze.ConfidenceUnset || f.Role == analyze.RoleUnset:
			return fmt.Errorf("finding %q lacks a severity, a confidence or a role", f.ID)
		case len(f.Evidence) == 0:
			return fmt.Errorf("finding %q has no evidence", f.ID)
		}
		known[f.ID] = true
	}
	for _, f := range r.Findings {
		for _, list := range [][]string{f.Causes, f.Raised} {
			for _, id := range list {
				if !known[id] {
					return fmt.Errorf("finding %q refers to an unknown finding %q", f.ID, id)
				}
			}
		}
	}
	for _, id := range r.Verdict.RootCauses {
		if !known[id] {
			return fmt.Errorf("the verdict refers to an unknown finding %q", id)
		}
	}
	return nil
}
