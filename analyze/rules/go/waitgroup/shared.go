package waitgroup

import (
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// shared reports whether the wait is for a call that singleflight makes once for all
// who ask for the same key.
func shared(s *waits.Stack) bool {
	return s.Site >= 0 && s.Frames[s.Site].Func == "golang.org/x/sync/singleflight.(*Group).Do"
}

// within reports whether a goroutine that waits for a shared call is itself making
// one.
func within(s *waits.Stack) bool { return s.Has("golang.org/x/sync/singleflight.(*Group).doCall") }

// reportOwnCall tells of a shared call that asks for its own key.
func reportOwnCall(p *analyze.Pass, d *waits.Dump, g *waits.Group) {
	s := g.Stack
	f := analyze.Finding{Severity: analyze.Medium, Confidence: analyze.Likely}
	fill(&f, d, g)
	f.Title = fmt.Sprintf("%s%s waits in %s for a shared call (singleflight) while it makes one itself", tables.Sentence(s.Label(s.First())), d.In(), s.At(s.Top()))
	f.Detail = fmt.Sprintf("The stack: %s. The function that singleflight runs once for all asks the group again. With the same key it waits for itself; with another, for a call that may wait for this one. That the keys are equal is inferred: the dump prints only their addresses.", s.Path())
	f.Fix = fmt.Sprintf("Do not call %s from the function that the group runs.", s.Func(s.Top()))
	p.Report(f)
}

// reportShared tells of goroutines behind one shared call that has not come back.
func reportShared(p *analyze.Pass, d *waits.Dump, g *waits.Group) {
	s, by := g.Stack, g.Live
	f := analyze.Finding{Severity: analyze.Low, Confidence: analyze.Possible}
	fill(&f, d, g)
	f.Title = fmt.Sprintf("%s%s wait in %s for one shared call (singleflight), which is %s in %s", join.Count(s.Count, "goroutine"), d.In(), s.At(s.Top()), by.Kind, by.At(by.Top()))
	f.Detail = fmt.Sprintf("The stack: %s. singleflight makes one call for all who ask for the same key; whoever waits has no deadline of its own. The call itself: %s.", s.Path(), by.Path())
	f.Fix = fmt.Sprintf("Give the call in %s a deadline, and wait with DoChan and a context.", by.Func(by.Top()))
	f.Evidence = slices.Insert(f.Evidence, min(1, len(f.Evidence)), by.Cite(by.First(), by.Shown(), "the call that they wait for is %s in %s", by.Kind, by.At(by.Top())))
	p.Report(f)
}
