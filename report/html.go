package report

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

//go:embed report.html.tmpl
var htmlSource string

// encodeHTML writes one file that needs nothing else: no script, no font, no
// image. html/template escapes every text for its place; the file forbids all
// loading besides.
func encodeHTML(w io.Writer, r *analyze.Result, opt Options) error {
	// Parsing takes a millisecond; a package variable would cost every program that
	// links this package the same at start.
	page, err := template.New("report").Funcs(htmlFuncs()).Parse(htmlSource)
	if err != nil {
		return fmt.Errorf("html template: %w", err)
	}
	o := outlined(r, opt.Full)
	b := bufio.NewWriter(w)
	if err := page.Execute(b, htmlPage{Result: r, Outline: o, Full: opt.Full}); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return b.Flush()
}

type htmlPage struct {
	*analyze.Result
	Outline *outline
	Full    bool
}

// The template reaches exported names only; these types and methods open what it
// needs.

// htmlStory is one story as the template sees it.
type htmlStory struct {
	Label  string
	Lead   *analyze.Finding
	Steps  []htmlStep
	Raised []*analyze.Finding
}

type htmlStep struct {
	*analyze.Finding
	Number  int
	Follows string
	Alike   []*analyze.Finding
	// Cited and Contrary are its evidence, each text once in a report.
	Cited, Contrary []analyze.Evidence
	Gaps            []string
}

// once is evidence without texts that were quoted before.
func (q quotes) once(list []analyze.Evidence) []analyze.Evidence {
	out := slices.Clone(list)
	for i, e := range out {
		if q.again(e) {
			out[i].Excerpt = ""
			out[i].Note = strings.TrimSpace(e.Note + " " + quotedAbove)
		}
	}
	return out
}

func (p htmlPage) Headline() string { return p.Outline.headline() }

func (p htmlPage) Stories() []htmlStory {
	var out []htmlStory
	quoted := quotes{}
	for i, s := range p.Outline.stories {
		h := htmlStory{Label: "Unexplained", Lead: s.lead, Raised: s.raised}
		if len(p.Verdict.RootCauses) > 0 {
			h.Label = "Root cause"
		}
		if len(p.Outline.stories) > 1 {
			h.Label = fmt.Sprintf("%s %d", h.Label, i+1)
		}
		for _, st := range s.steps {
			step := htmlStep{Finding: st.Finding, Number: st.number, Alike: st.alike, Cited: quoted.once(st.Evidence), Contrary: quoted.once(st.Against), Gaps: s.gaps(st)}
			if len(st.after) > 0 {
				step.Follows = st.follows() + s.because(st.Finding)
			}
			h.Steps = append(h.Steps, step)
		}
		out = append(out, h)
	}
	return out
}

func (p htmlPage) Others() []*analyze.Finding      { return p.Outline.others }
func (p htmlPage) Events() []analyze.TimelineEntry { return p.Outline.events }
func (p htmlPage) Chart() *chart                   { return p.Outline.drawn() }

func (p htmlPage) Rivals() []htmlRivals {
	var out []htmlRivals
	for _, r := range p.Outline.rivals() {
		out = append(out, htmlRivals{r.leads, r.over})
	}
	return out
}

type htmlRivals struct{ Leads, Over []*analyze.Finding }

// Wanted is what the bundle lacks.
func (p htmlPage) Wanted() []wantedGroup { return p.Outline.wanted() }

// Commands is the text of the block of commands.
func (p htmlPage) Commands() string { return strings.Join(commandBlock(p.Outline.commands()), "\n") }

func (p htmlPage) Troubled() []troubledGroup { return p.Outline.troubled() }

type htmlGroup struct {
	Parser string
	Paths  []string
	Facts  int
	Bytes  int64
}

func (p htmlPage) Whole() []htmlGroup {
	var out []htmlGroup
	for _, g := range p.Outline.whole() {
		out = append(out, htmlGroup{g.parser, g.paths, g.facts, g.bytes})
	}
	return out
}

func (p htmlPage) RulesThat(status string) []analyze.RuleStatus { return p.Outline.rules(status) }

type htmlUnjudged struct {
	Status, Why string
	Rules, Next []string
}

func (p htmlPage) Unjudged() []htmlUnjudged {
	var out []htmlUnjudged
	for _, g := range p.Outline.unjudged() {
		out = append(out, htmlUnjudged{g.status, g.why, g.rules, g.next})
	}
	return out
}

func htmlFuncs() template.FuncMap {
	return template.FuncMap{
		"t":          oneLine,
		"sentence":   func(s string) string { return oneLine(sentence(s)) },
		"excerpt":    func(s string) string { return strings.Join(lines(s), "\n") },
		"paragraphs": paragraphs,
		"cite":       func(e analyze.Evidence) string { return oneLine(citation(e.Ref)) },
		"source":     func(e analyze.TimelineEntry) string { return oneLine(citation(e.Source)) },
		"when":       func(e analyze.Evidence) string { return stamp(e) },
		"at":         func(e analyze.TimelineEntry) string { return clock(e.Time) },
		"doubt":      func(e analyze.TimelineEntry) string { return doubt(e.Basis, e.Uncertainty) },
		"period":     func(f *analyze.Finding) string { return period(f.From, f.To) },
		"size":       size,
		"plural":     plural,
		"fold":       fold,
		"join":       func(s []string) string { return oneLine(strings.Join(s, "; ")) },
		"add":        func(a, b int) int { return a + b },
		"sub":        func(a, b int) int { return a - b },
	}
}

// folded is a list of which a page shows the beginning and unfolds the rest.
type folded struct{ Head, Rest []string }

func fold(list []string) folded {
	n := min(len(list), namesInGroup)
	return folded{list[:n], list[n:]}
}

// stamp is the time of evidence with its doubt, "" if it has none.
func stamp(e analyze.Evidence) string {
	if e.Time.IsZero() {
		return ""
	}
	return clock(e.Time) + " UTC" + prefixed(", ", doubt(e.Basis, e.Uncertainty))
}
