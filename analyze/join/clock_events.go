package join

import (
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// clockEvents lists what artifacts without a zone date, and what others do. A
// signal, a pid and an errno mean the same event only on one host; an address does
// on all.
func clockEvents(p *analyze.Pass, c *Clocks) (local map[fact.ID][]event, known []event) {
	local = map[fact.ID][]event{}
	hosts := HostsOf(p)
	own := func(at fact.Ref, format string, args ...any) string { return keyed(hosts.Of(at), format, args...) }
	add := func(at fact.Ref, t fact.Time, keys []string) {
		e := event{at: at, t: t.T.Add(c.Skew(at.Artifact)), keys: keys}
		switch {
		case !t.Known():
		case t.Absolute():
			if len(keys) > 0 {
				known = append(known, e)
			}
		default:
			local[at.Artifact] = append(local[at.Artifact], e)
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		add(e.At, e.Time, logKeys(e, own))
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		var keys []string
		if e.PID > 0 {
			keys = append(keys, own(e.At, "the end of pid %d", e.PID))
		}
		// A time counted from the start of the host is not exact enough to prove
		// the clock of another artifact.
		add(e.At, e.Time, keys)
	}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Signal == "" || e.Signal == "0" {
			continue
		}
		keys := []string{own(e.At, "%s", e.Signal)}
		for _, t := range e.Targets {
			keys = append(keys, own(e.At, "%s to pid %d", e.Signal, t.PID), own(e.At, "the end of pid %d", t.PID))
		}
		add(e.At, e.Time, keys)
	}
	if len(local) == 0 {
		return nil, nil // nothing to compare them with
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		flowEvents(f, add, own)
	}
	return local, known
}

// logKeys are what a log line has in common with records of the same event.
func logKeys(e *fact.LogEvent, own func(fact.Ref, string, ...any) string) []string {
	var keys []string
	if e.Signal != "" {
		keys = append(keys, own(e.At, "%s", e.Signal))
		for _, pid := range e.PIDs {
			keys = append(keys, own(e.At, "%s to pid %d", e.Signal, pid))
		}
	}
	if slices.Contains(e.Signs, fact.SignStop) {
		for _, pid := range e.PIDs {
			keys = append(keys, own(e.At, "the end of pid %d", pid))
		}
	}
	if e.Errno != "" || slices.Contains(e.Signs, fact.SignConnect) {
		for _, a := range e.Addresses {
			if ephemeral(a) {
				keys = append(keys, "connection of "+a)
			}
		}
		if e.Errno != "" {
			keys = append(keys, own(e.At, "%s", e.Errno))
		}
	}
	return keys
}

func flowEvents(f *fact.Flow, add func(fact.Ref, fact.Time, []string), own func(fact.Ref, string, ...any) string) {
	at := func(t time.Time) fact.Time { return fact.Time{T: t, Basis: fact.Epoch} }
	var name []string
	if f.Client().Port() >= EphemeralFrom {
		name = []string{"connection of " + f.Client().String()}
		add(f.Ref(), at(f.First()), name)
	}
	for i, r := range f.Resets() {
		if i == 4 {
			break
		}
		errno := "ECONNRESET"
		if r.State == "syn_sent" {
			errno = "ECONNREFUSED"
		}
		add(f.Frame(r.Frame), at(r.Time), append([]string{own(f.Ref(), "%s", errno)}, name...))
	}
}

// ephemeral reports whether an address has a port that a kernel picks, so that it
// names one connection and not a service.
func ephemeral(addr string) bool {
	ap, ok := ParseAddrPort(addr)
	return ok && ap.Port() >= EphemeralFrom
}
