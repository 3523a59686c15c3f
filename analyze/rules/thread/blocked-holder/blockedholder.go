// Package blockedholder finds locks whose owner is a thread that is itself held up.
package blockedholder

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/threads"
)

// ID of the rule.
const ID = "thread/blocked-holder"

//go:embed doc.md
var doc string

// Rule finds locks whose owner is a thread that is itself held up.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "lock held by a thread that is held up", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"thread"},
		Thresholds: []analyze.Threshold{
			{Name: "waiters", Default: 2, Unit: "threads", Doc: "threads that wait behind the owner"},
			{Name: "many", Default: 5, Unit: "threads", Doc: "so many waiting threads make it high severity"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, samples := range threads.Of(p).ByProcess(join.SamplesOf(p)) {
		for _, l := range samples[len(samples)-1].Locks {
			if l.Head() && l.Owner != nil && l.Cycle() == nil {
				look(p, samples, l)
			}
		}
	}
	return nil
}

func look(p *analyze.Pass, samples []*threads.Sample, l *threads.Lock) {
	blocked := l.Blocked()
	does, frame := threads.Does(l.Owner)
	before := l.InEarlier(samples)
	lasting := before != nil && before.Owner != nil && threads.Name(before.Owner) == threads.Name(l.Owner)
	// A thread at work, or in a call on a file, gives the lock back in a moment: one
	// sample shows a queue, two the same queue.
	passing := does == threads.DoesWork || does == threads.DoesStorage
	p.Note("%s in %s: %d threads wait, its owner %s %s, seen in an earlier sample: %t", l, l.Sample.Subject(), len(blocked), threads.Name(l.Owner), does, lasting)
	if float64(len(blocked)) < p.Threshold("waiters") || passing && !lasting {
		return
	}
	s := l.Sample
	f := analyze.Finding{
		Subject:  l.String() + " in " + s.Subject(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s of %s wait for %s, whose owner %s %s", join.Count(len(blocked), "thread"), s.Subject(), l, threads.Name(l.Owner), does),
		Detail: fmt.Sprintf("%s holds %s and %s%s. Behind it wait: %s.", threads.Name(l.Owner), l, does, inCall(frame), threads.Places(blocked, 4)) +
			"\n\nThe owner is what to look at: the waiting threads only show how far the damage reaches.",
		Entities: append(s.Entities(), l.Entity()),
		Fix:      "Do not hold the lock over a call that can take long: copy what is needed, release, then call; give the call a time limit.",
		Next:     []string{"for i in 1 2 3; do jstack -l PID > jstack_$i.txt; sleep 5; done   # or gdb -p PID -batch -ex 'thread apply all bt'"},
	}
	f.Evidence = append(f.Evidence, threads.Standing(l.Owner, "holds %s and %s", l, does))
	f.Evidence = append(f.Evidence, l.WaiterEvidence(3)...)
	if float64(len(blocked)) >= p.Threshold("many") {
		f.Severity = analyze.High
	}
	if lasting {
		f.Confidence = analyze.Confirmed
		f.Evidence = append(f.Evidence, threads.Standing(before.Owner, "held it in an earlier sample too,"))
	} else {
		f.Missing = append(f.Missing, "a second sample some seconds later would show whether the owner moves")
	}
	if s.Process != nil {
		if at, ok := s.Process.Cite(); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "the stacks are of %s: %s", s.Process, s.Link.By))
		}
	}
	if own, ok := threads.Where(l.Owner); ok {
		f.Fix = fmt.Sprintf("At %s: %s", threads.FrameText(own), "do not hold the lock over a call that can take long. Copy what is needed, release, then call; give the call a time limit.")
	}
	p.Report(f)
}

func inCall(f fact.Frame) string {
	if f.Func == "" {
		return ""
	}
	return " (" + f.Func + ")"
}
