package silentservice

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

// symptoms are the requests that stay open, by the process that should answer.
type symptoms struct {
	p      *analyze.Pass
	served map[*join.Process]*served
	logs   map[fact.ID][]*fact.LogEvent
	down   map[*join.Process]analyze.Evidence
}

// served is what one process does on its ports.
type served struct {
	ports   map[int]*silentPort
	answers map[int]*answer
	// expects are the ports on which an answer was ever due: one was given, or the
	// protocol has them.
	expects map[int]bool
}

// silentPort is one port with open requests.
type silentPort struct {
	number   int
	flows    []*fact.Flow
	logged   int
	lines    []analyze.Evidence
	from, to time.Time
	longest  time.Duration // that a request has waited
}

// answer is the latest sign that a port answers.
type answer struct {
	at time.Time
	ev analyze.Evidence
}

func gather(p *analyze.Pass) *symptoms {
	x := &symptoms{p: p, served: map[*join.Process]*served{}, logs: map[fact.ID][]*fact.LogEvent{}, down: map[*join.Process]analyze.Evidence{}}
	for _, f := range wire.Of(p).Flows {
		x.flow(f)
	}
	writers := map[fact.ID]*join.Process{}
	for _, pr := range join.ProcessesOf(p).All {
		for _, id := range pr.Logs {
			writers[id] = pr
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		x.logs[e.At.Artifact] = append(x.logs[e.At.Artifact], e)
		x.event(e, writers[e.At.Artifact])
	}
	return x
}

func (x *symptoms) of(pr *join.Process) *served { return x.served[pr] }

// ownLog are the events of the logs that a process says are its own.
func (x *symptoms) ownLog(pr *join.Process) []*fact.LogEvent {
	var out []*fact.LogEvent
	for _, id := range pr.Logs {
		out = append(out, x.logs[id]...)
	}
	return out
}

// downstream is a sign that a process waits for somebody else itself, nil without.
func (x *symptoms) downstream(pr *join.Process) *analyze.Evidence {
	if ev, ok := x.down[pr]; ok {
		return &ev
	}
	return nil
}

func (x *symptoms) port(pr *join.Process, n int) *silentPort {
	s := x.service(pr)
	if s.ports[n] == nil {
		s.ports[n] = &silentPort{number: n}
	}
	return s.ports[n]
}

func (x *symptoms) service(pr *join.Process) *served {
	s := x.served[pr]
	if s == nil {
		s = &served{ports: map[int]*silentPort{}, answers: map[int]*answer{}, expects: map[int]bool{}}
		x.served[pr] = s
	}
	return s
}

// flow takes what a capture shows: requests left open, and answers.
func (x *symptoms) flow(f *fact.Flow) {
	end := join.FlowsOf(x.p).Server(f)
	u := f.Turns.Unanswered
	waited := wire.Of(x.p).Waited(f)
	open := u != nil && u.Acked && waited.Seconds() >= x.p.Threshold("silence") && !closed(f)
	// A feed that never gets a word back waits for nothing.
	expects := f.Turns.Answers() > 0 || f.App() == "http"
	if client := join.FlowsOf(x.p).Client(f).Process; open && expects && client != nil {
		if _, have := x.down[client]; !have {
			x.down[client] = analyze.Cite(f.Frame(u.FirstFrame), "its own request to %s stays open", f.Server())
		}
	}
	if end.Process == nil || end.Link.Sure < analyze.Likely {
		return
	}
	n := int(end.Addr.Port())
	if expects {
		x.service(end.Process).expects[n] = true
	}
	if f.Turns.Answers() > 0 {
		x.service(end.Process).answered(n, f.ToClient.LastData(), analyze.Cite(f.Frame(f.ToClient.LastDataFrame()), "the same process answers on %s", f.Server()).On(f.ToClient.LastData(), fact.Epoch, 0))
	}
	if open {
		sp := x.port(end.Process, n)
		sp.flows = append(sp.flows, f)
		sp.span(u.First)
		sp.span(u.First.Add(waited))
		sp.longest = max(sp.longest, waited)
	}
}

// closed reports whether the server announces window zero at the end: then it does
// not read, which is another finding.
func closed(f *fact.Flow) bool {
	return slices.ContainsFunc(f.Stalls(), func(s fact.Stall) bool { return s.By == "server" && s.Open })
}

func (s *served) answered(n int, at time.Time, ev analyze.Evidence) {
	if have := s.answers[n]; have == nil || at.After(have.at) {
		s.answers[n] = &answer{at, ev}
	}
}

func (sp *silentPort) span(t time.Time) {
	if t.IsZero() {
		return
	}
	if sp.from.IsZero() || t.Before(sp.from) {
		sp.from = t
	}
	if t.After(sp.to) {
		sp.to = t
	}
}

// event takes a log line: one that misses an answer from an address, or one that
// got it.
func (x *symptoms) event(e *fact.LogEvent, writer *join.Process) {
	timeout := slices.Contains(e.Signs, fact.SignTimeout)
	good := !timeout && e.Errno == "" && e.Level != "error" && e.Level != "warn" && success(e.Text)
	if !timeout && !good {
		return
	}
	clocks := join.ClocksOf(x.p)
	at, _, dated := clocks.UTC(e.At.Artifact, e.Time)
	for _, a := range e.Addresses {
		ap, ok := join.ParseAddrPort(a)
		if !ok || strings.HasPrefix(a, ":") {
			continue
		}
		end := join.FlowsOf(x.p).At(join.HostsOf(x.p).Of(e.At), "tcp", ap)
		if end.Link.Sure < analyze.Likely {
			end.Process = nil // a guess by command lines may be a client
		}
		if _, have := x.down[writer]; timeout && writer != nil && end.Process != writer && !have {
			x.down[writer] = analyze.Cite(e.At, "its own log misses an answer from %s", a)
		}
		switch {
		case end.Process == nil:
		case timeout:
			sp := x.port(end.Process, int(ap.Port()))
			sp.logged += max(1, e.Repeat)
			if dated {
				sp.span(at)
			}
			if len(sp.lines) < 2 {
				sp.lines = append(sp.lines, clocks.Date(analyze.Cite(e.At, "a caller misses an answer: %s", e.Text), e.Time))
			}
		case dated:
			x.service(end.Process).answered(int(ap.Port()), at, clocks.Date(analyze.Cite(e.At, "the same process answers on port %d: %s", ap.Port(), e.Text), e.Time))
		}
	}
}

// success reports whether a line about a request states a good status.
func success(text string) bool {
	return strings.Contains(text, " 200 ") || strings.HasSuffix(text, " 200") || strings.Contains(text, " 204 ") || strings.Contains(text, "status=200")
}

// silent are the ports on which requests stay open and nothing is answered any
// more, in order.
func (s *served) silent(p *analyze.Pass) []*silentPort {
	var out []*silentPort
	for _, n := range slices.Sorted(maps.Keys(s.ports)) {
		sp := s.ports[n]
		if len(sp.flows) == 0 && sp.logged < int(p.Threshold("timeouts")) {
			p.Note("port %d: %d log lines miss an answer, needs %.0f", n, sp.logged, p.Threshold("timeouts"))
			continue
		}
		if sp.logged == 0 && !s.expects[n] {
			p.Note("port %d never answered anybody: a feed needs no answer", n)
			continue
		}
		half := sp.from.Add(sp.to.Sub(sp.from) / 2)
		if a := s.answers[n]; a != nil && !sp.from.IsZero() && a.at.After(half) {
			p.Note("port %d answers others meanwhile (%s)", n, a.ev.Ref)
			continue
		}
		out = append(out, sp)
	}
	return out
}

// answering finds another port of the process that answered while this one was
// silent: in a capture, a log, or a trace.
func (s *served) answering(c *candidate, port *silentPort) (string, []analyze.Evidence) {
	for _, n := range slices.Sorted(maps.Keys(s.answers)) {
		a := s.answers[n]
		if n != port.number && (port.from.IsZero() || a.at.After(port.from)) {
			return fmt.Sprintf("The same process answers on port %d all the while: only the service on port %d is silent.", n, port.number), []analyze.Evidence{a.ev}
		}
	}
	for _, tr := range c.pr.Traces {
		for _, d := range tr.Descriptors() {
			if n, _ := c.portOf(d); n > 0 && n != port.number && d.Reads > 0 && d.Writes > 0 {
				return fmt.Sprintf("The trace shows the same process answering on port %d: only the service on port %d is silent.", n, port.number),
					[]analyze.Evidence{analyze.Cite(d.FirstWrite, "the same process writes to a connection on port %d", n)}
			}
		}
	}
	return "", nil
}

// kinds is how many independent kinds of artifact show the open requests.
func (sp *silentPort) kinds() int {
	n := 0
	if len(sp.flows) > 0 {
		n++
	}
	if sp.logged > 0 {
		n++
	}
	return n
}

func (sp *silentPort) words() string {
	var parts []string
	if len(sp.flows) > 0 {
		open := 0
		for _, f := range sp.flows {
			open += f.Turns.Unanswered.Segments
		}
		parts = append(parts, fmt.Sprintf("%d requests to port %d were acknowledged by the kernel and got no reply, the oldest for %v.", open, sp.number, sp.longest.Round(100*time.Millisecond)))
	}
	if sp.logged > 0 {
		parts = append(parts, fmt.Sprintf("Callers log %d times that an answer from port %d is missing (timeout).", sp.logged, sp.number))
	}
	return strings.Join(parts, " ")
}

func (sp *silentPort) evidence() []analyze.Evidence {
	var ev []analyze.Evidence
	for i, f := range sp.flows {
		if i == 2 {
			break
		}
		u := f.Turns.Unanswered
		ev = append(ev, analyze.Cite(f.Frame(u.FirstFrame), "the first request of %s that gets no reply", f.Client()).On(u.First, fact.Epoch, 0))
		if u.AckFrame > 0 {
			ev = append(ev, analyze.Cite(f.Frame(u.AckFrame), "%s acknowledges it", f.Server()))
		}
	}
	return append(ev, sp.lines...)
}

// entities ties the finding to those about the same port and connections.
func (sp *silentPort) entities(p *analyze.Pass, pr *join.Process) []analyze.Entity {
	var out []analyze.Entity
	for _, f := range sp.flows[:min(len(sp.flows), 16)] {
		out = append(out, join.FlowEntity(join.HostsOf(p).Of(f.Ref()), f.Client(), f.Server()), join.Endpoint(pr.Host, f.Server()))
	}
	return out
}
