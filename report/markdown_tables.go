package report

import (
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

func (m *markdown) timeline() {
	list := m.events
	if len(list) == 0 {
		return
	}
	m.p("## Timeline\n\nTimes are UTC.\n\n| Time | Event | Source |\n|---|---|---|\n")
	n := len(list)
	if !m.allEvents {
		n = m.most(n, timelineEntries)
	}
	for _, e := range list[:n] {
		m.p("| %s%s | %s | %s |\n", clock(e.Time), parens(doubt(e.Basis, e.Uncertainty)), mdCell(e.Text), mdCellCode(citation(e.Source)))
	}
	if n < len(list) {
		m.p("\n%d more entries are in the JSON report.\n", len(list)-n)
	}
	m.p("\n")
}

func parens(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (m *markdown) artifacts() {
	if len(m.Artifacts) == 0 {
		return
	}
	m.p("## Artifacts\n\n")
	if bad := m.troubled(); len(bad) > 0 {
		m.p("Not read, or not read whole:\n\n| Artifact | State | Read by | Why |\n|---|---|---|---|\n")
		n := m.most(len(bad), troubledShown)
		for _, g := range bad[:n] {
			m.p("| %s | %s | %s | %s |\n", m.names(g.Paths), g.Status, mdCell(g.Parser), mdCell(g.Why))
		}
		if n < len(bad) {
			m.p("\nMore are in the JSON report.\n")
		}
		m.p("\n")
	}
	if groups := m.whole(); len(groups) > 0 {
		m.p("Read whole:\n\n| Read by | Artifacts | Size | Facts |\n|---|---|---|---|\n")
		for _, g := range groups {
			m.p("| %s | %s | %s | %d |\n", mdCell(g.parser), m.names(g.paths), size(g.bytes), g.facts)
		}
		m.p("\n")
	}
}

// names lists paths within a cell, the first few of many.
func (m *markdown) names(paths []string) string {
	n := m.most(len(paths), namesInGroup)
	return codes(paths[:n], mdCellCode) + more(len(paths)-n)
}

func (m *markdown) ruleSections() {
	if len(m.Rules) == 0 {
		return
	}
	m.p("## Rules\n\n")
	if found := m.rules(analyze.RuleFinding); len(found) > 0 {
		m.p("Found something:\n\n")
		for _, r := range found {
			m.p("- %s%s\n", mdCode(r.ID), prefixed(": ", mdText(strings.Join(r.Notes, "; "))))
		}
		m.p("\n")
	}
	m.overridden()
	m.cleanRules()
	if groups := m.unjudged(); len(groups) > 0 {
		m.p("Could not judge:\n\n| Rules | Why | What would let them |\n|---|---|---|\n")
		for _, g := range groups {
			var next []string
			for _, c := range g.next {
				next = append(next, mdCellCode(c))
			}
			why := g.why
			if g.status == analyze.RuleFailed {
				why = "failed: " + why
			}
			m.p("| %s | %s | %s |\n", codes(g.rules, mdCellCode), mdCell(why), strings.Join(next, " or "))
		}
		m.p("\n")
	}
}

// overridden tells what the reader's own overrides changed, and why: a report that
// hides something must say so.
func (m *markdown) overridden() {
	if len(m.Overridden) == 0 {
		return
	}
	m.p("Changed by overrides:\n\n")
	for _, o := range m.Overridden {
		change := fmt.Sprintf("from %s to %s", o.Was, o.Severity)
		if o.Suppressed {
			change = fmt.Sprintf("suppressed (was %s)", o.Was)
		}
		m.p("- %s %s: %s, because %s\n", mdCode(o.Rule), mdText(o.Subject), change, mdText(o.Reason))
	}
	m.p("\n")
}

func (m *markdown) cleanRules() {
	clean := m.rules(analyze.RuleClean)
	if len(clean) == 0 {
		return
	}
	if m.full {
		m.p("Checked, nothing found (%d):\n\n", len(clean))
		for _, r := range clean {
			m.p("- %s%s\n", mdCode(r.ID), prefixed(": ", mdText(strings.Join(r.Notes, "; "))))
		}
		m.p("\n")
		return
	}
	var ids []string
	for _, r := range clean {
		ids = append(ids, r.ID)
	}
	m.p("Checked, nothing found (%d): %s\n\n", len(clean), codes(ids, mdCode))
}

func codes(list []string, code func(string) string) string {
	var out []string
	for _, s := range list {
		out = append(out, code(s))
	}
	return strings.Join(out, ", ")
}

func (m *markdown) foot() {
	if len(m.Limits) > 0 {
		m.p("## Limits that were hit\n\n")
		for _, l := range m.Limits {
			m.p("- %s\n", mdText(sentence(l)))
		}
		m.p("\n")
	}
	m.p("---\n\n%s %s · %s, %s", mdText(m.Tool.Name), mdText(m.Tool.Version), plural(m.Bundle.Artifacts, "artifact", "artifacts"), size(m.Bundle.Bytes))
	if m.Bundle.SHA256 != "" {
		m.p(" · SHA-256 %s", mdCode(m.Bundle.SHA256))
	}
	m.p("\n")
}
