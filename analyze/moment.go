package analyze

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// historyAfter is how long before the moment of the bundle something must have
// ended to be history: a kernel log and an audit log reach back for weeks.
const historyAfter = 24 * time.Hour

// moment is the latest time that the bundle tells of: of a finding, or of the
// `date` that its collector printed. It is zero if nothing is dated.
func (s *runState) moment(findings []*Finding) time.Time {
	var m time.Time
	for _, f := range findings {
		if f.To.After(m) {
			m = f.To
		}
	}
	for h := range fact.All[fact.HostInfo](s.store.View("moment", "host_info")) {
		if h.Name == "date" && h.Time.T.After(m) {
			m = h.Time.T
		}
	}
	return m
}

// history reports whether a finding was over long before the moment. Of two
// causes without a link the later one is what the bundle was saved for.
func (f *Finding) history(moment time.Time) int {
	if !f.To.IsZero() && moment.Sub(f.To) > historyAfter {
		return 1
	}
	return 0
}
