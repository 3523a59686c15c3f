package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze"
)

// encodeTerminal writes the report as plain text for a screen: the story and what
// to do, then counts. What it leaves out is in the other formats.
func encodeTerminal(w io.Writer, r *analyze.Result, opt Options) error {
	b := bufio.NewWriter(w)
	t := &terminal{Writer: b, outline: outlined(r, opt.Full), opt: opt, width: opt.Width, quoted: quotes{}}
	if t.width == 0 {
		t.width = 80
	}
	// Narrower than this, wrapping hides more than it shows.
	t.width = max(t.width, 40)
	t.head()
	for i := range t.stories {
		t.story(i)
	}
	t.collect()
	t.other()
	t.timeline()
	t.coverage()
	return b.Flush()
}

type terminal struct {
	*bufio.Writer
	*outline
	opt    Options
	width  int
	quoted quotes
}

// ANSI attributes, used only when Options.Color is set.
const (
	bold   = "1"
	dim    = "2"
	red    = "31;1"
	yellow = "33"
	green  = "32;1"
	cyan   = "36"
)

// paint marks up text that has been made visible before.
func (t *terminal) paint(attr, s string) string {
	if !t.opt.Color || s == "" {
		return s
	}
	return "\x1b[" + attr + "m" + s + "\x1b[0m"
}

func (t *terminal) p(format string, args ...any) { fmt.Fprintf(t, format, args...) }

// wrapped breaks visible text at spaces. The first line starts at column col, the
// others get indent.
func (t *terminal) wrapped(s, indent string, col int) string {
	var b strings.Builder
	at := col
	for i, word := range strings.Fields(oneLine(s)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > t.width:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// para writes a paragraph whose lines after the first are indented like it.
func (t *terminal) para(indent, attr, s string) {
	t.p("%s%s\n", indent, t.paintLines(attr, t.wrapped(s, indent, len(indent))))
}

// bullet writes a paragraph after a mark.
func (t *terminal) bullet(indent, mark, s string) {
	pad := indent + strings.Repeat(" ", len(mark))
	t.p("%s%s%s\n", indent, mark, t.wrapped(s, pad, len(pad)))
}

// paintLines paints each line for itself, so that a pager that cuts lines never
// leaves a colour on.
func (t *terminal) paintLines(attr, s string) string {
	if !t.opt.Color || attr == "" {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = t.paint(attr, l)
	}
	return strings.Join(lines, "\n")
}

func (t *terminal) title(s string) { t.p("\n%s\n", t.paint(bold, s)) }

func (t *terminal) head() {
	attr := yellow
	switch t.Verdict.Status {
	case analyze.StatusRootCause:
		attr = red
	case analyze.StatusClean:
		attr = green
	}
	t.p("%s  %s\n\n", t.paint(attr, strings.ToUpper(t.headline())), t.paint(dim, oneLine(t.Bundle.Name)))
	t.para("", "", t.Verdict.Summary)
	if t.Baseline != nil {
		t.para("", "", "Judged against the baseline "+orElse(t.Baseline.Name, "bundle")+".")
	}
}

func (t *terminal) story(i int) {
	s := t.stories[i]
	title := "UNEXPLAINED"
	if len(t.Verdict.RootCauses) > 0 {
		title = "ROOT CAUSE"
	}
	if len(t.stories) > 1 {
		title = fmt.Sprintf("%s %d", title, i+1)
	}
	if len(t.stories) > 1 {
		t.title(title)
		t.para("  ", bold, sentence(s.lead.Title))
	} else {
		// The verdict is the title of a single story.
		t.title(title + ": " + oneLine(s.lead.Subject))
	}
	t.para("  ", dim, strings.Join([]string{s.lead.Severity.String(), s.lead.Confidence.String(), s.lead.Rule, period(s.lead.From, s.lead.To)}, "  "))
	for _, p := range paragraphs(s.lead.Detail) {
		t.p("\n")
		for _, l := range p {
			t.para("  ", "", l)
		}
	}
	for _, st := range s.steps {
		t.step(s, st)
	}
	for _, f := range s.raised {
		t.p("\n")
		t.bullet("  ", "Raised the odds: ", sentence(f.Title))
	}
	if s.lead.Fix != "" {
		t.p("\n")
		t.bullet("  ", "Fix: ", s.lead.Fix)
	}
}

func (t *terminal) step(s story, st step) {
	t.p("\n")
	limit := evidenceOfStep
	if st.number == 1 {
		limit = evidenceOfLead
	} else {
		how := fmt.Sprintf("%d. ", st.number)
		t.bullet("  ", how, sentence(st.Title))
		pad := strings.Repeat(" ", len(how)+2)
		why := fmt.Sprintf("%s%s (%s)", st.follows(), s.because(st.Finding), st.Confidence)
		t.para(pad, dim, why)
		if n := len(st.alike); n > 0 {
			t.para(pad, dim, "and "+plural(n, "finding", "findings")+" of the same kind")
		}
	}
	t.citations(st.Evidence, limit)
	if len(st.Against) > 0 {
		t.p("    %s\n", t.paint(yellow, "against:"))
		t.citations(st.Against, evidenceOfStep)
	}
	for _, m := range s.gaps(st) {
		t.bullet("    ", "missing: ", m)
	}
}

func (t *terminal) citations(list []analyze.Evidence, limit int) {
	n := t.most(len(list), limit)
	for _, e := range list[:n] {
		where := oneLine(citation(e.Ref))
		t.p("    %s", t.paint(cyan, where))
		if note := e.Note; note != "" {
			t.p("  %s", t.wrapped(note, "      ", 4+len(where)+2))
		}
		again := t.quoted.again(e)
		if again {
			t.p(" %s", t.paint(dim, quotedAbove))
		}
		t.p("\n")
		all := lines(e.Excerpt)
		if e.Excerpt == "" || again {
			continue
		}
		k := t.most(len(all), 3)
		for _, l := range all[:k] {
			t.p("      %s\n", t.paint(dim, t.cut(l)))
		}
		if k < len(all) {
			t.p("      %s\n", t.paint(dim, fmt.Sprintf("... %d more lines", len(all)-k)))
		}
	}
	if n < len(list) {
		t.p("    and %d more\n", len(list)-n)
	}
}

// cut shortens an excerpt's line: cited lines are there to be recognised.
func (t *terminal) cut(l string) string {
	room := t.width - 6
	if t.opt.Full || utf8.RuneCountInString(l) <= room {
		return l
	}
	return string([]rune(l)[:room-3]) + "..."
}

func (t *terminal) most(n, limit int) int {
	if t.opt.Full || n <= limit+1 {
		return n
	}
	return limit
}

func (t *terminal) collect() {
	list, wanted := t.commands(), t.wanted()
	if len(list)+len(wanted) == 0 {
		return
	}
	t.title("COLLECT NEXT (words in capitals are to be replaced)")
	for _, c := range list {
		// Not wrapped: people copy these.
		t.p("  %s\n", c.text)
	}
	for i, g := range wanted {
		if i > 0 && !g.Near && !t.opt.Full {
			var names []string
			for _, w := range g.Items {
				names = append(names, w.What)
			}
			t.para("  ", dim, g.Why+" "+strings.Join(names, ", ")+" (commands: --full)")
			continue
		}
		t.para("  ", dim, g.Why)
		for _, w := range g.Items {
			t.bullet("  ", "- ", w.What)
			t.p("    %s\n", w.Command)
		}
	}
}

func (t *terminal) other() {
	for _, r := range t.rivals() {
		t.title("COMPETING EXPLANATIONS")
		for _, f := range r.leads {
			t.bullet("  ", "- ", fmt.Sprintf("%s (%s)", strings.TrimRight(f.Title, "."), f.Confidence))
		}
		t.para("  ", dim, fmt.Sprintf("each may explain %s", plural(len(r.over), "finding", "findings")))
	}
	if len(t.others) == 0 {
		return
	}
	t.title("OTHER FINDINGS")
	n := t.most(len(t.others), otherFindings)
	for _, f := range t.others[:n] {
		t.bullet("  ", "- ", fmt.Sprintf("%s %s (%s, %s)", sentence(f.Title), citation(f.Evidence[0].Ref), f.Severity, f.Confidence))
	}
	if n < len(t.others) {
		t.p("  and %d more\n", len(t.others)-n)
	}
}

func (t *terminal) timeline() {
	if len(t.events) == 0 {
		return
	}
	t.title("TIMELINE (UTC)")
	const some = 15
	n := len(t.events)
	if !t.opt.Events {
		n = t.most(n, some)
	}
	for _, e := range t.events[:n] {
		when := clock(e.Time) + parens(doubt(e.Basis, e.Uncertainty))
		t.p("  %s  %s\n", t.paint(dim, when), t.wrapped(e.Text+" ["+citation(e.Source)+"]", "      ", len(when)+4))
	}
	if n < len(t.events) {
		t.p("  and %d more\n", len(t.events)-n)
	}
}

// coverage says what was read and judged, in counts; problems by name.
func (t *terminal) coverage() {
	t.title("COVERAGE")
	bad := t.troubled()
	troubled := 0
	for _, g := range bad {
		troubled += len(g.Paths)
	}
	t.p("  %s, %d not read or not read whole\n", plural(len(t.Artifacts), "artifact", "artifacts"), troubled)
	n := t.most(len(bad), 8)
	for _, g := range bad[:n] {
		k := t.most(len(g.Paths), namesInGroup)
		t.bullet("    ", "- ", fmt.Sprintf("%s%s (%s): %s", strings.Join(g.Paths[:k], ", "), more(len(g.Paths)-k), g.Status, g.Why))
	}
	if n < len(bad) {
		t.p("    and more\n")
	}
	groups := t.unjudged()
	off := 0
	for _, g := range groups {
		off += len(g.rules)
	}
	t.p("  %s: %d found something, %d found nothing, %d could not judge\n", plural(len(t.Rules), "rule", "rules"),
		len(t.rules(analyze.RuleFinding)), len(t.rules(analyze.RuleClean)), off)
	for _, g := range groups {
		if g.status == analyze.RuleFailed || t.opt.Full {
			t.bullet("    ", "- ", fmt.Sprintf("%s: %s: %s", strings.Join(g.rules, ", "), g.status, g.why))
		}
	}
	for _, l := range t.Limits {
		t.bullet("  ", "limit: ", l)
	}
}
