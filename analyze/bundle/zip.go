package bundle

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/flate"
)

// zip opens the entries of a zip archive.
func (o *opener) zip(e entry, at io.ReaderAt, size int64) error {
	if e.depth >= o.limits.Depth {
		return o.tooDeep(e)
	}
	z, err := o.zipReader(at, size)
	if err != nil {
		o.reject(e, fmt.Errorf("zip: %w", err))
		return nil
	}
	var packed int64
	// One guard for all entries, because they may overlap.
	guard := &guarded{in: func() int64 { return packed }, max: o.limits}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if err := o.count(); err != nil {
			return err
		}
		in := e.inner(f.Name, zipTime(f))
		packed = min(packed+int64(min(f.CompressedSize64, uint64(size))), size)
		if err := o.zipEntry(in, f, at, guard, size); err != nil {
			return err
		}
	}
	return nil
}

// zipReader reads the list of entries. The list is read within a budget: each
// entry costs memory, and an archive may list millions in a small file.
func (o *opener) zipReader(at io.ReaderAt, size int64) (*zip.Reader, error) {
	list := &budgeted{ReaderAt: at, left: 1<<20 + int64(o.limits.Entries)*1024}
	z, err := zip.NewReader(list, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, err
	}
	list.left = -1
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	for method, f := range map[uint16]format{12: isBzip2, 93: isZstd, 95: isXz} {
		z.RegisterDecompressor(method, func(r io.Reader) io.ReadCloser {
			d, err := decompressor(f, r)
			if err != nil {
				return io.NopCloser(&failed{err})
			}
			return d
		})
	}
	return z, nil
}

// zipEntry opens one entry.
func (o *opener) zipEntry(e entry, f *zip.File, at io.ReaderAt, guard *guarded, size int64) error {
	switch {
	case f.Flags&1 != 0:
		o.reject(e, errors.New("encrypted: pack the bundle without a password"))
		return nil
	case !f.Mode().IsRegular():
		o.reject(e, fmt.Errorf("%s: not followed", kindOf(f.Mode())))
		return nil
	case f.Method == zip.Store && f.CompressedSize64 == f.UncompressedSize64:
		start, err := f.DataOffset()
		n := int64(f.UncompressedSize64)
		if err == nil && (n < 0 || start > size-n) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			o.reject(e, fmt.Errorf("zip: %w", err))
			return nil
		}
		return o.file(e, io.NewSectionReader(at, start, n), n)
	}
	r, err := f.Open()
	if err != nil {
		o.reject(e, fmt.Errorf("zip: %w", err))
		return nil
	}
	defer r.Close() // only repeats what a read said
	guard.r = r
	return o.stream(e, guard, int64(min(f.UncompressedSize64, 1<<62)))
}

// zipTime is the modification time if the entry carries one with a zone; the
// clock of MS-DOS says none.
func zipTime(f *zip.File) time.Time {
	for extra := f.Extra; len(extra) >= 4; {
		id, n := int(extra[0])|int(extra[1])<<8, int(extra[2])|int(extra[3])<<8
		switch id {
		case 0x5455, 0x000a, 0x5855, 0x000d:
			return f.Modified
		}
		if len(extra) < 4+n {
			break
		}
		extra = extra[4+n:]
	}
	return time.Time{}
}

// budgeted lets a number of bytes be read; a negative number lets all.
type budgeted struct {
	io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (b *budgeted) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 {
		if b.left -= int64(len(p)); b.left < 0 {
			b.left = 0
			return 0, limitError("its list of entries is too long, see --max-entries")
		}
	}
	return b.ReaderAt.ReadAt(p, off)
}
