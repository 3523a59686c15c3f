package wire

import (
	"cmp"
	"slices"
	"time"
)

// races tells requests that crossed the end of an idle connection from writes of a
// client that ignores it, and from other aborts. A request that arrives just
// before the close lies unread in the server's queue, and then the close is a RST
// without any FIN; that it was the same timer shows in the silence that it has in
// common with connections that the server ended with FIN.
func (x *Index) races() {
	for _, s := range x.Servers() {
		var fins []ending
		var unread []*Case
		for _, f := range s.Eventful {
			c := x.byFlow[f]
			switch {
			case c != nil && c.Class == WriteAfterClose && c.Crossed && c.Idle >= minIdle && f.Turns.Answers() >= 1:
				c.Class = KeepaliveRace
				fins = append(fins, ending{c.Idle, f.ToClient.FINTime()})
			case c != nil && c.Class == Abort && c.lastMoment():
				unread = append(unread, c)
			default:
				for _, g := range f.Idle() {
					if f.ToClient.FIN && g.AfterFrame == f.ToClient.FINFrame() && g.Duration >= minIdle {
						fins = append(fins, ending{g.Duration, f.ToClient.FINTime()})
						break
					}
				}
			}
		}
		if len(unread) > 0 {
			unreadRaces(fins, unread)
		}
	}
}

// ending is a silence that a server ended with FIN, and when.
type ending struct {
	silence time.Duration
	at      time.Time
}

// unreadRaces judges requests that lay unread when the server closed. A process
// that exits ends all its connections with FIN at one moment, after any silence:
// only endings at different times show a timer.
func unreadRaces(fins []ending, unread []*Case) {
	slices.SortFunc(fins, func(a, b ending) int { return cmp.Compare(a.silence, b.silence) })
	all := make([]time.Duration, 0, len(fins)+len(unread))
	for _, e := range fins {
		all = append(all, e.silence)
	}
	for _, c := range unread {
		all = append(all, c.silence())
	}
	slices.Sort(all)
	for _, c := range unread {
		d := c.silence()
		slack := crossing + time.Duration(idleSpread*float64(d))
		i, _ := slices.BinarySearchFunc(fins, d-slack, func(e ending, d time.Duration) int { return cmp.Compare(e.silence, d) })
		var earliest, latest time.Time
		for ; i < len(fins) && fins[i].silence <= d+slack && latest.Sub(earliest) <= deathWindow; i++ {
			earliest = first(earliest, fins[i].at)
			if fins[i].at.After(latest) {
				latest = fins[i].at
			}
		}
		if latest.Sub(earliest) > deathWindow && count(all, d-slack, d+slack) >= idleFlows {
			c.Idle, c.Class, c.Crossed = d, KeepaliveRace, true
		}
	}
}

// count is how many of sorted durations lie between two, both included.
func count(sorted []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(sorted, from)
	j, _ := slices.BinarySearch(sorted, to+1)
	return j - i
}
