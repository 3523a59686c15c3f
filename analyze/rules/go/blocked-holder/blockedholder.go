// Package blockedholder finds locks whose holder is itself blocked.
package blockedholder

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// ID of the rule.
const ID = "go/blocked-holder"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "lock held by a blocked goroutine", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "so many blocked goroutines make it high severity"},
			{Name: "crowd", Default: 20, Unit: "goroutines", Doc: "so many behind a holder in network IO are a stall, not contention"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, group := range d.ShapesOf(waits.LockHeld) {
			report(p, d, group)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, group []*waits.Lock) {
	l := group[0]
	h := l.Holders[0]
	s := h.Stack
	blocked := waits.BlockedBy(group)
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s%s holds the %s%s while it is blocked %s in %s: %s",
			tables.Sentence(holder(s, h)), d.In(), l.Name(), waits.MoreLocks(group), s.Kind, s.At(s.Top()), blocks(blocked)),
		Detail:   detail(l, h),
		Missing:  d.Limits(),
		Entities: append(d.Entities(), l.Entity(), s.SiteEntity(d.Host, s.Top())),
		Fix:      fmt.Sprintf("Do not wait under the lock: release it in %s before the wait, or give the wait a way out (a deadline, a context, a buffered channel).", s.Func(h.Frame)),
		Next:     d.NextDumps(),
	}
	f.Evidence = append(f.Evidence, s.Cite(h.G, max(h.Frame, s.Top()), "%s seems to hold the lock in %s and is blocked %s in %s", s.Label(h.G), s.At(h.Frame), s.Kind, s.At(s.Top())))
	f.Evidence = slices.Concat(f.Evidence, l.WaiterEvidence(3), d.Link(), l.SupportOf())
	if blocked >= int64(p.Threshold("many")) || l.Lasting() {
		f.Severity = analyze.High
	}
	if h.Sign == waits.HoldsByType || h.Resting() || len(l.Holders) > 1 || d.Grouped || s.Kind == waits.OnCond {
		f.Confidence = analyze.Possible
	}
	if s.Kind.Live() && s.AtMercy() == "" && !(s.Kind == waits.OnIO && l.Count() >= int64(p.Threshold("crowd"))) {
		// It goes on by itself: slow, not stuck.
		f.Confidence = analyze.Possible
		if f.Severity == analyze.High {
			f.Severity = analyze.Medium
		} else {
			f.Severity = analyze.Low
		}
	}
	for _, o := range l.Holders[1:min(len(l.Holders), 4)] {
		f.Against = append(f.Against, o.Stack.Cite(o.G, o.Frame, "%s could hold it as well: it is %s in %s", o.Stack.Label(o.G), o.Stack.Kind, o.Stack.At(o.Frame)))
	}
	p.Report(f)
}

// holder names the goroutine that holds: only one of a grouped profile's can.
func holder(s *waits.Stack, h waits.Holder) string {
	if h.G.ID == 0 && s.Count > 1 {
		return "one of " + s.Label(h.G)
	}
	return s.Label(h.G)
}

func blocks(n int64) string {
	if n == 1 {
		return "1 goroutine waits for the lock"
	}
	return fmt.Sprintf("%d goroutines wait for the lock or behind it", n)
}

func detail(l *waits.Lock, h waits.Holder) string {
	var b strings.Builder
	s := h.Stack
	fmt.Fprintf(&b, "The %s (%s) is waited for by %s%s: %s.", l.Name(), l.Trust, join.Count(l.Count(), "goroutine"), l.Age(), l.Sites())
	fmt.Fprintf(&b, "\n\nIts holder seems to be %s, because it %s. It is %s: %s.", holder(s, h), signWords(h.Sign, s, h.Frame), s.Kind, s.Path())
	if who := s.AtMercy(); who != "" {
		fmt.Fprintf(&b, " It waits for %s, and so does everybody behind the lock.", who)
	}
	if l.Blocked > l.Count() {
		fmt.Fprintf(&b, "\n\nWith those that wait for locks which in turn their holders cannot release, %d goroutines are blocked.", l.Blocked)
	}
	if w := l.Waiters[0]; s.Kind == waits.OnSend || s.Kind == waits.OnRecv || s.Kind == waits.OnSelect {
		fmt.Fprintf(&b, "\n\nIf the other end of that channel is served by a goroutine that waits for this lock (for example %s in %s), neither goes on: a deadlock of a channel and a lock.", w.Stack.Label(w.G), w.Stack.At(w.Stack.Site))
	}
	if n := len(l.Holders); n > 1 {
		fmt.Fprintf(&b, "\n\n%d goroutines could be the holder; the dump does not say which.", n)
	}
	return b.String()
}

// signWords says why a goroutine is taken for the holder.
func signWords(sign waits.HolderSign, s *waits.Stack, frame int) string {
	switch sign {
	case waits.HoldsByLine:
		return fmt.Sprintf("is in %s, behind the line where others wait for the lock", s.At(frame))
	case waits.HoldsByPointer:
		return fmt.Sprintf("is in %s with a pointer to the lock's object, outside of its own wait", s.At(frame))
	}
	return fmt.Sprintf("is in %s, a function of the type or package that locks it; no receivers can be compared", s.At(frame))
}
