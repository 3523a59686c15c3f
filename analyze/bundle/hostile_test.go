package bundle_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
)

// refused wants an input with a reason.
func refused(t *testing.T, b *bundle.Bundle, path, reason string) {
	t.Helper()
	require.ErrorContains(t, input(t, b, path).Err, reason)
}

func TestNamesAreOnlyLabels(t *testing.T) {
	outside := t.TempDir()
	before := names(t, outside)
	b := openTar(t,
		file{filepath.Join(outside, "absolute"), "1"}, file{"../../" + outside + "/dots", "2"}, file{`..\..\windows.txt`, "3"},
		file{"bad\x1b[2Jname\n", "4"}, file{"\xff\xfe", "5"}, file{strings.Repeat("n/", 4000) + "x", "6"}, file{"", "7"})
	for _, in := range b.Inputs {
		require.False(t, filepath.IsAbs(in.Path), in.Path)
		require.NotContains(t, in.Path, "..")
		require.NotContains(t, in.Path, "\x1b")
		require.NotContains(t, in.Path, "\n")
		require.LessOrEqual(t, len(in.Path), 1100)
		require.True(t, strings.ToValidUTF8(in.Path, "") == in.Path)
	}
	require.Equal(t, "2", read(t, b, strings.TrimPrefix(outside, "/")+"/dots"), "the content is evidence all the same")
	require.Contains(t, input(t, b, "windows.txt").Note, `..`)
	require.Equal(t, before, names(t, outside))
}

func TestDuplicateNames(t *testing.T) {
	b := openTar(t, file{"a.log", "1"}, file{"a.log", "2"}, file{"./a.log", "3"}, file{"a.log (2)", "4"})
	require.Equal(t, []string{"a.log", "a.log (2)", "a.log (3)", "a.log (2) (2)"}, paths(b))
	require.Equal(t, "3", read(t, b, "a.log (3)"))
	require.Contains(t, b.Inputs[1].Note, `"a.log"`)
}

func TestLinksAndDevicesAreNotFollowed(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []tar.Header{
		{Name: "symlink", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "a.log"},
		{Name: "char", Typeflag: tar.TypeChar}, {Name: "block", Typeflag: tar.TypeBlock}, {Name: "fifo", Typeflag: tar.TypeFifo},
		{Name: "dir/", Typeflag: tar.TypeDir},
	} {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	b := openBytes(t, buf.Bytes())
	refused(t, b, "symlink", `link to "etc/passwd"`)
	refused(t, b, "hard", `of "a.log"`)
	refused(t, b, "char", "device")
	refused(t, b, "block", "device")
	refused(t, b, "fifo", "pipe")
	require.Len(t, b.Inputs, 5, "a directory is no artifact")
}

func TestDirectoryWithLinksPipesAndSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.log"), []byte("a"))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "linkdir")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	b := open(t, bundle.Options{Sum: true}, dir)
	refused(t, b, "link", "symbolic link")
	refused(t, b, "linkdir", "symbolic link")
	refused(t, b, "pipe", "named pipe")
	require.Equal(t, "a", read(t, b, "a.log"))
	require.NotEmpty(t, b.SHA256())
}

// TestZipOfEncryptedAndUnknown has entries that no key or method opens.
func TestZipOfEncryptedAndUnknown(t *testing.T) {
	content := zipOf(t, zip.Deflate, file{"secret", "x"}, file{"odd", "y"}, file{"good", "z"})
	// The flags and the method stand in the list at the end.
	list := bytes.Index(content, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint16(content[list+8:], 1)
	next := list + 1 + bytes.Index(content[list+1:], []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint16(content[next+10:], 77)
	b := openBytes(t, content)
	refused(t, b, "secret", "encrypted")
	refused(t, b, "odd", "unsupported")
	require.Equal(t, "z", read(t, b, "good"))
}

func TestForeignArchivesSayWhatToDo(t *testing.T) {
	b := openTar(t, file{"a.7z", "7z\xbc\xaf\x27\x1c1234"}, file{"a.rar", "Rar!\x1a\x071234"})
	refused(t, b, "a.7z", "unpack it")
	refused(t, b, "a.rar", "unpack it")
}

func TestProgramsAreNoArchives(t *testing.T) {
	b := openTar(t, file{"app.jar", string(zipOf(t, zip.Deflate, file{"A.class", "x"}))})
	require.Equal(t, []string{"app.jar"}, paths(b))
}

func TestLimits(t *testing.T) {
	big := strings.Repeat("0123456789", 1000)
	files := []file{{"a", big}, {"b", big}, {"c", big}}
	t.Run("entries", func(t *testing.T) {
		b := openLimited(t, gz(t, tarOf(t, files...)), bundle.Limits{Entries: 2})
		require.Equal(t, []string{"a", "b", "(rest)"}, paths(b))
		refused(t, b, "(rest)", "first 2 entries")
		require.ErrorIs(t, input(t, b, "(rest)").Err, analyze.ErrLimit)
	})
	t.Run("bytes", func(t *testing.T) {
		b := openLimited(t, gz(t, tarOf(t, files...)), bundle.Limits{Bytes: 15_000})
		require.Equal(t, big, read(t, b, "a"))
		text, err := readAll(input(t, b, "b"))
		require.ErrorIs(t, err, analyze.ErrLimit, "a parser must see that the entry is cut")
		require.Equal(t, big[:5000], text)
		refused(t, b, "b (rest)", "cut after")
		refused(t, b, "c", "--max-bytes")
	})
	t.Run("one entry", func(t *testing.T) {
		b := openLimited(t, gz(t, tarOf(t, files...)), bundle.Limits{EntryBytes: 4000})
		for _, name := range []string{"a", "b", "c"} {
			text, err := readAll(input(t, b, name))
			require.ErrorIs(t, err, analyze.ErrLimit)
			require.Len(t, text, 4000)
		}
	})
	t.Run("nesting", func(t *testing.T) {
		content := []byte("core")
		for i := range 6 {
			content = tarOf(t, file{fmt.Sprintf("%d.tar", i), string(content)})
		}
		b := openLimited(t, content, bundle.Limits{Depth: 3})
		require.Len(t, b.Inputs, 1)
		require.ErrorIs(t, b.Inputs[0].Err, analyze.ErrLimit)
		layers := []byte("core")
		for range 6 {
			layers = gz(t, layers)
		}
		b = openLimited(t, layers, bundle.Limits{Depth: 3})
		require.ErrorIs(t, b.Inputs[0].Err, analyze.ErrLimit)
	})
	t.Run("memory", func(t *testing.T) {
		b := openLimited(t, gz(t, tarOf(t, files...)), bundle.Limits{MemoryBytes: 15_000})
		for _, f := range files {
			require.Equal(t, f.text, read(t, b, f.name))
		}
	})
}

// TestBomb unpacks to 1000 times its size.
func TestBomb(t *testing.T) {
	zeroes := string(make([]byte, 8<<20))
	max := bundle.Limits{RatioBytes: 4 << 20}
	t.Run("tar.gz", func(t *testing.T) {
		b := openLimited(t, gz(t, tarOf(t, file{"a.log", "before"}, file{"zeroes", zeroes}, file{"after", "x"})), max)
		require.Equal(t, []string{"a.log", "zeroes", "zeroes (rest)", "bundle (rest)"}, paths(b))
		refused(t, b, "zeroes (rest)", "bomb")
		require.ErrorIs(t, input(t, b, "zeroes (rest)").Err, analyze.ErrLimit)
		require.Equal(t, "before", read(t, b, "a.log"))
	})
	t.Run("member", func(t *testing.T) {
		b := openLimited(t, tarOf(t, file{"zeroes.gz", string(gz(t, []byte(zeroes)))}, file{"after", "x"}), max)
		require.Equal(t, []string{"zeroes.gz", "zeroes.gz (rest)", "after"}, paths(b))
		require.Equal(t, "x", read(t, b, "after"))
	})
	t.Run("zip", func(t *testing.T) {
		// Each entry is below the size, all together are not.
		part := zeroes[:3<<20]
		b := openLimited(t, zipOf(t, zip.Deflate, file{"a", part}, file{"b", part}, file{"c", part}), max)
		require.Equal(t, part, read(t, b, "a"))
		refused(t, b, "b (rest)", "bomb")
		require.ErrorIs(t, input(t, b, "b (rest)").Err, analyze.ErrLimit)
	})
	t.Run("honest", func(t *testing.T) {
		b := openTar(t, file{"zeroes", zeroes})
		require.Equal(t, zeroes, read(t, b, "zeroes"))
	})
}

// TestSparseEntry is a header that claims an exabyte and holds nothing.
func TestSparseEntry(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	// Package tar writes no sparse entries: the keys get their names below.
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "claim", Mode: 0o600, Size: 512, PAXRecords: map[string]string{
		"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.name": "claim", "XXX.sparse.realsize": "1152921504606846976",
	}}))
	_, err := w.Write(append([]byte("0\n"), make([]byte, 510)...))
	require.NoError(t, err)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "after", Mode: 0o600, Size: 1}))
	_, err = io.WriteString(w, "x")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	raw := bytes.ReplaceAll(buf.Bytes(), []byte("XXX.sparse"), []byte("GNU.sparse"))
	b := openLimited(t, raw, bundle.Limits{RatioBytes: 8 << 20})
	require.Equal(t, []string{"claim", "claim (rest)", "after"}, paths(b))
	refused(t, b, "claim (rest)", "times its size")
	require.ErrorIs(t, input(t, b, "claim (rest)").Err, analyze.ErrLimit)
	require.Equal(t, "x", read(t, b, "after"))
}

func TestCutAndDamagedArchives(t *testing.T) {
	// Bytes that do not compress, so that a cut hits the middle of an entry.
	noise := make([]byte, 100_000)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	packed := gz(t, tarOf(t, file{"a", "whole"}, file{"b", string(noise)}, file{"c", "lost"}))
	t.Run("tar.gz", func(t *testing.T) {
		b := openBytes(t, packed[:len(packed)/2])
		require.Equal(t, "whole", read(t, b, "a"))
		text, err := readAll(input(t, b, "b"))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, string(noise[:len(text)]), text)
		refused(t, b, "b (rest)", "unexpected EOF")
		refused(t, b, "bundle (rest)", "cut or damaged")
	})
	t.Run("member", func(t *testing.T) {
		z := gz(t, noise)
		b := openTar(t, file{"x.log.gz", string(z[:len(z)/2])}, file{"not.gz", "\x1f\x8b\x08 not really"}, file{"d", "fine"})
		text, err := readAll(input(t, b, "x.log.gz"))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.NotEmpty(t, text)
		refused(t, b, "not.gz", "gzip")
		require.Equal(t, "fine", read(t, b, "d"))
	})
	t.Run("zip", func(t *testing.T) {
		z := zipOf(t, zip.Deflate, file{"a", "whole"})
		b := openBytes(t, z[:len(z)-30])
		refused(t, b, "bundle", "zip")
	})
	for n := 0; n < len(packed); n += len(packed) / 40 {
		b := openBytes(t, packed[:n])
		for _, in := range b.Inputs {
			if in.Err == nil {
				_, _ = readAll(in)
			}
		}
	}
}

// TestCancel ends in the middle: nothing may remain, in memory or on disk.
func TestCancel(t *testing.T) {
	temp := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(gz(t, tarOf(t, file{"a", "x"}))[:30])
		time.Sleep(20 * time.Millisecond)
		cancel()
		time.Sleep(20 * time.Millisecond)
		w.CloseWithError(errors.New("source is gone"))
	}()
	_, err := bundle.Open(ctx, []string{"-"}, bundle.Options{Stdin: r, TempDir: temp, Sum: true})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, names(t, temp))
}

func readAll(in *analyze.Input) (string, error) {
	r, err := in.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	return string(text), err
}

// FuzzOpen opens anything; every input must be readable to an end or say why not.
func FuzzOpen(f *testing.F) {
	small := []file{{"a.log", "x"}, {"b/c.log.gz", string(gz(f, []byte("y")))}}
	packed := tarOf(f, small...)
	for _, seed := range [][]byte{
		packed, gz(f, packed), zst(f, packed), xzOf(f, packed), lz4Of(f, packed), []byte(bz2),
		zipOf(f, zip.Deflate, small...), zipOf(f, zip.Store, file{"in.tar", string(packed)}),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		b := openLimited(t, content, bundle.Limits{Bytes: 16 << 20, RatioBytes: 1 << 20, Entries: 100})
		for _, in := range b.Inputs {
			if in.Err == nil {
				_, _ = readAll(in)
			}
		}
	})
}
