package waits

import (
	"cmp"
	"strings"
)

// Group is a goroutine in WaitGroup.Wait.
type Group struct {
	Stack *Stack
	// Workers are the relatives that could call Done.
	Workers []*Stack
	// Live is one of them that works, nil if none does.
	Live *Stack
	// Locked is true when one of them waits for a lock: that lock is the story.
	Locked bool
	// Sending is a worker that is blocked in a send, nil if none is.
	Sending *Stack
	// Stopping names a function on the stack whose business is to end: a wait there
	// is no idling. "" if there is none.
	Stopping string
}

// groups looks at each WaitGroup.Wait.
func (k *kinship) groups() []*Group {
	var out []*Group
	for _, s := range k.d.Stacks {
		if s.Kind != OnGroup || s.Idle != "" || len(s.App) == 0 || k.locked[s] {
			continue
		}
		g := &Group{Stack: s, Stopping: stopping(s)}
		for _, o := range k.relatives(s) {
			if o.Kind == OnGroup || k.creates(o, s) {
				continue
			}
			g.Workers = append(g.Workers, o)
			g.Locked = g.Locked || k.locked[o]
			switch {
			case o.Kind.Live():
				g.Live = cmp.Or(g.Live, o)
			case o.Kind == OnSend:
				g.Sending = cmp.Or(g.Sending, o)
			}
		}
		out = append(out, g)
	}
	return out
}

// stopping finds a function on the stack whose name says that it ends something.
func stopping(s *Stack) string {
	for _, i := range s.App {
		name := s.Func(i)
		name = strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
		for _, w := range []string{"stop", "close", "shutdown", "quiesce", "drain", "terminate"} {
			if strings.Contains(name, w) {
				return s.Func(i)
			}
		}
	}
	return ""
}
