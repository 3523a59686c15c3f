package fact

// AuditEvent is one event of the Linux audit system, assembled from all records
// with the same node, time and serial.
type AuditEvent struct {
	At   Ref    `json:"-"` // its SYSCALL record, else its first
	Node string `json:"node,omitempty"`
	Time
	Serial uint64 `json:"serial"`
	// Types are the record types in order: SYSCALL, OBJ_PID, PROCTITLE.
	Types   []string  `json:"types"`
	Key     string    `json:"key,omitempty"`
	Arch    string    `json:"arch,omitempty"`
	Syscall string    `json:"syscall,omitempty"` // by name
	Success Opt[bool] `json:"success,omitzero"`
	Exit    string    `json:"exit,omitempty"`
	// Errno is the symbol of a failed call's exit: EACCES for -13.
	Errno string    `json:"errno,omitempty"`
	Args  [4]string `json:"-"` // a0 to a3 as printed
	PID   int       `json:"pid,omitempty"`
	PPID  int       `json:"ppid,omitempty"`
	// AUID is the login user; unset (4294967295, -1) stays unset here.
	AUID    Int    `json:"auid,omitzero"`
	UID     Int    `json:"uid,omitzero"`
	Session Int    `json:"session,omitzero"`
	TTY     string `json:"tty,omitempty"` // "" for (none)
	Comm    string `json:"comm,omitempty"`
	Exe     string `json:"exe,omitempty"`
	// Argv is from EXECVE, else from PROCTITLE (which the kernel cuts at 128 bytes
	// and a process may overwrite; then ArgvFromTitle is true).
	Argv          []string `json:"argv,omitempty"`
	ArgvFromTitle bool     `json:"argv_from_title,omitempty"`
	Cwd           string   `json:"cwd,omitempty"`
	Paths         []string `json:"paths,omitempty"`
	// PathTypes are the nametypes of Paths, index by index: NORMAL, CREATE, DELETE,
	// PARENT.
	PathTypes []string      `json:"path_types,omitempty"`
	Sockaddr  string        `json:"sockaddr,omitempty"`
	Targets   []AuditTarget `json:"targets,omitempty"`
	// Signal is the name (SIGTERM) for the kill family; signal 0 is "0".
	Signal string `json:"signal,omitempty"`
	// TargetArg is the pid argument of the call, negative for a process group.
	TargetArg Int `json:"target_arg,omitzero"`
	// Op, Result and Text are of records without a syscall: CONFIG_CHANGE,
	// DAEMON_START, SERVICE_STOP, USER_LOGIN, AVC.
	Op     string `json:"op,omitempty"`
	Result string `json:"result,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Addr   string `json:"addr,omitempty"`
	Acct   string `json:"acct,omitempty"`
	Text   string `json:"text,omitempty"`
	// AUIDName and UIDName are names where the log was enriched or interpreted;
	// an interpreted log prints no numbers, AUID and UID are then unset.
	AUIDName string `json:"auid_name,omitempty"`
	UIDName  string `json:"uid_name,omitempty"`
	// Incomplete is true when records of the event seem to be missing or cut.
	Incomplete bool `json:"incomplete,omitempty"`
}

// AuditTarget is one OBJ_PID record: a process that a signal was sent to.
type AuditTarget struct {
	PID     int    `json:"pid"`
	Comm    string `json:"comm,omitempty"`
	UID     Int    `json:"uid,omitzero"`
	AUID    Int    `json:"auid,omitzero"`
	Session Int    `json:"session,omitzero"`
	At      Ref    `json:"-"`
}

// Kind is "audit_event".
func (AuditEvent) Kind() Kind { return "audit_event" }

// Ref is the SYSCALL record, else the first.
func (e AuditEvent) Ref() Ref { return e.At }

// AuditTrail describes one audit log: what it covers and what it may have missed.
type AuditTrail struct {
	At     Ref  `json:"-"`
	Events int  `json:"events"`
	First  Time `json:"-"`
	Last   Time `json:"-"`
	// Lost is what the kernel or the daemon reports as lost; SerialGaps counts
	// serials that are missing inside one boot.
	Lost       int64 `json:"lost,omitempty"`
	SerialGaps int64 `json:"serial_gaps,omitempty"`
	Boots      int   `json:"boots"`
	// KillRule is true when an event of the kill family stands in the log or a
	// rule for it was loaded: only then does absence mean something.
	KillRule bool `json:"kill_rule"`
	// ExecRule is true when an execve stands in the log or a rule for it was loaded.
	ExecRule bool `json:"exec_rule,omitempty"`
	// Kept is how many events became facts; the others were counted only.
	Kept int `json:"kept"`
	// Filtered is true for the output of ausearch: gaps say nothing there.
	Filtered bool `json:"filtered,omitempty"`
	// Node is the node= of its events when they agree.
	Node string `json:"node,omitempty"`
	// LostAt and GapAt are the records that tell of the first loss and gap.
	LostAt Ref `json:"-"`
	GapAt  Ref `json:"-"`
	// Form is raw, enriched, interpreted (ausearch -i) or kernel (dmesg).
	Form string `json:"form"`
}

// Kind is "audit_trail".
func (AuditTrail) Kind() Kind { return "audit_trail" }

// Ref is the first line.
func (t AuditTrail) Ref() Ref { return t.At }

// AuditStatus is what auditctl says of the audit system: its rules (-l, or a file
// of rules), its state (-s), or both.
type AuditStatus struct {
	At Ref `json:"-"`
	// Rules is how many rules are listed, unset where only the state is printed.
	Rules Int `json:"rules,omitzero"`
	// File is true for a file of rules, which says what would be loaded.
	File bool `json:"file,omitempty"`
	// KillRule and ExecRule: a rule records calls of the kill family, and execve, of
	// every program and user.
	KillRule bool `json:"kill_rule"`
	ExecRule bool `json:"exec_rule,omitempty"`
	KillAt   Ref  `json:"-"`
	// NoTask is the rule "never,task", under which no system call is recorded.
	NoTask   bool `json:"no_task,omitempty"`
	NoTaskAt Ref  `json:"-"`
	// Enabled is 0, 1, or 2 for rules that cannot be changed until the next boot.
	Enabled      Int `json:"enabled,omitzero"`
	EnabledAt    Ref `json:"-"`
	Lost         Int `json:"lost,omitzero"`
	LostAt       Ref `json:"-"`
	Backlog      Int `json:"backlog,omitzero"`
	BacklogLimit Int `json:"backlog_limit,omitzero"`
	// Daemon is the pid of auditd, 0 if none is registered.
	Daemon Int `json:"daemon,omitzero"`
}

// Kind is "audit_status".
func (AuditStatus) Kind() Kind { return "audit_status" }

// Ref is the first line.
func (s AuditStatus) Ref() Ref { return s.At }
