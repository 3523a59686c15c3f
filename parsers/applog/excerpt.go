package applog

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// maxExcerpt is how much is copied for one citation.
const maxExcerpt = 4 << 10

// excerpt copies cited ranges and decodes them.
func excerpt(ctx context.Context, in *analyze.Input, refs []fact.Ref) ([]string, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	br := bufio.NewReaderSize(r, 64<<10)
	order := make([]int, len(refs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(refs[a].Offset, refs[b].Offset) })
	out := make([]string, len(refs))
	pos := int64(0)
	for _, i := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// Ranges may overlap, so each is peeked and stays in the buffer.
		if skip := refs[i].Offset - pos; skip > 0 {
			n, err := io.CopyN(io.Discard, br, skip)
			pos += n
			if err != nil {
				return out, nil //nolint:nilerr // what cannot be read stays empty
			}
		}
		n := refs[i].Len
		if n <= 0 || n > maxExcerpt {
			n = maxExcerpt
		}
		b, err := br.Peek(n)
		if err != nil && !errors.Is(err, io.EOF) {
			return out, fmt.Errorf("read cited lines: %w", err)
		}
		if refs[i].Len == 0 {
			b = firstLine(b)
		}
		out[i] = utf8Text(b)
	}
	return out, nil
}
