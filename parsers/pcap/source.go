package pcap

import (
	"bufio"
	"errors"
	"io"
)

// A source starts with a buffer that stays in the cache and holds all packets of
// common links; bufferSize holds the largest packet that is looked at whole.
const (
	startSize  = 64 << 10
	bufferSize = 512 << 10
)

// keepBytes is how much of one packet is looked at. No header chain is longer,
// and no link writes longer frames except USB and D-Bus, of which nothing is read.
const keepBytes = 256 << 10

// source reads a stream in place: peek shows bytes, skip passes them. It never
// holds more than its buffer.
type source struct {
	r   *bufio.Reader
	off int64 // of the next byte
	err error // a read error that is not the end of the file
	// pending is the record that was shown last and is passed before the next.
	pending int64
}

func newSource(r io.Reader) *source { return &source{r: bufio.NewReaderSize(r, startSize)} }

// peek shows the next n bytes, fewer at the end. They are valid until skip.
func (s *source) peek(n int) []byte {
	if n > s.r.Size() && s.r.Size() < bufferSize {
		s.r = bufio.NewReaderSize(s.r, bufferSize) // it takes over what is buffered
	}
	b, err := s.r.Peek(min(n, s.r.Size()))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		s.err = err
	}
	return b
}

// skip passes n bytes and reports whether there were as many.
func (s *source) skip(n int64) bool {
	for n > 0 {
		step, err := s.r.Discard(int(min(n, 1<<30)))
		s.off += int64(step)
		n -= int64(step)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
			return false
		}
	}
	return true
}

// settle passes the record that was shown last.
func (s *source) settle() error {
	n := s.pending
	s.pending = 0
	if n == 0 || s.skip(n) {
		return nil
	}
	return s.short()
}

// short is why there are fewer bytes than a record needs.
func (s *source) short() error {
	if s.err != nil {
		return s.err
	}
	return errCut
}
