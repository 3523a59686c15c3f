package fact

// Process is one row of a process table (ps, pstree, top, pidstat).
type Process struct {
	At   Ref `json:"-"`
	PID  int `json:"pid"`
	PPID Int `json:"ppid,omitzero"`
	PGID Int `json:"pgid,omitzero"`
	SID  Int `json:"sid,omitzero"`
	TID  Int `json:"tid,omitzero"`
	// User is the name or the number that the table prints under USER or UID.
	User  string `json:"user,omitempty"`
	State string `json:"state,omitempty"`
	TTY   string `json:"tty,omitempty"`
	// Start is as printed (STIME, START, lstart); its form differs by age.
	Start string `json:"start,omitempty"`
	// Started is Start as a time where it is a full date (lstart).
	Started Time `json:"-"`
	EtimeMS Int  `json:"etime_ms,omitzero"`
	// CPUms is the TIME column, the processor time used.
	CPUms  Int          `json:"cpu_ms,omitzero"`
	PCPU   Opt[float64] `json:"pcpu,omitzero"`
	PMem   Opt[float64] `json:"pmem,omitzero"`
	RSSkB  Int          `json:"rss_kb,omitzero"`
	VSZkB  Int          `json:"vsz_kb,omitzero"`
	Wchan  string       `json:"wchan,omitempty"`
	Thread bool         `json:"thread,omitempty"`
	// Command is the whole command line as printed, with the tree drawing taken
	// off. CommandCut is true when only a short name was printed (top, pstree).
	Command    string `json:"command"`
	CommandCut bool   `json:"command_cut,omitempty"`
	// Depth is the depth in a drawn tree, 0 for a root or a flat table.
	Depth   int  `json:"depth,omitempty"`
	Defunct bool `json:"defunct,omitempty"`
	// Kernel is true for a kernel thread: the command stands in brackets.
	Kernel bool `json:"kernel,omitempty"`
	// Cgroup is as printed, where the table has that column.
	Cgroup string `json:"cgroup,omitempty"`
}

// Kind is "process".
func (Process) Kind() Kind { return "process" }

// Ref is the row.
func (p Process) Ref() Ref { return p.At }

// ProcessTable describes one process table as a whole.
type ProcessTable struct {
	At Ref `json:"-"`
	// Tool is ps, pstree, top or pidstat.
	Tool string `json:"tool"`
	Rows int    `json:"rows"`
	// All is true when the table visibly holds every process of a host or
	// namespace (it has a pid 1 or kernel threads), so that absence means something.
	All bool `json:"all"`
	// Taken is when the table was taken, where it says so (top).
	Taken Time `json:"-"`
}

// Kind is "process_table".
func (ProcessTable) Kind() Kind { return "process_table" }

// Ref is the header.
func (t ProcessTable) Ref() Ref { return t.At }

// OpenFile is one row of lsof or one link of /proc/PID/fd.
type OpenFile struct {
	At      Ref    `json:"-"`
	Process string `json:"process,omitempty"`
	PID     int    `json:"pid"`
	TID     Int    `json:"tid,omitzero"`
	User    string `json:"user,omitempty"`
	// FD is as printed without the mode: cwd, txt, mem, 12, NOFD.
	FD     string `json:"fd,omitempty"`
	Mode   string `json:"mode,omitempty"`
	Type   string `json:"type,omitempty"`
	Device string `json:"device,omitempty"`
	Size   string `json:"size,omitempty"`
	Node   string `json:"node,omitempty"`
	Name   string `json:"name,omitempty"`
}

// Kind is "open_file".
func (OpenFile) Kind() Kind { return "open_file" }

// Ref is the row.
func (f OpenFile) Ref() Ref { return f.At }

// Limit is one row of /proc/PID/limits, or a limit that another file states.
type Limit struct {
	At Ref `json:"-"`
	// PID is from the file's name or path, zero if it does not say.
	PID  int    `json:"pid,omitempty"`
	Name string `json:"name"` // "Max open files"
	// Soft and Hard are unset for "unlimited".
	Soft Int    `json:"soft,omitzero"`
	Hard Int    `json:"hard,omitzero"`
	Unit string `json:"unit,omitempty"`
}

// Kind is "limit".
func (Limit) Kind() Kind { return "limit" }

// Ref is the row.
func (l Limit) Ref() Ref { return l.At }
