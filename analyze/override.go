package analyze

import (
	"slices"
	"strings"
)

// Override changes what the findings of a rule mean to a user: another severity,
// or none at all. It needs a reason, which the result shows.
type Override struct {
	// Rule is the rule's ID. Subject, if set, restricts it to findings whose
	// subject contains this text.
	Rule, Subject string
	// Severity replaces the finding's; with Suppress the finding is taken out.
	Severity Severity
	Suppress bool
	Reason   string
}

// Overridden is a finding that an override changed or took out.
type Overridden struct {
	Finding  string   `json:"finding"`
	Rule     string   `json:"rule"`
	Subject  string   `json:"subject"`
	Title    string   `json:"title"`
	Was      Severity `json:"was"`
	Severity Severity `json:"severity,omitzero"`
	// Suppressed findings are in no other list of the result.
	Suppressed bool   `json:"suppressed,omitempty"`
	Reason     string `json:"reason"`
}

// override applies the user's overrides; the first that fits a finding counts.
func (s *runState) override(list []Override) []Overridden {
	if len(list) == 0 {
		return nil
	}
	var out []Overridden
	for _, st := range s.statuses {
		s.findings[st.ID] = slices.DeleteFunc(s.findings[st.ID], func(f *Finding) bool {
			i := slices.IndexFunc(list, func(o Override) bool { return o.Rule == f.Rule && strings.Contains(f.Subject, o.Subject) })
			if i < 0 {
				return false
			}
			o := list[i]
			done := Overridden{Finding: f.ID, Rule: f.Rule, Subject: f.Subject, Title: f.Title, Was: f.Severity, Suppressed: o.Suppress, Reason: o.Reason}
			if !o.Suppress {
				f.Severity = o.Severity
				done.Severity = o.Severity
			}
			out = append(out, done)
			return o.Suppress
		})
	}
	return out
}
