package waits

import (
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// pointer reads an argument that is a plausible heap or data address and that the
// runtime did not mark as unsure ('?').
func pointer(word string) (uint64, bool) {
	if len(word) < 6 || word[0] != '0' || word[1] != 'x' || word[len(word)-1] == '?' {
		return 0, false
	}
	var v uint64
	for i := 2; i < len(word); i++ {
		c := word[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	// Below 64 KiB nothing is mapped, above 48 bits nothing is user space.
	return v, v >= 1<<16 && v < 1<<48 && len(word) <= 18
}

// eachPointer calls fn with each sure pointer among the arguments and its index;
// the index of one inside braces (a string, slice, interface or struct) is that of
// the braces plus inBraces.
func eachPointer(args string, fn func(index int, p uint64)) {
	if len(args) < 6 {
		return
	}
	index, depth, start := 0, 0, 0
	take := func(end int) {
		if end > start {
			if p, ok := pointer(args[start:end]); ok {
				i := index
				if depth > 0 {
					i += inBraces
				}
				fn(i, p)
			}
		}
	}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case '{':
			depth++
			start = i + 1
		case '}':
			take(i)
			depth--
			start = i + 1
		case ',':
			take(i)
			if depth == 0 {
				index++
			}
			start = i + 1
		case ' ':
			start = i + 1
		}
	}
	take(len(args))
}

// inBraces marks the index of a pointer that stands inside an argument.
const inBraces = 1000

// arg is the first argument of a frame if it is a sure pointer. A generic function
// prints its dictionary there, and its receiver nowhere.
func arg(g *fact.Goroutine, frame int) (uint64, bool) {
	if frame < 0 || frame >= len(g.Calls) || strings.Contains(g.Frames[frame].Func, "[...]") {
		return 0, false
	}
	word, _, _ := strings.Cut(g.Calls[frame].Args, ",")
	return pointer(word)
}
