package bundle

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// tar opens the entries of a tar archive. If at is not nil, the archive is a
// plain file and its entries are read where they are.
func (o *opener) tar(e entry, r io.Reader, at io.ReaderAt) error {
	if e.depth >= o.limits.Depth {
		return o.tooDeep(e)
	}
	raw := &tarReader{r: r}
	t := tar.NewReader(raw)
	for n := 0; ; n++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return o.cut(e, fmt.Errorf("tar: the archive is cut or damaged after %d entries: %w", n, err))
		}
		if h.Typeflag == tar.TypeXGlobalHeader || h.FileInfo().IsDir() {
			continue
		}
		if err := o.count(); err != nil {
			return err
		}
		in := e.inner(h.Name, h.ModTime)
		if at != nil && h.Typeflag == tar.TypeReg && !sparse(h) {
			err = o.file(in, io.NewSectionReader(at, raw.pos, h.Size), h.Size)
		} else {
			err = o.tarEntry(in, h, t, raw)
		}
		if err != nil {
			return err
		}
	}
}

// tarEntry opens one entry of a stream.
func (o *opener) tarEntry(e entry, h *tar.Header, t io.Reader, raw *tarReader) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		// A header of one block may claim exabytes of zeroes.
		start := raw.pos - tarBlock
		return o.stream(e, &guarded{r: t, in: func() int64 { return raw.pos - start }, max: o.limits}, h.Size)
	case tar.TypeLink:
		o.reject(e, fmt.Errorf("another name (hard link) of %q", cleanName(h.Linkname)))
	case tar.TypeSymlink:
		o.reject(e, fmt.Errorf("a symbolic link to %q: not followed", cleanName(h.Linkname)))
	default:
		o.reject(e, fmt.Errorf("%s: not read", kindOf(h.FileInfo().Mode())))
	}
	return nil
}

// tarBlock is the unit of a tar archive, and the size of a header.
const tarBlock = 512

// sparse reports whether the archive leaves out parts of an entry.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if len(k) > 11 && k[:11] == "GNU.sparse." {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// tarReader knows how far package tar has read, and lets it skip entries of a
// plain file without reading them.
type tarReader struct {
	r   io.Reader
	pos int64
}

func (t *tarReader) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.pos += int64(n)
	return n, err
}

// Seek implements io.Seeker where the source does.
func (t *tarReader) Seek(offset int64, whence int) (int64, error) {
	s, ok := t.r.(io.Seeker)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	n, err := s.Seek(offset, whence)
	if err == nil {
		t.pos = n
	}
	return n, err
}
