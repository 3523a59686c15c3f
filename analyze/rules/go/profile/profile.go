// Package profile tells what memory and processor profiles add to an incident.
package profile

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/profile"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "what memory and CPU profiles add", Doc: doc, Severity: analyze.Info,
		Needs: []fact.Kind{"profile"},
		Wants: []fact.Kind{"profile_site"},
		Thresholds: []analyze.Threshold{
			{Name: "growth", Default: 1.2, Unit: "times", Doc: "growth of the memory in use that is told"},
			{Name: "bytes", Default: 1 << 20, Unit: "bytes", Doc: "growth of the memory in use that is told"},
			{Name: "collector", Default: 0.25, Unit: "share", Doc: "of processor time in the garbage collector that is told"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	r := &reader{p: p, sites: map[fact.ID][]*fact.ProfileSite{}}
	for s := range fact.All[fact.ProfileSite](p.Facts) {
		r.sites[s.At.Artifact] = append(r.sites[s.At.Artifact], s)
	}
	heaps := map[string][]*fact.Profile{}
	var keys []string
	for pr := range fact.All[fact.Profile](p.Facts) {
		switch pr.Type {
		case "heap", "allocs":
			key := r.process(pr)
			if heaps[key] == nil {
				keys = append(keys, key)
			}
			heaps[key] = append(heaps[key], pr)
		case "cpu":
			r.collector(pr)
		}
	}
	for _, k := range keys {
		r.growth(heaps[k])
	}
	return nil
}

type reader struct {
	p     *analyze.Pass
	sites map[fact.ID][]*fact.ProfileSite
}

// process is what a profile is of: its process, else its host and folder.
func (r *reader) process(pr *fact.Profile) string {
	if o := join.DumpsOf(r.p).Owner(pr.At.Artifact); o.Process != nil {
		return o.Process.Entity().Key
	}
	return join.HostsOf(r.p).Of(pr.At) + "\x00" + string(pr.At.Artifact)[:strings.LastIndexByte(string(pr.At.Artifact), '/')+1]
}

// growth compares the earliest with the latest heap profile of a process.
func (r *reader) growth(heaps []*fact.Profile) {
	order := join.SamplesOf(r.p)
	slices.SortStableFunc(heaps, func(a, b *fact.Profile) int {
		if a.Time.Known() && b.Time.Known() && !a.Time.T.Equal(b.Time.T) {
			return a.Time.T.Compare(b.Time.T)
		}
		return order.Compare(a.At.Artifact, b.At.Artifact)
	})
	first, last := heaps[0], heaps[len(heaps)-1]
	if len(heaps) < 2 || !(first.Time.Known() && last.Time.Known()) && !order.Apart(first.At.Artifact, last.At.Artifact) {
		r.p.Note("%d heap profiles, none known to be later than another", len(heaps))
		return
	}
	before, i := total(first, "inuse_space")
	after, j := total(last, "inuse_space")
	if i < 0 || j < 0 {
		return
	}
	by := after - before
	if float64(by) < r.p.Threshold("bytes") || float64(after) < r.p.Threshold("growth")*float64(before) {
		r.p.Note("memory in use went from %s in %s to %s in %s", size(before), first.At.Artifact, size(after), last.At.Artifact)
		return
	}
	places := r.places(first, i, last, j)
	f := r.finding(last, "memory in use")
	f.Title = fmt.Sprintf("The memory in use%s grew by %s between %s and %s", r.in(last), size(by), first.At.Artifact, last.At.Artifact)
	f.Detail = fmt.Sprintf("It went from %s to %s.", size(before), size(after))
	f.Evidence = append(f.Evidence, analyze.Cite(last.At, "%s in use", size(after)), analyze.Cite(first.At, "%s in use, earlier", size(before)))
	for n, at := range places[:min(len(places), 3)] {
		if n == 0 {
			f.Title += fmt.Sprintf(", most of it allocated in %s", at.where)
		}
		f.Detail += fmt.Sprintf(" %s: %s more, %s before.", at.where, size(at.after-at.before), size(at.before))
		f.Evidence = append(f.Evidence, analyze.Cite(at.site.At, "%s in use that %s allocated, %s more than before", size(at.after), at.where, size(at.after-at.before)))
	}
	f.Detail += " Where memory was allocated is not why it stays: the profile is context for another finding, no cause."
	f.Next = []string{"go tool pprof -top -diff_base " + string(first.At.Artifact) + " " + string(last.At.Artifact)}
	r.p.Report(f)
}

// place is the memory that one line of the program has allocated.
type place struct {
	where         string
	before, after int64
	site          *fact.ProfileSite
}

// places are the lines of which the memory grew, most first.
func (r *reader) places(first *fact.Profile, i int, last *fact.Profile, j int) []*place {
	var out []*place
	index := map[string]*place{}
	sum := func(pr *fact.Profile, value int, add func(*place, *fact.ProfileSite, int64)) {
		for _, s := range r.sites[pr.At.Artifact] {
			at := slices.IndexFunc(s.Frames, join.Application)
			if at < 0 || value >= len(s.Values) {
				continue
			}
			where := (&waits.Stack{Frames: s.Frames}).At(at)
			if index[where] == nil {
				index[where] = &place{where: where}
				out = append(out, index[where])
			}
			add(index[where], s, s.Values[value])
		}
	}
	sum(first, i, func(at *place, _ *fact.ProfileSite, n int64) { at.before += n })
	sum(last, j, func(at *place, s *fact.ProfileSite, n int64) {
		at.after += n
		at.site = cmp.Or(at.site, s)
	})
	out = slices.DeleteFunc(out, func(at *place) bool { return at.after <= at.before })
	slices.SortStableFunc(out, func(a, b *place) int { return cmp.Compare(b.after-b.before, a.after-a.before) })
	return out
}

// collector tells the garbage collector's share of a CPU profile.
func (r *reader) collector(pr *fact.Profile) {
	n := len(pr.Totals)
	if n == 0 || pr.Totals[n-1].Total <= 0 {
		return
	}
	share := float64(pr.Collector) / float64(pr.Totals[n-1].Total)
	if share < r.p.Threshold("collector") {
		r.p.Note("the garbage collector took %.0f %% of the processor time in %s", 100*share, pr.At.Artifact)
		return
	}
	f := r.finding(pr, "garbage collector")
	f.Title = fmt.Sprintf("The garbage collector took %.0f %% of the processor time%s while %s was recorded", 100*share, r.in(pr), pr.At.Artifact)
	f.Detail = "The share counts the collector's own workers and the goroutines that were made to help it. It rises with allocation, and when the memory in use comes near GOMEMLIMIT; it says that the program was slowed, not by what."
	f.Evidence = append(f.Evidence, analyze.Cite(pr.At, "%.0f %% of the samples are inside the garbage collector", 100*share))
	f.Next = []string{"curl -s 'http://HOST:PORT/debug/pprof/heap' > heap_1.pb.gz; sleep 60; curl -s 'http://HOST:PORT/debug/pprof/heap' > heap_2.pb.gz"}
	r.p.Report(f)
}

func (r *reader) finding(pr *fact.Profile, what string) analyze.Finding {
	f := analyze.Finding{Subject: what + r.in(pr), Severity: analyze.Info, Confidence: analyze.Likely}
	if o := join.DumpsOf(r.p).Owner(pr.At.Artifact); o.Process != nil {
		f.Entities = append(f.Entities, o.Process.Entity())
	}
	return f
}

// in names the process: " in process 3989 (quotepushd)", or nothing.
func (r *reader) in(pr *fact.Profile) string {
	if o := join.DumpsOf(r.p).Owner(pr.At.Artifact); o.Process != nil {
		return " in " + o.Process.String()
	}
	return ""
}

// total is the sum of a sample type and its index, -1 if the profile lacks it.
func total(pr *fact.Profile, kind string) (int64, int) {
	for i, t := range pr.Totals {
		if t.Type == kind {
			return t.Total, i
		}
	}
	return 0, -1
}

// size is a number of bytes for a sentence: "38.2 MiB".
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}
