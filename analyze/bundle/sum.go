package bundle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
)

// summer computes the hash of a bundle beside everything else: hashing 1 GiB
// takes longer than analysing it.
type summer struct {
	on    bool
	parts []*part
	whole bool // the bundle is one file

	sum    string
	cancel context.CancelFunc
	ended  chan struct{}
}

// part is one file of the bundle as it is on disk or came in.
type part struct {
	path string
	open func() (io.ReadCloser, error) // nil for a stream
	hash hash.Hash                     // of a stream, complete once it was read
	sum  string
}

func newSummer(on bool) *summer { return &summer{on: on, cancel: func() {}} }

// file adds a file that can be opened at any time.
func (s *summer) file(path string, open func() (io.ReadCloser, error)) {
	if s.on {
		s.parts = append(s.parts, &part{path: path, open: open})
	}
}

// stream adds a stream; what the caller reads from the result is hashed.
func (s *summer) stream(path string, r io.Reader) io.Reader {
	if !s.on {
		return r
	}
	p := &part{path: path, hash: sha256.New()}
	s.parts = append(s.parts, p)
	return io.TeeReader(r, p.hash)
}

// start begins the computation, once all parts are known. More calls do nothing.
func (s *summer) start(ctx context.Context) {
	if !s.on || s.ended != nil {
		return
	}
	// A source's context ends with its run, and the sum may be asked for later:
	// Close ends it.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.run(ctx)
	}()
}

// run computes the sum; it stays empty if a file cannot be read to its end.
func (s *summer) run(ctx context.Context) {
	slices.SortFunc(s.parts, func(a, b *part) int { return cmp.Compare(a.path, b.path) })
	list := sha256.New()
	for _, p := range s.parts {
		if err := p.compute(ctx); err != nil {
			return
		}
		fmt.Fprintf(list, "%s  %s\n", p.sum, p.path)
	}
	if s.whole && len(s.parts) == 1 {
		s.sum = s.parts[0].sum
		return
	}
	s.sum = hex.EncodeToString(list.Sum(nil))
}

func (p *part) compute(ctx context.Context) error {
	if p.open != nil {
		r, err := p.open()
		if err != nil {
			return err
		}
		defer r.Close()
		p.hash = sha256.New()
		buf := make([]byte, 256<<10)
		if _, err := io.CopyBuffer(p.hash, &cancelled{ctx, r}, buf); err != nil {
			return err
		}
	}
	p.sum = hex.EncodeToString(p.hash.Sum(nil))
	return nil
}

// wait is the sum, once it is there.
func (s *summer) wait() string {
	if s.ended == nil {
		return ""
	}
	<-s.ended
	return s.sum
}

// stop ends the computation.
func (s *summer) stop() {
	s.cancel()
	if s.ended != nil {
		<-s.ended
	}
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
