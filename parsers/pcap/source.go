package pcap

import (
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
// holds more than its buffer. bufio does the same, but peek and skip, two calls a
// frame each, are no more than a comparison here.
type source struct {
	r   io.Reader
	buf []byte // buf[at:end] is read and not passed
	at  int
	end int
	off int64 // of the next byte

	ended bool
	err   error // a read error that is not the end of the file
	// pending is the record that was shown last and is passed before the next.
	pending int64
}

func newSource(r io.Reader) *source { return &source{r: r, buf: make([]byte, startSize)} }

// peek shows the next n bytes, fewer at the end. They are valid until the next call.
func (s *source) peek(n int) []byte {
	if n <= s.end-s.at {
		return s.buf[s.at : s.at+n]
	}
	return s.fill(n)
}

// fill is peek for what is not in the buffer yet.
func (s *source) fill(n int) []byte {
	rest := s.buf[s.at:s.end]
	if n > len(s.buf) && len(s.buf) < bufferSize {
		s.buf = make([]byte, bufferSize)
	}
	n = min(n, len(s.buf))
	s.at, s.end = 0, copy(s.buf, rest)
	for s.end < n && !s.ended {
		s.read()
	}
	return s.buf[:min(n, s.end)]
}

// maxEmpty is how often in a row a reader may return nothing.
const maxEmpty = 100

// read reads behind what is in the buffer, which has room.
func (s *source) read() {
	for range maxEmpty {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if err != nil {
			s.ended = true
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
		}
		if n > 0 || err != nil {
			return
		}
	}
	s.ended, s.err = true, io.ErrNoProgress
}

// skip passes n bytes and reports whether there were as many.
func (s *source) skip(n int64) bool {
	for {
		step := min(n, int64(s.end-s.at))
		s.at += int(step)
		s.off += step
		if n -= step; n == 0 {
			return true
		}
		if s.ended {
			return false
		}
		s.at, s.end = 0, 0
		s.read()
	}
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
