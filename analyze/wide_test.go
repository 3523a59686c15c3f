package analyze

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

func wide(text string, order binary.AppendByteOrder) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

// TestWide: an artifact in UTF-16 is read like the same text in UTF-8.
func TestWide(t *testing.T) {
	const text = "Proto  Local Address\r\nTCP 端口 \U0001F600 0.0.0.0:135\r\n"
	for name, content := range map[string][]byte{
		"little endian": wide("\ufeff"+text, binary.LittleEndian), "big endian": wide("\ufeff"+text, binary.BigEndian),
		"no mark": wide("\r\nActive Connections\r\n", binary.LittleEndian),
	} {
		in := &Input{Path: "a", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(iotest.OneByteReader(bytes.NewReader(content))), nil
		}}
		plain, head := decodeWide(in, Head{Path: "a", Bytes: content})
		require.NotSame(t, in, plain, name)
		r, err := plain.Open()
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, string(head.Bytes), string(got), name)
		require.NotContains(t, string(got), "\ufeff")
		require.True(t, strings.HasSuffix(string(got), "\r\n"))
	}
}

func TestNotWide(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("ab"), []byte("plain text, long enough"), bytes.Repeat([]byte{0}, 64), {0xff, 0xfe, 1, 0, 2, 0}, bytes.Repeat([]byte{1, 0, 0, 0}, 16)} {
		require.Equal(t, noUnits, detectWide(b), "%q", b)
	}
}

// TestWideDamage: half units and lone surrogates end nothing.
func TestWideDamage(t *testing.T) {
	for content, want := range map[string]string{"\x00\xd8a\x00": "\ufffda", "a\x00\x00\xd8": "a\ufffd", "a\x00b": "a", "\x3d\xd8\x00\xde": "\U0001F600"} {
		got, err := io.ReadAll(newWideReader(strings.NewReader(content), littleEndian))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}
