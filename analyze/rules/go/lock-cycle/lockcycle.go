// Package lockcycle finds goroutines that wait for each other's locks.
package lockcycle

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
)

// ID of the rule.
const ID = "go/lock-cycle"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "lock-order cycle", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, group := range d.ShapesOf(waits.LockCycle) {
			if group[0].Twice != nil {
				reportTwice(p, d, group[0])
			} else {
				report(p, d, group)
			}
		}
	}
	return nil
}

// edge is one step of the cycle: a goroutine that holds one lock and waits for the
// next.
type edge struct {
	holds, wants *waits.Lock
	by           waits.Holder
}

func edges(l *waits.Lock) []edge {
	var out []edge
	for i, holds := range l.Cycle {
		wants := l.Cycle[(i+1)%len(l.Cycle)]
		if h, ok := holds.HolderToward(wants); ok {
			out = append(out, edge{holds, wants, h})
		}
	}
	return out
}

func report(p *analyze.Pass, d *waits.Dump, group []*waits.Lock) {
	l := group[0]
	steps := edges(l)
	sign := waits.HoldsByLine
	var names, who []string
	var cited []*fact.Goroutine
	f := analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Likely,
		Missing: d.Limits(), Next: d.NextDumps(), Entities: d.Entities(),
	}
	for _, e := range steps {
		s := e.by.Stack
		sign = min(sign, e.by.Sign)
		names = append(names, e.holds.Name())
		who = append(who, fmt.Sprintf("%s holds the %s in %s and waits for the %s in %s", s.Label(e.by.G), e.holds.Name(), s.Func(e.by.Frame), e.wants.Name(), s.At(s.Site)))
		f.Evidence = append(f.Evidence, s.Cite(e.by.G, max(e.by.Frame, s.Site), "%s", who[len(who)-1]))
		f.Entities = append(f.Entities, e.holds.Entity())
		cited = append(cited, e.by.G)
	}
	f.Subject = strings.Join(names, " and ") + d.In()
	f.Title = fmt.Sprintf("Deadlock%s: %s; %s blocked", d.In(), waits.List(who, 3), blocked(l.Blocked))
	if len(group) > 1 {
		f.Title += fmt.Sprintf(" (%d more such cycles)", len(group)-1)
	}
	f.Detail = detail(l, steps, group)
	f.Fix = fmt.Sprintf("Take the locks in one order everywhere (by address or id where they are of one type), and call nothing under one of them that takes the other: %s.", strings.Join(functions(steps), ", "))
	f.Evidence = slices.Concat(f.Evidence, l.WaiterEvidence(2, cited...), d.Link(), l.SupportOf())
	switch {
	case d.Grouped, l.Round, sign == waits.HoldsByType && !sure(steps):
		f.Confidence = analyze.Possible
	case persists(steps):
		f.Confidence = analyze.Confirmed
	}
	p.Report(f)
}

// reportTwice tells of a cycle that shows only in the lines: this form of dump has
// no addresses.
func reportTwice(p *analyze.Pass, d *waits.Dump, l *waits.Lock) {
	s := l.Twice
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.High, Confidence: analyze.Possible,
		Title: fmt.Sprintf("Deadlock%s by the order of locks: %s wait for a second lock in %s, each with a first one that others wait for in the same function; %s blocked",
			d.In(), join.Count(s.Count, "goroutine"), s.At(s.Site), blocked(l.Blocked)),
		Detail: fmt.Sprintf("%s waits for a lock at more than one line: %s. Whoever waits at the later line has passed the earlier one and seems to hold a lock of the same kind. "+
			"Two or more that stand there, each with one lock and waiting for another's, block each other when they take the locks in opposite order. The dump prints no addresses, so holding is inferred from the lines alone; a lock that was leaked in the same function looks similar.", s.Func(s.Site), l.Sites()),
		Evidence: slices.Concat([]analyze.Evidence{s.Cite(s.First(), s.Site, "waiting for the second lock in %s, one of %d with this stack", s.At(s.Site), s.Count)}, l.WaiterEvidence(2), d.Link(), l.SupportOf()),
		Missing:  append(d.Limits(), "the addresses of the locks (debug=2) would show who waits for whom"),
		Entities: append(d.Entities(), l.Entity()),
		Fix:      fmt.Sprintf("Take the locks in %s in one order, by address or id of what they guard, whatever order the arguments have.", s.Func(s.Site)),
		Next:     d.NextDumps(),
	}
	p.Report(f)
}

// sure reports whether each lock of the cycle is told from others by an address, and
// has only one goroutine that could hold it: then even weak signs do not close a
// circle by chance.
func sure(steps []edge) bool {
	for _, e := range steps {
		if e.holds.Trust <= waits.LockByType || len(e.holds.Holders) > 1 {
			return false
		}
	}
	return true
}

func persists(steps []edge) bool {
	for _, e := range steps {
		if !e.wants.Persists() {
			return false
		}
	}
	return true
}

func blocked(n int64) string {
	if n == 1 {
		return "1 goroutine is"
	}
	return fmt.Sprintf("%d goroutines are", n)
}

func functions(steps []edge) []string {
	var out []string
	for _, e := range steps {
		for _, i := range []int{e.by.Frame, e.by.Stack.Site} {
			if fn := e.by.Stack.Func(i); !slices.Contains(out, fn) {
				out = append(out, fn)
			}
		}
	}
	return out
}

func detail(l *waits.Lock, steps []edge, group []*waits.Lock) string {
	var b strings.Builder
	b.WriteString("Each goroutine of the cycle waits for a lock that the next one holds, so none of them can go on:")
	for _, e := range steps {
		s := e.by.Stack
		how := "it has a pointer to the lock's object"
		switch e.by.Sign {
		case waits.HoldsByLine:
			how = "it is behind the line where others wait for that lock"
		case waits.HoldsByType:
			how = "it is in a function of the type that locks it"
		}
		fmt.Fprintf(&b, "\n- %s (%s) holds the %s: %s in %s; it waits for the %s in %s%s", s.Label(e.by.G), s.Path(), e.holds.Name(), how, s.At(e.by.Frame), e.wants.Name(), s.At(s.Site), e.wants.Age())
	}
	if l.Round {
		b.WriteString("\n\nWhich of them holds which lock is not to be told, because their receivers are not printed: they are as many as the locks, and each could hold any but the one it waits for.")
	}
	fmt.Fprintf(&b, "\n\n%s blocked by it directly or through other locks. Waiting for the %s: %s.", blocked(l.Blocked), l.Name(), l.Sites())
	if len(group) > 1 {
		fmt.Fprintf(&b, "\n\n%d cycles of this kind are in the dump.", len(group))
	}
	return b.String()
}
