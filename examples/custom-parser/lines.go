package main

import (
	"bufio"
	"errors"
	"io"
)

// readLine returns a line with its end, cut at the reader's buffer; rest is how
// many bytes of the line were dropped. The bytes are valid until the next read.
func readLine(r *bufio.Reader) (line []byte, rest int64, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, 0, err
	}
	line = append([]byte(nil), line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = r.ReadSlice('\n')
		rest += int64(len(more))
	}
	return line, rest, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
