package waits

import (
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Origin is where the goroutines of a stack were created, or for those without a
// creator the outermost function: "main.serve (server.go:20)".
func (s *Stack) Origin() string {
	if g := s.First(); g.CreatedBy != "" {
		site := ShortFunc(g.CreatedBy)
		if g.CreatedByFile != "" {
			site += fmt.Sprintf(" (%s:%d)", g.CreatedByFile[strings.LastIndexAny(g.CreatedByFile, `/\`)+1:], g.CreatedByLine)
		}
		return site
	}
	for i := len(s.Frames) - 1; i >= 0; i-- {
		if fn := s.Frames[i].Func; fn != "" && fn != "runtime.goexit" {
			return ShortFunc(fn)
		}
	}
	return "unknown"
}

// Healthy is how many goroutines of one origin the baseline has.
type Healthy struct {
	N  int64
	At fact.Ref // where the baseline shows them; its dump where it has none
}

// HealthyOf looks an origin up in the baseline. ok is false where there is no
// baseline, or it has no dump.
func (d *Dump) HealthyOf(p *analyze.Pass, origin string) (h Healthy, ok bool) {
	for b := range fact.All[fact.Baseline](p.Facts) {
		if b.What != "goroutines" || b.Host != d.Host && b.Host != "" {
			continue
		}
		ok = true
		switch {
		case b.Name == origin:
			if h.N == 0 {
				h.At = b.At
			}
			h.N += b.N
		case b.Name == "" && h.N == 0:
			h.At = b.At
		}
	}
	return h, ok
}

// FromOrigin counts the goroutines of one origin.
func (d *Dump) FromOrigin(origin string) (n int64) {
	for _, s := range d.Stacks {
		if s.Origin() == origin {
			n += s.Count
		}
	}
	return n
}
