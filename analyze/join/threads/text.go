package threads

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Through is the line of a thread's frame; for a JVM the text from the thread's
// header to below that frame, where it says which locks it waits for and holds.
func Through(t *fact.Thread, f fact.Frame) fact.Ref {
	r := t.At
	if t.Runtime != "jvm" && f.At.Artifact != "" {
		return f.At // local variables of `bt full` stand between the frames
	}
	for i := range t.Frames {
		if t.Frames[i].At != f.At || f.At.Artifact != r.Artifact {
			continue
		}
		end := f.At.Offset + int64(f.At.Len)
		if i+1 < len(t.Frames) {
			end = t.Frames[i+1].At.Offset - 1
		}
		r.Len = max(r.Len, int(end-r.Offset))
		break
	}
	return r
}

// Standing is evidence for where a thread stands: "thread 4 (LWP 13) is in
// cache_get at thumbd.c:9".
func Standing(t *fact.Thread, format string, args ...any) analyze.Evidence {
	say := fmt.Sprintf(format, args...)
	f, ok := Where(t)
	if !ok {
		return analyze.Cite(t.At, "%s %s", Name(t), say)
	}
	return analyze.Cite(Through(t, f), "%s %s in %s", Name(t), say, FrameText(f))
}

// WaiterEvidence is up to n waiters of a lock, one for each place they wait at.
func (l *Lock) WaiterEvidence(n int) []analyze.Evidence {
	var out []analyze.Evidence
	for _, p := range places(l.Waiters) {
		if len(out) == n {
			break
		}
		e := Standing(p.first, "waits for %s", l)
		if p.count > 1 {
			e.Note += fmt.Sprintf(", one of %d there", p.count)
		}
		out = append(out, e)
	}
	return out
}

// place is a line of the application where threads stand.
type place struct {
	text  string
	first *fact.Thread
	count int
}

// places groups threads by the line where they stand, most first.
func places(list []*fact.Thread) []place {
	var out []place
	for _, t := range list {
		text := Name(t)
		if f, ok := Where(t); ok {
			text = FrameText(f)
		}
		i := slices.IndexFunc(out, func(p place) bool { return p.text == text })
		if i < 0 {
			out = append(out, place{text: text, first: t, count: 1})
			continue
		}
		out[i].count++
	}
	slices.SortStableFunc(out, func(a, b place) int { return b.count - a.count })
	return out
}

// Places says where threads stand: "serve at a.c:10 (4), flush at a.c:31 (1)".
func Places(list []*fact.Thread, most int) string {
	all := places(list)
	var out []string
	for i, p := range all {
		if i == most {
			out = append(out, fmt.Sprintf("%d more places", len(all)-most))
			break
		}
		out = append(out, fmt.Sprintf("%s (%d)", p.text, p.count))
	}
	return strings.Join(out, ", ")
}
