package bundle

import (
	"context"
	"fmt"
	"io"
)

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// guarded ends a stream that unpacks to much more than any honest one.
type guarded struct {
	r   io.Reader
	in  func() int64 // packed bytes read so far
	out int64
	max Limits
}

func (g *guarded) Read(b []byte) (int, error) {
	if g.out > g.max.RatioBytes && g.out/int64(g.max.Ratio) > g.in() {
		return 0, limitError("unpacks to more than %d times its size: taken for a bomb after %s, see --max-ratio", g.max.Ratio, inUnits(g.out))
	}
	n, err := g.r.Read(b)
	g.out += int64(n)
	return n, err
}

// The buffers of a read-ahead: enough that neither side waits for each block.
const (
	aheadBuffers = 4
	aheadSize    = 256 << 10
)

// ahead reads in a goroutine of its own, so that unpacking goes on while what was
// unpacked is written.
type ahead struct {
	ctx   context.Context
	full  chan block
	empty chan []byte
	quit  chan struct{}
	ended chan struct{}
	cur   block
	rest  []byte
}

type block struct {
	buf []byte
	n   int
	err error
}

// readAhead starts reading r. The caller must not use r before stop was called.
func readAhead(ctx context.Context, r io.Reader) *ahead {
	a := &ahead{
		ctx: ctx, full: make(chan block, aheadBuffers), empty: make(chan []byte, aheadBuffers),
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	for range aheadBuffers {
		a.empty <- make([]byte, aheadSize)
	}
	go a.run(r)
	return a
}

func (a *ahead) run(r io.Reader) {
	defer close(a.ended)
	for {
		select {
		case <-a.quit:
			return
		case buf := <-a.empty:
			b := fill(r, buf)
			a.full <- b // has room for every buffer there is
			if b.err != nil {
				return
			}
		}
	}
}

// fill reads until the buffer is full or the stream ends. Unlike io.ReadFull it
// keeps the error that ended the stream.
//
// A panic of the decompressor becomes an error: here it would end the program.
func fill(r io.Reader, buf []byte) (b block) {
	b.buf = buf
	defer func() {
		if v := recover(); v != nil {
			b.err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	for b.n < len(buf) && b.err == nil {
		var n int
		n, b.err = r.Read(buf[b.n:])
		b.n += n
	}
	return b
}

func (a *ahead) Read(b []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.cur.err != nil {
			return 0, a.cur.err
		}
		if a.cur.buf != nil {
			a.empty <- a.cur.buf
		}
		select {
		case a.cur = <-a.full:
			a.rest = a.cur.buf[:a.cur.n]
		case <-a.ctx.Done():
			a.cur = block{err: a.ctx.Err()}
		}
	}
	n := copy(b, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// stop ends the goroutine. It reports false if that still waits for its source:
// a terminal that nobody types on cannot be interrupted.
func (a *ahead) stop() bool {
	close(a.quit)
	select {
	case <-a.ended:
		return true
	case <-a.ctx.Done():
		return false
	}
}
