package applog

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Encodings other than UTF-8 keep ASCII as it is, so their lines are read as they
// are and only the text of kept events is decoded. UTF-16, which does not, is decoded
// by the engine.

// decodeHead is the text of an artifact's beginning; ok is false for binary data.
func decodeHead(b []byte) (text []byte, ok bool) {
	b = withoutHoles(b)
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
	if doubleBytes(b) {
		if out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b); err == nil && mostlyHan(out) {
			return string(out)
		}
	}
	out, err := charmap.ISO8859_1.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\ufffd")))
	}
	return string(out)
}

// doubleBytes reports whether bytes beyond ASCII stand in pairs, as those of nearly
// all Chinese characters do; an umlaut of Latin-1 stands alone among letters.
func doubleBytes(b []byte) bool {
	pairs, single := 0, 0
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] < 0x80:
		case i+1 < len(b) && b[i+1] >= 0x80:
			pairs++
			i++
		default:
			single++
		}
	}
	return pairs > 2*single
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
