package fact

// LogEvent is one event of an application, system or kernel log that a rule may
// use. Events without any of the signs below are not kept as facts but counted
// in LogShape.
type LogEvent struct {
	At Ref `json:"-"` // first line; Len spans continuation lines
	Time
	// Level is fatal, error, warn, info, debug, trace or "" where none is printed.
	Level string `json:"level,omitempty"`
	// Source is the logger, program or unit as printed: "pay", "kernel", "sshd".
	Source string `json:"source,omitempty"`
	Host   string `json:"host,omitempty"`
	PID    Int    `json:"pid,omitzero"` // of the writer, where the line says so
	// Errno is the symbol: ECONNRESET, EADDRINUSE. "socket hang up", "connection
	// reset by peer" and other languages' words are mapped to it.
	Errno string `json:"errno,omitempty"`
	// Syscall is the operation that failed where the line says it: read, connect, listen.
	Syscall string `json:"syscall,omitempty"`
	// Addresses are the addr:port pairs and ports in the text, in order; where a peer
	// is told without a port, its address.
	Addresses []string `json:"addresses,omitempty"`
	// Listens are those of Addresses that the text says the writer listens on.
	Listens []string `json:"listens,omitempty"`
	// PIDs are other process numbers that the text names ("pid=123", "child 123").
	PIDs []int `json:"pids,omitempty"`
	// Signal is a signal that the text names, as SIGTERM.
	Signal string `json:"signal,omitempty"`
	// Signs say why the event was kept, sorted: see the Sign constants.
	Signs []string `json:"signs,omitempty"`
	// Text is the message without time and level, one line, at most 1 KiB.
	Text string `json:"text"`
	// Shape is the hash key of the message shape (LogShape.Shape).
	Shape string `json:"shape,omitempty"`
	// Repeat counts equal events folded into this one, itself included, when the
	// parser had to fold (zero means one).
	Repeat int `json:"repeat,omitempty"`
}

// The signs for which a log event is kept.
const (
	SignErrno   = "errno"   // names an errno
	SignError   = "error"   // level error or worse, exception, stack trace
	SignWarn    = "warn"    // level warn
	SignTimeout = "timeout" // a time-out or missing answer is stated
	SignSignal  = "signal"  // a signal is named
	SignStart   = "start"   // a process or service starts
	SignStop    = "stop"    // a process or service stops, exits or dies
	SignListen  = "listen"  // states a listening address
	SignConnect = "connect" // a connection opened or closed with its addresses
	SignPeer    = "peer"    // a peer with an address registers, joins, is listed
	SignStat    = "stat"    // periodic numbers with a pid or an address
	SignOOM     = "oom"     // out of memory
	SignFirst   = "first"   // first or last event of the log, kept for its time
)

// Kind is "log_event".
func (LogEvent) Kind() Kind { return "log_event" }

// Ref is the first line.
func (e LogEvent) Ref() Ref { return e.At }

// LogShape counts messages that differ only in numbers, addresses and names.
type LogShape struct {
	At     Ref    `json:"-"` // first of them
	Shape  string `json:"shape"`
	Text   string `json:"text,omitempty"` // the first, with # for words that vary
	Level  string `json:"level,omitempty"`
	Count  int64  `json:"count"`
	First  Time   `json:"-"`
	Last   Time   `json:"-"`
	LastAt Ref    `json:"-"`
}

// Kind is "log_shape".
func (LogShape) Kind() Kind { return "log_shape" }

// Ref is the first event.
func (s LogShape) Ref() Ref { return s.At }

// Log describes one log as a whole.
type Log struct {
	At    Ref    `json:"-"`
	Form  string `json:"form"` // text, json, journald-export, klog, ...
	Lines int64  `json:"lines"`
	First Time   `json:"-"`
	Last  Time   `json:"-"`
	// Basis is that of most of its events.
	Basis Basis `json:"basis"`
	// PIDs are the writers that the log states about itself ("started pid=4178").
	PIDs []int `json:"pids,omitempty"`
	// Unstamped counts events without a time in a log whose events have one.
	Unstamped int64 `json:"unstamped,omitempty"`
}

// Kind is "log".
func (Log) Kind() Kind { return "log" }

// Ref is the file.
func (l Log) Ref() Ref { return l.At }

// KernelEvent is a decisive statement of the kernel in dmesg or a kernel log.
type KernelEvent struct {
	At Ref `json:"-"` // Len spans the block
	Time
	// Uptime is the bracketed number where dmesg was not run with -T.
	UptimeMS Int `json:"uptime_ms,omitzero"`
	// Event is oom-kill, hung-task, segfault, panic, conntrack-full, syn-flood,
	// link-down, io-error, soft-lockup, tcp-oom, ...
	Event string `json:"event"`
	PID   int    `json:"pid,omitempty"`
	Comm  string `json:"comm,omitempty"`
	UID   Int    `json:"uid,omitzero"`
	// For oom-kill: Constraint is CONSTRAINT_MEMCG or CONSTRAINT_NONE; Cgroup the
	// one that hit its limit; sizes in kB; Invoker the task that asked for memory.
	Constraint string `json:"constraint,omitempty"`
	Cgroup     string `json:"cgroup,omitempty"`
	LimitKB    Int    `json:"limit_kb,omitzero"`
	UsageKB    Int    `json:"usage_kb,omitzero"`
	AnonRSSKB  Int    `json:"anon_rss_kb,omitzero"`
	TotalVMKB  Int    `json:"total_vm_kb,omitzero"`
	InvokerPID int    `json:"invoker_pid,omitempty"`
	Invoker    string `json:"invoker,omitempty"`
	// TaskCgroup is the victim's own cgroup, Host the writer of a syslog line.
	TaskCgroup string `json:"task_cgroup,omitempty"`
	Host       string `json:"host,omitempty"`
	Text       string `json:"text"`
	// Lines are further lines of the event that are worth citing.
	Lines []Ref `json:"-"`
}

// Kind is "kernel_event".
func (KernelEvent) Kind() Kind { return "kernel_event" }

// Ref is the deciding line.
func (e KernelEvent) Ref() Ref { return e.At }
