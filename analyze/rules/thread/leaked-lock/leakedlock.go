// Package leakedlock finds locks that threads wait for and no thread of the sample
// holds.
package leakedlock

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
const ID = "thread/leaked-lock"

//go:embed doc.md
var doc string

// Rule finds locks that threads wait for and no thread holds.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "lock without an owner", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"thread"},
		Thresholds: []analyze.Threshold{
			{Name: "waiters", Default: 2, Unit: "threads", Doc: "threads that wait for the lock"},
			{Name: "many", Default: 5, Unit: "threads", Doc: "so many waiting threads make it high severity"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, samples := range threads.Of(p).ByProcess(join.SamplesOf(p)) {
		if crossed := samples[len(samples)-1].Crossed(); crossed != nil {
			p.Note("%d locks in %s can only be held by threads that wait for another of them: a deadlock", len(crossed), crossed[0].Sample.Subject())
			continue
		}
		for _, l := range samples[len(samples)-1].Locks {
			if l.Head() && l.Owner == nil {
				look(p, samples, l)
			}
		}
	}
	return nil
}

func look(p *analyze.Pass, samples []*threads.Sample, l *threads.Lock) {
	blocked := l.Blocked()
	busy := suspects(l, blocked)
	before := l.InEarlier(samples)
	p.Note("%s in %s: %d threads wait, %d others are at work and may hold it, seen in an earlier sample: %t", l, l.Sample.Subject(), len(blocked), len(busy), before != nil)
	working := slices.ContainsFunc(busy, func(t *fact.Thread) bool {
		a, _ := threads.Does(t)
		return a == threads.DoesWork || a == threads.DoesStorage
	})
	if float64(len(blocked)) < p.Threshold("waiters") || working && before == nil {
		return
	}
	s := l.Sample
	f := analyze.Finding{
		Subject:  l.String() + " in " + s.Subject(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title:    fmt.Sprintf("%s of %s wait for %s, which no thread of the sample is seen to hold: it was locked and never unlocked", join.Count(len(blocked), "thread"), s.Subject(), l),
		Evidence: l.WaiterEvidence(4),
		Entities: append(s.Entities(), l.Entity()),
		Fix:      fmt.Sprintf("Look for a path that returns or throws between lock and unlock, first in the functions that wait here (%s); unlock in a guard (`std::lock_guard`, `finally`).", threads.Places(blocked, 3)),
		Next:     next(l),
	}
	f.Detail = fmt.Sprintf("Waiting: %s. ", threads.Places(blocked, 4)) + absence(l, busy)
	if float64(len(blocked)) >= p.Threshold("many") {
		f.Severity = analyze.High
	}
	if before != nil {
		f.Evidence = append(f.Evidence, analyze.Cite(before.Waiters[0].At, "%d threads waited for it in an earlier sample", len(before.Waiters)))
	}
	switch {
	case l.OwnerLWP.Known && before != nil:
		f.Confidence = analyze.Confirmed
	case l.OwnerLWP.Known:
	case len(busy) > 0, s.Runtime() == "jvm" && !lists(s):
		f.Confidence = analyze.Possible
		f.Title = fmt.Sprintf("%s of %s wait for %s, and the text does not say who holds it", join.Count(len(blocked), "thread"), s.Subject(), l)
		f.Missing = append(f.Missing, "the owner of the lock")
		for _, t := range busy[:min(len(busy), 3)] {
			does, _ := threads.Does(t)
			f.Against = append(f.Against, threads.Standing(t, "may hold it: it %s", does))
		}
	}
	if before == nil {
		f.Missing = append(f.Missing, "a second sample some seconds later would show whether it lasts")
	}
	if s.Process != nil {
		if at, ok := s.Process.Cite(); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "the stacks are of %s: %s", s.Process, s.Link.By))
		}
	}
	p.Report(f)
}

// suspects are threads that could hold the lock: they neither wait for it nor stand
// where threads without work stand.
func suspects(l *threads.Lock, blocked []*fact.Thread) []*fact.Thread {
	var out []*fact.Thread
	for _, t := range l.Sample.Threads {
		if slices.Contains(blocked, t) {
			continue
		}
		does, _ := threads.Does(t)
		if _, own := threads.OwnFrame(t); own && !does.Idle() {
			out = append(out, t)
		}
	}
	return out
}

// lists reports whether the sample lists the locks of java.util.concurrent that
// threads own.
func lists(s *threads.Sample) bool {
	return slices.ContainsFunc(s.Threads, func(t *fact.Thread) bool { return t.Synchronizers })
}

func absence(l *threads.Lock, busy []*fact.Thread) string {
	n := len(l.Sample.Threads)
	switch {
	case l.OwnerLWP.Known:
		return fmt.Sprintf("The lock itself says that thread %d owns it, and among the %d threads of the sample there is none with that number: the thread ended, or returned its number, with the lock held.", l.OwnerLWP.V, n)
	case len(busy) > 0:
		return fmt.Sprintf("%s of the %d could hold it; the sample does not tell.", join.Count(len(busy), "other thread"), n)
	}
	return fmt.Sprintf("Every other of the %d threads stands where threads without work stand: nobody is inside the section that the lock protects. A path that left it without unlocking leaves a lock behind like this.", n)
}

func next(l *threads.Lock) []string {
	if l.Sample.Runtime() == "jvm" {
		return []string{"for i in 1 2 3; do jstack -l PID > jstack_$i.txt; sleep 5; done"}
	}
	addr, _, _ := strings.Cut(l.Name, " ") // the symbol is for readers
	return []string{"gdb -p PID -batch -ex 'p *(pthread_mutex_t *)" + addr + "' -ex 'thread apply all bt full' > gdb_PID.txt   # __owner is the thread that holds it"}
}
