package sockets

import (
	"github.com/culprit-dev/culprit/analyze/fact"
)

// nextField cuts the first word off b. Words are separated by blanks and tabs.
func nextField(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !isBlank(b[j]) {
		j++
	}
	return b[i:j], b[j:]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func skipBlanks(b []byte) []byte {
	i := 0
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return b[i:]
}

func trimRight(b []byte) []byte {
	n := len(b)
	for n > 0 && isBlank(b[n-1]) {
		n--
	}
	return b[:n]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return len(b) > 0
}

// number reads a decimal number that fills b.
func number(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// leading reads the decimal number that b begins with.
func leading(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for i < len(b) && i < 18 && isDigit(b[i]) {
		n = n*10 + int64(b[i]-'0')
		i++
	}
	return n, b[i:], i > 0
}

// decimal reads a number with an optional fraction at the start of b.
func decimal(b []byte) (v float64, rest []byte, ok bool) {
	n, rest, ok := leading(b)
	if !ok {
		return 0, b, false
	}
	v = float64(n)
	if len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
		frac, more, _ := leading(rest[1:])
		scale := 1.0
		for range len(rest) - 1 - len(more) {
			scale *= 10
		}
		v, rest = v+float64(frac)/scale, more
	}
	return v, rest, true
}

func some(n int64) fact.Int { return fact.Int{V: n, Known: true} }

// interner keeps one copy of each short string: a table of 100,000 rows has a few
// thousand different addresses, ports and names.
type interner map[string]string

// internMax and internCount bound the interner; what exceeds them is copied.
const (
	internMax   = 64
	internCount = 1 << 17
)

func (in interner) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := in[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(b) <= internMax && len(in) < internCount {
		in[s] = s
	}
	return s
}

// slab hands out values of a chunk, so that one allocation serves many rows.
type slab[T any] struct{ free []T }

const slabSize = 128

func (s *slab[T]) new() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabSize)
	}
	v := &s.free[0]
	s.free = s.free[1:]
	return v
}

// list copies values into the slab.
func (s *slab[T]) list(values []T) []T {
	if len(values) == 0 {
		return nil
	}
	if len(values) > slabSize {
		return append([]T(nil), values...)
	}
	if len(s.free) < len(values) {
		s.free = make([]T, slabSize)
	}
	n := copy(s.free, values)
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}
