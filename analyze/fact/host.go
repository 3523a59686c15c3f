package fact

// HostInfo is what a small file says of the host or of the collection: date,
// uname, hostname, uptime, os-release, timedatectl.
type HostInfo struct {
	At Ref `json:"-"`
	// Name is date, hostname, kernel, uptime, zone, os, machine_id, boot_time,
	// memory_total_kb, ...
	Name  string `json:"name"`
	Value string `json:"value"`
	// Time is set for date and boot_time. ZoneOffset in seconds for date and zone.
	Time       Time `json:"-"`
	ZoneOffset Int  `json:"zone_offset_s,omitzero"`
}

// Kind is "host_info".
func (HostInfo) Kind() Kind { return "host_info" }

// Ref is the line.
func (h HostInfo) Ref() Ref { return h.At }

// Counter is one kernel counter or setting: netstat -s, nstat, /proc/net/snmp,
// sockstat, sysctl, cgroup files.
type Counter struct {
	At Ref `json:"-"`
	// Source is netstat, nstat, snmp, sockstat, ss-s, sysctl, cgroup, proc.
	Source string `json:"source"`
	// Name is the kernel's own: TcpExtListenOverflows, net.ipv4.tcp_keepalive_time.
	Name  string `json:"name"`
	Value int64  `json:"value"`
	// Text is the value as printed when it is no single number ("32768 60999").
	Text string `json:"text,omitempty"`
	PID  int    `json:"pid,omitempty"`
}

// Kind is "counter".
func (Counter) Kind() Kind { return "counter" }

// Ref is the line.
func (c Counter) Ref() Ref { return c.At }

// Metric is one column of a table of numbers over time, summarised.
type Metric struct {
	At Ref `json:"-"` // the header
	// Name is the column's; Labels hold the constant columns (pid, host).
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels,omitempty"`
	Points  int               `json:"points"`
	First   Time              `json:"-"`
	Last    Time              `json:"-"`
	Start   float64           `json:"start"`
	End     float64           `json:"end"`
	Min     float64           `json:"min"`
	Max     float64           `json:"max"`
	MaxAt   Ref               `json:"-"`
	FirstAt Ref               `json:"-"`
	LastAt  Ref               `json:"-"`
	// Rising is the share of steps that do not fall, 0 to 1; Falls are sharp drops
	// (to below half), as at a restart.
	Rising float64 `json:"rising"`
	Falls  []Ref   `json:"-"`
}

// Kind is "metric".
func (Metric) Kind() Kind { return "metric" }

// Ref is the header of the table.
func (m Metric) Ref() Ref { return m.At }

// Expected is something that an inventory or a manifest says should be there.
type Expected struct {
	At Ref `json:"-"`
	// What is peer, listener, version, setting.
	What string `json:"what"`
	Name string `json:"name,omitempty"`
	// Value is an address, addr:port, version or text.
	Value string `json:"value"`
	// Path is the key in the file: nodes[0].ip.
	Path string `json:"path,omitempty"`
}

// Kind is "expected".
func (Expected) Kind() Kind { return "expected" }

// Ref is the line.
func (e Expected) Ref() Ref { return e.At }

// Trace summarises what one thread did in a strace.
type Trace struct {
	At    Ref   `json:"-"`
	PID   int   `json:"pid"`   // the thread's id as printed; zero without -f
	Calls int64 `json:"calls"` // zero where only strace's messages are there
	First Time  `json:"-"`
	Last  Time  `json:"-"`
	// ByCall counts calls by name; Errors failed ones by name and errno.
	ByCall map[string]int64 `json:"by_call"`
	Errors map[string]int64 `json:"errors,omitempty"`
	// Waits counts epoll_wait, poll and select calls; TimedOut those that returned
	// 0; Ready those that returned events.
	Waits    int64 `json:"waits,omitempty"`
	TimedOut int64 `json:"timed_out,omitempty"`
	Ready    int64 `json:"ready,omitempty"`
	// FDs are per descriptor counts of reads and writes.
	FDs []TraceFD `json:"fds,omitempty"`
	// Unfinished is the call the thread was inside at the end.
	Unfinished string `json:"unfinished,omitempty"`
	// UnfinishedFD is the descriptor that call works on, with what strace -y or an
	// earlier call says it is.
	UnfinishedFD   Int      `json:"unfinished_fd,omitzero"`
	UnfinishedName string   `json:"unfinished_name,omitempty"`
	Signals        []string `json:"signals,omitempty"`
	Exited         string   `json:"exited,omitempty"`
	// LongestMS is the longest single call with -T.
	Longest   string       `json:"longest,omitempty"`
	LongestMS Opt[float64] `json:"longest_ms,omitzero"`
}

// TraceFD is what a thread did with one descriptor.
type TraceFD struct {
	FD     int    `json:"fd"`
	Name   string `json:"name,omitempty"` // with -y
	Reads  int64  `json:"reads"`
	Writes int64  `json:"writes"`
	// Listener is the descriptor that accept returned this one for.
	Listener Int `json:"listener,omitzero"`
	// FirstRead and LastRead are cited where a descriptor is only read.
	FirstRead  Ref `json:"-"`
	LastRead   Ref `json:"-"`
	FirstWrite Ref `json:"-"`
}

// Kind is "trace".
func (Trace) Kind() Kind { return "trace" }

// Ref is the thread's first line.
func (t Trace) Ref() Ref { return t.At }

// CommandRun is a command that a person or a script ran: shell history, typescript.
type CommandRun struct {
	At Ref `json:"-"`
	Time
	User string `json:"user,omitempty"` // from the file's name, where it says
	Text string `json:"text"`
}

// Kind is "command_run".
func (CommandRun) Kind() Kind { return "command_run" }

// Ref is the line.
func (c CommandRun) Ref() Ref { return c.At }

// SourceCall is a call in a program's source that rules can use as evidence:
// child_process.exec, allowHalfOpen, a listen port.
type SourceCall struct {
	At Ref `json:"-"`
	// Lang is js, go, python, ...; Name the call: child_process.exec.
	Lang string `json:"lang"`
	Name string `json:"name"`
	// Text is the call's line, Args literal arguments that could be read, and
	// Options named options such as maxBuffer.
	Text    string            `json:"text"`
	Args    []string          `json:"args,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

// Kind is "source_call".
func (SourceCall) Kind() Kind { return "source_call" }

// Ref is the line.
func (s SourceCall) Ref() Ref { return s.At }

// Account is one row of passwd, or another mapping of a number to a user.
type Account struct {
	At   Ref    `json:"-"`
	Name string `json:"name"`
	UID  int64  `json:"uid"`
}

// Kind is "account".
func (Account) Kind() Kind { return "account" }

// Ref is the row.
func (a Account) Ref() Ref { return a.At }
