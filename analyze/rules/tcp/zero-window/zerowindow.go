// Package zerowindow finds processes that have stopped reading a connection.
package zerowindow

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds processes that have stopped reading a connection.
func Rule() *analyze.Rule {
	via := func(rule, why string) analyze.Mechanism {
		return analyze.Mechanism{Rule: rule, Via: join.KindProcess, Why: why}
	}
	return &analyze.Rule{
		ID: "tcp/zero-window", Title: "zero window", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Thresholds: []analyze.Threshold{
			{Name: "duration", Default: 1, Unit: "seconds", Doc: "how long a window must stay closed"},
			{Name: "blip", Default: 0.2, Unit: "seconds", Doc: "a closed window shorter than this never counts, whatever probes it met"},
			{Name: "probes", Default: 2, Unit: "probes", Doc: "probes into a closed window that count as much as the duration"},
			{Name: "limited", Default: 0.1, Unit: "share", Doc: "of a connection in which the data in flight fills the window, of which the blip is the longest part and the duration the sum"},
			{Name: "shrunk", Default: 0.5, Unit: "share", Doc: "of the largest window, down to which it must have shrunk then: a window that is merely small for the path does not"},
		},
		ExplainedBy: []analyze.Mechanism{
			via("incident/stalled-consumer", "a process that is stuck does not read"),
			via("go/leaked-lock", "a reader that waits for the lock does not read"),
			via("go/blocked-holder", "a reader that waits for the lock does not read"),
			via("go/lock-cycle", "a reader in the cycle does not read"),
			via("go/recursive-lock", "a reader that waits for itself does not read"),
			via("go/recursive-read-lock", "a reader that waits for the lock does not read"),
			via("go/stuck-senders", "a reader that cannot hand on what it read does not read on"),
			via("process/stopped", "a stopped process reads nothing"),
			via("thread/stuck", "a thread that does not move reads nothing"),
			via("thread/deadlock", "a reader that waits for the lock does not read"),
			via("thread/blocked-holder", "a reader that waits for the lock does not read"),
			via("thread/leaked-lock", "a reader that waits for the lock does not read"),
			via("node/loop-blocked", "a blocked loop reads nothing"),
			via("node/silent-service", "the program no longer reads"),
			via("process/uninterruptible", "a process in uninterruptible sleep does not read"),
		},
		Run: run,
	}
}

// receiver is who does not read, or not fast enough: a process, or an address where
// none is known.
type receiver struct {
	end    join.End
	stalls []stall
	slow   []wait
}

type stall struct {
	flow *fact.Flow
	s    *fact.Stall
	end  join.End
}

func run(_ context.Context, p *analyze.Pass) error {
	ends := join.FlowsOf(p)
	by := map[string]*receiver{}
	var order []string
	get := func(f *fact.Flow, side string) (*receiver, join.End) {
		e := ends.Server(f)
		if side == "client" {
			e = ends.Client(f)
		}
		key := e.Host + "|" + e.Addr.String()
		switch {
		case e.Process != nil:
			key = e.Process.Entity().Key
		case side == "client":
			key = e.Host + "|" + e.Addr.Addr().String() + " of " + f.Server().String()
		}
		if by[key] == nil {
			by[key] = &receiver{end: e}
			order = append(order, key)
		}
		return by[key], e
	}
	short := 0
	for _, f := range wire.Of(p).Eventful {
		for i := range f.Stalls() {
			s := &f.Stalls()[i]
			if !long(p, s) {
				short++
				continue
			}
			r, e := get(f, s.By)
			r.stalls = append(r.stalls, stall{f, s, e})
		}
		for i := range f.Limited() {
			if l := &f.Limited()[i]; slow(p, f, l) {
				r, e := get(f, l.By)
				r.slow = append(r.slow, wait{f, l, e})
			}
		}
	}
	if short > 0 {
		p.Note("%s too short to matter", join.Count(short, "closed window was", "closed windows were"))
	}
	for _, k := range order {
		if r := by[k]; len(r.stalls) > 0 {
			report(p, r)
		} else {
			reportSlow(p, r)
		}
	}
	return nil
}

// throttled reports whether only clients closed their windows, as a download does
// whose client limits its rate: they keep nobody waiting but themselves.
func (r *receiver) throttled() bool {
	return !slices.ContainsFunc(r.stalls, func(s stall) bool { return s.s.By != "client" })
}

func long(p *analyze.Pass, s *fact.Stall) bool {
	seconds := s.Duration.Seconds()
	return seconds >= p.Threshold("duration") ||
		seconds >= p.Threshold("blip") && float64(s.Probes) >= p.Threshold("probes")
}

// brief is how long the longest window may stay closed for a receiver that caught up
// by itself not to count as an outage.
const brief = 5 * time.Second

// course is how the closed windows of a receiver went.
type course struct {
	worst    stall // the longest
	from, to time.Time
	open     int // windows still closed at the end of the capture
	flows    int
}

func (r *receiver) course() course {
	c := course{worst: r.stalls[0], from: r.stalls[0].s.From}
	flows := map[*fact.Flow]bool{}
	for _, s := range r.stalls {
		flows[s.flow] = true
		if s.s.Duration > c.worst.s.Duration {
			c.worst = s
		}
		if s.s.From.Before(c.from) {
			c.from = s.s.From
		}
		if end := s.s.From.Add(s.s.Duration); end.After(c.to) {
			c.to = end
		}
		if s.s.Open {
			c.open++
		}
	}
	c.flows = len(flows)
	return c
}

// severity is lower for receivers that read again, and lowest for a client that
// takes its time and all it is sent: its window closes again and again.
func (r *receiver) severity(c course) analyze.Severity {
	short := c.worst.s.Duration < brief
	switch {
	case c.open == 0 && r.throttled() && (short || len(r.stalls) >= 3*c.flows):
		return analyze.Low
	case c.open == 0 && short:
		return analyze.Medium
	}
	return analyze.High
}

// name is the process, or the address where none is known.
func (r *receiver) name() string {
	if r.end.Process != nil {
		return r.end.Process.String()
	}
	return r.end.Addr.String()
}

func report(p *analyze.Pass, r *receiver) {
	who, c := r.name(), r.course()
	f := analyze.Finding{
		Subject: who, From: c.from, To: c.to, Severity: r.severity(c), Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s has stopped reading: it announces a zero window on %s, for up to %v", who,
			join.Count(c.flows, "connection", "connections"), wire.Round(c.worst.s.Duration)),
		Entities: r.end.Entities(),
		Fix:      "Find out what keeps " + who + " from reading: a lock, a blocked loop, a full queue behind it. Set write deadlines in the senders, so that one stuck reader does not hold them up.",
	}
	p.Note("%s: %d closed windows, longest %v, %d still closed at the end", who, len(r.stalls), wire.Round(c.worst.s.Duration), c.open)
	r.cite(&f, c.worst)
	sockets := make([]*join.Socket, len(r.stalls))
	for i, s := range r.stalls {
		sockets[i] = s.end.Socket
	}
	queued := queues(sockets, &f)
	if r.end.Process != nil && !r.end.At.IsZero() && queued == 0 {
		f.Evidence = append(f.Evidence, analyze.Cite(r.end.At, "%s is %s, by %s", r.end.Addr, r.end.Process, r.end.Link.By))
	}
	detail := []string{fmt.Sprintf("A window of zero tells the sender to stop, because the receive buffer is full: the program on this side does not read. The network and the sender (%s) are not at fault.", c.worst.sender())}
	if c.open > 0 {
		detail = append(detail, fmt.Sprintf("%s still closed at the end of the capture.", join.Count(c.open, "window was", "windows were")))
	}
	if queued > 0 {
		f.Confidence = analyze.Confirmed
		detail = append(detail, fmt.Sprintf("The socket table agrees: up to %d bytes lie unread in its receive queue.", queued))
	} else {
		f.Missing = append(f.Missing, "the receive queues of the process (ss -tnp)")
		f.Next = append(f.Next, "ss -tnpi")
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Next = append(f.Next, "curl -s 'http://localhost:PORT/debug/pprof/goroutine?debug=2' > goroutine.txt  # a Go service", "gdb -p PID -batch -ex 'thread apply all bt'")
	p.Report(f)
}

// cite adds the worst closed window with its end, and the first of each other
// connection.
func (r *receiver) cite(f *analyze.Finding, worst stall) {
	f.Evidence = append(f.Evidence,
		wire.At(worst.flow, worst.s.FirstFrame, worst.s.From, "%s announces window 0 to %s; it stays closed for %v", worst.end.Addr, worst.sender(), wire.Round(worst.s.Duration)))
	if worst.s.LastFrame != worst.s.FirstFrame {
		what := "the window opens again"
		if worst.s.Open {
			what = fmt.Sprintf("still closed after %s", join.Count(worst.s.Probes, "probe", "probes"))
		}
		f.Evidence = append(f.Evidence, wire.At(worst.flow, worst.s.LastFrame, worst.s.From.Add(worst.s.Duration), "%s", what))
	}
	seen := map[*fact.Flow]bool{worst.flow: true}
	for _, s := range r.stalls {
		if seen[s.flow] {
			continue
		}
		seen[s.flow] = true
		f.Entities = append(f.Entities, join.Endpoint(s.end.Host, s.end.Addr))
		if len(f.Evidence) < maxCited {
			f.Evidence = append(f.Evidence, wire.At(s.flow, s.s.FirstFrame, s.s.From, "window 0 on %s -> %s too", s.flow.Client(), s.flow.Server()))
		}
	}
}

// maxCited is how much evidence closed windows give.
const maxCited = 6

// sender is the address that had to wait.
func (s stall) sender() netip.AddrPort {
	if s.s.By == "client" {
		return s.flow.Server()
	}
	return s.flow.Client()
}

// queues cites receive queues with unread data and returns the longest.
func queues(sockets []*join.Socket, f *analyze.Finding) int64 {
	var longest int64
	cited := 0
	for _, k := range sockets {
		if k == nil || k.Listening() || k.RecvQ().Or(0) == 0 {
			continue
		}
		longest = max(longest, k.RecvQ().V)
		if cited++; cited <= 2 {
			f.Evidence = append(f.Evidence, k.Cite("Recv-Q %d: received and not read%s", k.RecvQ().V, by(k)))
		}
	}
	return longest
}

func by(k *join.Socket) string {
	if o := k.Owner(); o != nil {
		return " by " + o.String()
	}
	return ""
}
