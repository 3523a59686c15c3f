package crash

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// kind is a way to end.
type kind struct {
	did, means, fix, next string
	weight                int // what is more definite about a crash weighs more
}

var (
	fault = kind{
		"crashed with a fault of memory",
		"The processor or the kernel refused an access of the program to memory, and the kernel ended it with a signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT). SIGBUS is also what a program gets that writes to a mapped file for which the disk has no space. Nobody sent the signal.",
		"Read the core dump: the innermost frame of the faulting thread names the line.",
		"coredumpctl info; gdb PROGRAM CORE -batch -ex 'thread apply all bt full'",
		1,
	}
	outOfMemory = kind{
		"ran out of its own heap",
		"The runtime's own limit of the heap was reached (-Xmx, --max-old-space-size, memory_limit), not one of the host or of a cgroup: the kernel's OOM killer has no part in it.",
		"Find what grows (a heap profile, or two heap dumps compared); raise the limit only if its size is right.",
		"a heap dump: java -XX:+HeapDumpOnOutOfMemoryError, node --heapsnapshot-near-heap-limit=2",
		2,
	}
	cpuLimit = kind{
		"was ended by the kernel at the limit of its processor time (SIGXCPU)",
		"The process used more processor time than its limit allows (ulimit -t, RLIMIT_CPU, LimitCPU), so it computed all the while: a loop without end, or more work than when the limit was chosen. Nobody sent the signal.",
		"Find what it computes (perf, stacks while it runs); raise the limit only if so much work is right.",
		"cat /proc/PID/limits; perf record -g -p PID -- sleep 5",
		1,
	}
	sizeLimit = kind{
		"was ended by the kernel at the limit of a file's size (SIGXFSZ)",
		"The process wrote to a file that has reached the limit of its size (ulimit -f, RLIMIT_FSIZE). Nobody sent the signal.",
		"Rotate or split the file, or raise the limit.",
		"cat /proc/PID/limits; ls -lS DIRECTORY",
		1,
	}
	uncaught = kind{
		"ended with an error that nothing caught",
		"The runtime printed the error by itself, past the program's logger, and the log of the program ends there or begins anew.",
		"Fix what the error names; the stack below it names the line.",
		"the whole log around the end, and the service manager's log",
		0,
	}
)

// death is the end of one program by one kind of fault.
type death struct {
	host     string
	kind     *kind
	pid      int
	comm     string
	proc     *join.Process
	log      fact.ID
	kernel   []*fact.KernelEvent
	lines    []*fact.LogEvent
	ends     int
	from, to time.Time
	service  bool // its log says that it started or listens, and goes on after the end
}

func (d *death) stem() string {
	s, _, _ := strings.Cut(path.Base(string(d.log)), ".")
	return s
}

// serves reports whether the program may have served an address: a log or table
// says so, or it is one of its host, and the program is the only one that crashed.
func (d *death) serves(p *analyze.Pass, key string) bool {
	_, addr, ok := strings.Cut(key, "/")
	if !ok {
		addr = key
	}
	ap, ok := join.ParseAddrPort(addr)
	if !ok {
		return false
	}
	s := join.SocketsOf(p)
	on, known := s.HostOf(ap.Addr())
	return (known && on == d.host || ap.Addr().IsLoopback()) && s.Listener(d.host, "tcp", ap) == nil
}

// deathsOf are the ends in the order of the bundle: those that the kernel states,
// then those of the logs.
func deathsOf(p *analyze.Pass) []*death {
	b := &collector{p: p, hosts: join.HostsOf(p), clocks: join.ClocksOf(p), ps: join.ProcessesOf(p)}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		switch e.Event {
		case "segfault", "general-protection", "trap", "fatal-signal":
			b.fromKernel(e)
		}
	}
	var log []*fact.LogEvent
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if len(log) > 0 && log[0].At.Artifact != e.At.Artifact {
			b.fromLog(log)
			log = log[:0]
		}
		log = append(log, e)
	}
	b.fromLog(log)
	return b.list
}

type collector struct {
	p      *analyze.Pass
	hosts  *join.Hosts
	clocks *join.Clocks
	ps     *join.Processes
	list   []*death
}

func (b *collector) fromKernel(e *fact.KernelEvent) {
	host := b.hosts.Of(e.At)
	at, _, _ := b.clocks.UTC(e.At.Artifact, b.clocks.Kernel(e))
	for _, d := range b.list {
		if d.host == host && d.comm == e.Comm && len(d.kernel) > 0 {
			d.kernel = append(d.kernel, e)
			d.to = at
			return
		}
	}
	b.list = append(b.list, &death{
		host: host, kind: &fault, pid: e.PID, comm: e.Comm, kernel: []*fact.KernelEvent{e},
		proc: b.ps.Get(host, e.PID), from: at, to: at,
	})
}

var (
	// shellEnd is how a shell tells the end of its child: "x.sh: line 2: 817 Bus
	// error (core dumped) ./a -b".
	shellEnd = regexp.MustCompile(`(?:line \d+:\s+)?\b(\d{2,7})\s+(?:Segmentation fault|Bus error|Illegal instruction|Floating point exception|Aborted|CPU time limit exceeded|File size limit exceeded)\s*(?:\(core dumped\)\s*)?(\S*)`)
	faultEnd = regexp.MustCompile(`(?i)\b(?:segmentation fault|segfault|bus error|illegal instruction|floating point exception|core dumped|dumped core|(?:exit(?:ed)?|terminated|killed|died)\b.*\bSIG(?:SEGV|BUS|ILL|FPE))\b`)
	// sentEnd is a core dump after a signal that somebody sends to get one.
	sentEnd = regexp.MustCompile(`(?i)\bSIGQUIT\b|\b3/QUIT\b|\bQuit\s+\(core dumped`)
	cpuEnd  = regexp.MustCompile(`(?i)\bcpu time limit exceeded|\bSIGXCPU\b|\b24/XCPU\b`)
	sizeEnd = regexp.MustCompile(`(?i)\bfile size limit exceeded|\bSIGXFSZ\b|\b25/XFSZ\b`)
	heapEnd = regexp.MustCompile(`(?i)heap out of memory|java\.lang\.OutOfMemoryError|Allowed memory size of \d+ bytes exhausted|^MemoryError\b|std::bad_alloc|runtime: out of memory|NoMemoryError`)
)

// fromLog reads the ends of one log.
func (b *collector) fromLog(events []*fact.LogEvent) {
	if len(events) == 0 {
		return
	}
	stamped, lastStamped := false, 0
	for _, e := range events {
		if e.Known() {
			stamped, lastStamped = true, e.At.Line
		}
	}
	for i, e := range events {
		k, final := endOf(e), e.At.Line > lastStamped
		switch {
		case strings.EqualFold(e.Source, "kernel") || slices.Contains(e.Signs, fact.SignOOM) && strings.Contains(e.Text, "Killed process"):
			continue
		case k != nil:
		case stamped && !e.Known() && e.Errno != "EADDRINUSE" && slices.Contains(e.Signs, fact.SignError) && slices.Contains(e.Signs, fact.SignStop),
			stamped && !e.Known() && e.Errno == "ENOENT":
			if again := i+1 < len(events) && begins(events[i+1:]); !again && !final {
				continue // it went on
			}
			k = &uncaught
		default:
			continue
		}
		b.add(k, e, events, i)
	}
}

// endOf is the kind of end that a line states by itself, nil if it states none.
func endOf(e *fact.LogEvent) *kind {
	switch {
	case e.Errno == "EAGAIN" && strings.Contains(e.Text, "native thread"):
		return nil // Java calls a refused thread an OutOfMemoryError; its heap is whole
	case heapEnd.MatchString(e.Text) && (slices.Contains(e.Signs, fact.SignError) || slices.Contains(e.Signs, fact.SignOOM) || e.Level == "fatal"):
		return &outOfMemory
	case !slices.Contains(e.Signs, fact.SignStop) || sentEnd.MatchString(e.Text):
		return nil
	case cpuEnd.MatchString(e.Text):
		return &cpuLimit
	case sizeEnd.MatchString(e.Text):
		return &sizeLimit
	case faultEnd.MatchString(e.Text):
		return &fault
	}
	return nil
}

// begins reports whether the program's next event tells of its end or of a start.
func begins(rest []*fact.LogEvent) bool {
	for _, e := range rest {
		if e.Known() || slices.Contains(e.Signs, fact.SignStop) {
			return slices.Contains(e.Signs, fact.SignStart) || slices.Contains(e.Signs, fact.SignStop)
		}
	}
	return false
}

// add puts an end to those of the same program, or begins a new one.
func (b *collector) add(k *kind, e *fact.LogEvent, events []*fact.LogEvent, i int) {
	host := b.hosts.Of(e.At)
	d := &death{host: host, kind: k, log: e.At.Artifact, lines: []*fact.LogEvent{e}, ends: 1}
	if m := shellEnd.FindStringSubmatch(e.Text); m != nil {
		d.pid, _ = strconv.Atoi(m[1])
		d.comm = path.Base(m[2])
	}
	b.writer(d, e, events[:i])
	d.from = b.moment(e, events, i)
	d.to = d.from
	for _, have := range b.list {
		if have.joins(d, events) {
			return
		}
	}
	d.service = slices.ContainsFunc(events[:i], func(o *fact.LogEvent) bool { return slices.Contains(o.Signs, fact.SignListen) })
	b.list = append(b.list, d)
}

// joins takes in another end or line of the same program and reports whether it is
// one. A crash report has several lines, of which the most definite one names the
// kind; only a line after a new start is another end.
func (d *death) joins(o *death, events []*fact.LogEvent) bool {
	if d.host != o.host || d.log != o.log && (o.pid == 0 || d.pid != o.pid) {
		return false
	}
	e, last := o.lines[0], d.last()
	again := last != nil && last.At.Artifact == e.At.Artifact && startsBetween(events, last.At.Line, e.At.Line)
	switch {
	case again && d.kind != o.kind:
		return false
	case again:
		d.ends++
		d.service = true
	case o.kind.weight > d.kind.weight:
		d.kind, d.lines = o.kind, append(o.lines, d.lines...)
	default:
		d.lines = append(d.lines, e)
	}
	if again {
		d.lines = append(d.lines, e)
	}
	if len(d.kernel) > 0 && d.log == "" {
		d.ends, d.log = 1, o.log
	}
	if !o.to.IsZero() && o.to.After(d.to) {
		d.to = o.to
	}
	return true
}

func (d *death) last() *fact.LogEvent {
	if len(d.lines) == 0 {
		return nil
	}
	return d.lines[len(d.lines)-1]
}

func startsBetween(events []*fact.LogEvent, from, to int) bool {
	return slices.ContainsFunc(events, func(e *fact.LogEvent) bool {
		return e.At.Line > from && e.At.Line < to && slices.Contains(e.Signs, fact.SignStart)
	})
}

// writer finds the process that ended: the one whose pid the line names, else the
// one that wrote the stamped lines before, else the only one that writes the log.
func (b *collector) writer(d *death, e *fact.LogEvent, before []*fact.LogEvent) {
	if d.pid == 0 {
		for _, o := range slices.Backward(before) {
			if o.PID.Known {
				d.pid = int(o.PID.V)
				break
			}
		}
	}
	if d.pid == 0 && len(e.PIDs) == 1 {
		d.pid = e.PIDs[0]
	}
	if d.pid == 0 {
		if w, ok := join.OpenersOf(b.p).WriterOf(e); ok {
			d.pid = w.Process.PID
		}
	}
	if d.pid > 0 {
		d.proc = b.ps.Get(d.host, d.pid)
	}
	if d.proc != nil && d.comm == "" {
		d.comm = d.proc.Name()
	}
}

// moment is when an end happened: its line's own time, else that of the line before.
func (b *collector) moment(e *fact.LogEvent, events []*fact.LogEvent, i int) time.Time {
	for _, o := range slices.Backward(events[:i+1]) {
		if at, _, ok := b.clocks.UTC(o.At.Artifact, o.Time); ok {
			return at
		}
	}
	at, _, _ := b.clocks.UTC(e.At.Artifact, e.Time)
	return at
}
