// Package source reads program source for the few calls that explain incidents:
// starting and killing processes, listening, and the settings of sockets. It does
// not understand programs; it finds calls by name, outside of comments and
// strings, and reads their literal arguments.
package source

import (
	"bytes"
	"context"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Parser reads JavaScript, Go and Python source.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "source",
		Doc:   "Program source (JavaScript, TypeScript, Go, Python): calls that start or kill processes, listen, or set up sockets.",
		Emits: []fact.Kind{fact.SourceCall{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// maxSource is how much of a file is read; program source is smaller, and a bundle
// made by a build tool holds little that helps.
const maxSource = 2 << 20

func language(p string, head []byte) string {
	switch strings.ToLower(path.Ext(p)) {
	case ".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx":
		return "js"
	case ".go":
		return "go"
	case ".py":
		return "python"
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if bytes.HasPrefix(first, []byte("#!")) {
		switch {
		case bytes.Contains(first, []byte("node")):
			return "js"
		case bytes.Contains(first, []byte("python")):
			return "python"
		}
	}
	return ""
}

func sniff(h analyze.Head) analyze.Match {
	if bytes.IndexByte(h.Bytes, 0) >= 0 || language(h.Path, h.Bytes) == "" {
		return analyze.No
	}
	text := bytes.TrimSpace(h.Bytes)
	if len(text) == 0 {
		return analyze.No
	}
	if text[0] == '{' || text[0]-'0' <= 9 || text[0] == '[' {
		return analyze.Maybe // data or a log with such a name
	}
	return analyze.Sure
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxSource+1))
	if err != nil {
		return err
	}
	if len(text) > maxSource {
		out.Note("only the first %d bytes of the source are read", maxSource)
		text = text[:maxSource]
	}
	f := &file{lang: language(in.Path, text), text: text, code: mask(text, language(in.Path, text)), id: in.ID()}
	f.imports()
	for _, c := range f.calls() {
		if err := ctx.Err(); err != nil {
			return err
		}
		analyze.Emit(out, c)
	}
	return nil
}

// file is one source file.
type file struct {
	lang string
	text []byte
	// code is text with comments and the contents of strings blanked.
	code []byte
	id   fact.ID
	// names maps local names to what they are: "run" to "child_process.exec".
	names map[string]string
	// values are variables that are set to one literal string.
	values map[string]string
}

// mask blanks comments and the contents of strings, keeping positions.
func mask(text []byte, lang string) []byte {
	code := bytes.Clone(text)
	blank := func(from, to int) {
		for i := from; i < to && i < len(code); i++ {
			if code[i] != '\n' {
				code[i] = ' '
			}
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case lang == "python" && c == '#', lang != "python" && c == '/' && next == '/':
			end := lineEnd(text, i)
			blank(i, end)
			i = end
		case lang != "python" && c == '/' && next == '*':
			end := len(text)
			if j := bytes.Index(text[i+2:], []byte("*/")); j >= 0 {
				end = i + 2 + j + 2
			}
			blank(i, end)
			i = end
		case c == '"' || c == '\'' || c == '`':
			end := stringEnd(text, i, lang)
			blank(i+1, end-1)
			i = end
		default:
			i++
		}
	}
	return code
}

func lineEnd(b []byte, i int) int {
	if j := bytes.IndexByte(b[i:], '\n'); j >= 0 {
		return i + j
	}
	return len(b)
}

// stringEnd is the position after a string that begins at i. A plain string ends
// with its line at the latest.
func stringEnd(b []byte, i int, lang string) int {
	q := b[i]
	if lang == "python" && bytes.HasPrefix(b[i:], bytes.Repeat([]byte{q}, 3)) {
		if j := bytes.Index(b[i+3:], bytes.Repeat([]byte{q}, 3)); j >= 0 {
			return i + 3 + j + 3
		}
		return len(b)
	}
	for j := i + 1; j < len(b); j++ {
		switch {
		case b[j] == '\\' && !(q == '`' && lang == "go"):
			j++
		case b[j] == q:
			return j + 1
		case b[j] == '\n' && q != '`':
			return j
		}
	}
	return len(b)
}

func identByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c-'0' <= 9 || c == '_' || c == '$' || c >= utf8.RuneSelf
}

// word is the identifier that ends at end.
func word(b []byte, end int) (start int) {
	start = end
	for start > 0 && identByte(b[start-1]) {
		start--
	}
	return start
}
