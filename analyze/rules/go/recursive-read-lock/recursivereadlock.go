// Package recursivereadlock finds readers that read-lock again behind a writer.
package recursivereadlock

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/recursive-read-lock"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "recursive read lock", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, group := range d.ShapesOf(waits.LockReadTwice) {
			report(p, d, group)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, group []*waits.Lock) {
	l := group[0]
	r := l.Recursion
	s, w := r.Stack, r.Writer
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Title: fmt.Sprintf("Deadlock on the %s%s: %s holds the read lock and calls %s, which read-locks again behind the pending writer %s; %s%s",
			l.Name(), d.In(), s.Func(r.Outer), s.At(s.Site), w.Stack.Func(w.Stack.Site), blocked(waits.BlockedBy(group)), waits.MoreLocks(group)),
		Detail: fmt.Sprintf("A pending writer keeps new readers of an RWMutex out, also a reader that has the lock already. %s holds the read lock in %s and calls %s, which waits in RLock behind %s (%s); "+
			"the writer waits for %s to give its read lock back. The lock: %s. Waiting for it: %d writers and %d readers in %s.",
			s.Label(r.G), s.At(r.Outer), s.At(s.Site), w.Stack.Label(w.G), w.Stack.At(w.Stack.Site), s.Func(r.Outer), l.Trust, l.Writers(), l.Readers(), l.Sites()),
		Missing:  d.Limits(),
		Entities: append(d.Entities(), l.Entity()),
		Fix:      fmt.Sprintf("Do not call %s while %s holds the read lock: split it into one function that locks and one that expects the lock to be held.", s.Func(s.Site), s.Func(r.Outer)),
		Next:     d.NextDumps(),
	}
	f.Evidence = append(f.Evidence,
		s.Cite(r.G, r.Outer, "%s holds the read lock in %s and waits to read-lock again in %s", s.Label(r.G), s.At(r.Outer), s.At(s.Site)),
		w.Stack.Cite(w.G, w.Stack.Site, "%s is the pending writer, in %s", w.Stack.Label(w.G), w.Stack.At(w.Stack.Site)),
		analyze.Cite(r.G.FrameAt(r.Outer), "the frame that holds the read lock"))
	f.Evidence = slices.Concat(f.Evidence, l.WaiterEvidence(3), d.Link(), l.SupportOf())
	switch {
	case r.Sign == waits.HoldsByType || d.Grouped:
		f.Confidence = analyze.Possible
	case r.Sign == waits.HoldsByLine && l.Persists():
		f.Confidence = analyze.Confirmed
	}
	p.Report(f)
}

func blocked(n int64) string {
	if n == 1 {
		return "1 goroutine is blocked"
	}
	return fmt.Sprintf("%d goroutines are blocked", n)
}
