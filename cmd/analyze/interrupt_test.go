//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSignalsEndARunInOrder sends the process the signals of Ctrl-C and of a
// supervisor while a large entry is being unpacked: no report, nothing left.
func TestSignalsEndARunInOrder(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			temp := filepath.Join(dir, "tmp")
			require.NoError(t, os.Mkdir(temp, 0o755))
			var head bytes.Buffer
			w := tar.NewWriter(&head)
			require.NoError(t, w.WriteHeader(&tar.Header{Name: "large.log", Mode: 0o600, Size: 1 << 30}))
			r, pipe := io.Pipe()
			go func() {
				_, _ = pipe.Write(head.Bytes())
				_, _ = pipe.Write(make([]byte, 6<<20))
				time.Sleep(50 * time.Millisecond)
				_ = syscall.Kill(os.Getpid(), sig)
				time.Sleep(50 * time.Millisecond)
				_ = pipe.CloseWithError(io.ErrUnexpectedEOF)
			}()
			var stdout, stderr bytes.Buffer
			out := filepath.Join(dir, "report.md")
			code := run(t.Context(), []string{"-", "--temp-dir", temp, "-o", out}, r, &stdout, &stderr)
			require.Equal(t, exitError, code)
			require.Equal(t, "analyze: interrupted: no report was written\n", stderr.String())
			require.Empty(t, stdout.String())
			require.NoFileExists(t, out)
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestClosedPipe is `analyze facts x | head`: no complaint, and no report of
// success either.
func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	dump := filepath.Join(t.TempDir(), "goroutines.txt")
	require.NoError(t, os.WriteFile(dump, []byte("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:1 +0x1\n"), 0o600))
	var stderr bytes.Buffer
	require.Equal(t, exitError, run(t.Context(), []string{"facts", dump}, nil, w, &stderr))
	require.Empty(t, stderr.String())
	require.NoError(t, w.Close())
}
