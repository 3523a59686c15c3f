package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// unjudgedGroup is rules that could not judge for the same reason.
type unjudgedGroup struct {
	status, why string
	next        []string
	rules       []string
}

// unjudged groups the rules that were skipped or failed, failed ones first.
func (o *outline) unjudged() []unjudgedGroup {
	var out []unjudgedGroup
	for _, want := range []string{analyze.RuleFailed, analyze.RuleSkipped} {
		for _, r := range o.Rules {
			if r.Status != want {
				continue
			}
			i := slices.IndexFunc(out, func(g unjudgedGroup) bool {
				return g.status == r.Status && g.why == r.Why && slices.Equal(g.next, r.Next)
			})
			if i < 0 {
				out = append(out, unjudgedGroup{status: r.Status, why: r.Why, next: r.Next})
				i = len(out) - 1
			}
			out[i].rules = append(out[i].rules, r.ID)
		}
	}
	return out
}

// rules lists the IDs of rules that ended in one way.
func (o *outline) rules(status string) []analyze.RuleStatus {
	var out []analyze.RuleStatus
	for _, r := range o.Rules {
		if r.Status == status {
			out = append(out, r)
		}
	}
	return out
}

// troubledGroup is artifacts that were not read whole, or not without a remark, for
// the same reason.
type troubledGroup struct {
	Status, Parser, Why string
	Paths               []string
}

// troubled groups such artifacts, the worst first.
func (o *outline) troubled() []troubledGroup {
	var out []troubledGroup
	for _, want := range []string{analyze.ArtifactFailed, analyze.ArtifactPartial, analyze.ArtifactParsed, analyze.ArtifactUnclaimed, analyze.ArtifactSkipped} {
		for _, a := range o.Artifacts {
			if a.Status != want || (want == analyze.ArtifactParsed && a.Skipped == 0 && len(a.Issues) == 0) {
				continue
			}
			g := troubledGroup{Status: a.Status, Parser: a.Parser, Why: trouble(a)}
			i := slices.IndexFunc(out, func(h troubledGroup) bool {
				return h.Status == g.Status && h.Parser == g.Parser && h.Why == g.Why
			})
			if i < 0 {
				out = append(out, g)
				i = len(out) - 1
			}
			out[i].Paths = append(out[i].Paths, a.Path)
		}
	}
	return out
}

// trouble is what went wrong with an artifact, in one line.
func trouble(a analyze.ArtifactStatus) string {
	const most = 3
	var parts []string
	if a.Skipped > 0 {
		parts = append(parts, plural(int(a.Skipped), "record", "records")+" skipped")
	}
	issues := a.Issues
	if len(issues) > most {
		issues = append(issues[:most:most], fmt.Sprintf("and %d more", len(issues)-most))
	}
	return strings.Join(append(parts, issues...), "; ")
}

// parserGroup is artifacts that one parser read whole.
type parserGroup struct {
	parser string
	paths  []string
	facts  int
	bytes  int64
}

func (o *outline) whole() []parserGroup {
	var out []parserGroup
	for _, a := range o.Artifacts {
		if a.Status != analyze.ArtifactParsed || a.Skipped > 0 || len(a.Issues) > 0 {
			continue
		}
		i := slices.IndexFunc(out, func(g parserGroup) bool { return g.parser == a.Parser })
		if i < 0 {
			out = append(out, parserGroup{parser: a.Parser})
			i = len(out) - 1
		}
		out[i].paths = append(out[i].paths, a.Path)
		out[i].facts += a.Facts
		out[i].bytes += a.Bytes
	}
	slices.SortFunc(out, func(a, b parserGroup) int { return strings.Compare(a.parser, b.parser) })
	return out
}
