package analyze

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// excerpts fills Evidence.Excerpt by reading again only what is cited. It is the
// one place where artifact text enters a Result as it stands, so it is cleaned
// here. An excerpt that cannot be read stays empty.
func (f *Facts) excerpts(ctx context.Context, findings []*Finding, cfg *Config) error {
	cited := map[fact.ID][]*Evidence{}
	for _, fi := range findings {
		for _, list := range [][]Evidence{fi.Evidence, fi.Against} {
			for i := range list {
				if list[i].Excerpt == "" {
					cited[list[i].Artifact] = append(cited[list[i].Artifact], &list[i])
				}
			}
		}
	}
	ids := make([]fact.ID, 0, len(cited))
	for id := range cited {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return parallel(ctx, cfg.Jobs, len(ids), func(i int) {
		d := f.input(ids[i], cfg.Baseline)
		if d == nil || d.in.Open == nil {
			return
		}
		f.excerptOne(ctx, d, cited[ids[i]], cfg)
	})
}

// input is the artifact with an ID, one of the baseline's if the ID says so; nil
// if it is not known.
func (f *Facts) input(id fact.ID, b *Baseline) *parsed {
	if path, ok := strings.CutPrefix(string(id), BaselinePrefix); ok && b != nil && f.inputs[id] == nil {
		if b.Read == nil {
			return nil
		}
		return b.Read.inputs[fact.ID(path)]
	}
	return f.inputs[id]
}

func (f *Facts) excerptOne(ctx context.Context, d *parsed, cited []*Evidence, cfg *Config) {
	refs := make([]fact.Ref, len(cited))
	for i, e := range cited {
		refs[i] = e.Ref
	}
	var texts []string
	var err error
	limit := cfg.Limits.ExcerptBytes
	fold := func(t string) string { return t }
	if d.parser != nil && d.parser.Fold != nil {
		fold, limit = d.parser.Fold, limit*unfolded
	}
	if d.parser != nil && d.parser.Excerpt != nil {
		texts, err = d.parser.Excerpt(ctx, d.in, refs)
	} else {
		texts, err = textExcerpts(ctx, d.in, refs, limit)
	}
	if err != nil && len(texts) != len(refs) {
		return
	}
	for i, t := range texts {
		cited[i].Excerpt = clean(fold(t), cfg.Limits.ExcerptBytes)
	}
}

// textExcerpts copies byte ranges out of a text artifact in one pass. A range
// with Len zero ends with its line.
func textExcerpts(ctx context.Context, in *Input, refs []fact.Ref, limit int) ([]string, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	order := make([]int, len(refs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(refs[a].Offset, refs[b].Offset) })
	out := make([]string, len(refs))
	got := make([][]byte, len(refs))
	var pos int64
	buf := make([]byte, 64<<10)
	seeker, _ := r.(io.Seeker)
	open := order // not yet complete, by offset
	for len(open) > 0 && ctx.Err() == nil {
		if first := refs[open[0]].Offset; seeker != nil && got[open[0]] == nil && first > pos+int64(len(buf)) {
			if _, err := seeker.Seek(first, io.SeekStart); err == nil {
				pos = first
			} else {
				seeker = nil
			}
		}
		n, err := r.Read(buf)
		end := pos + int64(n)
		var rest []int
		for _, i := range open {
			ref := refs[i]
			if ref.Offset >= end {
				rest = append(rest, i)
				continue
			}
			from := max(ref.Offset+int64(len(got[i])), pos)
			var full bool
			got[i], full = take(got[i], buf[from-pos:n], ref.Len, limit)
			if !full {
				rest = append(rest, i)
			}
		}
		open, pos = rest, end
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			break
		}
	}
	for i := range out {
		out[i] = string(got[i])
	}
	return out, nil
}

// take appends bytes of a range and reports whether the range is complete.
func take(have, more []byte, want, limit int) ([]byte, bool) {
	if have == nil {
		have = []byte{}
	}
	stop := limit
	if want > 0 {
		stop = min(want, limit)
	}
	n := min(len(more), stop-len(have))
	if want == 0 {
		if i := slices.Index(more[:n], '\n'); i >= 0 {
			return append(have, more[:i]...), true
		}
	}
	have = append(have, more[:n]...)
	return have, len(have) >= stop
}

// unfolded is how many times its final size an excerpt may have before it is folded.
const unfolded = 8

// maxExcerptLines bounds an excerpt that spans a block, such as a stack.
const maxExcerptLines = 16

// clean makes artifact text fit for a report: valid UTF-8, no control characters
// but newline and tab, no trailing blanks, bounded.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		s += "…"
	}
	if strings.IndexByte(s, esc) >= 0 {
		s = string(AppendPlain(nil, []byte(s)))
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '\uFFFD'
		}
		return r
	}, s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	for len(lines) > 1 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) > maxExcerptLines {
		lines = append(lines[:maxExcerptLines], "…")
	}
	return strings.Join(lines, "\n")
}
