package wire

import (
	"slices"
	"sync"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// crowd is when a server accepted connections, to be asked about each attempt that
// it did not: there may be as many of those as a flood has.
type crowd struct {
	once sync.Once
	// accepted are in the order of their beginnings; until is when the server last
	// sent payload on any of those up to here.
	accepted []time.Time
	until    []time.Time
	// ignored are beginnings of connections that only the kernel took: it repeats its
	// SYN-ACK, or nobody answers what the client sent.
	ignored []time.Time
}

func (s *Server) crowded() *crowd {
	c := &s.crowd
	c.once.Do(func() {
		var flows []*fact.Flow
		for _, f := range s.Flows {
			if f.Established {
				flows = append(flows, f)
			}
		}
		slices.SortStableFunc(flows, func(a, b *fact.Flow) int { return a.First().Compare(b.First()) })
		var last time.Time
		for _, f := range flows {
			if f.ToClient.SYNs() >= 3 || f.ToClient.PayloadBytes() == 0 && f.ToServer.PayloadBytes() > 0 {
				c.ignored = append(c.ignored, f.First())
			}
			if f.ToClient.SYNs() > 1 {
				continue
			}
			if at := f.ToClient.LastData(); at.After(last) {
				last = at
			}
			c.accepted, c.until = append(c.accepted, f.First()), append(c.until, last)
		}
	})
	return c
}

// anyWithin reports whether one of sorted times lies between two.
func anyWithin(sorted []time.Time, from, to time.Time) bool {
	i, _ := slices.BinarySearchFunc(sorted, from, time.Time.Compare)
	return i < len(sorted) && !sorted[i].After(to)
}

// Accepts reports whether a server accepted another connection about when this one
// began.
func (s *Server) Accepts(f *fact.Flow, near time.Duration) bool {
	return anyWithin(s.crowded().accepted, f.First().Add(-near), f.First().Add(near))
}

// Crowded reports whether a server can have left an attempt unanswered because it
// does not accept: its port serves others at that time, or shows in another way
// that its queue is full. What only was served before may be cut off since; and
// where an answer is lost on its way, or the attempt never arrived, as a second
// capture shows, it is the path.
func (x *Index) Crowded(s *Server, f *fact.Flow, near time.Duration) bool {
	if x.Answered(f) != nil || x.Unseen(f, f.First()) != nil {
		return false
	}
	c, at := s.crowded(), f.First()
	if anyWithin(c.ignored, at.Add(-near), at.Add(near)) || anyWithin(c.accepted, at.Add(1), at.Add(near)) {
		return true
	}
	i, _ := slices.BinarySearchFunc(c.accepted, at.Add(near), time.Time.Compare)
	return i > 0 && c.until[i-1].After(at)
}
