package lines

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

type got struct {
	text   string
	number int
	offset int64
}

func readAll(r *Reader) []got {
	var out []got
	for r.Next() {
		out = append(out, got{r.Text(), r.Number(), r.Offset()})
	}
	return out
}

func TestPositions(t *testing.T) {
	in := "\xef\xbb\xbfone\r\ntwo\n\nlast"
	want := []got{{"one", 1, 0}, {"two", 2, 8}, {"", 3, 12}, {"last", 4, 13}}
	require.Equal(t, want, readAll(New(strings.NewReader(in), "a")))
	require.Equal(t, want, readAll(New(iotest.OneByteReader(strings.NewReader(in)), "a")))
}

func TestLongLineIsCutAndCounted(t *testing.T) {
	long := strings.Repeat("x", 3*bufferSize)
	r := New(strings.NewReader(long+"\nnext\n"), "a")
	r.max = 2 * bufferSize
	require.True(t, r.Next())
	require.True(t, r.Cut())
	require.Len(t, r.Bytes(), 2*bufferSize)
	require.True(t, r.Next())
	require.False(t, r.Cut())
	require.Equal(t, "next", r.Text())
	require.Equal(t, int64(3*bufferSize+1), r.Offset())
	require.Equal(t, 1, r.Cuts())
	require.False(t, r.Next())
	require.NoError(t, r.Err())
}

func TestReadErrorIsReported(t *testing.T) {
	r := New(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab\n"))), "a")
	for r.Next() {
	}
	require.ErrorIs(t, r.Err(), iotest.ErrTimeout)
}

func BenchmarkReader(b *testing.B) {
	text := strings.Repeat(strings.Repeat("y", 120)+"\n", 10_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := New(strings.NewReader(text), "a")
		for r.Next() {
		}
	}
}

// TestColours: a line is what the terminal showed, its position what stands in the
// artifact.
func TestColours(t *testing.T) {
	r := New(strings.NewReader("\x1b[32mESTAB 0\x1b[0m  \nnext \n"), "a")
	require.True(t, r.Next())
	line, at := r.Trimmed()
	require.Equal(t, "ESTAB 0", string(line))
	require.Equal(t, 16, at.Len)
	require.Equal(t, int64(0), at.Offset)
	require.True(t, r.Next())
	line, at = r.Trimmed()
	require.Equal(t, "next", string(line))
	require.Equal(t, 4, at.Len)
	require.Equal(t, int64(19), at.Offset)
}

func TestHead(t *testing.T) {
	for in, want := range map[string][]string{
		"":         nil,
		"a\n\nb\n": {"a+", "+", "b+"},
		"a\nb":     {"a+", "b"},
		"\n":       {"+"},
	} {
		var got []string
		for line, whole := range Head([]byte(in)) {
			if whole {
				got = append(got, string(line)+"+")
			} else {
				got = append(got, string(line))
			}
		}
		require.Equal(t, want, got, "%q", in)
	}
	for range Head([]byte("a\nb\n")) {
		break
	}
}
