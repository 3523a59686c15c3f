package goroutine

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

var headerWord = []byte("goroutine ")

// header is a line `goroutine 18 gp=0xc0 m=3 mp=0xc1 [chan send (leaked), 5 minutes, locked to thread]:`.
type header struct {
	id      int64
	state   string
	minutes fact.Int
	locked  bool
	leaked  bool
	bubble  fact.Int
	labels  map[string]string
}

// findHeader is the column where a goroutine's header begins, -1 if the line has
// none. A header ends its line.
func findHeader(line []byte) int {
	n := len(bytes.TrimRight(line, " \t"))
	if n < len("goroutine 1 []:") || line[n-1] != ':' || line[n-2] != ']' {
		return -1
	}
	for from := 0; ; {
		i := bytes.Index(line[from:n], headerWord)
		if i < 0 {
			return -1
		}
		at := from + i
		if isHeader(line[at:n]) {
			return at
		}
		from = at + len(headerWord)
	}
}

// isHeader checks `goroutine N [` or `goroutine N gp=... [`.
func isHeader(b []byte) bool {
	if !bytes.HasPrefix(b, headerWord) {
		return false
	}
	rest := b[len(headerWord):]
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits == 0 || digits > 19 || digits+1 >= len(rest) || rest[digits] != ' ' {
		return false
	}
	rest = rest[digits+1:]
	return rest[0] == '[' || bytes.HasPrefix(rest, []byte("gp=")) && bytes.Contains(rest, []byte(" ["))
}

// parseHeader reads a line for which isHeader holds.
func (s *scanner) parseHeader(b []byte) header {
	b = bytes.TrimRight(b, " \t")
	rest := b[len(headerWord):]
	var h header
	i := 0
	for ; rest[i] != ' '; i++ {
		h.id = h.id*10 + int64(rest[i]-'0')
	}
	open := bytes.IndexByte(rest, '[')
	words := rest[open+1 : len(rest)-len("]:")]
	if at := bytes.Index(words, []byte(" labels:{")); at >= 0 {
		h.labels = parseLabels(string(words[at+len(" labels:{"):]))
		words = words[:at]
	}
	state, more, _ := bytes.Cut(words, []byte(", "))
	h.state = s.reason(state, &h)
	for len(more) > 0 {
		var w []byte
		w, more, _ = bytes.Cut(more, []byte(", "))
		switch {
		case bytes.HasSuffix(w, []byte(" minutes")):
			if n, err := strconv.ParseInt(string(w[:len(w)-len(" minutes")]), 10, 64); err == nil {
				h.minutes = fact.Some(n)
			}
		case string(w) == "locked to thread":
			h.locked = true
		case bytes.HasPrefix(w, []byte("synctest bubble ")):
			if n, err := strconv.ParseInt(string(w[len("synctest bubble "):]), 10, 64); err == nil {
				h.bubble = fact.Some(n)
			}
		}
	}
	return h
}

// reason interns a wait reason and takes its remarks off. "(nil chan)", "(no
// cases)" and "(idle)" are part of the reason.
func (s *scanner) reason(b []byte, h *header) string {
	for {
		switch {
		case bytes.HasSuffix(b, []byte(" (leaked)")):
			b, h.leaked = b[:len(b)-len(" (leaked)")], true
		case bytes.HasSuffix(b, []byte(" (scan)")):
			b = b[:len(b)-len(" (scan)")]
		case bytes.HasSuffix(b, []byte(" (durable)")):
			b = b[:len(b)-len(" (durable)")]
		default:
			return s.intern(b)
		}
	}
}

// parseLabels reads `"key": "value", "key": "value"}`. Keys and values that need
// no quotes stand bare.
func parseLabels(s string) map[string]string {
	labels := map[string]string{}
	s = strings.TrimSuffix(s, "}")
	for s != "" {
		key, rest, ok := labelWord(s)
		if !ok || !strings.HasPrefix(rest, ":") {
			break
		}
		value, rest, ok := labelWord(strings.TrimLeft(rest[1:], " "))
		if !ok {
			break
		}
		labels[key] = value
		s = strings.TrimLeft(rest, ", ")
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}

func labelWord(s string) (word, rest string, ok bool) {
	if q, err := strconv.QuotedPrefix(s); err == nil {
		if word, err = strconv.Unquote(q); err == nil {
			return word, s[len(q):], true
		}
	}
	i := strings.IndexAny(s, ":, }")
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:], i > 0
}

// isSeparated reports whether the text before a header ends as a log prefix does:
// with a blank or a sign, not in the middle of a word or a quotation.
func isSeparated(line []byte, at int) bool {
	c := line[at-1]
	return c == ' ' || c == '\t' || c == ']' || c == '|' || c == '>'
}
