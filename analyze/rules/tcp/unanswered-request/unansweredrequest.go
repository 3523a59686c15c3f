// Package unansweredrequest finds services that acknowledge requests and never
// answer them.
package unansweredrequest

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
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds services that acknowledge requests and never answer them.
func Rule() *analyze.Rule {
	via := func(rule, why string) analyze.Mechanism {
		return analyze.Mechanism{Rule: rule, Via: join.KindProcess, Why: why}
	}
	return &analyze.Rule{
		ID: "tcp/unanswered-request", Title: "requests never answered", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"flow"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "silence", Default: 5, Unit: "seconds", Doc: "the shortest silence after a request that counts"},
			{Name: "factor", Default: 10, Unit: "times", Doc: "how much longer than the usual answer the silence must be"},
			{Name: "patience", Default: 50, Unit: "times", Doc: "how much longer than the usual answer several clients must have waited before they gave up after the same time"},
			{Name: "longest", Default: 2, Unit: "times", Doc: "how much longer than the slowest answer of the service the silence must be"},
			{Name: "stream", Default: 4, Unit: "times", Doc: "how many more segments than answers make a stream that wants none"},
			{Name: "requests", Default: 3, Unit: "requests", Doc: "open requests from which a service counts as silent"},
		},
		ExplainedBy: []analyze.Mechanism{
			via("incident/stalled-consumer", "a process that does not read does not answer"),
			via("go/leaked-lock", "a handler that waits for the lock does not answer"),
			via("go/blocked-holder", "a handler that waits for the lock does not answer"),
			via("go/lock-cycle", "a handler in the cycle does not answer"),
			via("go/recursive-lock", "a handler that waits for itself does not answer"),
			via("go/recursive-read-lock", "a handler that waits for the lock does not answer"),
			via("go/pool-exhausted", "a handler that waits for a pooled connection does not answer"),
			via("node/silent-service", "the program loses the request although its loop runs"),
			via("process/stopped", "a stopped process answers nothing"),
			via("thread/stuck", "a thread that does not move answers nothing"),
			via("thread/deadlock", "a thread that waits for the lock does not answer"),
			via("thread/blocked-holder", "a thread that waits for the lock does not answer"),
			via("thread/leaked-lock", "a thread that waits for the lock does not answer"),
			via("node/loop-blocked", "a blocked loop handles no request"),
			via("process/uninterruptible", "a process in uninterruptible sleep does not answer"),
			{Rule: "socket/port-conflict", Via: join.KindPort, Why: "the wrong program has the port and does not know the protocol"},
			{Rule: "tcp/accept-queue-full", Via: join.KindEndpoint, Why: "what is sent on a connection that was never accepted is acknowledged by the kernel only"},
			{Rule: "tcp/accept-queue-full", Via: join.KindPort, Why: "what is sent on a connection that was never accepted is acknowledged by the kernel only"},
		},
		Run: run,
	}
}

// open is one service with its open requests.
type open struct {
	server   *wire.Server
	end      join.End
	flows    []*fact.Flow
	streams  []*fact.Flow // those that send far more than is ever answered
	requests int
	silence  time.Duration // the longest
	usual    time.Duration // median answer
	answered int64         // baseline
	from, to time.Time
}

func run(_ context.Context, p *analyze.Pass) error {
	x := wire.Of(p)
	for _, s := range x.Servers() {
		if o := look(p, x, s); o != nil {
			report(p, o)
		}
	}
	return nil
}

// look collects a service's open requests that are too old for it.
func look(p *analyze.Pass, x *wire.Index, s *wire.Server) *open {
	candidates := len(s.Unanswered)
	if candidates == 0 {
		return nil
	}
	o := &open{server: s}
	var usual []time.Duration
	var slowest time.Duration
	for _, f := range s.Flows {
		if f.Turns.Answers() > 0 {
			usual = append(usual, f.Turns.MedianAnswer())
			o.answered += int64(answers(f))
			slowest = max(slowest, f.Turns.MaxAnswer())
		}
	}
	slices.Sort(usual)
	if len(usual) > 0 {
		o.usual = usual[len(usual)/2]
	}
	limit := max(time.Duration(p.Threshold("silence")*float64(time.Second)),
		time.Duration(p.Threshold("factor")*float64(o.usual)), time.Duration(p.Threshold("longest")*float64(slowest)))
	patience := patience(p, s, max(time.Duration(p.Threshold("patience")*float64(o.usual)), time.Duration(p.Threshold("longest")*float64(slowest))))
	for _, f := range s.Unanswered {
		u, waited := f.Turns.Unanswered, x.Waited(f)
		if closedWindow(f) || waited < limit && !(patience > 0 && gaveUp(f) && near(waited, patience)) {
			continue
		}
		if f.Turns.Answers() > 0 && float64(u.Segments) > p.Threshold("stream")*float64(answers(f)) {
			o.streams = append(o.streams, f)
			continue
		}
		o.add(f, x.Waited(f))
	}
	if len(o.streams) > 0 {
		if logged, _ := complaints(p, o); logged > 0 {
			for _, f := range o.streams {
				o.add(f, x.Waited(f))
			}
		} else {
			p.Note("%s: %s far more than is ever answered: a stream", s.Addr, join.Count(len(o.streams), "connection sends", "connections send"))
		}
	}
	if len(o.flows) == 0 {
		p.Note("%s: %d open requests, none for %v", s.Addr, candidates, limit)
		return nil
	}
	return o
}

// minPatience is the shortest time-out of clients that is told from a cancelled call.
const minPatience = time.Second

// patience is the time after which several clients gave up, each on a request of
// its own, zero if there is none: a time-out is the same for all calls, and one
// shorter than the silence that counts by itself says as much.
func patience(p *analyze.Pass, s *wire.Server, least time.Duration) time.Duration {
	var waits []time.Duration
	for _, f := range s.Unanswered {
		if u := f.Turns.Unanswered; u.Silence >= max(least, minPatience) && gaveUp(f) {
			waits = append(waits, u.Silence)
		}
	}
	if len(waits) < int(p.Threshold("requests")) {
		return 0
	}
	slices.Sort(waits)
	median := waits[len(waits)/2]
	same := 0
	for _, w := range waits {
		if near(w, median) {
			same++
		}
	}
	if same < int(p.Threshold("requests")) || same*2 <= len(waits) {
		p.Note("%s: %d clients gave up, after different times", s.Addr, len(waits))
		return 0
	}
	return median
}

// near reports whether a wait ended by the timer that ended the others.
func near(w, timer time.Duration) bool {
	return (w - timer).Abs() <= timer/20+50*time.Millisecond
}

// gaveUp reports whether the client ended the conversation.
func gaveUp(f *fact.Flow) bool { return f.Closer() == "client" }

// add counts the open requests of a conversation.
func (o *open) add(f *fact.Flow, waited time.Duration) {
	u := f.Turns.Unanswered
	o.flows = append(o.flows, f)
	o.requests += u.Segments
	o.silence = max(o.silence, waited)
	if o.from.IsZero() || u.First.Before(o.from) {
		o.from = u.First
	}
	if end := u.First.Add(waited); end.After(o.to) {
		o.to = end
	}
}

// answers is the number of a conversation's answers, without those of its TLS
// handshake: they say nothing of what follows.
func answers(f *fact.Flow) int {
	if f.App() == "tls" {
		return max(0, f.Turns.Answers()-3)
	}
	return f.Turns.Answers()
}

// closedWindow reports whether the server announces window zero at the end: then
// it does not read, which is another finding.
func closedWindow(f *fact.Flow) bool {
	return slices.ContainsFunc(f.Stalls(), func(s fact.Stall) bool { return s.By == "server" && s.Open })
}

func report(p *analyze.Pass, o *open) {
	o.end = join.FlowsOf(p).Server(o.flows[0])
	several := int(p.Threshold("requests"))
	logged, lines := complaints(p, o)
	expects := o.answered >= int64(several) || o.flows[0].App() == "http" && o.flows[0].Turns.Answers() == 0
	if !expects && logged == 0 {
		// A log shipper or a feed that never gets a word back: nothing says that an
		// answer was due.
		p.Note("%s: %d messages without an answer, but the service never answered any", o.server.Addr, o.requests)
		return
	}
	f := analyze.Finding{
		Subject: subject(p, o), From: o.from, To: o.to,
		Severity: analyze.High, Confidence: analyze.Likely,
		Title: fmt.Sprintf("%s acknowledges requests on %s and never answers them: %s open for up to %v", who(o), o.server.Addr,
			join.Count(o.requests, "request", "requests"), wire.Round(o.silence)),
	}
	if logged == 0 && (o.requests < several || o.requests == len(o.flows) && meanwhile(o)) {
		// One request may be a long poll or a subscription, and so may many, one on
		// each connection, while the service answers others.
		f.Severity, f.Confidence = analyze.Low, analyze.Possible
	}
	p.Note("%s: %d requests open on %d connections, usual answer %v, %d log lines", o.server.Addr, o.requests, len(o.flows), o.usual, logged)
	f.Entities = append(o.end.Entities(), join.Port(o.end.Host, int(o.end.Addr.Port())))
	for _, fl := range o.flows[:min(len(o.flows), 16)] {
		f.Entities = append(f.Entities, join.FlowEntity(o.server.Host, fl.Client(), fl.Server()))
	}
	f.Evidence = frames(o)
	f.Evidence = append(f.Evidence, lines...)
	detail := []string{mechanism(o)}
	if logged > 0 {
		detail = append(detail, fmt.Sprintf("%s that an answer from there is missing.", join.Count(logged, "log line says", "log lines say")))
	}
	words, ev := process(o)
	detail, f.Evidence = append(detail, words...), append(f.Evidence, ev...)
	words, ev, agrees := queue(p, o)
	detail, f.Evidence = append(detail, words...), append(f.Evidence, ev...)
	words, ev = sibling(p, o)
	detail, f.Evidence = append(detail, words...), append(f.Evidence, ev...)
	if (logged > 0 || agrees) && f.Confidence == analyze.Likely {
		f.Confidence = analyze.Confirmed
	}
	detail = append(detail, "Also possible for single requests: a long poll, a stream or a subscription, which are silent by design.")
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = "Find where the process keeps the requests: handlers that wait for a lock, a pool or a downstream call, or callbacks that are never called. Give calls a deadline, so that they fail instead of staying open."
	f.Missing = []string{"the stacks of the process while the requests are open"}
	pid := "PID"
	if o.end.Process != nil {
		pid = fmt.Sprint(o.end.Process.PID)
	}
	f.Next = []string{"curl -s 'http://localhost:PORT/debug/pprof/goroutine?debug=2' > goroutine.txt  # a Go service", "gdb -p " + pid + " -batch -ex 'thread apply all bt'", "strace -f -p " + pid,
		fmt.Sprintf("the own log of what should serve %s, around the incident", o.server.Addr)}
	p.Report(f)
}

// subject is the process and its port, or the address where no process is known.
func subject(p *analyze.Pass, o *open) string {
	if pr := o.end.Process; pr != nil {
		return fmt.Sprintf("%s on port %d", pr, o.end.Addr.Port())
	}
	return join.HostsOf(p).Prefix(o.server.Host) + o.server.Addr
}

func who(o *open) string {
	if o.end.Process != nil {
		return o.end.Process.String()
	}
	return "The service"
}

func mechanism(o *open) string {
	var s string
	if o.answered > 0 {
		s = fmt.Sprintf("The service had answered %d requests before or meanwhile, half of them within %v. ", o.answered, wire.Round(o.usual))
	}
	return s + fmt.Sprintf("%s on %s got no byte back for up to %v. The server's kernel acknowledged all of it and its window is open: the network delivered the requests, and what is missing is the program's answer.",
		join.Count(o.requests, "request", "requests"), join.Count(len(o.flows), "connection", "connections"), wire.Round(o.silence))
}

// meanwhile reports whether the service answers on other connections.
func meanwhile(o *open) bool {
	stuck := map[*fact.Flow]bool{}
	for _, f := range o.flows {
		stuck[f] = true
	}
	return slices.ContainsFunc(o.server.Flows, func(f *fact.Flow) bool {
		return !stuck[f] && f.Turns.Answers() > 0 && f.ToClient.LastData().After(o.from.Add(o.silence/2))
	})
}

func frames(o *open) []analyze.Evidence {
	var ev []analyze.Evidence
	for i, f := range o.flows[:min(len(o.flows), 3)] {
		u := f.Turns.Unanswered
		ev = append(ev, wire.At(f, u.FirstFrame, u.First, "the first request of %s that is never answered", f.Client()))
		if i > 0 {
			continue
		}
		if u.AckFrame > 0 {
			ev = append(ev, wire.At(f, u.AckFrame, time.Time{}, "%s acknowledges all of it", f.Server()))
		}
		if u.LastAnswerFrame > 0 {
			ev = append(ev, wire.At(f, u.LastAnswerFrame, f.ToClient.LastData(), "the last answer on this connection"))
		}
		if u.LastFrame != u.FirstFrame {
			ev = append(ev, wire.At(f, u.LastFrame, u.Last, "the last of %s without an answer", join.Count(u.Segments, "request", "requests")))
		}
	}
	return ev
}

func process(o *open) (words []string, ev []analyze.Evidence) {
	pr := o.end.Process
	if pr == nil {
		return nil, nil
	}
	ev = append(ev, analyze.Cite(o.end.At, "%s is %s, by %s", o.server.Addr, pr, o.end.Link.By))
	if len(pr.Rows) > 0 {
		ev = append(ev, analyze.Cite(pr.Rows[0].At, "the process: %s", pr.Describe()))
	}
	return []string{"The process is " + pr.Describe() + "."}, ev
}

// queue says whether the program reads: the receive queue of its side.
func queue(p *analyze.Pass, o *open) (words []string, ev []analyze.Evidence, agrees bool) {
	s := join.SocketsOf(p)
	for _, f := range o.flows {
		k := s.Conn(o.end.Host, "tcp", f.Server(), f.Client())
		if k == nil || !k.RecvQ().Known {
			continue
		}
		if n := k.RecvQ().V; n > 0 {
			return []string{fmt.Sprintf("Its receive queue holds %d bytes: the program does not read.", n)},
				[]analyze.Evidence{k.Cite("Recv-Q %d: the requests are not even read", n)}, true
		}
		return []string{"Its receive queue is empty: the program has read the requests and keeps them."},
			[]analyze.Evidence{k.Cite("Recv-Q 0: the program has read the requests")}, true
	}
	return nil, nil, false
}

// sibling looks for another port of the same process that answers meanwhile: then
// neither the process as a whole nor its machine is stuck.
func sibling(p *analyze.Pass, o *open) (words []string, ev []analyze.Evidence) {
	if o.end.Process == nil {
		return nil, nil
	}
	for _, s := range wire.Of(p).Servers() {
		if s == o.server {
			continue
		}
		for _, f := range s.Flows {
			if f.Turns.Answers() == 0 || !f.ToClient.LastData().After(o.from.Add(o.silence/2)) {
				continue
			}
			if join.FlowsOf(p).Server(f).Process != o.end.Process {
				break
			}
			return []string{fmt.Sprintf("The same process answers on %s all the while: its event loop or scheduler runs, and only this service is silent.", s.Addr)},
				[]analyze.Evidence{wire.At(f, f.ToClient.LastDataFrame(), f.ToClient.LastData(), "the same process answers on %s", s.Addr)}
		}
	}
	return nil, nil
}
