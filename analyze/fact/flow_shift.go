package fact

import (
	"slices"
	"time"
)

// Shifted is the flow with all its times moved by d, for a capture whose clock is
// known to be off. The flow itself stays as its capture states it.
func (f *Flow) Shifted(d time.Duration) *Flow {
	out := *f
	move := func(list ...*time.Time) {
		for _, t := range list {
			if !t.IsZero() {
				*t = t.Add(d)
			}
		}
	}
	move(&out.First, &out.Last)
	for _, half := range []*Direction{&out.ToServer, &out.ToClient} {
		move(&half.FirstData, &half.LastData, &half.FINTime)
	}
	out.Resets, out.Stalls = slices.Clone(f.Resets), slices.Clone(f.Stalls)
	out.Idle, out.Marks = slices.Clone(f.Idle), slices.Clone(f.Marks)
	for i := range out.Resets {
		move(&out.Resets[i].Time)
	}
	for i := range out.Stalls {
		move(&out.Stalls[i].From)
	}
	for i := range out.Idle {
		move(&out.Idle[i].From)
	}
	for i := range out.Marks {
		move(&out.Marks[i].Time)
	}
	if u := f.Turns.Unanswered; u != nil {
		waits := *u
		move(&waits.First, &waits.Last)
		out.Turns.Unanswered = &waits
	}
	return &out
}
