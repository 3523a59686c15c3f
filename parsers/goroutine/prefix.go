package goroutine

import "bytes"

// prefix is what a log writes before each line of a dump that passed through it:
// `Nov 21 00:36:32 web app[312]: `, `2026-11-21T00:36:32.1Z stderr F `, or plain
// indentation. Its text changes from line to line and so may its length (CRI
// drops trailing zeros of the time), but not its number of words.
type prefix struct {
	words int
	// glued is set when the header follows the last word without a blank; then the
	// length is taken for constant.
	glued  bool
	length int
}

// prefixOf describes what stands before a header.
func prefixOf(b []byte) prefix {
	p := prefix{length: len(b)}
	for i := range b {
		if blank(b[i]) && i > 0 && !blank(b[i-1]) {
			p.words++
		}
	}
	if n := len(b); n > 0 && !blank(b[n-1]) {
		p.glued = true
	}
	return p
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// strip takes the prefix off a line. What is left still has the indentation of
// the dump itself. A line without the words of the prefix is blank.
func (p prefix) strip(line []byte) []byte {
	if p.glued {
		return line[min(p.length, len(line)):]
	}
	i := 0
	for n := 0; n < p.words; n++ {
		for i < len(line) && blank(line[i]) {
			i++
		}
		for i < len(line) && !blank(line[i]) {
			i++
		}
	}
	// One separator belongs to the prefix; further blanks are the dump's own.
	return bytes.TrimLeft(line[i:], " ")
}
