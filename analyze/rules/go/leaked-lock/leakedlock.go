// Package leakedlock finds locks that goroutines wait for and nobody holds.
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
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/leaked-lock"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "leaked lock", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "so many blocked goroutines make it high severity"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, l := range d.Locks {
			if l.Verdict() == waits.LockBusy && len(l.Live) > 0 {
				p.Note("%s: %s waits, but %s works under it: contention", l.Name(), join.Count(l.Count(), "goroutine"), l.Live[0].Stack.At(l.Live[0].Frame))
			}
		}
		for _, group := range d.ShapesOf(waits.LockLeaked) {
			report(p, d, group)
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, group []*waits.Lock) {
	l := group[0]
	blocked := waits.BlockedBy(group)
	live, counted := d.LiveIn(l.Packages()), d.CountedIn(l.Packages())
	f := analyze.Finding{
		Subject:  l.Name() + d.In(),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title:    title(d, l, group, blocked),
		Detail:   detail(d, l, group),
		Evidence: slices.Concat(l.WaiterEvidence(3), d.Link(), l.SupportOf()),
		Missing:  append(d.Limits(), "the goroutine that took the lock has returned: its stack is gone, the path without Unlock must be found in the source"),
		Entities: append(d.Entities(), l.Entity()),
		Fix:      fix(l),
		Next:     d.NextDumps(),
	}
	if blocked >= int64(p.Threshold("many")) || l.Lasting() {
		f.Severity = analyze.High
	}
	switch {
	case !d.Complete():
		// Absence means nothing here, so it is a symptom until a full dump shows more.
		f.Confidence, f.Severity = analyze.Possible, analyze.Medium
		f.Fix = ""
	case counted != nil:
		// One of those may be the holder: their arguments were not kept.
		f.Confidence = analyze.Possible
		f.Against = append(f.Against, counted.Cite(counted.First(), counted.Top(), "%d goroutines like this one, in the same package, were only counted: one of them could hold the lock", counted.Count))
	case l.Persists() && l.Trust >= waits.LockByReceiver:
		f.Confidence = analyze.Confirmed
	case live != nil:
		// Whoever works in the same package may hold it behind inlined frames.
		f.Confidence = analyze.Possible
		f.Against = append(f.Against, live.Cite(live.First(), live.Top(), "%s is %s in the same package, at %s: it could hold the lock", live.Label(live.First()), live.Kind, live.At(live.Top())))
		if blocked < int64(p.Threshold("many")) && !l.Lasting() {
			f.Severity = analyze.Low
		}
	}
	if left, ok := waits.LeaverOf(p, l); ok && d.Complete() {
		blame(&f, left)
	}
	if ev, ok := lastWords(p, d, l); ok {
		f.Evidence = append(f.Evidence, ev)
		f.Detail += "\n\n" + ev.Note + "."
	}
	p.Report(f)
}

func title(d *waits.Dump, l *waits.Lock, group []*waits.Lock, blocked int64) string {
	verb := "wait"
	if blocked == 1 {
		verb = "waits"
	}
	what := "which no goroutine of the dump holds: it was locked and never unlocked"
	if !d.Complete() {
		what = "and this form of dump does not show who holds it"
	}
	return fmt.Sprintf("%s%s %s for the %s%s, %s", join.Count(blocked, "goroutine"), d.In(), verb, l.Name(), waits.MoreLocks(group), what)
}

func detail(d *waits.Dump, l *waits.Lock, group []*waits.Lock) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The %s (%s) is waited for by %s%s: %s.", l.Name(), l.Trust, join.Count(l.Count(), "goroutine"), l.Age(), l.Sites())
	if !d.Complete() {
		fmt.Fprintf(&b, "\n\nIt may be leaked, in a deadlock, or held by a goroutine that is blocked: addresses and single goroutines would tell, and this dump has none.")
		return b.String()
	}
	fmt.Fprintf(&b, "\n\nNo holder was found among %s: nobody else has a pointer to its object on a stack, nobody works in %s, and no other lock is involved, so this is no cycle. "+
		"A path that returned or panicked between Lock and Unlock leaves a lock behind like this.", join.Count(d.Total, "goroutine"), waits.ShortFunc(l.Type))
	switch {
	case l.HeldForWriting() && l.Writers() == 0:
		fmt.Fprintf(&b, "\n\nAll that wait want to read. Readers wait only for a writer, so a function that takes the write lock left it behind; the readers in this dump did not.")
	case l.RW && l.Readers() == 0 && !l.HeldForWriting():
		fmt.Fprintf(&b, "\n\nA writer waits for readers to leave, so it is a read lock that was left behind: an RLock without its RUnlock.")
	}
	if len(group) > 1 {
		fmt.Fprintf(&b, "\n\n%d locks of this kind are in the same state.", len(group))
	}
	if n := len(l.Unlikely); n > 0 {
		u := l.Unlikely[0]
		fmt.Fprintf(&b, "\n\n%s of the same type rest elsewhere (%s, %s) and were not taken for holders.", join.Count(n, "goroutine"), u.Stack.At(u.Frame), u.Stack.Kind)
	}
	return b.String()
}

func fix(l *waits.Lock) string {
	var funcs []string
	for _, s := range l.Stacks() {
		funcs = append(funcs, s.Func(s.Site))
	}
	slices.Sort(funcs)
	if l.HeldForWriting() && l.Writers() == 0 {
		return fmt.Sprintf("Readers wait and no writer does, so the lock is held for writing: audit every return and panic between Lock and Unlock in the functions that write-lock what %s reads; write `defer mu.Unlock()` right behind Lock.", waits.List(slices.Compact(funcs), 4))
	}
	return fmt.Sprintf("Audit every return and panic between Lock and Unlock of this lock, first in %s and the other functions that lock it; write `defer mu.Unlock()` right behind Lock.", waits.List(slices.Compact(funcs), 4))
}

// blame names the function that a panic left with the lock.
func blame(f *analyze.Finding, left waits.Leaver) {
	s, fn := left.Stack, left.Stack.Func(left.Frame)
	why := "it is a function of the same type, and no receiver tells whether of the same object"
	if left.Same {
		why = "its receiver is the object of this lock"
	}
	f.Detail += fmt.Sprintf("\n\nThe lock was left behind by %s, by all signs: a goroutine panicked in it, at %s, the panic was caught further out, and a lock taken without `defer` is not released then. That it held the lock is inferred; %s.", fn, s.Where(left.Frame), why)
	f.Title = strings.Replace(f.Title, "it was locked and never unlocked", fmt.Sprintf("%s seems to have left it locked when it panicked at %s", fn, s.Where(left.Frame)), 1)
	f.Evidence = slices.Insert(f.Evidence, min(1, len(f.Evidence)), s.Cite(left.G, left.Frame, "a goroutine panicked in %s, with the lock as it seems", s.At(left.Frame)))
	f.Fix = fmt.Sprintf("Write `defer mu.Unlock()` right behind Lock in %s, so that a panic releases it, and mend the panic at %s.", fn, s.Where(waits.PanicFrame(left.G)))
	f.Missing = slices.DeleteFunc(f.Missing, func(m string) bool { return strings.HasPrefix(m, "the goroutine that took the lock") })
}

// lastWords is the last log line that the process wrote from a source file in which
// the lock is waited for: what it did before everything stood still.
func lastWords(p *analyze.Pass, d *waits.Dump, l *waits.Lock) (analyze.Evidence, bool) {
	pr := d.Owner.Process
	if pr == nil {
		return analyze.Evidence{}, false
	}
	files := map[string]bool{}
	for _, s := range l.Stacks() {
		if file, _, ok := strings.Cut(s.Where(s.Site), ":"); ok {
			files[file] = true
		}
	}
	var last *fact.LogEvent
	var said string
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(pr.Logs, e.At.Artifact) {
			continue
		}
		for _, w := range strings.Fields(e.Source + " " + e.Text) {
			if file, line, ok := strings.Cut(strings.TrimSuffix(w, ":"), ":"); ok && files[file] && line != "" {
				last, said = e, w
				break
			}
		}
	}
	if last == nil {
		return analyze.Evidence{}, false
	}
	return analyze.Cite(last.At, "The last line of its log that comes from a file that locks it is %s %q", strings.TrimSuffix(said, ":"), last.Text), true
}
