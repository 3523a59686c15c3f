package report

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// skeleton is the structure of a rendered Markdown document without its text: one
// line a node, text nodes left out.
func skeleton(source string) string {
	src := []byte(source)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote)).Parser().Parse(text.NewReader(src))
	var b strings.Builder
	depth := 0
	_ = ast.Walk(doc, func(n ast.Node, enter bool) (ast.WalkStatus, error) {
		if n.Kind() == ast.KindText || n.Kind() == ast.KindString || n.Kind() == ast.KindCodeSpan {
			return ast.WalkContinue, nil // text; a code span may not hold anything else
		}
		if !enter {
			depth--
			return ast.WalkContinue, nil
		}
		fmt.Fprintf(&b, "%s%s", strings.Repeat(" ", depth), n.Kind())
		if h, ok := n.(*ast.Heading); ok {
			fmt.Fprint(&b, h.Level)
		}
		b.WriteByte('\n')
		depth++
		return ast.WalkContinue, nil
	})
	return b.String()
}

// everyText changes every text in a result that could come from an artifact. IDs
// change alike wherever they stand, so that references still lead somewhere.
func everyText(r *analyze.Result, change func(string) string) *analyze.Result {
	eachText(reflect.ValueOf(r), change)
	return r
}

func eachText(v reflect.Value, change func(string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachText(v.Elem(), change)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachText(v.Index(i), change)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Status" || name == "Schema" || !v.Field(i).CanSet() {
				continue // the engine's own words
			}
			eachText(v.Field(i), change)
		}
	case reflect.String:
		if v.String() != "" {
			v.SetString(change(v.String()))
		}
	}
}

// payloads are what an attacker may write into a log or a process title.
var payloads = []string{
	"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--", "-->", "</details>", "<b>bold", "<a href=//x>",
	"&lt;b&gt;", "&#x3c;script&#x3e;", "&", "&copy;",
	"[click](javascript:alert(1))", "![x](http://evil/x.png)", "[ref]: http://evil", "[^1]", "[^1]: note", "[x]", "[ ] task", "<http://evil>",
	"http://evil.example/x", "https://evil.example", "www.evil.example", "ftp://x/y", "mailto:a@b.example", "a@b.example", "@everyone", "xmpp:a@b.c/d",
	"`", "``", "```", "````\n# heading", "```\n</code>", "~~~", "~~x~~", "`a` `b", "\\`", "\\", "\\\\",
	"*x*", "**x**", "_x_", "__x__", "a_b_c", "_", "*", "***", "* * *", "- - -", "---", "===", "___",
	"# heading", "#", "####### seven", "> quote", ">", "- item", "+ item", "* item", "1. item", "1) item", "10. x", "1.", "-", "+",
	"| a | b |", "|", "a|b\n--|--\nc|d", "\\|", "|---|---|", "`|`",
	"$x$", "$$", ":smile:", "::: warning", "{.class}", "%%", "==mark==", "^sup^", "\n\n# heading\n\n", "\n- item", "x\n===", "\r\n\r\n# h", "    code", "\tcode",
	"\x00", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u202e\u2066reversed", "\u200b", "\u2028", "\u0085", "\ufeff", "\xff\xfe", "\u3000", "\U000e0041",
	strings.Repeat("[", 300), strings.Repeat("*_", 200), strings.Repeat("`", 50), strings.Repeat(">", 100),
}

func TestHostileTextIsInert(t *testing.T) {
	for _, full := range []bool{false, true} {
		for mode, place := range map[string]func(old, s string) string{
			"after":   func(old, s string) string { return old + s },
			"before":  func(old, s string) string { return s + old },
			"around":  func(old, s string) string { return s + " " + old + " " + s },
			"instead": func(_, s string) string { return s },
		} {
			for _, p := range payloads {
				r := everyText(sample(), func(old string) string { return place(old, p) })
				for _, f := range r.Findings {
					// A detail may have paragraphs of its own.
					f.Detail = place("x", strings.ReplaceAll(p, "\n", " "))
				}
				md := encode(t, "md", r, Options{Full: full})
				got := skeleton(md)
				for _, kind := range []string{"RawHTML", "HTMLBlock", "Link", "Image", "AutoLink", "Strikethrough", "Footnote", "TaskCheckBox", "Blockquote"} {
					if strings.Contains(got, kind) {
						t.Errorf("%s, %q: a %s in the report", mode, p, kind)
					}
				}
				assert.NotRegexp(t, `[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]`, md, "%s, %q", mode, p)
			}
		}
	}
}

// TestStructureHolds demands more of text within one field at a time: the report
// keeps every heading, list, table and cell.
func TestStructureHolds(t *testing.T) {
	build := func(before, after, detail string) string {
		r := everyText(sample(), func(old string) string { return before + old + after })
		for _, f := range r.Findings {
			f.Detail = detail + "\n\n" + detail + " x\nx " + detail
		}
		return skeleton(encode(t, "md", r, Options{}))
	}
	want := build("word", "word", "word")
	for _, p := range payloads {
		flat := strings.TrimSpace(strings.NewReplacer("\n", " ", "\r", " ").Replace(p))
		if flat == "" {
			continue
		}
		assert.Equal(t, want, build("w", p, flat), "after: %q", p)
		assert.Equal(t, want, build(p, "w", flat), "before: %q", p)
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if len(p) > 200 {
			return
		}
		build := func(p string) *analyze.Result {
			r := everyText(sample(), func(old string) string { return "w" + old + p })
			for _, f := range r.Findings {
				f.Detail = "x"
			}
			return r
		}
		want := skeleton(encode(t, "md", build("word"), Options{}))
		if got := skeleton(encode(t, "md", build(p), Options{})); got != want {
			t.Errorf("%q changes the structure:\n%s", p, got)
		}
	})
}

// TestHostileTextIsShown: escaping must not eat what it escapes.
func TestHostileTextIsShown(t *testing.T) {
	for _, p := range payloads {
		if strings.ContainsAny(p, "\n\r\t") || strings.TrimSpace(p) != p || visible(p) != p || mdText("y "+p) != mdEscape("y "+p) {
			continue // code spans have a test of their own
		}
		var b bytes.Buffer
		require.NoError(t, goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte("x: "+mdText("y "+p)), &b))
		unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&")
		assert.Equal(t, "<p>x: y "+p+"</p>\n", unescape.Replace(b.String()), "%q", p)
	}
}

func TestCodeSpansInText(t *testing.T) {
	for in, want := range map[string]string{
		"write `defer mu.Unlock()` behind it": "write `defer mu.Unlock()` behind it",
		"`a|b` and *c* `d_`":                  "`a|b` and \\*c\\* `d_`",
		"`x`- y":                              "`x`- y",
		"one ` only":                          "one \\` only",
		"none `` here":                        "none \\`\\` here",
	} {
		assert.Equal(t, want, mdText(in))
	}
	assert.Equal(t, "`a\\|b` c \\| d", mdCell("`a|b` c | d"))
	assert.Equal(t, `a\\\|b`, mdCellCode(`a\|b`), "renderers disagree about a backslash before a pipe in code")
}

func TestMarkdownOrder(t *testing.T) {
	md := encode(t, "md", sample(), Options{})
	got := regexp.MustCompile(`(?m)^#+ [^:\n]+`).FindAllString(strings.ReplaceAll(md, "\n# ", "\n#-"), -1)
	want := []string{
		"# Incident report",
		"## Root cause 1", "### From cause to symptom", "### Evidence", "### What speaks against it", "### What is missing", "### Fix", "### What raised the odds",
		"## Root cause 2", "### Evidence", "### Fix",
		"## What to collect next", "## Other findings", "## Timeline", "## Artifacts", "## Rules", "## Limits that were hit",
	}
	assert.Equal(t, want, got)
}

func TestChainIsToldFromCauseToSymptom(t *testing.T) {
	md := encode(t, "md", sample(), Options{})
	_, chain, _ := strings.Cut(md, "### From cause to symptom\n\n")
	chain, _, _ = strings.Cut(chain, "\n\n")
	lines := strings.Split(chain, "\n")
	require.Len(t, lines, 5)
	assert.Regexp(t, "^1\\. Lock 0xc000771900 .* `goroutine.txt:120`$", lines[0])
	assert.Regexp(t, "^2\\. quotepushd .* `ss_tanpoemi.txt:9`$", lines[1])
	assert.Equal(t, "   (follows from step 1: a process that waits for the lock does not read; likely)", lines[2])
	assert.Regexp(t, "^3\\. 172.17.0.3:49001 .* `push.pcap#301`$", lines[3])
}

func TestFollows(t *testing.T) {
	for want, after := range map[string][]int{
		"follows from step 1":           {1},
		"follows from steps 1 and 2":    {1, 2},
		"follows from steps 1, 2 and 4": {1, 2, 4},
	} {
		assert.Equal(t, want, step{after: after}.follows())
	}
}

func TestLongReportsFold(t *testing.T) {
	r := sample()
	for i := range 60 {
		f := *zeroWindow()
		f.ID, f.Subject = fmt.Sprintf("tcp/zero-window#%04d", i), fmt.Sprintf("10.0.0.%d:80", i)
		f.Title = f.Subject + " advertises a zero window"
		r.Findings = append(r.Findings, &f)
		o := *oldRelease()
		o.ID, o.Title = fmt.Sprintf("process/orphans#%04d", i), fmt.Sprintf("worker %d is an orphan", i)
		r.Findings = append(r.Findings, &o)
		r.Timeline = append(r.Timeline, analyze.TimelineEntry{Time: at(9, 0, float64(i)), Basis: fact.Epoch, Source: fact.Ref{Artifact: "a.log", Line: i + 1}, Text: "event"})
		r.Artifacts = append(r.Artifacts, analyze.ArtifactStatus{Path: fmt.Sprintf("logs/%d.log", i), Parser: "applog", Status: analyze.ArtifactParsed, Facts: 1})
		r.Artifacts = append(r.Artifacts, analyze.ArtifactStatus{Path: fmt.Sprintf("bin/%d", i), Status: analyze.ArtifactUnclaimed})
	}
	short, full := encode(t, "md", r, Options{}), encode(t, "md", r, Options{Full: true})
	assert.Less(t, strings.Count(short, "\n"), 330)
	assert.Contains(t, short, "And 58 findings of the same kind: 10.0.0.2:80")
	for i := range 60 {
		for _, want := range []string{fmt.Sprintf("`a.log:%d`", i+1), fmt.Sprintf("`logs/%d.log`", i), fmt.Sprintf("`bin/%d`", i), fmt.Sprintf("worker %d is an orphan", i), fmt.Sprintf("10.0.0.%d:80", i)} {
			if !strings.Contains(full, want) {
				t.Errorf("the full report lacks %s", want)
			}
		}
	}
}

func TestTimelineTellsALineOnce(t *testing.T) {
	r := sample()
	again := r.Timeline[0]
	again.Text, again.Finding = "in other words", "process/orphans#0077"
	r.Timeline = append([]analyze.TimelineEntry{again}, r.Timeline...)
	for _, name := range []string{"md", "text", "html"} {
		out := encode(t, name, r, Options{})
		assert.NotContains(t, out, "in other words", "%s: the words of the root cause stay", name)
		assert.Contains(t, out, "drop stale snapshot", name)
	}
	assert.Contains(t, encode(t, "json", r, Options{}), "in other words", "the JSON has everything")
}

func TestCommandsAreNotRepeated(t *testing.T) {
	r := sample()
	for _, f := range r.Findings {
		f.Next = []string{"ss -tanp > ss.txt", " ss -tanp > ss.txt\n"}
	}
	assert.Equal(t, 1, strings.Count(encode(t, "md", r, Options{}), "ss -tanp > ss.txt"))
}

func TestCompetingExplanations(t *testing.T) {
	r := sample()
	assert.NotContains(t, encode(t, "md", r, Options{}), "Competing")
	r.Finding("tcp/zero-window#cc33").Causes = append(r.Finding("tcp/zero-window#cc33").Causes, "process/oom-kill#bb22")
	md := encode(t, "md", r, Options{})
	_, part, ok := strings.Cut(md, "## Competing explanations\n")
	require.True(t, ok)
	part, _, _ = strings.Cut(part, "\n## ")
	assert.Contains(t, part, "Lock 0xc000771900 was never released")
	assert.Contains(t, part, "The kernel killed node")
	assert.Contains(t, part, "They explain: 172.17.0.3:49001 advertises a zero window")
}

func TestVerdictsWithoutCause(t *testing.T) {
	for status, want := range map[analyze.Status]string{
		analyze.StatusClean:        "**Nothing wrong found.** All is well.",
		analyze.StatusInsufficient: "**Not enough to judge.** All is well.",
	} {
		r := sample()
		r.Findings, r.Timeline = nil, nil
		r.Verdict = analyze.Verdict{Status: status, Summary: "All is well."}
		md := encode(t, "md", r, Options{})
		assert.Contains(t, md, want)
		assert.NotContains(t, md, "Root cause")
		assert.Contains(t, md, "cp /var/log/audit/audit.log .", "what rules lacked is asked for")
	}
	r := sample()
	r.Findings = []*analyze.Finding{zeroWindow()}
	r.Findings[0].Causes, r.Findings[0].Role = nil, analyze.Context
	r.Verdict = analyze.Verdict{Status: analyze.StatusSymptoms, Summary: "A window is zero, but nothing in the bundle explains it."}
	md := encode(t, "md", r, Options{})
	assert.Contains(t, md, "## Unexplained: 172.17.0.3:49001")
}

// TestCirclesEnd: no run makes a circle of causes, but a file may hold one.
func TestCirclesEnd(t *testing.T) {
	r := sample()
	r.Finding("go/leaked-lock#aa11").Causes = []string{"tcp/zero-window#cc33"}
	for _, e := range Encoders() {
		assert.NotEmpty(t, encode(t, e.Name, r, Options{}))
	}
}

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, assert.AnError
	}
	return len(b), nil
}

func TestWriteErrorsSurface(t *testing.T) {
	for _, e := range Encoders() {
		for _, room := range []int{0, 1, 100, 2000} {
			assert.ErrorIs(t, e.Encode(&brokenWriter{room}, sample(), Options{}), assert.AnError, "%s after %d bytes", e.Name, room)
		}
	}
}

// TestWantedInEveryForm: each thing that the bundle lacks stands in every form for
// people, with its command where there is room for it.
func TestWantedInEveryForm(t *testing.T) {
	r := sample()
	for _, format := range []string{"md", "html", "text"} {
		for _, full := range []bool{false, true} {
			out := encode(t, format, r, Options{Full: full})
			assert.Contains(t, out, "packet capture of node-3", format)
			assert.Contains(t, out, "tcpdump -w tcp.pcap", format)
			assert.Contains(t, out, "audit log", format)
			assert.Equal(t, format != "text" || full, strings.Contains(out, "cp audit.log ."), format)
		}
	}
}

// TestATextIsQuotedOnce: steps of one story often cite the same line; its text stands
// with the first, and what a confirmed cause explains lacks nothing.
func TestATextIsQuotedOnce(t *testing.T) {
	r := sample()
	lead := r.Finding(r.Verdict.RootCauses[0])
	i := slices.IndexFunc(r.Findings, func(f *analyze.Finding) bool { return slices.Contains(f.Causes, lead.ID) })
	require.GreaterOrEqual(t, i, 0)
	step := r.Findings[i]
	step.Evidence = append([]analyze.Evidence{lineOf("shared.log", 7, "as seen here", "the only text of it")}, step.Evidence...)
	lead.Evidence = append([]analyze.Evidence{lineOf("shared.log", 7, "as seen there", "the only text of it")}, lead.Evidence...)
	step.Missing = []string{"a second table"}
	lead.Confidence = analyze.Likely
	for _, format := range []string{"md", "html", "text"} {
		out := encode(t, format, r, Options{})
		assert.Equal(t, 1, strings.Count(out, "the only text of it"), format)
		assert.Equal(t, 1, strings.Count(out, quotedAbove), format)
		assert.Contains(t, out, "as seen here", format)
		assert.Contains(t, out, "a second table", format)
	}
	lead.Confidence = analyze.Confirmed
	for _, format := range []string{"md", "html", "text"} {
		assert.NotContains(t, encode(t, format, r, Options{}), "a second table", format)
	}
}
