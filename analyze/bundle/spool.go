package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// spool is one temporary file that holds all large entries, one after another.
// It is removed from its directory as soon as it is open, so that nothing can
// remain, however the program ends; where the system does not allow that, close
// removes it.
type spool struct {
	dir string

	file   *os.File
	name   string // still to be removed, "" if it is gone already
	end    int64
	closed bool
}

func (s *spool) open() error {
	if s.file != nil || s.closed {
		return nil
	}
	f, err := os.CreateTemp(s.dir, "culprit-*")
	if err != nil {
		return fmt.Errorf("temporary file for large entries (see --temp-dir): %w", err)
	}
	s.file = f
	if os.Remove(f.Name()) != nil {
		s.name = f.Name()
	}
	return nil
}

func (s *spool) close() error {
	s.closed = true
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		err = os.Remove(s.name)
	}
	s.file = nil
	return err
}

// begin starts an entry at the end of the file. Only one entry can grow at a
// time; it must be finished before the next begins.
func (s *spool) begin() (*spooled, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	e := &spooled{spool: s, file: s.file, start: s.end}
	e.grown.L = &e.mu
	return e, nil
}

// spooled is an entry in the spool. It may be read while it grows: a reader at
// its end waits for more.
type spooled struct {
	spool *spool
	file  *os.File
	start int64

	mu    sync.Mutex
	grown sync.Cond
	size  int64
	done  bool
	tail  error // what a read at the end returns in place of io.EOF
}

// zeroes is compared with what is written: a sparse file stays sparse.
var zeroes = make([]byte, 64<<10)

// Write appends to the entry.
func (e *spooled) Write(b []byte) (int, error) {
	for rest, off := b, e.start+e.size; len(rest) > 0; { // only the writer changes size
		n := min(len(rest), len(zeroes))
		if !bytes.Equal(rest[:n], zeroes[:n]) {
			if _, err := e.file.WriteAt(rest[:n], off); err != nil {
				return 0, fmt.Errorf("temporary file for large entries (see --temp-dir): %w", err)
			}
		}
		rest, off = rest[n:], off+int64(n)
	}
	e.mu.Lock()
	e.size += int64(len(b))
	e.mu.Unlock()
	e.grown.Broadcast()
	return len(b), nil
}

// finish ends the entry. The file is extended over zeroes that were not written.
func (e *spooled) finish(tail error) error {
	e.spool.end = e.start + e.size
	err := e.file.Truncate(e.spool.end)
	e.mu.Lock()
	e.done, e.tail = true, tail
	e.mu.Unlock()
	e.grown.Broadcast()
	return err
}

// ReadAt reads what is there. It waits only when there is nothing at off yet,
// and so may return less than asked for without an error while the entry grows.
func (e *spooled) ReadAt(b []byte, off int64) (int, error) {
	e.mu.Lock()
	for off >= e.size && !e.done {
		e.grown.Wait()
	}
	size, done, tail := e.size, e.done, e.tail
	e.mu.Unlock()
	if tail == nil {
		tail = io.EOF
	}
	if off >= size {
		return 0, tail
	}
	want := len(b)
	b = b[:min(int64(want), size-off)]
	n, err := e.file.ReadAt(b, e.start+off)
	if errors.Is(err, io.EOF) {
		// Zeroes at the end of the file that were not written.
		clear(b[n:])
		n, err = len(b), nil
	}
	if err == nil && done && n < want {
		err = tail
	}
	return n, err
}
