// Package lines reads text artifacts line by line, with the number and the byte
// offset of each line and a bound on its length.
package lines

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// DefaultMax is the longest line that is kept whole. A longer one is cut there,
// the rest is skipped, and Cut reports it.
const DefaultMax = 1 << 20

// Reader yields the lines of a stream. It allocates only when a line is longer
// than its buffer. The bytes of a line are valid until the next call of Next.
type Reader struct {
	r      *bufio.Reader
	id     fact.ID
	max    int
	line   []byte
	long   []byte // holds lines longer than the buffer
	plain  []byte // holds lines without terminal sequences
	raw    int    // length of the current line with them
	number int
	offset int64 // of the current line
	next   int64 // of the next one
	length int   // of the current line with its line end
	cut    bool
	cuts   int
	err    error
}

// bufferSize holds all but exceptional lines without a copy; larger buffers
// measured no faster.
const bufferSize = 64 << 10

// New reads the artifact id from r. A UTF-8 byte order mark at the start is
// dropped from the first line; offsets still count it.
func New(r io.Reader, id fact.ID) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, bufferSize), id: id, max: DefaultMax}
}

// Next advances to the next line. It returns false at the end and on an error.
func (r *Reader) Next() bool {
	if r.err != nil {
		return false
	}
	r.offset, r.cut = r.next, false
	chunk, err := r.r.ReadSlice('\n')
	r.length = len(chunk)
	if errors.Is(err, bufio.ErrBufferFull) {
		chunk, err = r.readLong(chunk)
	}
	r.next = r.offset + int64(r.length)
	if err != nil {
		r.err = err
		if r.length == 0 {
			r.line = nil
			return false
		}
	}
	r.number++
	r.line = trimEnd(chunk)
	if r.number == 1 {
		r.line = bytes.TrimPrefix(r.line, []byte("\xef\xbb\xbf"))
	}
	r.raw = len(r.line)
	if bytes.IndexByte(r.line, 0x1b) >= 0 {
		r.plain = analyze.AppendPlain(r.plain[:0], r.line)
		r.line = r.plain
	}
	return true
}

// readLong collects a line that does not fit the buffer, up to max bytes.
func (r *Reader) readLong(chunk []byte) ([]byte, error) {
	r.long = append(r.long[:0], chunk...)
	for {
		more, err := r.r.ReadSlice('\n')
		r.length += len(more)
		if room := r.max - len(r.long); room > 0 {
			r.long = append(r.long, more[:min(room, len(more))]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if r.length > len(r.long) {
			r.cut = true
			r.cuts++
		}
		return r.long, err
	}
}

func trimEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// Bytes is the current line without its end and without the colours and other
// sequences of a terminal. It is valid until the next call of Next and must not be
// modified.
func (r *Reader) Bytes() []byte { return r.line }

// Text is a copy of the current line.
func (r *Reader) Text() string { return string(r.line) }

// Number is the current line's number, from 1.
func (r *Reader) Number() int { return r.number }

// Offset is the byte where the current line starts.
func (r *Reader) Offset() int64 { return r.offset }

// End is the byte after the current line and its end.
func (r *Reader) End() int64 { return r.next }

// Ref is a reference to the current line.
func (r *Reader) Ref() fact.Ref {
	return fact.Ref{Artifact: r.id, Line: r.number, Offset: r.offset, Len: min(r.raw, r.length)}
}

// Trimmed is the current line and the reference to it without the blanks at its end.
func (r *Reader) Trimmed() ([]byte, fact.Ref) {
	line, at := bytes.TrimRight(r.line, " \t"), r.Ref()
	at.Len -= len(r.line) - len(line)
	return line, at
}

// Cut reports whether the current line was longer than the limit, and Cuts how
// many were so far.
func (r *Reader) Cut() bool { return r.cut }

// Cuts is the number of lines cut so far.
func (r *Reader) Cuts() int { return r.cuts }

// Err is the error that ended the stream, nil at its regular end.
func (r *Reader) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}
