package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// visible writes out every character that a reader would not see as such:
// controls, escape sequences, bidirectional overrides, zero-width and unassigned
// ones. What is left is one line that means what it looks like, in a terminal as
// well as in a browser.
func visible(s string) string {
	ok := true
	for _, r := range s {
		if r == utf8.RuneError || hidden(r) {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\t':
			b.WriteByte(' ')
		case hidden(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	return r < ' ' || r > '~' && r != '\uFFFD' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r != ' ' && unicode.Is(unicode.Z, r) && r != '\u00a0')
}

// oneLine is visible text with its line breaks made spaces, for titles and cells.
func oneLine(s string) string {
	return visible(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " "))
}

// lines splits text into visible lines, without blank ones at the end.
func lines(s string) []string {
	out := strings.Split(strings.TrimRight(s, "\r\n"), "\n")
	for i, l := range out {
		l = strings.TrimSuffix(l, "\r")
		// Stack frames are indented by tabs.
		out[i] = visible(strings.ReplaceAll(l, "\t", "    "))
	}
	return out
}

// paragraphs splits a Detail: blank lines separate paragraphs.
func paragraphs(s string) [][]string {
	var out [][]string
	var p []string
	for _, l := range append(lines(s), "") {
		if strings.TrimSpace(l) != "" {
			p = append(p, strings.TrimSpace(l))
			continue
		}
		if p != nil {
			out = append(out, p)
		}
		p = nil
	}
	return out
}

// sentence ends a text with a full stop unless it ends with a mark already.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?:") {
		return s
	}
	return s + "."
}

// citation is a position in the form people paste: file:line or file#frame.
func citation(r fact.Ref) string {
	if r.Line == 0 && r.Packet == 0 && r.Offset > 0 {
		return fmt.Sprintf("%s, byte %d", r.Artifact, r.Offset)
	}
	return r.String()
}

// clock writes an instant in UTC: whole seconds, milliseconds or microseconds, as
// much as there is.
func clock(t time.Time) string {
	s := t.UTC().Format("2006-01-02 15:04:05.000000")
	return strings.TrimSuffix(strings.TrimSuffix(s, "000"), ".000")
}

// doubt says what a time rests on, "" when it is exact.
func doubt(b fact.Basis, uncertainty time.Duration) string {
	var parts []string
	if uncertainty > 0 {
		parts = append(parts, "±"+uncertainty.String())
	}
	switch b {
	case fact.LocalNoZone:
		parts = append(parts, "local clock without zone")
	case fact.FileTime:
		parts = append(parts, "file time")
	case fact.Inferred:
		parts = append(parts, "inferred")
	case fact.NoTime:
		parts = append(parts, "basis unknown")
	}
	return strings.Join(parts, ", ")
}

// period writes when something happened, "" if that is unknown.
func period(from, to time.Time) string {
	switch {
	case from.IsZero() && to.IsZero():
		return ""
	case from.IsZero():
		return "until " + clock(to) + " UTC"
	case to.IsZero() || to.Equal(from):
		return clock(from) + " UTC"
	case from.UTC().Format(time.DateOnly) == to.UTC().Format(time.DateOnly):
		return clock(from) + " to " + clock(to)[len("2006-01-02 "):] + " UTC"
	}
	return clock(from) + " to " + clock(to) + " UTC"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// size writes bytes in binary units.
func size(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return plural(int(n), "byte", "bytes")
	}
	f := float64(n)
	for _, u := range units {
		f /= 1024
		if f < 1024 || u == "TiB" {
			return fmt.Sprintf("%.1f %s", f, u)
		}
	}
	return ""
}
