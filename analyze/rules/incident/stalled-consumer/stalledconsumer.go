// Package stalledconsumer joins a process that does not read its sockets with the
// reason that its threads or goroutines give.
package stalledconsumer

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// ID is the rule's identity.
const ID = "incident/stalled-consumer"

// unread are the rules that see a process not reading, by its sockets.
var unread = []string{"tcp/zero-window", "socket/unread-receive-queue"}

// stuck are the rules that see why a process makes no progress.
var stuck = []string{
	"go/leaked-lock", "go/blocked-holder", "go/lock-cycle", "go/recursive-lock", "go/recursive-read-lock",
	"go/waitgroup", "go/stuck-senders", "node/loop-blocked",
	"process/stopped", "thread/deadlock", "thread/blocked-holder", "thread/leaked-lock",
}

// pushedBack are the rules that see the other end: senders whose queue cannot drain.
var pushedBack = []string{"socket/stuck-send-queue", "go/blocked-writes"}

// Rule finds a process that stopped reading because it is stuck inside.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "stalled consumer", Doc: doc, Severity: analyze.High,
		After: slices.Concat(unread, stuck, pushedBack),
		AnyOf: []fact.Kind{"flow", "socket"},
		Wants: []fact.Kind{"goroutine", "thread", "trace"},
		Run:   run,
	}
}

// stall is what is known of one process.
type stall struct {
	process analyze.Entity
	unread  []*analyze.Finding
	stuck   []*analyze.Finding
}

func run(_ context.Context, p *analyze.Pass) error {
	stalls := byProcess(p)
	for _, s := range stalls {
		switch {
		case len(s.unread) > 0 && len(s.stuck) > 0:
			report(p, s)
		case len(s.unread) > 0:
			p.Note("%s does not read, and no stuck thread or goroutine of it is known", s.process.Name)
		}
	}
	return nil
}

// byProcess groups the parts by the process that they are about, in the order in
// which the processes are first met.
func byProcess(p *analyze.Pass) []*stall {
	var out []*stall
	at := map[string]*stall{}
	collect := func(rules []string, add func(*stall, *analyze.Finding)) {
		for _, id := range rules {
			for _, f := range p.Findings(id) {
				// The first process of a finding is the one it accuses; others are
				// peers.
				i := slices.IndexFunc(f.Entities, func(e analyze.Entity) bool { return e.Kind == join.KindProcess })
				if i < 0 {
					continue
				}
				e := f.Entities[i]
				s := at[e.Key]
				if s == nil {
					s = &stall{process: e}
					at[e.Key] = s
					out = append(out, s)
				}
				add(s, f)
			}
		}
	}
	collect(unread, func(s *stall, f *analyze.Finding) { s.unread = append(s.unread, f) })
	collect(stuck, func(s *stall, f *analyze.Finding) { s.stuck = append(s.stuck, f) })
	return out
}

func report(p *analyze.Pass, s *stall) {
	why := s.stuck[0]
	f := analyze.Finding{
		Subject:    why.Subject,
		Severity:   analyze.High,
		Confidence: confidence(s),
		From:       s.unread[0].From, To: s.unread[0].To,
		Fix: "Mend the cause named above; a restart only frees it until the next time.",
	}
	if ps := processName(p, s.process); ps != "" {
		f.Subject = ps
	}
	var ways []string
	if has(s.unread, "tcp/zero-window") {
		ways = append(ways, "it announces a TCP zero window")
	}
	if has(s.unread, "socket/unread-receive-queue") {
		ways = append(ways, "data waits unread in its receive queues")
	}
	f.Title = fmt.Sprintf("%s stopped reading its sockets: %s", f.Subject, strings.Join(ways, " and "))
	f.Detail = fmt.Sprintf("Its own stacks say why: %s.\nEvery peer that sends to it is held back by TCP flow control; the network between them is not at fault.", strings.TrimRight(why.Title, "."))
	for _, part := range slices.Concat(s.unread, s.stuck) {
		f.Evidence = append(f.Evidence, part.Evidence[:min(2, len(part.Evidence))]...)
		f.Against = append(f.Against, part.Against...)
		f.Entities = append(f.Entities, part.Entities...)
	}
	f.Entities = unique(f.Entities)
	for _, c := range s.stuck {
		f.Causes = append(f.Causes, c.ID)
	}
	p.Report(f)
	id := p.IDOf(f.Subject)
	for _, effect := range s.unread {
		p.Explains(id, effect.ID)
	}
	for _, rule := range pushedBack {
		for _, effect := range p.Findings(rule) {
			if sharesSocket(&f, effect) {
				p.Explains(id, effect.ID)
			}
		}
	}
}

// confidence: two kinds of artifacts that agree on one process are likely, and as
// sure as their parts allow when nothing speaks against them.
func confidence(s *stall) analyze.Confidence {
	c := analyze.Confirmed
	for _, f := range slices.Concat(s.unread[:1], s.stuck[:1]) {
		if len(f.Against) > 0 || f.Confidence < analyze.Likely {
			c = min(c, analyze.Likely)
		}
	}
	return c
}

func has(list []*analyze.Finding, rule string) bool {
	return slices.ContainsFunc(list, func(f *analyze.Finding) bool { return f.Rule == rule })
}

// sharesSocket reports whether two findings are about one connection, or about a
// listener of the stalled process.
func sharesSocket(a, b *analyze.Finding) bool {
	for _, e := range a.Entities {
		switch e.Kind {
		case join.KindFlow, join.KindEndpoint, join.KindSocket:
			if b.Has(e.Kind, e.Key) {
				return true
			}
		}
	}
	return false
}

func processName(p *analyze.Pass, e analyze.Entity) string {
	for _, pr := range join.ProcessesOf(p).All {
		if pr.Entity().Key == e.Key {
			return pr.String()
		}
	}
	return ""
}

func unique(list []analyze.Entity) []analyze.Entity {
	var out []analyze.Entity
	for _, e := range list {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}
