package waits

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// support cites what else the bundle has of the same process: other forms of the
// same dump, and earlier ones. has finds in another dump what a stack of this one
// was then.
func (d *Dump) support(has func(*Dump) (now, then *Stack)) []analyze.Evidence {
	var out []analyze.Evidence
	for _, o := range slices.Concat(d.Same, d.Earlier) {
		now, then := has(o)
		if then == nil {
			continue
		}
		note := fmt.Sprintf("%s, the same moment (%s): ", o.Meta.At.Artifact, o.Meta.Form)
		if slices.Contains(d.Earlier, o) {
			note = fmt.Sprintf("%s, earlier (%s): ", o.Meta.At.Artifact, o.Meta.Form)
		}
		note += fmt.Sprintf("%s in %s", join.Count(then.Count, "goroutine"), then.At(then.Top()))
		if slices.Contains(d.Earlier, o) {
			note += d.since(o, now, then)
		}
		out = append(out, then.Cite(then.First(), then.Top(), "%s", note))
	}
	return out
}

// SupportOf is what other dumps say of the stacks of a lock's waiters.
func (l *Lock) SupportOf() []analyze.Evidence {
	return l.dump.support(func(o *Dump) (now, then *Stack) {
		for _, s := range l.Stacks() {
			if found := o.find(s); found != nil {
				return s, found
			}
		}
		return nil, nil
	})
}

// SupportFor is what other dumps say of a stack.
func (d *Dump) SupportFor(s *Stack) []analyze.Evidence {
	return d.support(func(o *Dump) (now, then *Stack) { return s, o.find(s) })
}

// since says what became of a stack since an earlier dump: which goroutines have not
// moved, and how fast their number grows.
func (d *Dump) since(earlier *Dump, now, then *Stack) string {
	note := ""
	switch n := stayed(now, then); {
	case n == 1 && then.Count == 1:
		note += ", the same goroutine: it has not moved"
	case n > 0:
		note += fmt.Sprintf(", %d of them with the same id, creator and stack as now: they have not moved", n)
	}
	if more := now.Count - then.Count; more > 0 {
		note += fmt.Sprintf("; now there are %d", now.Count)
		if t := d.taken.Sub(earlier.taken); !d.taken.IsZero() && !earlier.taken.IsZero() && t >= time.Second {
			note += fmt.Sprintf(", %.3g more a minute by the times of the two files", float64(more)/t.Minutes())
		}
	}
	return note
}

// stayed counts the goroutines that two stacks have in common: the same id, started
// at the same place.
func stayed(now, then *Stack) (n int64) {
	before := make(map[int64]*fact.Goroutine, len(then.Members))
	for _, g := range then.Members {
		before[g.ID] = g
	}
	for _, g := range now.Members {
		if o := before[g.ID]; o != nil && g.ID != 0 && o.CreatedBy == g.CreatedBy && o.CreatedByLine == g.CreatedByLine {
			n++
		}
	}
	return n
}

// Grown is how many goroutines had the stack in the nearest earlier dump; ok is
// false where no earlier dump has it.
func (d *Dump) Grown(s *Stack) (before int64, ok bool) {
	if b := d.Before(s); b != nil {
		return b.Count, true
	}
	return 0, false
}

// timesOf are the times of the bundle's artifacts, where it has them.
func timesOf(p *analyze.Pass) map[fact.ID]time.Time {
	out := map[fact.ID]time.Time{}
	for _, a := range p.Facts.Artifacts() {
		if a.ModTime.Known() {
			out[a.ID] = a.ModTime.T
		}
	}
	return out
}

// takenAt is when the artifact of a dump was written; the zero time for dumps inside
// a log, which was written to later, and of one artifact with others.
func takenAt(times map[fact.ID]time.Time, d *Dump) time.Time {
	if strings.Contains(string(d.Meta.At.Artifact), "!") || d.Meta.Dump > 1 {
		return time.Time{}
	}
	return times[d.Meta.At.Artifact]
}
