package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
)

// chart is the timeline as a drawing: one lane an artifact, one mark an event.
// Coordinates are pixels of an SVG.
type chart struct {
	Width, Height int
	Axis          int // y of the axis
	Left, Right   int
	Lanes         []chartLane
	Marks         []chartMark
	Ticks         []chartTick
	Breaks        []chartTick
}

type chartLane struct {
	Y    int
	Name string
}

type chartMark struct {
	X, Y int
	// From and To span the uncertainty of the time, equal when it is exact.
	From, To int
	Kind     string // role of the finding, for its colour
	Tip      string
}

type chartTick struct {
	X, Y   int
	Anchor string
	Text   string
}

// Geometry of the drawing.
const (
	chartWidth  = 960
	chartLeft   = 220
	chartRight  = 940
	chartTop    = 18
	laneHeight  = 22
	breakWidth  = 46
	maxLanes    = 14
	maxBreaks   = 3
	labelLength = 32
)

// drawn lays the timeline out, nil if there is nothing to see: fewer than two
// events.
func (o *outline) drawn() *chart {
	// Of a timeline of everything, only what the findings cite is drawn.
	list := slices.DeleteFunc(slices.Clone(o.events), func(e analyze.TimelineEntry) bool { return e.Finding == "" })
	if len(list) < 2 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b analyze.TimelineEntry) int { return a.Time.Compare(b.Time) })
	s := newScale(list)
	c := &chart{Width: chartWidth, Left: chartLeft, Right: chartRight, Ticks: s.ticks(), Breaks: s.breaks()}
	lanes := map[string]int{}
	for _, e := range list {
		name := string(e.Source.Artifact)
		y, ok := lanes[name]
		if !ok {
			if len(c.Lanes) == maxLanes {
				name = "other artifacts"
			}
			if y, ok = lanes[name]; !ok {
				y = chartTop + laneHeight*len(c.Lanes)
				lanes[name] = y
				c.Lanes = append(c.Lanes, chartLane{Y: y, Name: cutMiddle(oneLine(name), labelLength)})
			}
		}
		kind := ""
		if f := o.byID[e.Finding]; f != nil {
			kind = f.Role.String()
		}
		when := clock(e.Time) + " UTC" + parens(doubt(e.Basis, e.Uncertainty))
		c.Marks = append(c.Marks, chartMark{
			X: s.x(e.Time), Y: y, From: s.x(e.Time.Add(-e.Uncertainty)), To: s.x(e.Time.Add(e.Uncertainty)),
			Kind: kind, Tip: oneLine(when + "\u2003" + e.Text + " [" + citation(e.Source) + "]"),
		})
	}
	c.Axis = chartTop + laneHeight*len(c.Lanes)
	for i := range c.Ticks {
		c.Ticks[i].Y = c.Axis + 14 + 12*(i%2)
	}
	c.Height = c.Axis + 34
	return c
}

// cutMiddle shortens a path where it says least.
func cutMiddle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	tail := n * 2 / 3
	return string(r[:n-tail-1]) + "…" + string(r[len(r)-tail:])
}

// scale maps times to pixels. An incident may hold one event from days before:
// gaps that would squeeze everything else are drawn as breaks.
type scale struct {
	spans []span
	gaps  []time.Duration // between spans
	total time.Duration   // of all spans
	room  int
}

type span struct {
	from, to time.Time
	x0, x1   int
}

func newScale(sorted []analyze.TimelineEntry) *scale {
	type gap struct {
		after int
		d     time.Duration
	}
	var gaps []gap
	for i := range len(sorted) - 1 {
		gaps = append(gaps, gap{i, sorted[i+1].Time.Sub(sorted[i].Time)})
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(b.d, a.d) })
	s := &scale{total: sorted[len(sorted)-1].Time.Sub(sorted[0].Time)}
	var cut []int
	for _, g := range gaps[:min(maxBreaks, len(gaps))] {
		// The gap alone takes more than the rest several times over.
		if g.d < 4*(s.total-g.d) || s.total == g.d {
			break
		}
		cut = append(cut, g.after)
		s.total -= g.d
	}
	slices.Sort(cut)
	start := 0
	for _, c := range append(cut, len(sorted)-1) {
		s.spans = append(s.spans, span{from: sorted[start].Time, to: sorted[c].Time})
		if c+1 < len(sorted) {
			s.gaps = append(s.gaps, sorted[c+1].Time.Sub(sorted[c].Time))
		}
		start = c + 1
	}
	s.place()
	return s
}

// place gives each span its share of the width.
func (s *scale) place() {
	// A span of one event still needs room to be seen.
	const least = 24
	s.room = chartRight - chartLeft - 16 - breakWidth*len(s.gaps) - least*len(s.spans)
	x := chartLeft + 8
	for i := range s.spans {
		sp := &s.spans[i]
		sp.x0 = x
		width := least
		if s.total > 0 {
			width += int(float64(s.room) * float64(sp.to.Sub(sp.from)) / float64(s.total))
		}
		sp.x1 = x + width
		x = sp.x1 + breakWidth
	}
}

func (s *scale) x(t time.Time) int {
	for i, sp := range s.spans {
		if t.After(sp.to) && i < len(s.spans)-1 && !t.Before(s.spans[i+1].from) {
			continue
		}
		d := sp.to.Sub(sp.from)
		if d <= 0 {
			return sp.x0
		}
		share := float64(t.Sub(sp.from)) / float64(d)
		return sp.x0 + int(min(max(share, 0), 1)*float64(sp.x1-sp.x0))
	}
	return chartRight
}

func (s *scale) ticks() []chartTick {
	var out []chartTick
	for i, sp := range s.spans {
		layout := "15:04:05.000"
		if s.total > 10*time.Minute {
			layout = "15:04:05"
		}
		from := sp.from.UTC().Format(layout)
		if i == 0 || sp.from.UTC().YearDay() != s.spans[i-1].to.UTC().YearDay() {
			from = sp.from.UTC().Format("2006-01-02 ") + from
		}
		out = append(out, chartTick{X: sp.x0, Anchor: "start", Text: from})
		if sp.x1-sp.x0 > 120 {
			out = append(out, chartTick{X: sp.x1, Anchor: "end", Text: sp.to.UTC().Format(layout)})
		}
	}
	return out
}

func (s *scale) breaks() []chartTick {
	var out []chartTick
	for i, g := range s.gaps {
		out = append(out, chartTick{X: s.spans[i].x1 + breakWidth/2, Text: roughly(g)})
	}
	return out
}

// roughly is a duration in its largest unit.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
