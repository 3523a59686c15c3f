// Package recursivelock finds goroutines that lock what they hold already.
package recursivelock

import (
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/waits"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
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
	for _, d := range waits.Of(p).Dumps {
		for _, group := range d.ShapesOf(waits.LockTwice) {
			report(p, d, group)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, group []*waits.Lock) {
	l := group[0]
	r := l.Recursion
	s := r.Stack
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Title:    title(d, l, group),
		Detail:   detail(l, waits.BlockedBy(group)),
		Missing:  d.Limits(),
		Entities: append(d.Entities(), l.Entity()),
		Fix:      fix(l),
		Next:     d.NextDumps(),
	}
	f.Evidence = append(f.Evidence, s.Cite(r.G, r.Outer, "%s waits for the %s in %s, called from %s", s.Label(r.G), l.Name(), s.At(s.Site), s.At(r.Outer)),
		analyze.Cite(r.G.FrameAt(r.Outer), "the frame that seems to hold the lock"))
	f.Evidence = slices.Concat(f.Evidence, l.WaiterEvidence(2, r.G), d.Link(), l.SupportOf())
	if !l.Once() {
		f.Missing = append(f.Missing, fmt.Sprintf("whether %s has the lock when it makes the call stands in the source; if it only calls through, the lock was leaked elsewhere (see go/leaked-lock)", s.Func(r.Outer)))
	}
	switch {
	case r.CallsThrough(l):
		w := l.Other(r.G)
		f.Confidence = analyze.Possible
		f.Title = fmt.Sprintf("%s%s waits in %s for the %s, which its caller %s seems to hold itself, or which was locked and never unlocked; %s blocked",
			tables.Sentence(s.Label(r.G)), d.In(), s.At(s.Site), l.Name(), s.Func(r.Outer), blocked(waits.BlockedBy(group)))
		f.Against = append(f.Against, w.Stack.Cite(w.G, w.Stack.Site, "%s waits for it as well, in %s: if %s only calls %s in a loop, a path that returned between Lock and Unlock leaked the lock, perhaps in %s",
			w.Stack.Label(w.G), w.Stack.At(w.Stack.Site), s.Func(r.Outer), s.Func(s.Site), w.Stack.Func(w.Stack.Top())))
	case r.Sign == waits.HoldsByType || r.Copied || d.Grouped:
		f.Confidence = analyze.Possible
	case r.Sign == waits.HoldsByLine && l.Persists():
		f.Confidence = analyze.Confirmed
	}
	p.Report(f)
}

func title(d *waits.Dump, l *waits.Lock, group []*waits.Lock) string {
	r := l.Recursion
	s := r.Stack
	who := tables.Sentence(s.Label(r.G)) + d.In()
	if l.Once() {
		return fmt.Sprintf("%s waits for ever in %s for the %s that it is inside of: the function that the Once runs asks for it again%s", who, s.At(s.Site), l.Name(), waits.MoreLocks(group))
	}
	if r.Copied {
		return fmt.Sprintf("%s waits for ever in %s for a copy of a lock: the caller %s seems to hold the %s, and the method has a copy of the object for receiver%s", who, s.At(s.Site), s.Func(r.Outer), l.Kind(), waits.MoreLocks(group))
	}
	return fmt.Sprintf("%s locks the %s twice: %s seems to hold it and calls %s, which waits for it for ever%s", who, l.Name(), s.Func(r.Outer), s.At(s.Site), waits.MoreLocks(group))
}

func detail(l *waits.Lock, n int64) string {
	r := l.Recursion
	s := r.Stack
	rest := fmt.Sprintf("Nobody else is a candidate for holding it. %s blocked by it.", blocked(n))
	switch {
	case l.Once():
		return fmt.Sprintf("A sync.Once holds its lock while its function runs. On one stack, that function, called in %s, comes back to the same call of Do, in %s: %s. %s", s.At(r.Outer), s.At(s.Site), s.Path(), rest)
	case r.Copied:
		return fmt.Sprintf("%s has its receiver by value, so that the call in %s copied the object with its lock. If the lock was held then, so is the copy, and nobody has a pointer to the copy that could release it. That it was held is inferred. `go vet` reports such copies. %s", s.Func(s.Site), s.At(r.Outer), rest)
	case r.Sign == waits.HoldsByType:
		return fmt.Sprintf("Go's locks are not recursive. On one stack, %s, a function of the type that the lock belongs to, calls through %s %s, which waits for the lock (%s). That both mean one object, and that the outer one holds the lock, is inferred: the receivers are not both printed. %s", s.At(r.Outer), s.Path(), s.At(s.Site), l.Trust, rest)
	}
	return fmt.Sprintf("Go's locks are not recursive. On one stack, %s has the lock's object as its receiver and calls, through %s, %s, which waits for the lock of the same object (%s). That it holds the lock when it calls is inferred. %s", s.At(r.Outer), s.Path(), s.At(s.Site), l.Trust, rest)
}

// fix is what to change where the recursion begins.
func fix(l *waits.Lock) string {
	r := l.Recursion
	s := r.Stack
	if l.Once() {
		return fmt.Sprintf("Let nothing that the Once runs call %s: hand the value on as an argument, or make it before Do.", s.Func(s.Site))
	}
	if r.Copied {
		return fmt.Sprintf("Give %s a pointer receiver; it must not lock what %s has locked, so split it into one function that locks and one that does not.", s.Func(s.Site), s.Func(r.Outer))
	}
	return fmt.Sprintf("Split %s into one function that locks and one that expects the lock to be held, and call the latter from %s.", s.Func(s.Site), s.Func(r.Outer))
}

func blocked(n int64) string {
	if n == 1 {
		return "1 goroutine is"
	}
	return fmt.Sprintf("%d goroutines are", n)
}
