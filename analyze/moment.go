package analyze

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// moment is the time for which a bundle was saved. Of two causes without a link
// the one that falls into it comes first: a kernel log and an audit log reach back
// for weeks.
type moment struct{ from, to time.Time }

// The slack of a moment: how long before the bundle was made something may have
// ended, and how long before the incident as the manifest dates it.
const (
	beforeBundle   = 24 * time.Hour
	beforeIncident = time.Hour
)

// moment is what the manifest says, else the day up to the latest time that the
// bundle tells of: of a finding, or of the `date` that its collector printed.
func (s *runState) moment(findings []*Finding) moment {
	m := s.manifest
	if m != nil && !m.From.IsZero() {
		return moment{from: m.From.Add(-beforeIncident), to: m.To}
	}
	var last time.Time
	for _, f := range findings {
		if f.To.After(last) {
			last = f.To
		}
	}
	for h := range fact.All[fact.HostInfo](s.store.View("moment", "host_info")) {
		if h.Name == "date" && h.Time.T.After(last) {
			last = h.Time.T
		}
	}
	if m != nil && m.Collected.After(last) {
		last = m.Collected
	}
	if last.IsZero() {
		return moment{}
	}
	return moment{from: last.Add(-beforeBundle)}
}

// beside is 1 for a finding that was over before the moment or began after it. One
// without a time belongs to it.
func (m moment) beside(f *Finding) int {
	if !f.To.IsZero() && f.To.Before(m.from) || !m.to.IsZero() && f.From.After(m.to) {
		return 1
	}
	return 0
}
