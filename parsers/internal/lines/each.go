package lines

import (
	"context"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Each calls do for every line of an artifact that is not blank, without the blanks
// at its end and with its position. It is for small files that are read as text; it
// looks at ctx and at the limit of facts with each line, and returns what ended it
// early.
func Each(ctx context.Context, in *analyze.Input, out *analyze.Sink, do func(text string, at fact.Ref)) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	rd := New(r, in.ID())
	for rd.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, at := rd.Trimmed()
		if len(line) == 0 {
			continue
		}
		do(string(line), at)
		if err := out.Full(); err != nil {
			return err
		}
	}
	return rd.Err()
}
