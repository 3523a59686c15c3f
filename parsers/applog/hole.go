package applog

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/culprit-dev/culprit/analyze"
)

// A log that is truncated while its writer keeps its position (copytruncate) gets
// a hole: the next line stands behind as many NULs as there was text before. The
// NULs are passed over; what stands behind them begins a line.

// minHole is how many NULs in a row are taken for a hole.
const minHole = 16

// afterHole is the text of a line behind the NULs at its beginning.
func afterHole(line []byte) []byte { return bytes.TrimLeft(line, "\x00") }

// withoutHoles is b without its holes, b itself if it has none.
func withoutHoles(b []byte) []byte {
	if bytes.IndexByte(b, 0) < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			break
		}
		n := len(b) - i - len(afterHole(b[i:]))
		if out = append(out, b[:i]...); n < minHole {
			out = append(out, b[i:i+n]...)
		}
		b = b[i+n:]
	}
	return append(out, b...)
}

// textHead is the beginning of a log's text, from behind the hole if it begins
// with one that is longer than what was read.
func textHead(ctx context.Context, in *analyze.Input, head []byte) ([]byte, error) {
	if text := withoutHoles(head); len(text) > 0 || len(head) < analyze.HeadSize {
		return text, nil
	}
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := br.Peek(analyze.HeadSize)
		if text := withoutHoles(b); len(text) > 0 || err != nil {
			if err == io.EOF {
				err = nil
			}
			if hole := len(b) - len(afterHole(b)); hole > 0 && err == nil { // all of the head's length
				_, _ = br.Discard(hole)
				b, _ = br.Peek(analyze.HeadSize)
				text = withoutHoles(b)
			}
			return bytes.Clone(text), err
		}
		_, _ = br.Discard(len(b))
	}
}
