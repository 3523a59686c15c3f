// Package stuck finds threads that stand at one line of their program and do not
// move.
package stuck

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/threads"
)

// ID of the rule.
const ID = "thread/stuck"

//go:embed doc.md
var doc string

// Rule finds threads that stand at one line of their program and do not move.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "threads that do not move", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"thread"},
		Thresholds: []analyze.Threshold{
			{Name: "threads", Default: 2, Unit: "threads", Doc: "threads at one line, the same ones in two samples"},
			{Name: "crowd", Default: 5, Unit: "threads", Doc: "threads at one line, where there is one sample only"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, samples := range threads.Of(p).ByProcess(join.SamplesOf(p)) {
		latest := samples[len(samples)-1]
		if r := latest.Runtime(); r == "go" || r == "node" {
			p.Note("%s: %s schedules its own threads; other rules judge it", latest.Subject(), r)
			continue
		}
		judge(p, samples)
	}
	return nil
}

// crowd is a set of threads that stand at one line.
type crowd struct {
	where   fact.Frame
	threads []*fact.Thread
	before  []*fact.Thread // those of them that an earlier sample shows there too
}

func judge(p *analyze.Pass, samples []*threads.Sample) {
	latest, earlier := samples[len(samples)-1], samples[:len(samples)-1]
	var found []*crowd
	enough := false
	for _, c := range crowds(latest) {
		for _, s := range earlier {
			for _, o := range crowds(s) {
				if same(o.where, c.where) {
					c.before = common(c.threads, o.threads)
				}
			}
		}
		p.Note("%s: %d threads at %s, %d of them in an earlier sample too", latest.Subject(), len(c.threads), threads.FrameText(c.where), len(c.before))
		if float64(len(c.before)) >= p.Threshold("threads") || len(earlier) == 0 && float64(len(c.threads)) >= p.Threshold("crowd") {
			enough = true
		}
		// A single thread that does not move is no crowd, but may be the one for which
		// the others wait.
		if len(c.before) > 0 || len(earlier) == 0 {
			found = append(found, c)
		}
	}
	if enough {
		report(p, latest, found)
	}
}

// crowds groups the threads of a sample that are inside the application and in no
// ordinary wait: for connections, for work, for a peer, for time.
func crowds(s *threads.Sample) []*crowd {
	locked := map[*fact.Thread]bool{}
	for _, l := range s.Locks {
		for _, t := range l.Waiters {
			locked[t] = true
		}
	}
	var out []*crowd
	for _, t := range s.Threads {
		i, own := threads.OwnFrame(t)
		does, _ := threads.Does(t)
		if !own || locked[t] || t == s.Main || does != threads.DoesWork && does != threads.DoesStorage {
			continue
		}
		f := t.Frames[i]
		if at := slices.IndexFunc(out, func(c *crowd) bool { return same(c.where, f) }); at >= 0 {
			out[at].threads = append(out[at].threads, t)
			continue
		}
		out = append(out, &crowd{where: f, threads: []*fact.Thread{t}})
	}
	return out
}

func same(a, b fact.Frame) bool { return a.Func == b.Func && a.File == b.File && a.Line == b.Line }

// common are the threads of a that b has too.
func common(a, b []*fact.Thread) []*fact.Thread {
	var out []*fact.Thread
	for _, t := range a {
		if slices.ContainsFunc(b, func(o *fact.Thread) bool { return o.LWP == t.LWP && o.Name == t.Name && o.Number == t.Number }) {
			out = append(out, t)
		}
	}
	return out
}

func report(p *analyze.Pass, s *threads.Sample, found []*crowd) {
	slices.SortStableFunc(found, func(a, b *crowd) int { return len(b.threads) - len(a.threads) })
	var all []*fact.Thread
	lasting := true
	f := analyze.Finding{
		Subject:  s.Subject(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Entities: s.Entities(),
		Next:     []string{"for i in 1 2 3; do gdb -p PID -batch -ex 'thread apply all bt' > gdb_PID_$i.txt; sleep 5; done   # py-spy dump --pid PID for Python", "timeout 10 strace -f -yy -p PID -o strace_PID.txt"},
	}
	for _, c := range found {
		all = append(all, c.threads...)
		if c.before == nil {
			lasting = false
		}
		e := threads.Standing(c.threads[0], "stands")
		if n := len(c.threads); n > 1 {
			e.Note += fmt.Sprintf(", one of %d there", n)
		}
		f.Evidence = append(f.Evidence, e)
		if len(c.before) > 0 {
			f.Evidence = append(f.Evidence, analyze.Cite(c.before[0].At, "%d of them stood there in an earlier sample", len(c.before)))
		}
	}
	f.Title = fmt.Sprintf("%s of %s do not move: %s", join.Count(len(all), "thread"), s.Subject(), threads.Places(all, 3))
	f.Detail = "They wait for no connection, no peer and no work from a queue, but stand inside the program: a lock whose owner the text does not print, a pipe that nobody empties, a call into the system that does not return."
	f.Fix = fmt.Sprintf("See what the call at %s waits for, and who should end the wait.", threads.FrameText(found[0].where))
	if len(found) > 1 {
		f.Detail += "\n\nThey stand at several lines. If these lines take locks, two of them in opposite order would look like this."
	}
	if !lasting {
		f.Confidence = analyze.Possible
		f.Missing = append(f.Missing, "a second sample, some seconds later: one shows a crowd, two show that it does not move")
	}
	if s.Process != nil {
		if at, ok := s.Process.Cite(); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "the stacks are of %s: %s", s.Process, s.Link.By))
		}
	}
	p.Report(f)
}
