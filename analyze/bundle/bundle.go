// Package bundle opens what a user hands over (archives, directories, files, a
// stream) as inputs for package analyze.
package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/culprit-dev/culprit/analyze"
)

// Options say how to open a bundle.
type Options struct {
	// Stdin is read for the argument "-".
	Stdin io.Reader
	// TempDir is where large entries are unpacked; "" is the system's.
	TempDir string
	Limits  Limits
}

// Limits bound what opening may use. A zero field takes the default.
type Limits struct {
	Entries int
	Bytes   int64
	Ratio   int
	Depth   int
}

// Bundle is an opened bundle.
type Bundle struct {
	Name     string
	Inputs   []*analyze.Input
	Manifest *analyze.Manifest

	sum string
}

// SHA256 identifies the bundle's content.
func (b *Bundle) SHA256() string { return b.sum }

// Close frees what the bundle holds.
func (b *Bundle) Close() error { return nil }

// Open opens archives, directories and files.
func Open(ctx context.Context, args []string, opt Options) (*Bundle, error) {
	b := &Bundle{Name: filepath.Base(args[0])}
	for _, arg := range args {
		if err := b.add(ctx, arg, opt); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Bundle) add(ctx context.Context, arg string, opt Options) error {
	if arg == "-" {
		data, err := io.ReadAll(opt.Stdin)
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		return b.content("stdin", data)
	}
	st, err := os.Stat(arg)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		data, err := os.ReadFile(arg)
		if err != nil {
			return err
		}
		return b.content(filepath.Base(arg), data)
	}
	return filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(arg, path)
		b.leaf(filepath.ToSlash(rel), data)
		return err
	})
}

func (b *Bundle) content(name string, data []byte) error {
	sum := sha256.Sum256(data)
	b.sum = hex.EncodeToString(sum[:])
	data = gunzip(data)
	if len(data) < 512 || string(data[257:262]) != "ustar" {
		b.leaf(name, data)
		return nil
	}
	t := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		b.leaf(strings.TrimPrefix(h.Name, "./"), data)
	}
}

func gunzip(data []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	if plain, err := io.ReadAll(z); err == nil {
		return plain
	}
	return data
}

func (b *Bundle) leaf(path string, data []byte) {
	data = gunzip(data)
	b.Inputs = append(b.Inputs, &analyze.Input{
		Path: path, Size: int64(len(data)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	})
}
