package bundle_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
)

// TestLargeEntryIsReadWhileItGrows feeds an archive through a pipe and reads the
// beginning of its large entry before the rest of the archive exists.
func TestLargeEntryIsReadWhileItGrows(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 800_000)
	copy(large[9<<20:], make([]byte, 1<<20)) // a hole in the part that comes later
	packed := tarOf(t, file{"small", "s"}, file{"large", string(large)}, file{"culprit.yaml", "summary: the last entry"})
	r, w := io.Pipe()
	go func() { _, _ = w.Write(packed[:8<<20]) }()
	b := bundle.New([]string{"-"}, bundle.Options{Stdin: r, TempDir: t.TempDir(), Sum: true})
	defer func() { require.NoError(t, b.Close()) }()

	// early receives the result of reading the input that came first.
	early := make(chan []byte, 1)
	begun := make(chan struct{})
	var order []string
	m, err := b.Source(t.Context(), func(inputs ...*analyze.Input) {
		for _, in := range inputs {
			order = append(order, in.Path)
			if in.Path == "large" {
				require.EqualValues(t, len(large), in.Size)
				go func() {
					content, err := in.Open()
					if err != nil {
						early <- nil
						return
					}
					defer content.Close()
					head := make([]byte, 1000)
					_, err = io.ReadFull(content, head)
					close(begun)
					rest, restErr := io.ReadAll(content)
					if err != nil || restErr != nil {
						rest = nil
					}
					early <- append(head, rest...)
				}()
				go func() {
					<-begun
					_, _ = w.Write(packed[8<<20:])
					_ = w.Close()
				}()
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, []string{"large", "small", "culprit.yaml"}, order, "what can be read while it grows comes first")
	require.Equal(t, []string{"small", "large", "culprit.yaml"}, paths(b))
	require.True(t, bytes.Equal(large, <-early))
	require.Equal(t, "the last entry", m.Summary)
	require.Len(t, b.SHA256(), 64)
}

// TestSourceEndsWhileAnEntryGrows must not leave a reader waiting.
func TestSourceEndsWhileAnEntryGrows(t *testing.T) {
	packed := tarOf(t, file{"large", strings.Repeat("x", 9<<20)})
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = w.Write(packed[:6<<20])
		cancel()
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	b := bundle.New([]string{"-"}, bundle.Options{Stdin: r, TempDir: t.TempDir()})
	defer func() { require.NoError(t, b.Close()) }()
	ended := make(chan error, 1)
	_, err := b.Source(ctx, func(inputs ...*analyze.Input) {
		in := inputs[0]
		go func() {
			_, err := readAll(in)
			ended <- err
		}()
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Error(t, <-ended)
}

// TestSumOutlivesTheRun wants the hash of files although the context of the
// source has ended.
func TestSumOutlivesTheRun(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.log"), bytes.Repeat([]byte("x"), 8<<20))
	b := bundle.New([]string{dir}, bundle.Options{Sum: true})
	defer func() { require.NoError(t, b.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.Source(ctx, func(...*analyze.Input) {})
	cancel()
	require.NoError(t, err)
	require.Len(t, b.SHA256(), 64)
}
