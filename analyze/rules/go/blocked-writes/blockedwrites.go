// Package blockedwrites finds goroutines blocked in network writes.
package blockedwrites

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/blocked-writes"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "blocked network writes", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "blocked writers at one place"},
			{Name: "minutes", Default: 1, Unit: "minutes", Doc: "or one that waits so long"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "tcp/zero-window", Via: join.KindFlow, Why: "a writer waits while the peer's window is closed"},
			{Rule: "socket/stuck-send-queue", Via: join.KindProcess, Why: "the same full send queue, seen by the kernel"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, c := range d.Crowds(key) {
			if c.Count < int64(p.Threshold("many")) && c.Minutes() < int64(p.Threshold("minutes")) {
				p.Note("%s in %s: needs %g, or %g minutes", join.Count(c.Count, "blocked writer"), c.First().At(c.First().Top()), p.Threshold("many"), p.Threshold("minutes"))
				continue
			}
			report(p, d, c)
		}
	}
	return nil
}

// key is the place of a write that waits for room in the socket's buffer. A dial
// waits for writability, too.
func key(s *waits.Stack) string {
	if s.Kind != waits.OnIO || !writes(s) || s.Has("net.(*netFD).connect", "net.(*netFD).dial") {
		return ""
	}
	return s.At(s.Top())
}

// writes tells the direction by the function that waits, or by the poll mode 'w'
// among the arguments of pollWait where it is sure.
func writes(s *waits.Stack) bool {
	if s.Has("internal/poll.(*pollDesc).waitWrite", "internal/poll.(*FD).WaitWrite", "net.(*pollDesc).WaitWrite") {
		return true
	}
	g := s.First()
	for i, f := range s.Frames {
		if strings.HasSuffix(f.Func, ".runtime_pollWait") {
			args := g.Args(i)
			return len(args) > 1 && args[1] == "0x77"
		}
	}
	return false
}

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd) {
	s := c.First()
	f := d.Finding("network write at "+s.Where(s.Top()), c)
	f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	f.Title = fmt.Sprintf("%s%s blocked writing to the network in %s: the peer does not read", join.Count(c.Count, "goroutine"), d.In(), s.At(s.Top()))
	f.Detail = fmt.Sprintf("They wait for room in the socket's send buffer. It is full because the peer has closed its window or the path loses packets; a write without a deadline waits for as long as that lasts. The stack: %s.%s", s.Path(), s.Created())
	f.Fix = "Set a write deadline, and give each client a bounded queue of its own so that a slow one is dropped instead of waited for."
	f.Next = append(f.Next, "ss -tnpi > ss_tnpi.txt")
	p.Report(f)
}
