// Package report renders an analyze.Result. Every format is a pure function of
// the Result: it can be made again from the JSON form, without the bundle.
//
// A Result carries text copied out of artifacts, and artifacts are hostile:
// every encoder escapes it for the place where it lands, so that a log line can
// neither change the structure of a report nor reach a terminal as a control
// sequence.
package report

import (
	"io"

	"github.com/culprit-dev/culprit/analyze"
)

// Encoder writes a Result in one format.
type Encoder struct {
	// Name is what a user calls the format: "md".
	Name string
	// Ext is the usual extension of such a file, with its dot.
	Ext string
	// Doc is one sentence: what it is for.
	Doc string
	// Encode writes the whole report. It neither keeps nor changes the Result,
	// and the same Result and Options give the same bytes.
	Encode func(io.Writer, *analyze.Result, Options) error
}

// Options are choices of presentation. The zero value is a sensible default for
// each format; a format ignores what does not apply to it.
type Options struct {
	// Full shows what is otherwise folded to a count: every artifact, every
	// checked rule, all evidence of findings that are not part of the story.
	Full bool
	// Events shows the whole timeline, however long.
	Events bool
	// Color marks up terminal text with ANSI colours.
	Color bool
	// Width is the column at which terminal text is wrapped, 0 means 80.
	Width int
}

// Encoders returns the formats, the default one first.
func Encoders() []Encoder {
	return []Encoder{
		{
			Name: "md", Ext: ".md",
			Doc:    "Markdown that a postmortem can take as it is.",
			Encode: encodeMarkdown,
		},
		{
			Name: "text", Ext: ".txt",
			Doc:    "Plain text for a terminal: the story, the fix and what to collect.",
			Encode: encodeTerminal,
		},
		{
			Name: "html", Ext: ".html",
			Doc:    "One self-contained page with the timeline drawn.",
			Encode: encodeHTML,
		},
		{
			Name: "json", Ext: ".json",
			Doc:    "The full result for other programs; all other formats can be made from it.",
			Encode: encodeJSON,
		},
		{
			Name: "sarif", Ext: ".sarif",
			Doc:    "SARIF 2.1.0 for review and ticket tools: one result a finding.",
			Encode: encodeSARIF,
		},
	}
}

// ByName returns the encoder of that name, false if there is none.
func ByName(name string) (Encoder, bool) {
	for _, e := range Encoders() {
		if e.Name == name {
			return e, true
		}
	}
	return Encoder{}, false
}
