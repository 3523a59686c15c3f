package goroutineleak

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// contexts tells of goroutines that package context has started: one for each
// context derived from a parent of another type, until either is cancelled.
func contexts(p *analyze.Pass, d *waits.Dump) {
	list := d.Crowds(func(s *waits.Stack) string {
		if fn := s.Frames[max(s.Site, 0)].Func; strings.HasPrefix(fn, "context.") && strings.Contains(fn, "propagateCancel") {
			return "contexts"
		}
		return ""
	})
	if len(list) == 0 {
		return
	}
	c := list[0]
	s := c.First()
	if float64(c.Count) < p.Threshold("contexts") || 4*c.Count < d.Total {
		p.Note("%s of package context, needs %g and a quarter of all", join.Count(c.Count, "goroutine"), p.Threshold("contexts"))
		return
	}
	f := d.Finding("goroutines of package context", c)
	f.Severity, f.Confidence = analyze.Low, analyze.Possible
	f.Title = fmt.Sprintf("%s%s wait in %s for contexts that nobody has cancelled", join.Count(c.Count, "goroutine"), d.In(), s.Func(max(s.Site, 0)))
	f.Detail = fmt.Sprintf("Package context starts one goroutine for each context that is derived from a parent of another type, and it ends when either is cancelled. %d of %d goroutines are such: so many contexts are alive, or their cancel functions were dropped.%s", c.Count, d.Total, s.Created())
	f.Fix = "Call the cancel function of every derived context (`defer cancel()`), also on errors; `go vet` reports those that are lost (lostcancel)."
	f.Missing = append(slices.Clone(f.Missing), "who derived them: the goroutines do not say; a goroutine profile with labels, or the source, does")
	p.Report(f)
}
