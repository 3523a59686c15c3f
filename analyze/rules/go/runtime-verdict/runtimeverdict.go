// Package runtimeverdict reports what the Go runtime itself says was fatal.
package runtimeverdict

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
const ID = "go/runtime-verdict"

//go:embed doc.md
var doc string

// explaining are the rules whose findings say why all goroutines are asleep.
var explaining = []string{
	"go/lock-cycle", "go/recursive-read-lock", "go/recursive-lock", "go/blocked-holder", "go/leaked-lock",
	"go/stuck-senders", "go/stuck-receivers", "go/waitgroup", "go/unwakeable",
}

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "runtime verdict", Doc: doc, Severity: analyze.High,
		After: explaining,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "panics", Doc: "so many at one place that were recovered make it medium severity"},
		},
		Run: run,
	}
}

// verdict is a class of last words.
type verdict struct {
	prefix   string
	severity analyze.Severity
	what     string // completes "The program"
	fix      string
	stuck    bool // a deadlock explains it
}

// verdicts are tried in order; the last one takes the rest.
var verdicts = []verdict{
	{"SIGQUIT", 0, "", "", false},
	{"panic: test timed out", 0, "", "", false},
	{"fatal error: all goroutines are asleep", analyze.High, "ended because all goroutines were blocked for ever", "Break the deadlock.", true},
	{"fatal error: concurrent map", analyze.High, "ended because two goroutines used one map at the same time", "Guard the map with a lock or use sync.Map; run the tests with -race.", false},
	{"fatal error: sync: unlock of unlocked", analyze.High, "ended because a lock was unlocked that nobody held", "Pair every Unlock with the Lock of the same path.", false},
	{"fatal error: sync: Unlock of unlocked", analyze.High, "ended because a lock was unlocked that nobody held", "Pair every Unlock with the Lock of the same path.", false},
	{"fatal error: runtime: out of memory", analyze.High, "ended because the system gave it no more memory", "Look at a heap profile; set GOMEMLIMIT below the container's limit.", false},
	{"runtime: out of memory", analyze.High, "ended because the system gave it no more memory", "Look at a heap profile; set GOMEMLIMIT below the container's limit.", false},
	{"fatal error: runtime: cannot allocate memory", analyze.High, "ended because the system gave it no more memory", "Look at a heap profile; set GOMEMLIMIT below the container's limit.", false},
	{"fatal error: stack overflow", analyze.High, "ended because a goroutine's stack grew past its limit", "Find the recursion without an end.", false},
	{"http: panic serving", analyze.Low, "panicked while serving a request; net/http caught it", "Fix the panic at the named line.", false},
	{"fatal error: ", analyze.High, "ended with a fatal error of the runtime", "See the named line.", false},
	{"panic: ", analyze.High, "ended with a panic", "Fix the panic at the named line; recover only where the state is still sound.", false},
	{"SIGABRT", analyze.High, "was ended by SIGABRT", "Find who sent it: the program itself, a C library, or somebody outside.", false},
	{"", analyze.High, "crashed", "See the named line; a fault in C code or unsafe code is likely.", false},
}

// recovered is the verdict on a panic whose stack the program printed by itself: it
// went on, or ended in its own way.
var recovered = verdict{"recovered", analyze.Low, "caught a panic and went on", "Fix the panic at the named line.", false}

// byItself reports whether the program printed the stack itself, which it can do
// only after it has recovered from the panic.
func byItself(g *fact.Goroutine) bool {
	return g != nil && slices.ContainsFunc(g.Frames, func(f fact.Frame) bool {
		return f.Func == "runtime/debug.Stack" || f.Func == "runtime/debug.PrintStack"
	})
}

// crash is one or more dumps with equal last words at one place.
type crash struct {
	v     verdict
	first *fact.Dump
	g     *fact.Goroutine
	frame int
	count int
}

func run(_ context.Context, p *analyze.Pass) error {
	running := firstGoroutines(p)
	var crashes []*crash
	index := map[string]*crash{}
	for d := range fact.All[fact.Dump](p.Facts) {
		if d.Cause == "" {
			continue
		}
		v := classify(d.Cause)
		if v.severity == 0 {
			p.Note("%s: %s: somebody asked for the dump, or a test runner did", d.At, d.Cause)
			continue
		}
		g := running[key{d.At.Artifact, d.Dump}]
		if byItself(g) {
			v = recovered
		}
		frame := -1
		where := ""
		if g != nil {
			if frame = waits.PanicFrame(g); frame >= 0 {
				where = fmt.Sprintf("%s:%d", g.Frames[frame].File, g.Frames[frame].Line)
			}
		}
		id := v.prefix + where
		if c := index[id]; c != nil {
			c.count++
			continue
		}
		index[id] = &crash{v, d, g, frame, 1}
		crashes = append(crashes, index[id])
	}
	for _, c := range crashes {
		p.Report(c.finding(p))
	}
	return nil
}

func classify(cause string) verdict {
	i := slices.IndexFunc(verdicts, func(v verdict) bool { return strings.HasPrefix(cause, v.prefix) })
	return verdicts[i]
}

type key struct {
	artifact fact.ID
	dump     int
}

// firstGoroutines is the goroutine that each dump begins with, which is the one
// that crashed.
func firstGoroutines(p *analyze.Pass) map[key]*fact.Goroutine {
	out := map[key]*fact.Goroutine{}
	for g := range fact.All[fact.Goroutine](p.Facts) {
		k := key{g.At.Artifact, g.Dump}
		if g.ID != 0 && out[k] == nil {
			out[k] = g
		}
	}
	return out
}

func (c *crash) finding(p *analyze.Pass) analyze.Finding {
	d := c.first
	owner := join.DumpsOf(p).Owner(d.At.Artifact)
	who, in := "The program", ""
	f := analyze.Finding{Severity: c.v.severity, Confidence: analyze.Confirmed, Fix: c.v.fix}
	if c.v.severity == analyze.Low && c.count >= int(p.Threshold("many")) {
		f.Severity = analyze.Medium
	}
	if owner.Process != nil {
		who, in = owner.Process.String(), " in "+owner.Process.String()
		f.Entities = append(f.Entities, owner.Process.Entity())
	}
	text := strings.TrimSuffix(d.Cause, ":")
	f.Subject = text + in
	f.Title = fmt.Sprintf("%s %s: %s", strings.ToUpper(who[:1])+who[1:], c.v.what, text)
	f.Evidence = append(f.Evidence, analyze.Cite(d.CauseAt, "the runtime's own words"))
	if c.g != nil {
		at, through := "", max(c.frame, 0)
		if c.frame >= 0 && !c.v.stuck {
			s := &waits.Stack{Frames: c.g.Frames}
			at = " in " + s.At(c.frame)
			f.Title += ", in " + s.At(c.frame)
			f.Entities = append(f.Entities, s.SiteEntity("", c.frame))
		}
		if c.frame >= 0 || len(c.g.Frames) > 0 {
			f.Evidence = append(f.Evidence, analyze.Cite(c.g.Through(through), "goroutine %d [%s]%s", c.g.ID, c.g.State, at))
		}
	}
	f.Detail = "This is the last thing that the runtime printed, with the stacks of that moment."
	if c.v.severity == analyze.Low {
		f.Detail = "The stack was printed by the program (or by net/http) after it had recovered from the panic: one piece of work failed, the process went on."
	}
	if c.count > 1 {
		f.Detail += fmt.Sprintf(" The bundle has %d such crashes at the same place.", c.count)
	}
	if c.v.stuck {
		f.Causes = causes(p, d.At.Artifact)
	}
	return f
}

// causes are findings about the stacks of the same artifact.
func causes(p *analyze.Pass, artifact fact.ID) []string {
	var out []string
	for _, rule := range explaining {
		for _, o := range p.Findings(rule) {
			if o.Evidence[0].Artifact == artifact {
				out = append(out, o.ID)
			}
		}
	}
	return out
}
