// Package silentservice finds services whose event loop is idle while requests to
// them are read and never answered.
package silentservice

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

// Rule finds services whose event loop is idle while their requests stay open.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "node/silent-service", Title: "loop idle, service silent", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"trace", "thread"},
		Wants: []fact.Kind{"flow", "log_event", "log", "socket", "open_file"},
		Collect: map[fact.Kind]string{
			"trace":  "timeout 10 strace -f -yy -p PID -o strace_PID.txt",
			"thread": "gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt",
		},
		Thresholds: []analyze.Threshold{
			{Name: "timeouts", Default: 3, Unit: "lines", Doc: "log lines about missing answers from one port"},
			{Name: "silence", Default: 5, Unit: "seconds", Doc: "how long a captured request must stay open"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "socket/port-conflict", Via: join.KindPort, Why: "another program has the port"},
			{Rule: "node/threadpool-starved", Via: join.KindProcess, Why: "the answer needs a thread of the pool"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	x := gather(p)
	judged := false
	for _, pr := range loop.Of(p) {
		samples, idle := pr.Idle()
		if samples == 0 {
			continue
		}
		if !pr.OneThread() {
			p.Note("%s: its main thread is idle, but others may handle the requests", pr)
			continue
		}
		judged = true
		c := &candidate{p: p, x: x, pr: pr, samples: samples, idle: idle}
		c.judge()
	}
	if !judged {
		p.Skip("no stack or trace shows an idle event loop of a known process",
			"gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt", "timeout 10 strace -f -yy -p PID -o strace_PID.txt")
	}
	return nil
}

// candidate is one process with an idle loop.
type candidate struct {
	p       *analyze.Pass
	x       *symptoms
	pr      *loop.Process
	samples int
	idle    []analyze.Evidence
}

// judge reports each port of the process on which requests stay open.
func (c *candidate) judge() {
	s := c.x.of(c.pr.Process)
	if s == nil {
		c.p.Note("%s: its loop is idle, and no request to it is open", c.pr)
		return
	}
	if ev := c.x.downstream(c.pr.Process); ev != nil {
		// Then an idle loop is what a waiting process looks like, and the one it
		// waits for is the one to look at.
		c.p.Note("%s waits for answers itself: %s", c.pr, ev.Note)
		return
	}
	for _, port := range s.silent(c.p) {
		if ev := c.untaken(port); ev != nil {
			// What the program has not taken from the kernel it cannot have lost.
			c.p.Note("%s: port %d: %s (%s)", c.pr, port.number, ev.Note, ev.Ref)
			continue
		}
		c.report(port, s)
	}
}

func (c *candidate) report(port *silentPort, s *served) {
	io, answersHere := c.traced(port)
	if answersHere {
		c.p.Note("%s: the trace shows answers on port %d", c.pr, port.number)
		return
	}
	name, named := c.name()
	pr := c.pr.Process
	who := fmt.Sprintf("pid %d (%s)", pr.PID, pr.Name())
	if name != "" {
		who = fmt.Sprintf("%s (pid %d, %s)", name, pr.PID, pr.Name())
	}
	f := analyze.Finding{
		Subject:  fmt.Sprintf("%s on port %d", pr, port.number),
		Severity: analyze.High, Confidence: analyze.Likely, From: port.from, To: port.to,
		Title: fmt.Sprintf("%s is alive with an idle event loop, but never answers requests on port %d", who, port.number),
	}
	f.Evidence = append(f.Evidence, port.evidence()...)
	f.Evidence = append(f.Evidence, io...)
	f.Evidence = append(f.Evidence, c.idle...)
	detail := []string{port.words(), fmt.Sprintf("The event loop of the process is healthy: it waits for events in epoll%s. So it is neither deadlocked nor busy, the network delivers, and the program itself keeps the requests: a callback that is never called, a queue or limiter whose slots are not given back, an error that is swallowed.", c.sampled())}
	if len(io) > 0 {
		detail = append(detail, "The trace shows the requests being read and nothing being written back to the same connection.")
	}
	add := func(words string, ev []analyze.Evidence) {
		if words != "" {
			detail, f.Evidence = append(detail, words), append(f.Evidence, ev...)
		}
	}
	add(s.answering(c, port))
	queue, qev := c.queue(port)
	add(queue, qev)
	add(c.before(port))
	if named.Artifact != "" {
		f.Evidence = append(f.Evidence, named)
	}
	if at, ok := pr.Cite(); ok {
		f.Evidence = append(f.Evidence, analyze.Cite(at, "the process: %s", pr.Describe()))
	}
	// The loop's state and the open requests are independent records; the queue or
	// the trace shows that the program took the requests.
	if port.kinds() > 1 || len(io) > 0 || queue != "" {
		f.Confidence = analyze.Confirmed
	}
	if c.samples < 2 && len(io) == 0 && f.Confidence > analyze.Likely {
		f.Confidence = analyze.Likely // one moment may have missed a busy loop
	}
	if f.Against = c.upstream(port); len(f.Against) > 0 {
		f.Confidence = f.Confidence.Lower()
		f.Missing = append(f.Missing, "who is at the other end of the connection that the process only writes to")
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Fix = "Find where the program drops the reply on this port: middleware, filters and limiters between the socket and the handler first, then handlers that end without calling back on an error. Free what a request holds on every path, and give each request a deadline on the server side too."
	f.Next = []string{
		fmt.Sprintf("kill -USR1 %d, then attach an inspector (node inspect -p %d) and look at the pending requests", pr.PID, pr.PID),
		"restart with one middleware less at a time (bisect)",
	}
	f.Entities = append(f.Entities, pr.Entity(), join.Port(pr.Host, port.number))
	f.Entities = append(f.Entities, port.entities(c.p, pr)...)
	c.p.Note("%s: port %d silent: %d timeouts in logs, %d open flows; %d samples of an idle loop", c.pr, port.number, port.logged, len(port.flows), c.samples)
	c.p.Report(f)
}

func (c *candidate) sampled() string {
	if len(c.pr.Traces) > 0 {
		return ", and comes back from there again and again"
	}
	return ""
}

// traced looks at what the process did with the connections of the port during a
// strace. answers is true when it wrote to one of them.
func (c *candidate) traced(port *silentPort) (ev []analyze.Evidence, answers bool) {
	for _, tr := range c.pr.Traces {
		for _, d := range tr.Descriptors() {
			n, row := c.portOf(d)
			if n != port.number {
				continue
			}
			if d.Writes > 0 && d.Writes*2 >= d.Reads {
				return nil, true
			}
			if d.Reads >= 2 {
				note := fmt.Sprintf("strace: %d requests are read from descriptor %d", d.Reads, d.FD)
				if d.Writes == 0 {
					note += ", none is answered by a write"
				} else {
					note += fmt.Sprintf(", only %d writes go back", d.Writes)
				}
				ev = append(ev, analyze.Cite(d.FirstRead, "%s", note), analyze.Cite(d.LastRead, "strace: the last read of descriptor %d", d.FD))
				if !row.IsZero() {
					ev = append(ev, analyze.Cite(row, "descriptor %d is the connection on port %d", d.FD, port.number))
				}
			}
		}
	}
	return ev, false
}

// upstream are connections on which the process itself asks and gets nothing back
// during a trace: it may wait for that service rather than lose requests.
func (c *candidate) upstream(port *silentPort) (against []analyze.Evidence) {
	for _, tr := range c.pr.Traces {
		for _, d := range tr.Descriptors() {
			if n, _ := c.portOf(d); d.Writes >= 2 && d.Reads == 0 && n > 0 && n != port.number && !c.listens(n) {
				against = append(against, analyze.Cite(d.FirstWrite, "strace: %d writes to descriptor %d (its port %d) bring no answer either: it may wait for that service", d.Writes, d.FD, n))
			}
		}
	}
	return against
}

// listens reports whether the process listens on a port.
func (c *candidate) listens(n int) bool {
	for _, s := range join.SocketsOf(c.p).Listeners(c.pr.Host, "tcp", uint16(n)) {
		if slices.Contains(s.Owners, c.pr.Process) {
			return true
		}
	}
	return false
}

// untaken is a row which shows that most of what waits on a port has not reached
// the program: connections that it has not accepted, requests that it has not read.
func (c *candidate) untaken(port *silentPort) *analyze.Evidence {
	read, unread := 0, 0
	var first analyze.Evidence
	for _, s := range join.SocketsOf(c.p).All {
		if s.Host != c.pr.Host || s.Proto != "tcp" || int(s.Local.Port()) != port.number || !s.RecvQ().Known {
			continue
		}
		switch waiting := s.RecvQ().V; {
		case s.Listening() && waiting > 0 && slices.Contains(s.Owners, c.pr.Process):
			ev := analyze.Cite(s.Row().At, "%d connections wait to be accepted", waiting)
			return &ev
		case s.State != fact.StateEstablished:
		case waiting > 0:
			if unread++; unread == 1 {
				first = analyze.Cite(s.Row().At, "%d bytes of a request wait to be read", waiting)
			}
		default:
			read++
		}
	}
	if unread > read {
		return &first
	}
	return nil
}

// portOf is the local port of a descriptor: by -yy, by the listening descriptor that
// accept got it from, or by a socket table that names the owner's descriptor.
func (c *candidate) portOf(d loop.IO) (int, fact.Ref) {
	if _, rest, ok := strings.Cut(d.Name, ":["); ok {
		local, _, _ := strings.Cut(strings.TrimSuffix(rest, "]"), "->")
		if ap, ok := join.ParseAddrPort(local); ok {
			return int(ap.Port()), fact.Ref{}
		}
	}
	fd := int64(d.FD)
	if d.Listener.Known {
		fd = d.Listener.V
	}
	for _, s := range join.SocketsOf(c.p).All {
		if s.Host != c.pr.Host || s.Proto != "tcp" || s.Listening() != d.Listener.Known {
			continue
		}
		for _, row := range s.Rows {
			for _, o := range row.Owners {
				if o.PID == c.pr.PID && o.FD.Known && o.FD.V == fd {
					return int(s.Local.Port()), row.At
				}
			}
		}
	}
	for of := range fact.All[fact.OpenFile](c.p.Facts) {
		if of.PID == c.pr.PID && of.FD == fmt.Sprint(fd) && strings.HasPrefix(of.Type, "IPv") {
			local, _, ok := strings.Cut(of.Name, "->")
			if ap, parsed := join.ParseAddrPort(local); ok && parsed {
				return int(ap.Port()), of.At
			}
		}
	}
	return 0, fact.Ref{}
}

// queue says that the kernel holds nothing for the program to read: the program
// has the requests.
func (c *candidate) queue(port *silentPort) (string, []analyze.Evidence) {
	for _, s := range join.SocketsOf(c.p).All {
		if s.Host != c.pr.Host || s.Proto != "tcp" || s.State != fact.StateEstablished || int(s.Local.Port()) != port.number || s.Owner() != c.pr.Process || !s.RecvQ().Known {
			continue
		}
		if s.RecvQ().V == 0 {
			return "The receive queue of the connection is empty: the program has read the requests.", []analyze.Evidence{analyze.Cite(s.Row().At, "Recv-Q 0 on port %d: the program has read what came", port.number)}
		}
	}
	return "", nil
}

// before looks for warnings in the process's own log before its first silence, as
// the errors that lost the requests may have left them.
func (c *candidate) before(port *silentPort) (string, []analyze.Evidence) {
	clocks := join.ClocksOf(c.p)
	var last *fact.LogEvent
	n := 0
	shape := map[string]int{}
	for _, e := range c.x.ownLog(c.pr.Process) {
		at, _, ok := clocks.UTC(e.At.Artifact, e.Time)
		if !ok || e.Level != "warn" && e.Level != "error" || !port.from.IsZero() && at.After(port.from.Add(2*time.Second)) {
			continue
		}
		shape[e.Shape]++
		last = e
	}
	if last == nil {
		return "", nil
	}
	n = shape[last.Shape]
	return fmt.Sprintf("Before it fell silent the process logged %d lines like %q; if each of them kept a slot or a callback, they are what used the service up.", n, last.Text),
		[]analyze.Evidence{clocks.Date(analyze.Cite(last.At, "the last of %d such lines in the process's own log before the silence", n), last.Time)}
}

// name is what the service calls itself: the source of its own log, or how another
// log names its pid.
func (c *candidate) name() (string, analyze.Evidence) {
	for _, e := range c.x.ownLog(c.pr.Process) {
		if e.Source != "" && !strings.Contains(e.Source, ":") && !strings.EqualFold(e.Source, "main") {
			return e.Source, analyze.Cite(e.At, "the log of pid %d calls itself %s", c.pr.PID, e.Source)
		}
	}
	return "", analyze.Evidence{}
}
