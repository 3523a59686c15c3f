package applog

import (
	"bytes"
	"errors"
	"io"
)

// A log is read in blocks that begin with an event, so that blocks can be scanned
// independently of each other. Where they are cut depends on the content only,
// hence the facts do not depend on how many goroutines scan.

const (
	blockSize = 1 << 20
	// maxBlock bounds how far a block grows while no event begins in it (a dump of
	// goroutines, a line without end). Beyond it the block is cut anywhere.
	maxBlock = 16 << 20
)

// block is a part of the log.
type block struct {
	data   []byte
	offset int64 // of data[0] in the stream
	// cont is true when the block had to be cut inside an event.
	cont bool
	// open is true when its last line goes on in the next block.
	open bool
}

// splitter cuts a stream into blocks.
type splitter struct {
	r      io.Reader
	begins func(line []byte) bool
	rest   []byte // read but not yet handed out
	offset int64
	cont   bool
	err    error
}

// next fills b, reusing its memory. It returns false at the end of the stream.
func (s *splitter) next(b *block) bool {
	data := append(b.data[:0], s.rest...)
	want := blockSize
	for {
		data = s.fill(data, want)
		cut := len(data)
		if s.err == nil {
			cut = s.cut(data)
		}
		if cut > 0 || s.err != nil || len(data) >= maxBlock {
			cont := s.cont
			s.cont = false
			if cut == 0 {
				s.cont = s.err == nil
				if cut = bytes.LastIndexByte(data, '\n') + 1; cut == 0 {
					cut = len(data)
				}
			}
			s.rest = append(s.rest[:0], data[cut:]...)
			b.data, b.offset, b.cont = data[:cut], s.offset, cont
			b.open = s.cont && data[cut-1] != '\n'
			s.offset += int64(cut)
			return cut > 0
		}
		want = len(data) + blockSize
	}
}

func (s *splitter) fill(data []byte, want int) []byte {
	for len(data) < want && s.err == nil {
		if cap(data) < want {
			data = append(make([]byte, 0, want+want/4), data...)
		}
		n, err := s.r.Read(data[len(data):want])
		data = data[:len(data)+n]
		s.err = err
	}
	return data
}

// cut is where the last event of data begins, zero if none does after the first
// line.
func (s *splitter) cut(data []byte) int {
	end := len(data)
	for end > 0 {
		i := bytes.LastIndexByte(data[:end-1], '\n')
		if i < 0 {
			return 0
		}
		line := data[i+1:]
		if j := bytes.IndexByte(line, '\n'); j >= 0 && s.begins(line[:j]) {
			return i + 1
		}
		end = i + 1
	}
	return 0
}

// failed is the error that ended the stream early, nil at its regular end.
func (s *splitter) failed() error {
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}
