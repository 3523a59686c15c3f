package applog

import (
	"bufio"
	"bytes"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/culprit-dev/culprit/analyze"
)

// UTF-16 is decoded as a stream; positions are counted back into it. Other
// encodings keep ASCII as it is, so their lines are read as they are and only the
// text of kept events is decoded.

// encoding is how an artifact's text is encoded, as far as its beginning tells.
type encoding struct {
	wide bool // UTF-16
	big  bool // big endian
	mark int64
}

// detect tells UTF-16 by its byte order mark, or by the zero bytes that ASCII has
// in it.
func detect(head []byte) encoding {
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return encoding{wide: true, mark: 2}
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return encoding{wide: true, big: true, mark: 2}
	case len(head) < 8:
		return encoding{}
	}
	even, odd := 0, 0
	head = head[:min(len(head), 1024)]
	for i, c := range head {
		switch {
		case c != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	half := len(head) / 2
	return encoding{wide: odd*10 > half*8 && even*10 < half || even*10 > half*8 && odd*10 < half, big: even > odd}
}

// decoded returns the text of r, its beginning and how it is encoded.
func decoded(r io.Reader) (text io.Reader, head []byte, enc encoding, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err = br.Peek(analyze.HeadSize)
	if err != nil && len(head) == 0 && err != io.EOF {
		return nil, nil, enc, err
	}
	if enc = detect(head); enc.wide {
		_, _ = br.Discard(int(enc.mark))
		dec := bufio.NewReaderSize(&wideReader{r: br, big: enc.big}, 64<<10)
		head, _ = dec.Peek(analyze.HeadSize)
		return dec, bytes.Clone(head), enc, nil
	}
	return br, bytes.Clone(head), enc, nil
}

// wideReader makes UTF-8 of UTF-16. An odd byte at the end is dropped.
type wideReader struct {
	r   *bufio.Reader
	big bool
	out []byte // decoded and not yet handed out
}

func (w *wideReader) Read(p []byte) (int, error) {
	for len(w.out) == 0 {
		unit, err := w.unit()
		if err != nil {
			return 0, err
		}
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			r = w.second(r)
		}
		w.out = utf8.AppendRune(w.out[:0], r)
	}
	n := copy(p, w.out)
	w.out = w.out[n:]
	return n, nil
}

// second joins a surrogate with the one after it; a lone one is U+FFFD and leaves
// what follows in place, so that code units can be counted back from the text.
func (w *wideReader) second(first rune) rune {
	next, err := w.r.Peek(2)
	if err != nil {
		return utf8.RuneError
	}
	r := utf16.DecodeRune(first, rune(w.join(next)))
	if r != utf8.RuneError {
		_, _ = w.r.Discard(2)
	}
	return r
}

func (w *wideReader) unit() (uint16, error) {
	b, err := w.r.Peek(2)
	if err != nil {
		return 0, err
	}
	u := w.join(b)
	_, err = w.r.Discard(2)
	return u, err
}

func (w *wideReader) join(b []byte) uint16 {
	if w.big {
		return uint16(b[0])<<8 | uint16(b[1])
	}
	return uint16(b[1])<<8 | uint16(b[0])
}

// utf16Units counts the code units that UTF-8 text has in UTF-16.
func utf16Units(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		switch {
		case c&0xc0 == 0x80: // inside a character
		case c >= 0xf0:
			n += 2
		default:
			n++
		}
	}
	return n
}

// decodeHead is the text of an artifact's beginning; ok is false for binary data.
func decodeHead(b []byte) (text []byte, ok bool) {
	if enc := detect(b); enc.wide {
		text, err := io.ReadAll(&wideReader{r: bufio.NewReader(bytes.NewReader(b[enc.mark:])), big: enc.big})
		return text, err == nil && printable(text)
	}
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), printable(b)
}

// printable allows a few stray control characters, as real logs have them.
func printable(b []byte) bool {
	odd := 0
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != 0x1b && c != '\f' && c != '\b' {
			odd++
		}
	}
	return odd*200 <= len(b)
}

// utf8Text makes valid UTF-8 of a text: as it is, else from GB18030 where that
// gives Chinese, else from Latin-1.
func utf8Text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil && mostlyHan(out) {
		return string(out)
	}
	out, err := charmap.ISO8859_1.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\ufffd")))
	}
	return string(out)
}

// mostlyHan reports whether what is not ASCII is Chinese, without a character that
// could not be decoded.
func mostlyHan(b []byte) bool {
	han, other := 0, 0
	for _, r := range string(b) {
		switch {
		case r == utf8.RuneError:
			return false
		case r < 0x80:
		case r >= 0x4e00 && r < 0xa000, r >= 0x3000 && r < 0x3040, r >= 0xff00 && r < 0xffef:
			han++
		default:
			other++
		}
	}
	return han > other
}
