// Package census counts what stands in a bundle: listeners, peers, sockets by
// state, processes, open files, goroutines by the place that created them, locks,
// versions and settings, each under a name that means the same in another bundle of
// the same system. Two censuses can be compared where two tables cannot: pids,
// ephemeral ports and addresses in memory differ between any two bundles.
package census

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// perSort bounds the names of one sort on one host: of more, the largest are kept.
const perSort = 400

var taken = analyze.Derived[[]analyze.Count]{Name: "census", Build: take}

// Of counts what stands in a bundle, sorted by host, sort and name. It is what
// analyze.Config.Census takes.
func Of(p *analyze.Pass) []analyze.Count { return taken.Of(p) }

// Baseline reads a healthy bundle to compare with. The source must stay readable
// until the run that uses the baseline has ended, because its lines are quoted.
func Baseline(ctx context.Context, src analyze.Source, cfg analyze.Config) (*analyze.Baseline, error) {
	read, err := analyze.ReadFrom(ctx, src, cfg)
	if err != nil {
		return nil, err
	}
	b := &analyze.Baseline{Bundle: cfg.Bundle, Read: read, Counts: analyze.Derive(&taken, read.Store, read.Manifest)}
	b.Bundle.Artifacts = len(read.Artifacts)
	for _, a := range read.Artifacts {
		b.Bundle.Bytes += a.Bytes
	}
	return b, nil
}

// counter collects the counts of one bundle.
type counter struct {
	p      *analyze.Pass
	hosts  *join.Hosts
	counts map[key]*analyze.Count
}

type key struct{ host, what, name, of string }

func take(p *analyze.Pass) []analyze.Count {
	c := &counter{p: p, hosts: join.HostsOf(p), counts: map[key]*analyze.Count{}}
	c.sockets()
	c.processes()
	c.openFiles()
	c.goroutines()
	c.system()
	return c.list()
}

// shows says that the bundle shows things of a sort at all, and where.
func (c *counter) shows(host, what string, at fact.Ref) {
	k := key{host: host, what: what}
	if c.counts[k] == nil {
		c.counts[k] = &analyze.Count{Host: host, What: what, At: at}
	}
}

// add counts n more of something; the first place stands for all.
func (c *counter) add(host, what, name, of string, n int64, at fact.Ref) *analyze.Count {
	if name == "" && of == "" {
		return &analyze.Count{}
	}
	c.shows(host, what, at)
	c.counts[key{host: host, what: what}].N += n
	k := key{host, what, name, of}
	have := c.counts[k]
	if have == nil {
		have = &analyze.Count{Host: host, What: what, Name: name, Of: of, At: at}
		c.counts[k] = have
	}
	have.N += n
	return have
}

// list is the census in its order, bounded and dated.
func (c *counter) list() []analyze.Count {
	times := c.times()
	out := make([]analyze.Count, 0, len(c.counts))
	for _, n := range c.counts {
		n.Time = times[n.Host]
		out = append(out, *n)
	}
	slices.SortFunc(out, func(a, b analyze.Count) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.What, b.What), cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Of, b.Of))
	})
	run := 0
	out = slices.DeleteFunc(out, func(n analyze.Count) bool {
		if n.Name == "" && n.Of == "" {
			run = 0 // the total is the largest of its sort, or equal to its only part
			return false
		}
		run++
		return run > perSort
	})
	slices.SortStableFunc(out, func(a, b analyze.Count) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Of, b.Of))
	})
	return out
}

// times says when each host's part of the bundle was taken: by the manifest, by the
// latest date that was printed, else by the latest modification time.
func (c *counter) times() map[string]fact.Time {
	out := map[string]fact.Time{}
	for _, h := range c.hosts.Names {
		if m := c.p.Manifest; m != nil && !m.Collected.IsZero() {
			out[h] = fact.Time{T: m.Collected.UTC(), Basis: fact.LocalZone}
		}
	}
	later := func(host string, t fact.Time) {
		if have := out[host]; t.Known() && (!have.Known() || have.Basis == t.Basis && t.T.After(have.T)) {
			out[host] = fact.Time{T: t.T.UTC().Truncate(time.Millisecond), Basis: t.Basis}
		}
	}
	for i := range fact.All[fact.HostInfo](c.p.Facts) {
		if i.Name == "date" && i.Time.Absolute() {
			t := i.Time
			t.Basis = fact.LocalZone
			later(c.hosts.Of(i.At), t)
		}
	}
	for _, a := range c.p.Facts.Artifacts() {
		later(c.hosts.OfArtifact(a.ID), a.ModTime)
	}
	return out
}
