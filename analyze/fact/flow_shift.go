package fact

import (
	"slices"
	"time"
)

// Shifted is the flow with all its times moved by d, for a capture whose clock is
// known to be off. The flow itself stays as its capture states it.
func (f *Flow) Shifted(d time.Duration) *Flow {
	out := *f
	for _, t := range []*instant{&out.first, &out.last} {
		t.move(d)
	}
	for _, half := range []*Direction{&out.ToServer, &out.ToClient} {
		for _, t := range []*instant{&half.firstData, &half.lastData, &half.finTime} {
			t.move(d)
		}
	}
	if f.rare != nil {
		out.rare = f.rare.shifted(d)
	}
	if u := f.Turns.Unanswered; u != nil {
		waits := *u
		moveTimes(d, &waits.First, &waits.Last)
		out.Turns.Unanswered = &waits
	}
	return &out
}

func (r *flowRare) shifted(d time.Duration) *flowRare {
	out := *r
	out.resets, out.stalls = slices.Clone(r.resets), slices.Clone(r.stalls)
	out.limited = slices.Clone(r.limited)
	out.idle, out.marks = slices.Clone(r.idle), slices.Clone(r.marks)
	for i := range out.resets {
		moveTimes(d, &out.resets[i].Time)
	}
	for i := range out.stalls {
		moveTimes(d, &out.stalls[i].From)
	}
	for i := range out.limited {
		moveTimes(d, &out.limited[i].From)
	}
	for i := range out.idle {
		moveTimes(d, &out.idle[i].From)
	}
	for i := range out.marks {
		moveTimes(d, &out.marks[i].Time)
	}
	return &out
}

// move moves a time that is set.
func (i *instant) move(d time.Duration) {
	if *i != 0 {
		*i = instantOf(i.time().Add(d))
	}
}

func moveTimes(d time.Duration, list ...*time.Time) {
	for _, t := range list {
		if !t.IsZero() {
			*t = t.Add(d)
		}
	}
}
