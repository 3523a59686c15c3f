// Package deadlock finds threads that wait for each other's locks.
package deadlock

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/threads"
)

// ID of the rule.
const ID = "thread/deadlock"

//go:embed doc.md
var doc string

// Rule finds threads that wait for each other's locks.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "deadlock of threads", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"thread"},
		Collect: map[fact.Kind]string{
			"thread": "jstack -l PID > jstack_PID.txt   # Java; for C and C++: gdb -p PID -batch -ex 'thread apply all bt full' > gdb_PID.txt",
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	owners := 0
	for _, samples := range threads.Of(p).ByProcess(join.SamplesOf(p)) {
		latest := samples[len(samples)-1]
		var circles []circle
		for _, l := range latest.Locks {
			if l.Owner != nil {
				owners++
			}
			if cycle := l.Cycle(); cycle != nil {
				circles = add(circles, cycle)
			}
		}
		for _, c := range circles {
			report(p, samples, c)
		}
		if crossed := latest.Crossed(); crossed != nil {
			supposed(p, samples, crossed)
		}
	}
	p.Note("%d locks that threads wait for have a known owner", owners)
	return nil
}

// circle is a set of locks that wait for each other. Others are circles of other
// threads at the same lines: the same mistake.
type circle struct {
	locks  []*threads.Lock
	others [][]*threads.Lock
}

func add(list []circle, cycle []*threads.Lock) []circle {
	for i := range list {
		if sites(list[i].locks) == sites(cycle) {
			list[i].others = append(list[i].others, cycle)
			return list
		}
	}
	return append(list, circle{locks: cycle})
}

// sites are the lines where the threads of a circle stand, in a fixed order.
func sites(cycle []*threads.Lock) string {
	var out []string
	for _, l := range cycle {
		if f, ok := threads.Where(l.Owner); ok {
			out = append(out, threads.FrameText(f))
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), "; ")
}

func report(p *analyze.Pass, samples []*threads.Sample, c circle) {
	cycle := c.locks
	first := cycle[0]
	s := first.Sample
	f := analyze.Finding{
		Subject:  "deadlock of " + names(cycle) + " in " + s.Subject(),
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Title:    title(cycle),
		Entities: append(s.Entities(), first.Entity()),
		Fix:      fix(cycle),
	}
	var steps []string
	for i, l := range cycle {
		prev := cycle[(i+len(cycle)-1)%len(cycle)]
		steps = append(steps, fmt.Sprintf("%s holds %s and waits for %s", threads.Name(prev.Owner), prev, l))
		f.Evidence = append(f.Evidence, threads.Standing(prev.Owner, "holds %s and waits for %s", prev, l))
	}
	f.Detail = strings.Join(steps, "; ") + ". None of them can go on, and no time limit ends it."
	for _, o := range c.others {
		f.Detail += fmt.Sprintf("\n\n%s wait for each other at the same lines.", names(o))
		f.Evidence = append(f.Evidence, threads.Standing(o[0].Owner, "holds %s and waits for %s", o[len(o)-1], o[0]))
	}
	if behind := len(first.Blocked()) - len(cycle); behind > 0 {
		f.Detail += fmt.Sprintf("\n\n%s behind them. All stand at: %s.", more(behind), threads.Places(first.Blocked(), 4))
		for _, l := range cycle {
			for _, e := range l.WaiterEvidence(2) {
				if !slices.ContainsFunc(f.Evidence, func(have analyze.Evidence) bool { return have.Ref == e.Ref }) {
					f.Evidence = append(f.Evidence, e)
				}
			}
		}
	}
	if prev := first.InEarlier(samples); prev != nil {
		f.Evidence = append(f.Evidence, analyze.Cite(prev.Waiters[0].At, "the same in an earlier sample"))
	}
	if s.Process == nil {
		f.Missing = append(f.Missing, "which process the stacks are of")
	} else if at, ok := s.Process.Cite(); ok {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "the stacks are of %s: %s", s.Process, s.Link.By))
	}
	p.Report(f)
}

// supposed reports locks without a known owner that only each other's waiters can
// hold.
func supposed(p *analyze.Pass, samples []*threads.Sample, locks []*threads.Lock) {
	s := locks[0].Sample
	var waiters []*fact.Thread
	var waits, inspect []string
	f := analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Likely, Entities: s.Entities(),
		Missing: []string{"the owners of the locks"},
	}
	for _, l := range locks {
		waiters = append(waiters, l.Waiters...)
		waits = append(waits, fmt.Sprintf("%s for %s", join.Count(len(l.Waiters), "thread"), l))
		f.Evidence = append(f.Evidence, l.WaiterEvidence(2)...)
		f.Entities = append(f.Entities, l.Entity())
		addr, _, _ := strings.Cut(l.Name, " ")
		inspect = append(inspect, "-ex 'p *(pthread_mutex_t *)"+addr+"'")
	}
	f.Subject = "deadlock on " + locks[0].String() + " in " + s.Subject()
	f.Title = fmt.Sprintf("Deadlock in %s: threads wait for each other's locks, %s", s.Subject(), strings.Join(waits, ", "))
	f.Detail = fmt.Sprintf("All %d other threads of the sample stand where threads without work stand, so that each of these locks is held by a thread that waits for another of them, or was never unlocked. They stand at: %s.",
		len(s.Threads)-len(waiters), threads.Places(waiters, 4))
	f.Fix = "Take these locks in one order everywhere, or hold only one of them at a time: " + threads.Places(waiters, 4) + "."
	f.Next = []string{"gdb -p PID -batch " + strings.Join(inspect, " ") + " -ex 'thread apply all bt' > gdb_PID.txt   # __owner is the thread that holds it"}
	if prev := locks[0].InEarlier(samples); prev != nil {
		f.Evidence = append(f.Evidence, analyze.Cite(prev.Waiters[0].At, "the same in an earlier sample"))
	}
	if s.Process != nil {
		if at, ok := s.Process.Cite(); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "the stacks are of %s: %s", s.Process, s.Link.By))
		}
	}
	p.Report(f)
}

func names(cycle []*threads.Lock) string {
	var out []string
	for _, l := range cycle {
		out = append(out, threads.Name(l.Owner))
	}
	return strings.Join(out, " and ")
}

func title(cycle []*threads.Lock) string {
	l := cycle[0]
	in := l.Sample.Subject()
	behind := ""
	if n := len(l.Blocked()) - len(cycle); n > 0 {
		behind = "; " + more(n) + " behind them"
	}
	if len(cycle) == 1 {
		return fmt.Sprintf("%s of %s waits for %s, which it holds itself%s", threads.Name(l.Owner), in, l, behind)
	}
	return fmt.Sprintf("Deadlock in %s: %s wait for each other's locks%s", in, names(cycle), behind)
}

// more is "1 more thread waits", "4 more threads wait".
func more(n int) string {
	if n == 1 {
		return "1 more thread waits"
	}
	return fmt.Sprintf("%d more threads wait", n)
}

func fix(cycle []*threads.Lock) string {
	at := sites(cycle)
	if len(cycle) == 1 {
		return "Do not lock again what the caller has locked (" + at + "): split the function into one that locks and one that expects the lock held."
	}
	return "Take these locks in one order everywhere, or hold only one of them at a time: " + at + "."
}
