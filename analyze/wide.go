package analyze

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Windows' shells write UTF-16 when they redirect the output of any command.
// Parsers read bytes; so the engine decodes such an artifact once for all of them,
// and positions are positions in the decoded text.

// byteOrder is how the two bytes of a code unit stand in an artifact.
type byteOrder int

const (
	noUnits byteOrder = iota // it is no UTF-16
	littleEndian
	bigEndian
)

// detectWide tells UTF-16 by its byte order mark, or by the zero bytes that ASCII
// has in it. What decodes to control characters is binary data.
func detectWide(head []byte) byteOrder {
	order := noUnits
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		order = littleEndian
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		order = bigEndian
	case len(head) >= 16:
		var zeros [2]int
		for i, c := range head {
			if c == 0 {
				zeros[i%2]++
			}
		}
		switch half := len(head) / 2; {
		case zeros[1]*10 > half*8 && zeros[0]*10 < half:
			order = littleEndian
		case zeros[0]*10 > half*8 && zeros[1]*10 < half:
			order = bigEndian
		}
	}
	if order == noUnits {
		return noUnits
	}
	text, _ := io.ReadAll(newWideReader(bytes.NewReader(head), order))
	for _, c := range string(text) {
		if unicode.IsControl(c) && !strings.ContainsRune("\n\r\t\f\b\x1b", c) {
			return noUnits
		}
	}
	return order
}

// decodeWide returns the artifact and its head as UTF-8 if they are UTF-16.
func decodeWide(in *Input, head Head) (*Input, Head) {
	order := detectWide(head.Bytes)
	if order == noUnits {
		return in, head
	}
	text := *in
	text.Open = func() (io.ReadCloser, error) {
		r, err := in.Open()
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{newWideReader(r, order), r}, nil
	}
	head.Bytes, _ = io.ReadAll(newWideReader(bytes.NewReader(head.Bytes), order))
	return &text, head
}

// wideReader makes UTF-8 of UTF-16, without a byte order mark. An odd byte at the
// end is dropped and a lone surrogate is U+FFFD.
type wideReader struct {
	r     *bufio.Reader
	order byteOrder
	out   []byte // decoded and not yet handed out
	begun bool
}

func newWideReader(r io.Reader, order byteOrder) *wideReader {
	return &wideReader{r: bufio.NewReaderSize(r, 64<<10), order: order}
}

// Read implements io.Reader.
func (w *wideReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(w.out) == 0 {
			r, err := w.next()
			if err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
			w.out = utf8.AppendRune(w.out[:0], r)
		}
		k := copy(p[n:], w.out)
		w.out = w.out[k:]
		n += k
	}
	return n, nil
}

// next is the next character.
func (w *wideReader) next() (rune, error) {
	r, err := w.unit()
	if err == nil && !w.begun && r == 0xfeff {
		r, err = w.unit()
	}
	w.begun = true
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if b, err := w.r.Peek(2); err == nil {
		if pair := utf16.DecodeRune(r, w.join(b)); pair != utf8.RuneError {
			_, _ = w.r.Discard(2)
			return pair, nil
		}
	}
	return utf8.RuneError, nil
}

func (w *wideReader) unit() (rune, error) {
	b, err := w.r.Peek(2)
	if err != nil {
		return 0, err
	}
	u := w.join(b)
	_, err = w.r.Discard(2)
	return u, err
}

func (w *wideReader) join(b []byte) rune {
	if w.order == bigEndian {
		return rune(b[0])<<8 | rune(b[1])
	}
	return rune(b[1])<<8 | rune(b[0])
}
