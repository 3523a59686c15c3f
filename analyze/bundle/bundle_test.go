package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
	"go.uber.org/goleak"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file is one entry of a test archive.
type file struct{ name, text string }

var three = []file{{"./host/ss.txt", "State Recv-Q\n"}, {"host/app.log", "line 1\nline 2\n"}, {"host/empty", ""}}

func TestEveryPackingGivesTheSameInputs(t *testing.T) {
	packed := tarOf(t, three...)
	dir := t.TempDir()
	for _, f := range three {
		write(t, filepath.Join(dir, "tree", f.name), []byte(f.text))
	}
	for name, content := range map[string][]byte{
		"b.tar": packed, "b.tar.gz": gz(t, packed), "b.tar.zst": zst(t, packed), "b.tar.xz": xzOf(t, packed),
		"b.tar.lz4": lz4Of(t, packed), "b.zip": zipOf(t, zip.Deflate, three...), "stored.zip": zipOf(t, zip.Store, three...),
		"no-ending": gz(t, packed),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			write(t, path, content)
			b := open(t, bundle.Options{Sum: true}, path)
			require.Equal(t, name, b.Name)
			require.Equal(t, three[0].text, read(t, b, "host/ss.txt"))
			require.Equal(t, three[1].text, read(t, b, "host/app.log"))
			require.Empty(t, read(t, b, "host/empty"))
			require.Len(t, b.Inputs, 3)
			sum := sha256.Sum256(content)
			require.Equal(t, hex.EncodeToString(sum[:]), b.SHA256())
		})
	}
	t.Run("directory", func(t *testing.T) {
		b := open(t, bundle.Options{Sum: true}, filepath.Join(dir, "tree"))
		require.Equal(t, []string{"host/app.log", "host/empty", "host/ss.txt"}, paths(b))
		require.Equal(t, three[1].text, read(t, b, "host/app.log"))
		// find -type f | sort | xargs sha256sum | sha256sum
		require.Equal(t, "a9fe7bd657b9790b7db1e97cd2e560849e35ec2c97703c4e4d9627b3748f7ec9", b.SHA256())
	})
}

func TestStandardInput(t *testing.T) {
	content := append(gz(t, tarOf(t, three...)), "padding of the medium"...)
	b := open(t, bundle.Options{Sum: true, Stdin: bytes.NewReader(content)}, "-")
	require.Equal(t, "stdin", b.Name)
	require.Equal(t, three[1].text, read(t, b, "host/app.log"))
	sum := sha256.Sum256(content)
	require.Equal(t, hex.EncodeToString(sum[:]), b.SHA256(), "the hash covers what follows the archive")

	b = open(t, bundle.Options{Stdin: bytes.NewReader([]byte("goroutine 1 [running]:\n"))}, "-")
	require.Equal(t, "goroutine 1 [running]:\n", read(t, b, "stdin"))
}

func TestSeveralArguments(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "host-a.tar.gz"), gz(t, tarOf(t, file{"ps.txt", "a"})))
	write(t, filepath.Join(dir, "host-b.zip"), zipOf(t, zip.Deflate, file{"ps.txt", "b"}))
	write(t, filepath.Join(dir, "x", "app.log"), []byte("x"))
	write(t, filepath.Join(dir, "y", "app.log.gz"), gz(t, []byte("y")))
	at := func(p string) string { return filepath.Join(dir, p) }
	b := open(t, bundle.Options{}, at("host-a.tar.gz"), at("host-b.zip"), at("x/app.log"), at("y/app.log.gz"), at("y"))
	require.Equal(t, []string{"host-a/ps.txt", "host-b/ps.txt", "app.log", "app.log.gz", "y/app.log.gz"}, paths(b))
	require.Equal(t, "y", read(t, b, "app.log.gz"))
	require.Equal(t, "host-a.tar.gz and others", b.Name)

	b = open(t, bundle.Options{}, at("x/app.log"), at("x/app.log"))
	require.Len(t, b.Inputs, 2)
	require.NotEqual(t, b.Inputs[0].Path, b.Inputs[1].Path)
}

func TestCompressedMembersKeepTheirNames(t *testing.T) {
	b := openTar(t, file{"x.log.gz", string(gz(t, []byte("gz")))}, file{"x.log.zst", string(zst(t, []byte("zst")))},
		file{"x.log.xz", string(xzOf(t, []byte("xz")))}, file{"x.log.lz4", string(lz4Of(t, []byte("lz4")))}, file{"x.log.bz2", bz2})
	for _, want := range []string{"gz", "zst", "xz", "lz4", "bz2"} {
		require.Equal(t, want, read(t, b, "x.log."+want))
	}
}

func TestNestedArchives(t *testing.T) {
	inner := gz(t, tarOf(t, file{"logs/app.log.gz", string(gz(t, []byte("deep")))}))
	b := openTar(t, file{"host-a.tgz", string(inner)}, file{"more.zip", string(zipOf(t, zip.Deflate, file{"a", "1"}, file{"in.tgz", string(inner)}))})
	require.Equal(t, []string{"host-a.tgz!logs/app.log.gz", "more.zip!a", "more.zip!in.tgz!logs/app.log.gz"}, paths(b))
	require.Equal(t, "deep", read(t, b, "host-a.tgz!logs/app.log.gz"))
	require.Equal(t, "deep", read(t, b, "more.zip!in.tgz!logs/app.log.gz"))
}

// TestLargeEntries goes through the temporary file, with readers side by side.
func TestLargeEntries(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 400_000) // 6.4 MB, above smallEntry
	holes := make([]byte, 5<<20)
	copy(holes[3<<20:], "island")
	temp := t.TempDir()
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	write(t, path, gz(t, tarOf(t, file{"large", string(large)}, file{"small", "s"}, file{"holes", string(holes)})))
	b := open(t, bundle.Options{TempDir: temp}, path)
	require.Empty(t, names(t, temp), "the temporary file has a name")
	require.Equal(t, string(holes), read(t, b, "holes"))
	r1, err := input(t, b, "large").Open()
	require.NoError(t, err)
	r2, err := input(t, b, "large").Open()
	require.NoError(t, err)
	half := make([]byte, len(large)/2)
	_, err = io.ReadFull(r1, half)
	require.NoError(t, err)
	all, err := io.ReadAll(r2)
	require.NoError(t, err)
	require.Equal(t, large, all)
	at, err := r2.(io.Seeker).Seek(16, io.SeekStart)
	require.NoError(t, err)
	require.EqualValues(t, 16, at)
	require.NoError(t, r1.Close())
	require.NoError(t, r2.Close())
}

func TestModificationTimes(t *testing.T) {
	when := time.Date(2026, 11, 21, 0, 36, 32, 0, time.UTC)
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "a", Mode: 0o600, Size: 1, ModTime: when}))
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	b := openBytes(t, buf.Bytes())
	require.True(t, when.Equal(b.Inputs[0].ModTime))
	// A zip entry without a time stamp that has a zone says nothing.
	b = openBytes(t, zipOf(t, zip.Deflate, file{"a", "x"}))
	require.True(t, b.Inputs[0].ModTime.IsZero())
}

func TestCannotBeOpened(t *testing.T) {
	_, err := bundle.Open(t.Context(), []string{filepath.Join(t.TempDir(), "no.tar.gz")}, bundle.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = bundle.Open(t.Context(), nil, bundle.Options{})
	require.Error(t, err)
}

// ---- helpers ----

const bz2 = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x80\xaa\x20\x0b\x00\x00\x00\x89\x80\x10\x00\x10\x00\x00\x10\x20\x00\x21\x98\x19\x84\x61\x77\x24\x53\x85\x09\x08\x0a\xa2\x00\xb0" // bzip2 of "bz2"; Go has no writer

func open(t *testing.T, opt bundle.Options, args ...string) *bundle.Bundle {
	t.Helper()
	b, err := bundle.Open(t.Context(), args, opt)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func openBytes(t *testing.T, content []byte) *bundle.Bundle {
	t.Helper()
	return openLimited(t, content, bundle.Limits{})
}

func openLimited(t *testing.T, content []byte, l bundle.Limits) *bundle.Bundle {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle")
	write(t, path, content)
	return open(t, bundle.Options{Limits: l, TempDir: t.TempDir()}, path)
}

func openTar(t *testing.T, files ...file) *bundle.Bundle {
	t.Helper()
	return openBytes(t, gz(t, tarOf(t, files...)))
}

func paths(b *bundle.Bundle) []string {
	var out []string
	for _, in := range b.Inputs {
		out = append(out, in.Path)
	}
	return out
}

func input(t *testing.T, b *bundle.Bundle, path string) *analyze.Input {
	t.Helper()
	for _, in := range b.Inputs {
		if in.Path == path {
			return in
		}
	}
	require.Fail(t, "no such input", "%s in %v", path, paths(b))
	return nil
}

func read(t *testing.T, b *bundle.Bundle, path string) string {
	t.Helper()
	in := input(t, b, path)
	require.NoError(t, in.Err)
	r, err := in.Open()
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.EqualValues(t, len(text), in.Size)
	return string(text)
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.text))}))
		_, err := io.WriteString(w, f.text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func zipOf(t testing.TB, method uint16, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		require.NoError(t, err)
		_, err = io.WriteString(e, f.text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// through packs content with a compressor.
func through(t testing.TB, content []byte, compressor func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := compressor(&buf)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	return through(t, b, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
}

func zst(t testing.TB, b []byte) []byte {
	t.Helper()
	return through(t, b, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
}

func xzOf(t testing.TB, b []byte) []byte {
	t.Helper()
	return through(t, b, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
}

func lz4Of(t testing.TB, b []byte) []byte {
	t.Helper()
	return through(t, b, func(w io.Writer) (io.WriteCloser, error) { return lz4.NewWriter(w), nil })
}
