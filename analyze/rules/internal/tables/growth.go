package tables

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Growth is a number of open handles of a process that rises through its
// observation: a column of a metrics table, or a number that its log prints again
// and again.
type Growth struct {
	Name            string
	Start, End      float64
	Points          int
	First, Last     fact.Time
	FirstAt, LastAt fact.Ref
}

// minPoints is how many observations a rise needs, and rising the share of steps
// that must not fall.
const (
	minPoints = 5
	rising    = 0.9
)

// Growing finds the steepest such number that rose by at least rise, to at least
// factor times its start, and is of the owner (or of nobody in particular). It
// reads the kinds metric and log_event.
func Growing(p *analyze.Pass, host string, owner *join.Process, rise, factor float64) *Growth {
	var best *Growth
	h := join.HostsOf(p)
	consider := func(g *Growth) {
		fits := g.Points >= minPoints && g.End-g.Start >= rise && g.End >= factor*max(g.Start, 1)
		if fits && (best == nil || g.End-g.Start > best.End-best.Start) {
			best = g
		}
	}
	for m := range fact.All[fact.Metric](p.Facts) {
		if h.Of(m.At) != host || !countsHandles(m.Name) || !metricOf(m, owner) || m.Rising < rising || len(m.Falls) > 0 {
			continue
		}
		consider(&Growth{m.Name, m.Start, m.End, m.Points, m.First, m.Last, m.FirstAt, m.LastAt})
	}
	for _, g := range inLogs(p, host, owner) {
		consider(g)
	}
	return best
}

// metricOf reports whether a metric can be of a process: its pid label says so, or
// it has none.
func metricOf(m *fact.Metric, owner *join.Process) bool {
	pid, ok := m.Labels["pid"]
	return !ok || owner == nil || pid == strconv.Itoa(owner.PID)
}

// inLogs collects numbers that the owner's logs print as "handles=1187".
func inLogs(p *analyze.Pass, host string, owner *join.Process) []*Growth {
	type series struct {
		Growth
		falls int
	}
	h, writers := join.HostsOf(p), join.OpenersOf(p)
	by := map[string]*series{}
	var order []string
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(e.At) != host || !slices.Contains(e.Signs, fact.SignStat) {
			continue
		}
		if w, ok := writers.WriterOf(e); owner != nil && (!ok || w.Process != owner) {
			continue
		}
		for _, word := range strings.Fields(e.Text) {
			name, value, ok := strings.Cut(word, "=")
			n, err := strconv.ParseFloat(strings.Trim(value, ",;"), 64)
			if !ok || err != nil || !countsHandles(name) {
				continue
			}
			key := string(e.At.Artifact) + " " + name
			s := by[key]
			if s == nil {
				s = &series{Growth: Growth{Name: name, Start: n, First: e.Time, FirstAt: e.At}}
				by[key] = s
				order = append(order, key)
			} else if n < s.End {
				s.falls++
			}
			s.Points++
			s.End, s.Last, s.LastAt = n, e.Time, e.At
		}
	}
	var out []*Growth
	for _, key := range order {
		if s := by[key]; float64(s.falls) <= (1-rising)*float64(s.Points) {
			out = append(out, &s.Growth)
		}
	}
	return out
}

// countsHandles reports whether a name says that it counts what is open, not what
// was ever opened.
func countsHandles(name string) bool {
	low := strings.ToLower(name)
	for _, w := range [...]string{"total", "accepted", "closed", "error", "bytes", "_mb", "_kb", "rate", "limit", "max"} {
		if strings.Contains(low, w) {
			return false
		}
	}
	for _, w := range [...]string{"handle", "socket", "conn", "fd", "descriptor", "upstream", "open_files"} {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}

// Cite is the first and the last observation, dated where the artifact's clock is
// known.
func (g *Growth) Cite(p *analyze.Pass) []analyze.Evidence {
	clocks := join.ClocksOf(p)
	return []analyze.Evidence{
		clocks.Date(analyze.Cite(g.FirstAt, "%s is %g", g.Name, g.Start), g.First),
		clocks.Date(analyze.Cite(g.LastAt, "%s is %g", g.Name, g.End), g.Last),
	}
}

// Span is from the first to the last observation, zero where it cannot be told.
func (g *Growth) Span(p *analyze.Pass) (from, to time.Time) {
	clocks := join.ClocksOf(p)
	from, _, _ = clocks.UTC(g.FirstAt.Artifact, g.First)
	to, _, _ = clocks.UTC(g.LastAt.Artifact, g.Last)
	return from, to
}
