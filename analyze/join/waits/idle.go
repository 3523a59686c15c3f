package waits

import (
	_ "embed"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// idleText lists stacks that are in order however long they wait, one a line: the
// function that must stand in the stack, the reason, and perhaps a function that
// must not stand there. A leading '^' wants the function at the site of the wait.
//
//go:embed idle.txt
var idleText string

// idleShapes is idleText, read.
type idleShapes map[string]idleShape

type idleShape struct {
	site   bool // only at the site
	reason string
	unless string
}

func newIdleShapes() idleShapes {
	shapes := idleShapes{}
	for line := range strings.SplitSeq(idleText, "\n") {
		fn, reason, ok := strings.Cut(line, "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		var shape idleShape
		shape.reason, shape.unless, _ = strings.Cut(reason, "\t")
		fn, shape.site = strings.CutPrefix(fn, "^")
		shapes[fn] = shape
	}
	return shapes
}

// match is the reason why a stack is idle, "" if it is not known to be.
func (t idleShapes) match(s *Stack) string {
	if s.Kind == OnRuntime {
		return "the runtime's own goroutine"
	}
	if s.Kind.Lock() || s.Kind.Sends() || s.Kind == OnNilChan {
		// Whoever waits for a lock or for a receiver is not at rest.
		return ""
	}
	for i, f := range s.Frames {
		shape, ok := t[f.Func]
		if !ok || shape.site && i != s.Site {
			continue
		}
		if shape.unless != "" && slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return f.Func == shape.unless }) {
			continue
		}
		return shape.reason
	}
	return ""
}
