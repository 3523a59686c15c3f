package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// How much of a finding is shown before the rest is counted; Options.Full lifts
// these bounds. The full list is always in the JSON.
const (
	evidenceOfLead  = 8
	evidenceOfStep  = 3
	otherFindings   = 20
	timelineEntries = 40
	namesInGroup    = 6
	troubledShown   = 30
	excerptLines    = 14
)

// encodeMarkdown writes the report that a postmortem can take as it is: each
// story first, what else was seen and what could not be judged after it.
func encodeMarkdown(w io.Writer, r *analyze.Result, opt Options) error {
	b := bufio.NewWriter(w)
	m := &markdown{Writer: b, quoted: quotes{}, outline: outlined(r, opt.Full), full: opt.Full, allEvents: opt.Full || opt.Events}
	m.head()
	for i := range m.stories {
		m.story(i)
	}
	m.collect()
	m.rivalries()
	m.otherFindings()
	m.timeline()
	m.artifacts()
	m.ruleSections()
	m.foot()
	return b.Flush()
}

// markdown writes one report. Write errors surface at Flush.
type markdown struct {
	*bufio.Writer
	*outline
	full      bool
	allEvents bool
	quoted    quotes
}

func (m *markdown) p(format string, args ...any) { fmt.Fprintf(m, format, args...) }

// most is how many of n are shown when the bound is limit.
func (m *markdown) most(n, limit int) int {
	// Folding a single item saves nothing.
	if m.full || n <= limit+1 {
		return n
	}
	return limit
}

func (m *markdown) head() {
	name := m.Bundle.Name
	if name == "" {
		name = "bundle"
	}
	m.p("# Incident report: %s\n\n", mdText(name))
	m.p("**%s.** %s\n\n", m.headline(), mdText(m.Verdict.Summary))
	if m.Bundle.Summary != "" {
		m.p("Reported by the collector: %s\n\n", mdText(sentence(m.Bundle.Summary)))
	}
	if m.Baseline != nil {
		m.p("Judged against the baseline %s.\n\n", mdCode(orElse(m.Baseline.Name, "bundle")))
	}
}

func (m *markdown) story(i int) {
	s := m.stories[i]
	title := "Unexplained"
	if len(m.Verdict.RootCauses) > 0 {
		title = "Root cause"
	}
	if len(m.stories) > 1 {
		title = fmt.Sprintf("%s %d", title, i+1)
	}
	m.p("## %s: %s\n\n", title, mdText(s.lead.Subject))
	if len(m.stories) > 1 {
		// The verdict is the title of a single story.
		m.p("**%s**\n\n", mdText(sentence(s.lead.Title)))
	}
	m.p("%s\n\n", facts(s.lead))
	m.detail(s.lead)
	m.chain(s)
	m.evidence(s)
	m.against(s)
	m.missing(s)
	m.fix(s)
	if len(s.raised) > 0 {
		m.p("### What raised the odds\n\n")
		for _, f := range s.raised {
			m.p("- %s (%s)%s\n", mdText(sentence(f.Title)), f.Confidence, where(f))
		}
		m.p("\n")
	}
}

// facts is the line below a title: how bad, how sure and when.
func facts(f *analyze.Finding) string {
	out := fmt.Sprintf("**Severity** %s · **confidence** %s · **rule** %s", f.Severity, f.Confidence, mdCode(f.Rule))
	if p := period(f.From, f.To); p != "" {
		out += " · **when** " + p
	}
	return out
}

func (m *markdown) detail(f *analyze.Finding) {
	for _, p := range paragraphs(f.Detail) {
		for i, l := range p {
			if i > 0 {
				m.p("\\\n")
			}
			m.p("%s", mdText(l))
		}
		m.p("\n\n")
	}
}

// where is the citation of a finding's most telling evidence.
func where(f *analyze.Finding) string {
	if len(f.Evidence) == 0 {
		return ""
	}
	return " " + mdCode(citation(f.Evidence[0].Ref))
}

func (m *markdown) chain(s story) {
	if len(s.steps) < 2 {
		return
	}
	m.p("### From cause to symptom\n\n")
	for _, st := range s.steps {
		m.p("%d. %s%s\n", st.number, mdText(sentence(st.Title)), where(st.Finding))
		if len(st.after) > 0 {
			m.p("   (%s%s; %s)\n", st.follows(), mdText(s.because(st.Finding)), st.Confidence)
		}
		if n := len(st.alike); n > 0 {
			m.p("   And %s of the same kind: ", plural(n, "finding", "findings"))
			for i, f := range st.alike[:m.most(n, namesInGroup)] {
				if i > 0 {
					m.p(", ")
				}
				m.p("%s", mdText(f.Subject))
			}
			m.p("%s.\n", more(n-m.most(n, namesInGroup)))
		}
	}
	m.p("\n")
}

// because is the mechanism behind a step, where the engine knows it.
func (s story) because(f *analyze.Finding) string {
	for _, st := range s.steps {
		if why := f.Because[st.ID]; why != "" {
			return ": " + strings.TrimRight(why, ".")
		}
	}
	return ""
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

func (m *markdown) evidence(s story) {
	m.p("### Evidence\n\n")
	for _, st := range s.steps {
		limit := evidenceOfStep
		if st.number == 1 {
			limit = evidenceOfLead
		} else {
			// A step that says what it shows in its first words needs no second title.
			m.p("Step %d, %s:\n\n", st.number, mdText(lowerFirst(strings.TrimRight(st.Title, "."))))
		}
		m.citations(st.Evidence, limit)
	}
}

// citations lists positions with what they show and what stands there.
func (m *markdown) citations(list []analyze.Evidence, limit int) {
	n := m.most(len(list), limit)
	for i, e := range list[:n] {
		m.p("- %s", mdCode(citation(e.Ref)))
		if e.Note != "" {
			m.p(" %s", mdText(e.Note))
		}
		if !e.Time.IsZero() {
			m.p(" (%s UTC%s)", clock(e.Time), prefixed(", ", doubt(e.Basis, e.Uncertainty)))
		}
		again := m.quoted.again(e)
		if again {
			m.p(" %s", quotedAbove)
		}
		m.p("\n")
		if e.Excerpt != "" && !again {
			m.p("\n%s", mdFence("text", "  ", m.excerpt(e.Excerpt)))
			if i < len(list)-1 {
				m.p("\n")
			}
		}
	}
	if n < len(list) {
		m.p("- and %d more in the JSON report\n", len(list)-n)
	}
	m.p("\n")
}

func (m *markdown) excerpt(text string) []string {
	all := lines(text)
	n := m.most(len(all), excerptLines)
	if n < len(all) {
		all = append(all[:n:n], fmt.Sprintf("... %d more lines", len(all)-n))
	}
	return all
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func lowerFirst(s string) string {
	// Only a plain word: names, addresses and abbreviations keep their case.
	word, _, _ := strings.Cut(s, " ")
	if len(word) > 1 && strings.Trim(word[1:], "abcdefghijklmnopqrstuvwxyz") == "" {
		switch word {
		case "The", "A", "An", "No", "All", "One", "Two", "Some":
			return strings.ToLower(word) + s[len(word):]
		}
	}
	return s
}

// label names a step where a story has several.
func (s story) label(st step) string {
	if len(s.steps) < 2 {
		return ""
	}
	return fmt.Sprintf("Step %d: ", st.number)
}

func (m *markdown) against(s story) {
	first := true
	for _, st := range s.steps {
		if len(st.Against) == 0 {
			continue
		}
		if first {
			m.p("### What speaks against it\n\n")
			first = false
		}
		if l := s.label(st); l != "" {
			m.p("%s\n\n", strings.TrimSuffix(l, " "))
		}
		m.citations(st.Against, evidenceOfStep)
	}
}

func (m *markdown) missing(s story) {
	m.bullets("What is missing", s, s.gaps)
}

func (m *markdown) fix(s story) {
	m.bullets("Fix", s, func(st step) []string {
		// Symptoms go away with their cause; only the cause's fix is the answer.
		if st.number > 1 || st.Fix == "" {
			return nil
		}
		return []string{st.Fix}
	})
}

func (m *markdown) bullets(title string, s story, of func(step) []string) {
	seen := map[string]bool{}
	for _, st := range s.steps {
		for _, text := range of(st) {
			if seen[text] || strings.TrimSpace(text) == "" {
				continue
			}
			if len(seen) == 0 {
				m.p("### %s\n\n", title)
			}
			seen[text] = true
			label := s.label(st)
			if title == "Fix" {
				label = ""
			}
			m.p("- %s%s\n", label, mdText(sentence(text)))
		}
	}
	if len(seen) > 0 {
		m.p("\n")
	}
}

func (m *markdown) collect() {
	list, wanted := m.commands(), m.wanted()
	if len(list)+len(wanted) == 0 {
		return
	}
	m.p("## What to collect next\n\nWords in capitals are to be replaced.\n\n")
	if len(list) > 0 {
		m.p("%s\n", mdFence("sh", "", commandBlock(list)))
	}
	for _, g := range wanted {
		m.p("%s\n\n", g.Why)
		for _, w := range g.Items {
			m.p("- %s: %s\n", mdText(w.What), mdCode(w.Command))
		}
		m.p("\n")
	}
}

// commandBlock is commands as a script, with the reasons as comments.
func commandBlock(list []command) []string {
	var text []string
	why := ""
	for _, c := range list {
		if c.why != why {
			why = c.why
			text = append(text, "# "+why)
		}
		text = append(text, c.text)
	}
	return text
}

func (m *markdown) rivalries() {
	list := m.rivals()
	if len(list) == 0 {
		return
	}
	m.p("## Competing explanations\n\nEach of these may be enough to explain what follows it.\n\n")
	for _, r := range list {
		for _, f := range r.leads {
			m.p("- %s (%s)%s\n", mdText(strings.TrimRight(f.Title, ".")), f.Confidence, where(f))
			for _, a := range f.Against {
				m.p("  - against: %s %s\n", mdText(a.Note), mdCode(citation(a.Ref)))
			}
		}
		m.p("\n  They explain: ")
		for i, f := range r.over[:m.most(len(r.over), namesInGroup)] {
			if i > 0 {
				m.p("; ")
			}
			m.p("%s", mdText(strings.TrimRight(f.Title, ".")))
		}
		m.p("%s.\n\n", more(len(r.over)-m.most(len(r.over), namesInGroup)))
	}
}

func (m *markdown) otherFindings() {
	if len(m.others) == 0 {
		return
	}
	m.p("## Other findings\n\n")
	if len(m.stories) > 0 {
		m.p("Not part of the story above.\n\n")
	}
	n := m.most(len(m.others), otherFindings)
	for _, f := range m.others[:n] {
		m.p("- %s (%s, %s, %s)%s\n", mdText(sentence(f.Title)), f.Severity, f.Confidence, mdCode(f.Rule), where(f))
		if m.full && f.Detail != "" {
			m.p("\n  %s\n\n", mdText(f.Detail))
		}
	}
	if n < len(m.others) {
		m.p("- and %d more in the JSON report\n", len(m.others)-n)
	}
	m.p("\n")
}
