package parsertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"sort"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// checkPositions demands that each fact stands inside the artifact, and that a
// fact with a line has the offset of that line or of a place on it. Facts of
// embedded artifacts have positions in a text that only the parser knows.
func checkPositions(st *fact.Store, path string, raw []byte) error {
	content := inflate(raw)
	var starts []int // offset of each line, made when the first line is cited
	for _, k := range st.Kinds() {
		for f := range st.Each(k) {
			ref := f.Ref()
			if ref.Artifact != fact.ID(path) {
				if ref.Artifact == "" {
					return fmt.Errorf("a fact of kind %s has no artifact in its position", k)
				}
				continue
			}
			end := ref.Offset + int64(ref.Len)
			if ref.Offset < 0 || ref.Len < 0 || end > int64(len(content)) || ref.Line < 0 || ref.Packet < 0 {
				return fmt.Errorf("a fact of kind %s stands at %s, bytes %d to %d, of an artifact of %d bytes", k, ref, ref.Offset, end, len(content))
			}
			if ref.Line == 0 {
				continue
			}
			if starts == nil {
				starts = lineStarts(content)
			}
			if line := sort.SearchInts(starts, int(ref.Offset)+1); line != ref.Line {
				return fmt.Errorf("a fact of kind %s claims line %d, but its offset %d is on line %d", k, ref.Line, ref.Offset, line)
			}
		}
	}
	return nil
}

func lineStarts(content []byte) []int {
	starts := []int{0}
	for i := 0; ; {
		n := bytes.IndexByte(content[i:], '\n')
		if n < 0 {
			return starts
		}
		i += n + 1
		starts = append(starts, i)
	}
}

// inflate returns what positions of a gzip file refer to: its content, as far as
// it can be read. Other files are returned as they are.
func inflate(raw []byte) []byte {
	if !bytes.HasPrefix(raw, []byte("\x1f\x8b")) {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return raw
	}
	out, _ := io.ReadAll(io.LimitReader(z, 64<<20)) // a cut file still has its beginning
	return append(out, make([]byte, max(0, len(raw)-len(out)))...)
}

// checkExcerpts asks a parser's own Excerpt for the positions of its facts, a
// bounded number of them.
func checkExcerpts(ctx context.Context, p *analyze.Parser, in *analyze.Input, st *fact.Store, w *watch) (err error) {
	const most = 64
	var refs []fact.Ref
	for _, k := range st.Kinds() {
		n := 0
		for f := range st.Each(k) {
			if f.Ref().Artifact == in.ID() && n < most {
				refs = append(refs, f.Ref())
				n++
			}
		}
	}
	if len(refs) == 0 {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("parser %s panicked in Excerpt: %v %s", p.Name, v, w.panicked)
		}
	}()
	texts, err := p.Excerpt(ctx, in, refs)
	if err == nil && len(texts) != len(refs) {
		return fmt.Errorf("parser %s returns %d excerpts for %d positions", p.Name, len(texts), len(refs))
	}
	return nil // an excerpt that cannot be read stays empty in the report
}
