// Package loopblocked finds event loops that are held up by work on their own
// thread.
package loopblocked

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/loop"
)

//go:embed doc.md
var doc string

// Rule finds event loops that are held up by work on their own thread.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "node/loop-blocked", Title: "event loop blocked", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"thread", "trace"},
		Wants: []fact.Kind{"socket", "process"},
		Collect: map[fact.Kind]string{
			"trace":  "timeout 10 strace -f -ttt -T -p PID -o strace_PID.txt",
			"thread": "for i in 1 2 3; do gdb -p PID -batch -ex 'thread apply all bt' > gdb_PID_$i.txt; sleep 1; done",
		},
		Thresholds: []analyze.Threshold{
			{Name: "samples", Default: 2, Unit: "stacks", Doc: "stacks that show the main thread at work instead of waiting"},
			{Name: "pause", Default: 1, Unit: "seconds", Doc: "the shortest time without a turn of the loop, in a trace"},
			{Name: "cpu", Default: 80, Unit: "percent", Doc: "processor use that agrees with a busy main thread"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	seen := 0
	for _, pr := range loop.Of(p) {
		if pr.Kind() == "" && !alone(pr) {
			continue
		}
		seen++
		look(p, pr)
	}
	if seen == 0 {
		p.Skip("no stack or trace of a process with a known event loop", "gdb -p PID -batch -ex 'thread apply all bt' > gdb_PID.txt")
	}
	return nil
}

// alone reports whether every sample of a process shows a single thread, and the
// process tables none beside it: then that thread serves everybody, with or without
// a loop that has a name.
func alone(pr *loop.Process) bool {
	for _, row := range pr.Rows {
		if row.Thread || strings.Contains(row.State, "l") {
			return false
		}
	}
	return pr.OneThread()
}

// sighting is what the samples of one process show.
type sighting struct {
	busy, idle int
	where      []string // functions the main thread was in, one a sample
	ev         []analyze.Evidence
	traced     bool // a trace shows the pause itself
}

func look(p *analyze.Pass, pr *loop.Process) {
	s := &sighting{}
	for _, st := range pr.Stacks {
		f, ok := loop.Busy(st.Main)
		switch {
		case ok:
			s.busy++
			fn := loop.Plain(f.Func)
			if fn == "??" {
				fn = "code without symbols"
			}
			s.where = append(s.where, fn)
			s.ev = append(s.ev, analyze.Cite(f.At, "the main thread of pid %d is not waiting for events, it runs %s", pr.PID, fn))
		case st.Main != nil:
			s.idle++
		}
	}
	who := waiting(p, pr)
	symptoms, ev := who.words, who.ev
	for _, tr := range pr.Traces {
		trace(p, pr, tr, s, who)
	}
	if s.busy == 0 && !s.traced || pr.Kind() == "" && len(symptoms) == 0 {
		p.Note("%s: %d samples show its loop waiting for events", pr, s.idle)
		return
	}
	if cpu, cev := processor(p, pr); cpu != "" {
		symptoms, ev = append(symptoms, cpu), append(ev, cev...)
	}
	need := int(p.Threshold("samples"))
	if !s.traced && s.busy < need && len(symptoms) == 0 || s.idle > s.busy {
		p.Note("%s: %d samples at work, %d waiting, %d further signs; one moment at work is ordinary", pr, s.busy, s.idle, len(symptoms))
		return
	}
	report(p, pr, s, symptoms, ev)
}

// trace judges a strace: time without a turn of the loop, or one long call, for
// those who wait for the process meanwhile.
func trace(p *analyze.Pass, pr *loop.Process, tr *loop.Trace, s *sighting, c crowd) {
	m := tr.Main
	if m == nil {
		// A thread that waits shows the call it waits in; one that only computes shows
		// nothing while the others of its process do.
		if len(tr.Threads) > 1 && tr.Threads[0].PID > 0 {
			s.busy++
			s.ev = append(s.ev, analyze.Cite(tr.Threads[0].At, "strace of %d threads of pid %d shows no call of its main thread: it computes", len(tr.Threads), pr.PID))
		}
		return
	}
	pause := time.Duration(p.Threshold("pause") * float64(time.Second))
	span := time.Duration(0)
	if m.First.Known() && m.Last.Known() {
		span = m.Last.T.Sub(m.First.T)
	}
	switch {
	case m.LongestMS.Known && !loop.IsWait(m.Longest) && time.Duration(m.LongestMS.V*float64(time.Millisecond)) >= pause && m.Longest != "futex":
		s.traced = true
		s.where = append(s.where, m.Longest)
		s.ev = append(s.ev, analyze.Cite(m.At, "strace: one %s on the main thread of pid %d took %.1f s", m.Longest, pr.PID, m.LongestMS.V/1000))
	case m.Waits == 0 && span >= pause:
		s.traced = true
		s.ev = append(s.ev, analyze.Cite(m.At, "strace: the main thread of pid %d made %d calls in %v and never waited for events", pr.PID, m.Calls, span.Round(time.Millisecond)))
	case tr.Turning():
		s.idle++
	case m.Calls == 0 && m.Unfinished != "" && (c.unaccepted || len(c.words) > 0 && !loop.IsWait(m.Unfinished)):
		// A loop looks at its listener at every turn, so that with a connection there
		// even a wait for events is none of the loop's. It may leave data unread.
		s.busy++
		if !loop.IsWait(m.Unfinished) {
			s.where = append(s.where, m.Unfinished)
		}
		s.ev = append(s.ev, analyze.Cite(m.At, "strace: the main thread of pid %d is in one %s from the first to the last moment of the trace, while clients wait", pr.PID, m.Unfinished))
	}
}

// crowd is who waits for a process.
type crowd struct {
	words      []string
	ev         []analyze.Evidence
	unaccepted bool // connections wait to be accepted
}

// waiting are connections that the process leaves unread: its listeners' accept
// queues, and bytes in the receive queues of its connections.
func waiting(p *analyze.Pass, pr *loop.Process) (c crowd) {
	accepts, unread, bytes := int64(0), 0, int64(0)
	var first, firstAccept *join.Socket
	for _, s := range join.SocketsOf(p).All {
		if s.Proto != "tcp" || !slices.Contains(s.Owners, pr.Process) || s.RecvQ().Or(0) == 0 {
			continue
		}
		if s.Listening() {
			accepts += s.RecvQ().V
			if firstAccept == nil {
				firstAccept = s
			}
			continue
		}
		unread++
		bytes += s.RecvQ().V
		if first == nil {
			first = s
		}
	}
	if firstAccept != nil {
		c.unaccepted = true
		c.words = append(c.words, fmt.Sprintf("%d connections wait to be accepted on port %d", accepts, firstAccept.Local.Port()))
		c.ev = append(c.ev, analyze.Cite(firstAccept.Row().At, "%d connections wait to be accepted", firstAccept.RecvQ().V))
	}
	if first != nil {
		c.words = append(c.words, fmt.Sprintf("%d connections hold %d unread bytes", unread, bytes))
		c.ev = append(c.ev, analyze.Cite(first.Row().At, "%d bytes the process has not read", first.RecvQ().V))
	}
	return c
}

// processor is what a process table says of its use of the processor.
func processor(p *analyze.Pass, pr *loop.Process) (string, []analyze.Evidence) {
	for _, row := range pr.Rows {
		if row.PCPU.Known && row.PCPU.V >= p.Threshold("cpu") {
			return fmt.Sprintf("it uses %.0f %% of a processor", row.PCPU.V), []analyze.Evidence{analyze.Cite(row.At, "%.0f %% processor", row.PCPU.V)}
		}
	}
	return "", nil
}

func report(p *analyze.Pass, pr *loop.Process, s *sighting, symptoms []string, ev []analyze.Evidence) {
	in := "its own work"
	if len(s.where) > 0 {
		in = s.where[0]
	}
	f := analyze.Finding{
		Subject:  pr.String(),
		Severity: analyze.High, Confidence: analyze.Likely,
		Title:    fmt.Sprintf("The event loop of %s is blocked by %s on its own thread", pr, in),
		Evidence: append(s.ev, ev...),
		Fix:      "Move the work off the loop (worker threads, a child process, asynchronous calls instead of ...Sync), or cut it into pieces that give the loop a turn in between.",
		Next:     []string{fmt.Sprintf("for i in 1 2 3; do gdb -p %d -batch -ex 'thread apply all bt' > gdb_%d_$i.txt; sleep 1; done", pr.PID, pr.PID), fmt.Sprintf("perf record -g -p %d -- sleep 5 (start node with --perf-basic-prof to see JavaScript names)", pr.PID)},
		Entities: []analyze.Entity{pr.Entity()},
	}
	what := "one thread"
	if k := pr.Kind(); k != "" {
		what = fmt.Sprintf("an event loop (%s)", k)
	} else {
		f.Title = fmt.Sprintf("%s serves everybody with one thread, and that thread is busy with %s", strings.ToUpper(pr.String()[:1])+pr.String()[1:], in)
	}
	many := s.busy >= int(p.Threshold("samples"))
	switch {
	case (many || s.traced) && len(symptoms) > 0:
		f.Confidence = analyze.Confirmed
	case !many && !s.traced:
		f.Confidence, f.Severity = analyze.Possible, analyze.Medium
		f.Missing = append(f.Missing, "a second stack: one moment at work is no blocked loop")
	case len(symptoms) == 0:
		f.Severity = analyze.Medium
	}
	detail := fmt.Sprintf("A process with %s does everything on one thread. %d of %d samples show that thread at work instead of waiting for events", what, s.busy, s.busy+s.idle)
	if s.traced {
		detail += ", and a trace shows a pause in which the loop got no turn"
	}
	detail += ". Meanwhile it accepts, reads and answers nothing."
	if len(symptoms) > 0 {
		detail += "\n\nThat agrees with what else is seen: " + strings.Join(symptoms, "; ") + "."
	}
	if at, ok := pr.Cite(); ok {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "the process: %s", pr.Describe()))
	}
	f.Detail = detail
	p.Note("%s: %d samples at work, %d waiting, signs: %s", pr, s.busy, s.idle, strings.Join(symptoms, "; "))
	p.Report(f)
}
