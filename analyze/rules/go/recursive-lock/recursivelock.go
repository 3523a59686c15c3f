// Package recursivelock finds goroutines that lock what they hold already.
package recursivelock

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID of the rule.
const ID = "go/recursive-lock"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "one goroutine locks twice", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range join.WaitsOf(p).Dumps {
		for _, group := range d.ShapesOf(join.LockTwice) {
			report(p, d, group)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *join.WaitDump, group []*join.Lock) {
	l := group[0]
	r := l.Recursion
	s := r.Stack
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s%s locks the %s twice: %s holds it and calls %s, which waits for it for ever%s",
			s.Label(r.G), d.In(), l.Name(), s.Func(r.Outer), s.At(s.Site), join.MoreLocks(group)),
		Detail: fmt.Sprintf("Go's locks are not recursive. On one stack, %s has the lock's object as its receiver and calls, through %s, %s, which waits for the lock of the same object (%s). "+
			"Nobody else is a candidate for holding it. %s blocked by it.", s.At(r.Outer), s.Path(), s.At(s.Site), l.Trust, blocked(join.BlockedBy(group))),
		Missing:  append(d.Limits(), fmt.Sprintf("whether %s has the lock when it makes the call stands in the source; if it only calls through, the lock was leaked elsewhere (see go/leaked-lock)", s.Func(r.Outer))),
		Entities: append(d.Entities(), l.Entity()),
		Fix:      fmt.Sprintf("Split %s into one function that locks and one that expects the lock to be held, and call the latter from %s.", s.Func(s.Site), s.Func(r.Outer)),
		Next:     d.NextDumps(),
	}
	f.Evidence = append(f.Evidence, s.Cite(r.G, r.Outer, "%s waits for the %s in %s, called from %s, which has the same receiver", s.Label(r.G), l.Name(), s.At(s.Site), s.At(r.Outer)),
		analyze.Cite(r.G.FrameAt(r.Outer), "the frame that seems to hold the lock"))
	f.Evidence = slices.Concat(f.Evidence, l.WaiterEvidence(2), d.Link(), l.SupportOf())
	switch {
	case r.CallsThrough(l):
		w := l.Other(r.G)
		f.Confidence = analyze.Possible
		f.Title = fmt.Sprintf("%s%s waits in %s for the %s, which its caller %s seems to hold itself, or which was locked and never unlocked; %s blocked",
			s.Label(r.G), d.In(), s.At(s.Site), l.Name(), s.Func(r.Outer), blocked(join.BlockedBy(group)))
		f.Against = append(f.Against, w.Stack.Cite(w.G, w.Stack.Site, "%s waits for it as well, in %s: if %s only calls %s in a loop, a path that returned between Lock and Unlock leaked the lock, perhaps in %s",
			w.Stack.Label(w.G), w.Stack.At(w.Stack.Site), s.Func(r.Outer), s.Func(s.Site), w.Stack.Func(w.Stack.Top())))
	case r.Sign == join.HoldsByType || d.Grouped:
		f.Confidence = analyze.Possible
	case r.Sign == join.HoldsByLine && l.Persists():
		f.Confidence = analyze.Confirmed
	}
	p.Report(f)
}

func blocked(n int64) string {
	if n == 1 {
		return "1 goroutine is"
	}
	return fmt.Sprintf("%d goroutines are", n)
}
