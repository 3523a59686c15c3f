// Package contention finds locks that goroutines wait for most.
package contention

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/contention"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "mutex contention", Doc: doc, Severity: analyze.Low,
		Needs: []fact.Kind{"profile"},
		Wants: []fact.Kind{"profile_site"},
		Collect: map[fact.Kind]string{
			"profile": "curl -s 'http://HOST:PORT/debug/pprof/mutex' > mutex.pb.gz",
		},
		Thresholds: []analyze.Threshold{
			{Name: "share", Default: 0.4, Unit: "share", Doc: "of all delay that one place must have"},
			{Name: "delay", Default: 1, Unit: "seconds", Doc: "of delay at it"},
		},
		Run: run,
	}
}

// The values of a mutex profile are the number of contentions and the delay in
// nanoseconds.
const delayValue = 1

func run(_ context.Context, p *analyze.Pass) error {
	seen := false
	for pr := range fact.All[fact.Profile](p.Facts) {
		// A block profile is full of goroutines that wait for work: it says nothing
		// about locks that the mutex profile does not say better.
		if pr.Type != "mutex" || len(pr.Totals) <= delayValue {
			continue
		}
		seen = true
		judge(p, pr)
	}
	if !seen {
		p.Skip("the bundle has profiles, but no mutex profile", "curl -s 'http://HOST:PORT/debug/pprof/mutex' > mutex.pb.gz")
	}
	return nil
}

// place is the delay of all stacks that unlock at one line of the program.
type place struct {
	site  *fact.ProfileSite
	frame int
	delay int64
	count int64
}

func judge(p *analyze.Pass, pr *fact.Profile) {
	var places []*place
	index := map[string]*place{}
	for s := range fact.All[fact.ProfileSite](p.Facts) {
		if s.At.Artifact != pr.At.Artifact || len(s.Values) <= delayValue {
			continue
		}
		i := app(s)
		if i < 0 {
			continue
		}
		key := fmt.Sprintf("%s:%d", s.Frames[i].File, s.Frames[i].Line)
		at := index[key]
		if at == nil {
			at = &place{site: s, frame: i}
			index[key] = at
			places = append(places, at)
		}
		at.count += s.Values[0]
		at.delay += s.Values[delayValue]
	}
	total := pr.Totals[delayValue].Total
	for _, at := range places {
		delay := time.Duration(at.delay)
		if total <= 0 || float64(at.delay) < p.Threshold("share")*float64(total) || delay.Seconds() < p.Threshold("delay") {
			continue
		}
		report(p, pr, at, total)
	}
}

// app is the frame of the program that unlocked, -1 if the stack is the runtime's.
func app(s *fact.ProfileSite) int {
	for i, f := range s.Frames {
		if join.Application(f) {
			return i
		}
	}
	return -1
}

func report(p *analyze.Pass, pr *fact.Profile, at *place, total int64) {
	s := &waits.Stack{Frames: at.site.Frames}
	owner := join.DumpsOf(p).Owner(pr.At.Artifact)
	in := ""
	f := analyze.Finding{Severity: analyze.Low, Confidence: analyze.Possible}
	if owner.Process != nil {
		in = " in " + owner.Process.String()
		f.Entities = append(f.Entities, owner.Process.Entity())
	}
	f.Entities = append(f.Entities, s.SiteEntity("", at.frame))
	delay := time.Duration(at.delay).Round(time.Millisecond)
	f.Subject = "lock released at " + s.Where(at.frame) + in
	f.Title = fmt.Sprintf("Goroutines%s waited %s in all for the lock that %s holds: %.0f %% of all mutex delay", in, delay, s.Func(at.frame), 100*float64(at.delay)/float64(total))
	f.Detail = fmt.Sprintf("The mutex profile counts the time that others waited, at the place that released the lock: %d waits at %s. A lock that is never released does not appear in it at all.", at.count, s.At(at.frame))
	f.Evidence = []analyze.Evidence{analyze.Cite(at.site.At, "%s of delay, released in %s", delay, s.At(at.frame))}
	f.Missing = []string{"over which time the profile was collected: its rate and duration are not in it, so this is a share, not a rate"}
	f.Fix = fmt.Sprintf("Shorten what %s does under the lock, or split the data into several locks.", s.Func(at.frame))
	f.Next = []string{"curl -s 'http://HOST:PORT/debug/pprof/mutex?seconds=30' > mutex_30s.pb.gz"}
	p.Report(f)
}
