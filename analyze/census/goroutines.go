package census

import "github.com/culprit-dev/culprit/analyze/join/waits"

// goroutines counts the goroutines of each program by the place that created them,
// in the latest dump of each process, and the goroutines that wait for a lock.
func (c *counter) goroutines() {
	for _, d := range waits.Of(c.p).Dumps {
		if d.Meta.Form == "stack" {
			continue // one goroutine that a program printed by itself
		}
		program := programOf(d)
		c.shows(d.Host, "goroutines", d.Meta.At)
		if !d.Grouped {
			c.shows(d.Host, "lock", d.Meta.At)
		}
		for _, s := range d.Stacks {
			c.add(d.Host, "goroutines", s.Origin(), program, s.Count, s.First().At)
		}
		for _, l := range d.Locks {
			c.add(d.Host, "lock", lockName(l), program, l.Count(), l.Waiters[0].G.At)
		}
		if v := d.Meta.GoVersion; v != "" {
			c.set(d.Host, "version", "go", program, v, d.Meta.At)
		}
	}
}

func programOf(d *waits.Dump) string {
	if pr := d.Owner.Process; pr != nil {
		return pr.Name()
	}
	return d.Meta.Module
}

// lockName names a lock by its kind and where it is taken: its address is another
// one in each process.
func lockName(l *waits.Lock) string {
	name := l.Kind()
	if st := l.Stacks(); len(st) > 0 {
		name += " in " + st[0].Func(st[0].Top())
	}
	return name
}
