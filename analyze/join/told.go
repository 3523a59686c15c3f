package join

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Told is the end of a process by a signal that no audit record and no kernel
// message shows: only logs state it, or a typed command.
type Told struct {
	Host   string
	Signal string
	At     time.Time // UTC, zero if the clock is unknown
	// Victim is the process, nil where the lines give no pid; Name is what they
	// call it.
	Victim *Process
	Name   string
	// Sent are lines whose writer says that it sends the signal, Died those that
	// state the end, Got those in which the victim says that it received it.
	Sent, Died, Got []*fact.LogEvent
	// Sender names who says that it sent the signal, "" if nobody does.
	Sender string
	// Reason is a line shortly before that says why; nil if none does.
	Reason *fact.LogEvent
	// Command is a typed command that names the victim's pid.
	Command *fact.CommandRun
	// Asked is a line that announces an orderly stop or a reload of it.
	Asked *fact.LogEvent
}

var told = analyze.Derived[[]*Told]{
	Name: "signals told by logs",
	Needs: []fact.Kind{"audit_event", "process", "process_table", "log_event", "log", "host_info",
		"socket", "kernel_event", "counter", "command_run"},
	Build: buildTold,
}

// ToldOf returns the signals that only logs and typed commands of the bundle
// state, in the order of their lines.
func ToldOf(p *analyze.Pass) []*Told { return told.Of(p) }

// First is the most telling line: the sender's, else the end, else the victim's.
func (t *Told) First() *fact.LogEvent {
	for _, list := range [][]*fact.LogEvent{t.Sent, t.Died, t.Got} {
		if len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// writer names who wrote a line: its source, else the log.
func writer(l *fact.LogEvent) string { return cmp.Or(l.Source, path.Base(string(l.At.Artifact))) }

// ending is what one line says of a signal and its victim.
type ending struct {
	line   *fact.LogEvent
	signal string
	pid    int
	bare   bool // the pid is only a number in the sentence
	name   string
	kind   int
}

const (
	tellsEnd = iota + 1
	tellsSender
	tellsVictim
)

var (
	exitCode     = regexp.MustCompile(`(?i)\b(?:exit(?:ed)?(?:\s+with)?(?:\s*_?(?:code|status))?|exitcode|code|status)[\s=:(\["]*(-?\d{1,3})\b`)
	sendWords    = regexp.MustCompile(`(?i)\b(?:kill(?:ing)?|sending|sends?|terminating|was sent|force[- ]?kill(?:ing|ed)?)\b`)
	endWords     = regexp.MustCompile(`(?i)\b(?:died|dead|exit|exited|exits|terminated|killed|crashed|stopped)\b`)
	receiptWords = regexp.MustCompile(`(?i)\b(?:received?|got|gets|caught|catched|handling|on signal|signal received|shutdown requested|interrupted by)\b`)
	routine      = regexp.MustCompile(`(?i)\b(?:reload(?:ing)?|recycl(?:e|ing)|restart(?:ing)?|rolling|stopping|stop requested|deploy(?:ing|ment)?|upgrad(?:e|ing)|scal(?:e|ing) (?:down|in)|rotat(?:e|ing)|waiting for \S+ to die)\b`)
	reasoning    = regexp.MustCompile(`(?i)(?:timed?[ -]?out|unresponsive|not respond|no response|unhealthy|health.?check|liveness|heartbeat|watchdog|stuck|hung|wedged|g(?:ave|iving|iven) up|took too long|overdue|exceed|(?:over|above|beyond) (?:the |its |soft |hard |memory )*limit|too (?:much|many|high)|out of memory|failed \(?\d)`)
)

// endingOf reads a line that names a deadly signal or an exit status that stands
// for one. Errors of a program's own making (segmentation faults) are none.
func endingOf(l *fact.LogEvent) (e ending, ok bool) {
	e = ending{line: l, signal: l.Signal}
	if e.signal == "" {
		if m := exitCode.FindStringSubmatch(l.Text); m != nil {
			e.signal = map[string]string{"137": "SIGKILL", "-9": "SIGKILL", "143": "SIGTERM", "-15": "SIGTERM"}[m[1]]
		}
	}
	sender := sendWords.FindStringIndex(l.Text)
	end := endWords.FindStringIndex(l.Text)
	switch {
	case e.signal != "" && e.signal != "SIGKILL" && e.signal != "SIGTERM" && e.signal != "SIGABRT":
		return e, false
	case sender != nil && (end == nil || sender[0] < end[0]) && (e.signal != "" || slices.Contains(l.Signs, fact.SignStop)):
		e.kind = tellsSender
	case e.signal == "":
		return e, false
	case end != nil && slices.Contains(l.Signs, fact.SignStop):
		e.kind = tellsEnd
	case receiptWords.MatchString(l.Text):
		e.kind = tellsVictim
	default:
		return e, false
	}
	e.pid, e.name = victimOf(l, e.kind)
	e.bare = len(l.PIDs) == 0 && e.kind == tellsSender
	// "killing" without a number is a figure of speech more often than a signal.
	return e, e.kind != tellsSender || e.pid > 0
}

var (
	unitWord = regexp.MustCompile(`\S+\.(?:service|scope)\b`)
	number   = regexp.MustCompile(`(?:^|[^\w.:-])(\d{2,7})(?:[^\w.:]|[.:]?$|: )`)
)

// victimOf is whose end a line tells: the pid that it names, else its writer's,
// else the unit or program that it is about.
func victimOf(l *fact.LogEvent, kind int) (pid int, name string) {
	switch {
	case len(l.PIDs) > 0:
		return l.PIDs[0], ""
	case kind == tellsVictim && l.PID.Known:
		return int(l.PID.V), ""
	case kind == tellsSender:
		// "killing unhealthy shopd 10934": the only bare number of the sentence.
		if m := number.FindAllStringSubmatch(l.Text, 2); len(m) == 1 {
			n, _ := strconv.Atoi(m[0][1])
			return n, ""
		}
		return 0, ""
	}
	if kind == tellsVictim {
		if f := strings.Fields(l.Source); len(f) > 1 { // "[shopd 10425]"
			if n, err := strconv.Atoi(f[len(f)-1]); err == nil {
				return n, ""
			}
		}
		return 0, writer(l)
	}
	if u := unitWord.FindString(l.Text); u != "" {
		return 0, u
	}
	return 0, firstName(l.Text)
}

// firstName is the program that a sentence about an end begins with: "shop exited
// with code 143", "exited: web (terminated by SIGKILL; not expected)".
func firstName(text string) string {
	for _, w := range strings.Fields(text) {
		if strings.HasSuffix(w, ":") || endWords.MatchString(w) {
			continue
		}
		if w = strings.Trim(w, "'\"[](),"); w != "" {
			return w
		}
	}
	return ""
}

// toldBuilder groups lines into ends.
type toldBuilder struct {
	hosts  *Hosts
	clocks *Clocks
	ps     *Processes
	all    []*fact.LogEvent // of all logs, in order
	named  map[pidKey]bool  // that some line calls a pid
	list   []*Told
}

const (
	sameEnd        = 100 * time.Second // how far apart lines about one end may be
	passedOnWithin = 5 * time.Second   // from an audited signal to what its target makes of it
)

func buildTold(p *analyze.Pass) []*Told {
	b := &toldBuilder{hosts: HostsOf(p), clocks: ClocksOf(p), ps: ProcessesOf(p), named: map[pidKey]bool{}}
	for l := range fact.All[fact.LogEvent](p.Facts) {
		b.all = append(b.all, l)
		for _, pid := range l.PIDs {
			b.named[pidKey{b.hosts.Of(l.At), pid}] = true
		}
	}
	writers := map[fact.ID]int{}
	for l := range fact.All[fact.Log](p.Facts) {
		if len(l.PIDs) == 1 {
			writers[l.At.Artifact] = l.PIDs[0]
		}
	}
	for _, l := range b.all {
		e, ok := endingOf(l)
		if !ok {
			continue
		}
		if e.pid == 0 && e.kind == tellsVictim {
			e.pid = writers[l.At.Artifact]
		}
		b.add(e)
	}
	b.list = slices.DeleteFunc(b.list, func(t *Told) bool { return b.recorded(p, t) || kernels(p, b.hosts, t) })
	for _, t := range b.list {
		b.context(p, t)
	}
	return b.list
}

// add puts a line to the end it is about, or begins one.
func (b *toldBuilder) add(e ending) {
	host := b.hosts.Of(e.line.At)
	at, _, _ := b.clocks.UTC(e.line.At.Artifact, e.line.Time)
	var t *Told
	for _, have := range slices.Backward(b.list) {
		same := have.Host == host && (have.Signal == e.signal || e.signal == "" || have.Signal == "") &&
			(e.pid > 0 && have.Victim != nil && have.Victim.PID == e.pid || e.pid == 0 && have.Victim == nil && have.Name == e.name)
		if gap, known := b.clocks.Between(have.First(), e.line); same && (!known || gap.Abs() <= sameEnd) {
			t = have
			break
		}
	}
	if e.bare && b.ps.Get(host, e.pid) == nil && !b.named[pidKey{host, e.pid}] {
		return // "killing query 4821"
	}
	if t == nil {
		t = &Told{Host: host, Name: e.name, At: at}
		if e.pid > 0 {
			t.Victim = b.ps.Get(host, e.pid)
			if t.Victim == nil {
				t.Victim = &Process{Host: host, PID: e.pid, prefix: b.hosts.Prefix(host), At: []fact.Ref{e.line.At}}
			}
			t.Name = t.Victim.String()
		}
		b.list = append(b.list, t)
	}
	t.Signal = cmp.Or(t.Signal, e.signal)
	switch e.kind {
	case tellsSender:
		if pr := b.ps.Get(host, int(e.line.PID.Or(0))); pr != nil && pr != t.Victim {
			t.Sender = cmp.Or(t.Sender, pr.String())
		}
		t.Sender = cmp.Or(t.Sender, writer(e.line))
		t.Sent = append(t.Sent, e.line)
	case tellsEnd:
		t.Died = append(t.Died, e.line)
	case tellsVictim:
		t.Got = append(t.Got, e.line)
	}
}

// recorded reports whether an audit record shows the signal: a call that hit the
// pid, or an equal signal at that time, which its target passed on.
func (b *toldBuilder) recorded(p *analyze.Pass, t *Told) bool {
	return slices.ContainsFunc(SignalsOf(p).All, func(k *Kill) bool {
		if k.Host != t.Host || t.Signal != "" && k.Signal != t.Signal {
			return false
		}
		known := !t.At.IsZero() && !k.At.IsZero()
		gap := k.At.Sub(t.At).Abs()
		return t.Victim != nil && k.Hits(t.Victim.PID) && (!known || gap <= sameEnd) || known && gap <= passedOnWithin
	})
}

// kernels reports whether the kernel says that it ended the process itself.
func kernels(p *analyze.Pass, h *Hosts, t *Told) bool {
	if t.Signal != "SIGKILL" {
		return false
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if e.Event == "oom-kill" && h.Of(e.At) == t.Host && (t.Victim == nil || e.PID == 0 || e.PID == t.Victim.PID) {
			return true
		}
	}
	for c := range fact.All[fact.Counter](p.Facts) {
		if strings.HasSuffix(c.Name, "oom_kill") && c.Value > 0 && h.Of(c.At) == t.Host {
			return true
		}
	}
	return false
}

// context looks around an end for who asked for it, and why.
func (b *toldBuilder) context(p *analyze.Pass, t *Told) {
	first := t.First()
	for _, l := range b.all {
		if b.hosts.Of(l.At) != t.Host || slices.Contains(t.Died, l) || slices.Contains(t.Got, l) {
			continue
		}
		about := t.Victim != nil && mentions(l, t.Victim.PID)
		gap, known := b.clocks.Between(l, first)
		if !known || gap < 0 || gap > time.Minute || !about && l.At.Artifact != first.At.Artifact && !slices.Contains(l.Signs, fact.SignStop) {
			continue
		}
		if routine.MatchString(l.Text) && gap <= 15*time.Second && (about || len(l.PIDs) == 0) {
			t.Asked = l
		}
		if reasoning.MatchString(l.Text) && !strings.HasSuffix(l.Text, "?") && (about || len(l.PIDs) == 0 && slices.Contains(logsOf(t.Sent), l.At.Artifact)) &&
			(t.Reason == nil || !slices.Contains(t.Sent, l)) {
			t.Reason = l
		}
	}
	if t.Victim == nil {
		return
	}
	for c := range fact.All[fact.CommandRun](p.Facts) {
		words := strings.Fields(c.Text)
		if b.hosts.Of(c.At) == t.Host && slices.ContainsFunc(words, func(w string) bool { return path.Base(w) == "kill" }) && slices.Contains(words, strconv.Itoa(t.Victim.PID)) {
			t.Command = c
		}
	}
}

// Between is how much later b was written than a: by what they print in one log,
// else by their clocks. In one log without times only the order is known.
func (c *Clocks) Between(a, b *fact.LogEvent) (d time.Duration, ok bool) {
	if a.At.Artifact == b.At.Artifact {
		if a.Known() && b.Known() {
			return b.T.Sub(a.T), true
		}
		return 0, a.At.Line <= b.At.Line
	}
	x, _, ok1 := c.UTC(a.At.Artifact, a.Time)
	y, _, ok2 := c.UTC(b.At.Artifact, b.Time)
	return y.Sub(x), ok1 && ok2
}

// Reason is a line that says, within a minute before the signal, why a program may
// have sent it: it names a victim, or stands in a log of the sender. One about the
// first target that does not only announce the signal is the best; of equal ones
// the last. It is nil if there is none.
func (e *Episode) Reason(p *analyze.Pass) *fact.LogEvent {
	h, c, writers := HostsOf(p), ClocksOf(p), OpenersOf(p)
	var why *fact.LogEvent
	best := 0
	for l := range fact.All[fact.LogEvent](p.Facts) {
		at, off, known := c.UTC(l.At.Artifact, l.Time)
		gap := e.Root.At.Sub(at)
		if h.Of(l.At) != e.Root.Host || !known || e.Root.At.IsZero() || gap > time.Minute || gap < -off-2*time.Second || !reasoning.MatchString(l.Text) || strings.HasSuffix(l.Text, "?") {
			continue
		}
		if n := e.bears(l, writers); n > 0 && n >= best {
			why, best = l, n
		}
	}
	return why
}

// bears is how much a line has to do with the episode; 0 is nothing.
func (e *Episode) bears(l *fact.LogEvent, writers *Openers) int {
	wrote := func(s *Process) bool {
		w, ok := writers.Writer(l.At.Artifact)
		return ok && w.Process == s
	}
	about := func(list []*Process) bool {
		return slices.ContainsFunc(list, func(v *Process) bool { return mentions(l, v.PID) && l.PID.Or(0) != int64(v.PID) })
	}
	inner, contained := e.Root.inner()
	n := 0
	switch {
	case about(e.Root.Targets), contained && slices.Contains(l.PIDs, int(inner)):
		n = 3
	case about(e.Victims), l.PID.Known && l.PID.V == int64(e.Root.Sender.PID), slices.Contains(e.Root.Sender.Logs, l.At.Artifact), wrote(e.Root.Sender):
		n = 1
	}
	if n > 0 && !sendWords.MatchString(l.Text) {
		n++
	}
	return n
}

// mentions reports whether a line names a pid, as a pid or as a bare number.
func mentions(l *fact.LogEvent, pid int) bool {
	if slices.Contains(l.PIDs, pid) || l.PID.Known && l.PID.V == int64(pid) {
		return true
	}
	n := strconv.Itoa(pid)
	return slices.ContainsFunc(strings.FieldsFunc(l.Text, func(r rune) bool { return r < '0' || r > '9' }), func(w string) bool { return w == n }) && len(n) > 2
}

func logsOf(list []*fact.LogEvent) []fact.ID {
	var out []fact.ID
	for _, l := range list {
		out = append(out, l.At.Artifact)
	}
	return out
}

// Tell is one sentence about the end: "SIGKILL to process 6080 (node)".
func (t *Told) Tell() string {
	return fmt.Sprintf("%s to %s", cmp.Or(t.Signal, "a signal"), t.Name)
}
