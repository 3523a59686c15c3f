package report

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/diff"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// DiffEncoder writes a comparison of two results in one format.
type DiffEncoder struct {
	Name   string
	Encode func(io.Writer, *diff.Diff, Options) error
}

// DiffEncoders returns the formats of a comparison, the default one first.
func DiffEncoders() []DiffEncoder {
	return []DiffEncoder{
		{"md", func(w io.Writer, d *diff.Diff, opt Options) error { return encodeDiff(w, d, opt, markdownStyle()) }},
		{"text", func(w io.Writer, d *diff.Diff, opt Options) error { return encodeDiff(w, d, opt, plainStyle()) }},
		{"json", encodeDiffJSON},
	}
}

//go:embed diff.schema.json
var diffSchema []byte

// DiffSchema is the JSON Schema (draft 2020-12) of a comparison in JSON.
func DiffSchema() []byte { return bytes.Clone(diffSchema) }

func encodeDiffJSON(w io.Writer, d *diff.Diff, _ Options) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("encode comparison: %w", err)
	}
	return nil
}

// style is how a comparison is set in text.
type style struct {
	title, heading, item string
	// text makes text from artifacts inert, code sets a name or a position.
	text, code func(string) string
}

func markdownStyle() style {
	return style{title: "# %s\n\n", heading: "## %s\n\n", item: "- %s\n", text: mdText, code: mdCode}
}

func plainStyle() style {
	return style{title: "%s\n\n", heading: "%s:\n", item: "  %s\n", text: oneLine, code: oneLine}
}

// entitiesShown bounds the entities of one sort; Options.Full lifts it.
const entitiesShown = 15

// comparison writes one comparison. Write errors surface at Flush.
type comparison struct {
	*bufio.Writer
	*diff.Diff
	style
	full bool
}

func encodeDiff(w io.Writer, d *diff.Diff, opt Options, s style) error {
	c := &comparison{bufio.NewWriter(w), d, s, opt.Full}
	c.head()
	c.findings(diff.New, "New findings")
	c.findings(diff.Changed, "Changed findings")
	c.findings(diff.Gone, "Findings that are gone")
	for _, how := range []struct{ how, heading string }{
		{analyze.Grew, "Grew"}, {analyze.Changed, "Changed"}, {analyze.Vanished, "Vanished"}, {analyze.Appeared, "Appeared"}, {analyze.Shrank, "Shrank"},
	} {
		c.entities(how.how, how.heading)
	}
	c.gaps()
	return c.Flush()
}

func (c *comparison) p(format string, args ...any) { fmt.Fprintf(c, format, args...) }

func (c *comparison) list(heading string, items []string) {
	if len(items) == 0 {
		return
	}
	c.p(c.heading, heading)
	for _, i := range items {
		c.p(c.item, i)
	}
	c.p("\n")
}

func (c *comparison) head() {
	c.p(c.title, c.text(fmt.Sprintf("Comparison: %s to %s", sideName(c.Before, "before"), sideName(c.After, "after"))))
	c.list("Verdicts", []string{"before: " + c.verdict(c.Before), "after: " + c.verdict(c.After)})
	if len(c.Findings) == 0 && len(c.Entities) == 0 {
		c.p("Nothing differs: %s in both, no entity beyond the tolerance.\n\n", plural(c.Same, "finding", "findings"))
	} else if c.Same > 0 {
		c.p("%s in both and unchanged.\n\n", plural(c.Same, "finding is", "findings are"))
	}
}

func sideName(s diff.Side, def string) string { return orElse(s.Bundle.Name, def) }

func (c *comparison) verdict(s diff.Side) string {
	out := c.text(s.Verdict.Summary)
	if !s.Taken.IsZero() {
		out = s.Taken.UTC().Format("2006-01-02 15:04:05 UTC") + ": " + out
	}
	return out
}

func (c *comparison) findings(how, heading string) {
	var items []string
	for _, f := range c.Findings {
		if f.How != how {
			continue
		}
		item := fmt.Sprintf("%s, %s: %s", f.Severity, c.code(f.Rule), c.text(sentence(f.Title)))
		for _, ch := range f.Changes {
			item += fmt.Sprintf(" %s: %s to %s.", sentenceCase(ch.What), c.text(ch.Before), c.text(ch.After))
		}
		if f.Unjudged != "" {
			other := "earlier"
			if how == diff.Gone {
				other = "later"
			}
			item += fmt.Sprintf(" The %s bundle could not show it: %s.", other, c.text(f.Unjudged))
		}
		items = append(items, item+c.at(f.Evidence))
	}
	c.list(heading, items)
}

func sentenceCase(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (c *comparison) at(refs ...fact.Ref) string {
	var out []string
	for _, r := range refs {
		if !r.IsZero() {
			out = append(out, c.code(citation(r)))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

func (c *comparison) entities(how, heading string) {
	var items []string
	shown := map[string]int{}
	hidden := 0
	for _, e := range c.Entities {
		if e.How != how {
			continue
		}
		if shown[e.What]++; !c.full && shown[e.What] > entitiesShown {
			hidden++
			continue
		}
		items = append(items, c.entity(e))
	}
	if hidden > 0 {
		items = append(items, fmt.Sprintf("and %d more (--full shows them)", hidden))
	}
	c.list(heading, items)
}

// sorts are what the sorts of a census are called, singular.
var sorts = map[string]string{
	"listener": "listener", "peer": "peer", "upstream": "connection to", "sockets": "sockets in", "process": "process", "memory": "memory (MiB) of",
	"open_files": "open files of", "goroutines": "goroutines created by", "lock": "goroutines that wait for", "version": "version of",
	"setting": "setting", "limit": "limit",
}

func (c *comparison) entity(e diff.Entity) string {
	out := orElse(sorts[e.What], e.What) + " " + c.code(orElse(e.Name, "all"))
	if e.Of != "" {
		out += " of " + c.code(e.Of)
	}
	if e.Host != "" {
		out += " on " + c.code(e.Host)
	}
	switch {
	case e.Value != nil && e.How == analyze.Changed:
		out += fmt.Sprintf(": %s to %s", c.code(e.Value.Before), c.code(e.Value.After))
	case e.How == analyze.Grew || e.How == analyze.Shrank:
		out += fmt.Sprintf(": %d to %d", e.Count.Before, e.Count.After)
		if e.PerHour != 0 {
			out += fmt.Sprintf(" (%s an hour)", rate(e.PerHour))
		}
	case e.Count.Before+e.Count.After > 1:
		out += fmt.Sprintf(": %d", e.Count.Before+e.Count.After)
	}
	return out + c.at(e.BeforeAt, e.AfterAt)
}

func rate(v float64) string {
	if math.Abs(v) >= 10 {
		return fmt.Sprintf("%+.0f", v)
	}
	return fmt.Sprintf("%+.1f", v)
}

func (c *comparison) gaps() {
	var items []string
	for _, g := range c.NotCompared {
		items = append(items, fmt.Sprintf("%s: only in the bundle %s", orElse(strings.TrimSuffix(strings.ReplaceAll(g.What, "_", " "), " of"), "all"), g.Only))
	}
	c.list("Not compared", items)
}
