package report

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mdText makes a text literal in running Markdown: after rendering it reads as it
// is, and it neither starts a block nor makes markup, HTML or a link. Characters
// are escaped only where they could mean something, so that the source, which
// people read too, stays readable: snake_case and "->" are left alone. What stands
// between two backticks becomes a code span: rules write names so, and code is as
// inert as text.
func mdText(s string) string { return mdSpans(s, mdCode) }

// mdCell is mdText within a table.
func mdCell(s string) string { return mdSpans(s, mdCellCode) }

func mdSpans(s string, code func(string) string) string {
	s = strings.TrimSpace(oneLine(s))
	parts := strings.Split(s, "`")
	// Runs of backticks and one without a partner are no spans.
	if len(parts)%2 == 0 || len(parts) == 1 || slices.ContainsFunc(parts[1:len(parts)-1], blank) {
		return mdEscape(s)
	}
	var b strings.Builder
	for i, p := range parts {
		if i%2 == 1 {
			b.WriteString(code(p))
			continue
		}
		// What follows a span does not begin a line.
		if i > 0 {
			p = "x" + p
		}
		b.WriteString(mdEscape(p)[min(i, 1):])
	}
	return b.String()
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// mdEscape makes a line of text literal, backticks too.
func mdEscape(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i, r := range s {
		if escapes(s, i, r) {
			b.WriteByte('\\')
		}
		switch r {
		case '<':
			b.WriteString("&lt;") // understood even by renderers that pass HTML through
		case '&':
			b.WriteString("&amp;")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapes reports whether the rune at i needs a backslash.
func escapes(s string, i int, r rune) bool {
	switch r {
	case '\\', '`', '*', '[', ']', '|', '~', '$', '@':
		return true
	case '_':
		// Between letters or digits it is never emphasis.
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+1:])
		return !wordRune(before) || !wordRune(after)
	case '#', '+', '-', '=', '>':
		return i == 0 // heading, list, underline of a heading, quote
	case '.', ')':
		// "1. " starts a list; "www." starts a link.
		return i > 0 && strings.Trim(s[:i], "0123456789") == "" && (i+1 == len(s) || s[i+1] == ' ') ||
			i >= 3 && strings.EqualFold(s[i-3:i], "www")
	case ':':
		return strings.HasPrefix(s[i+1:], "//") || len(s) > i+1 && linkScheme(s[:i])
	}
	return false
}

// linkScheme reports whether text ends in a scheme that renderers turn into a
// link without slashes.
func linkScheme(s string) bool {
	s = strings.ToLower(s)
	return strings.HasSuffix(s, "mailto") || strings.HasSuffix(s, "xmpp")
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// mdCode is a text as a code span, for names and positions.
func mdCode(s string) string {
	s = oneLine(s)
	if strings.TrimSpace(s) == "" {
		return "(empty)"
	}
	tick := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") {
		s = " " + s + " "
	}
	return tick + s + tick
}

// mdCellCode is mdCode within a table, where a pipe ends the cell even in code.
func mdCellCode(s string) string {
	if strings.Contains(s, `\|`) {
		return mdEscape(oneLine(s)) // renderers disagree about these two in code
	}
	return strings.ReplaceAll(mdCode(s), "|", `\|`)
}

// mdFence is text as a code block, each line indented. The fence is longer than
// any run of backticks inside.
func mdFence(language, indent string, text []string) string {
	fence := "```"
	for _, l := range text {
		if n := longestRun(l, '`'); n >= len(fence) {
			fence = strings.Repeat("`", n+1)
		}
	}
	var b strings.Builder
	b.WriteString(indent + fence + language + "\n")
	for _, l := range text {
		if l != "" {
			b.WriteString(indent + l)
		}
		b.WriteByte('\n')
	}
	b.WriteString(indent + fence + "\n")
	return b.String()
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
