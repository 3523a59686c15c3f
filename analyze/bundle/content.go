package bundle

import (
	"bytes"
	"errors"
	"io"
)

// content is what an entry holds, readable any number of times and from any
// place.
type content struct {
	io.ReaderAt
	size int64 // -1 if it still grows and no header announced it
	// tail is what ended the content early, nil if it is whole. A read at the end
	// returns it in place of io.EOF, so that a parser knows.
	tail error
}

// open starts a read. Readers share nothing but the content.
func (c *content) open() (io.ReadCloser, error) {
	size := c.size
	if size < 0 {
		size = 1<<63 - 1
	}
	return &contentReader{SectionReader: io.NewSectionReader(c.ReaderAt, 0, size), tail: c.tail}, nil
}

// contentReader is a reader of content. It can seek, which excerpts use.
type contentReader struct {
	*io.SectionReader
	tail error
}

func (r *contentReader) Read(b []byte) (int, error) {
	n, err := r.SectionReader.Read(b)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, io.EOF) && r.tail != nil:
		return 0, r.tail
	}
	return n, err
}

// Close implements io.Closer.
func (r *contentReader) Close() error { return nil }

// smallEntry is the largest entry that is kept in memory.
const smallEntry = 4 << 20

// store keeps a stream: small ones in memory while the budget lasts, others in
// the spool. What could be read is kept together with the error that ended it.
//
// announced is the size that a header claims, -1 if none does. It only decides
// how to begin; the stream decides where it ends. growing, if not nil, is called
// with the content of a large entry as soon as reading it can begin.
func (o *opener) store(r io.Reader, announced int64, growing func(*content)) (*content, error) {
	limit := min(o.limits.EntryBytes, o.limits.Bytes-o.stored)
	if limit <= 0 {
		return nil, limitError("not read: %s are unpacked already, see --max-bytes", inUnits(o.limits.Bytes))
	}
	var head []byte
	room := min(smallEntry, o.limits.MemoryBytes-o.inMemory, limit)
	if room > 0 && announced <= room {
		var err error
		head, err = io.ReadAll(io.LimitReader(r, room+1))
		if size := int64(len(head)); size <= room {
			o.inMemory += size
			o.stored += size
			return &content{ReaderAt: bytes.NewReader(bytes.Clone(head)), size: size, tail: err}, nil
		}
		if err != nil {
			r = &failed{err}
		}
	}
	return o.storeLarge(head, r, limit, announced, growing)
}

// storeLarge writes head and then r to the spool, up to limit bytes.
func (o *opener) storeLarge(head []byte, r io.Reader, limit, announced int64, growing func(*content)) (c *content, err error) {
	e, err := o.b.spool.begin()
	if err != nil {
		return nil, err
	}
	if growing != nil {
		growing(&content{ReaderAt: e, size: announced})
	}
	tail := errPanic
	defer func() {
		o.stored += e.size
		if ferr := e.finish(tail); ferr != nil {
			c, err = nil, ferr
		}
	}()
	tail = o.copy(e, io.MultiReader(bytes.NewReader(head), r), limit)
	return &content{ReaderAt: e, size: e.size, tail: tail}, nil
}

// errPanic ends an entry whose decompressor panicked, so that nobody waits for
// more of it.
var errPanic = errors.New("unpacking panicked")

// copy copies up to limit bytes. It returns what ended the copy early, nil if
// that was the end of r.
func (o *opener) copy(w io.Writer, r io.Reader, limit int64) error {
	if o.buf == nil {
		o.buf = make([]byte, 256<<10)
	}
	for left := limit; ; {
		if err := o.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(o.buf[:min(int64(len(o.buf)), left+1)])
		over := int64(n) > left
		n = int(min(int64(n), left))
		if _, werr := w.Write(o.buf[:n]); werr != nil {
			return werr
		}
		left -= int64(n)
		switch {
		case over:
			return limitError("cut after %s, see --max-bytes", inUnits(limit))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// failed is a reader that has ended with an error.
type failed struct{ err error }

func (f *failed) Read([]byte) (int, error) { return 0, f.err }
