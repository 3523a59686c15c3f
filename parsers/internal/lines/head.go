package lines

import (
	"bytes"
	"iter"
)

// Head yields the lines of the beginning of an artifact, for sniffing; whole is false
// for the last one where its newline is not there, so that it may be cut.
func Head(head []byte) iter.Seq2[[]byte, bool] {
	return func(yield func(line []byte, whole bool) bool) {
		for rest := head; len(rest) > 0; {
			line, more, whole := bytes.Cut(rest, []byte("\n"))
			if !yield(line, whole) {
				return
			}
			rest = more
		}
	}
}
