package fact

import "time"

// Socket is one row of a socket table (ss, netstat, /proc/net/tcp).
type Socket struct {
	At Ref `json:"-"`
	// Proto is tcp, udp, unix, raw, nl, ... without the address family: tcp6 is
	// tcp with a bracket-free IPv6 address.
	Proto string `json:"proto"`
	// State is one of the State constants for TCP, or as printed otherwise.
	State string `json:"state,omitempty"`
	// RecvQ of a TCP listener is the length of its accept queue, SendQ the limit
	// of that queue where ss prints it.
	RecvQ Int `json:"recv_q,omitzero"`
	SendQ Int `json:"send_q,omitzero"`
	// Local and Remote are as printed, with brackets and %iface removed. Ports
	// stay text: without -n a table prints service names, and "*" is common.
	Local      string `json:"local,omitempty"`
	LocalPort  string `json:"local_port,omitempty"`
	Remote     string `json:"remote,omitempty"`
	RemotePort string `json:"remote_port,omitempty"`
	Iface      string `json:"iface,omitempty"`
	// Cut is true when the tool cut an address to its column width.
	Cut     bool     `json:"cut,omitempty"`
	Owners  []Owner  `json:"owners,omitempty"`
	Inode   Int      `json:"inode,omitzero"`
	UID     Int      `json:"uid,omitzero"`
	User    string   `json:"user,omitempty"`
	Timer   *Timer   `json:"timer,omitempty"`
	Cookie  string   `json:"cookie,omitempty"`
	Cgroup  string   `json:"cgroup,omitempty"`
	Path    string   `json:"path,omitempty"`
	TCPInfo *TCPInfo `json:"tcp_info,omitempty"`
	Skmem   *Skmem   `json:"skmem,omitempty"`
}

// TCP states, in the spelling of RFC 9293 with underscores, as netstat prints.
const (
	StateListen      = "LISTEN"
	StateEstablished = "ESTABLISHED"
	StateSynSent     = "SYN_SENT"
	StateSynRecv     = "SYN_RECV"
	StateFinWait1    = "FIN_WAIT1"
	StateFinWait2    = "FIN_WAIT2"
	StateTimeWait    = "TIME_WAIT"
	StateCloseWait   = "CLOSE_WAIT"
	StateLastAck     = "LAST_ACK"
	StateClosing     = "CLOSING"
	StateClose       = "CLOSE"
)

// Owner is a process that holds a socket. Process is the name as printed, which
// tools cut (ss to 15 bytes, netstat to about 20 with the pid).
type Owner struct {
	Process string `json:"process,omitempty"`
	PID     int    `json:"pid,omitempty"`
	FD      Int    `json:"fd,omitzero"`
}

// Timer is what `ss -o` or `netstat -o` prints of the socket's running timer:
// on (retransmission), keepalive, timewait, persist, off.
type Timer struct {
	Name    string        `json:"name"`
	Expires time.Duration `json:"-"`
	// ExpiresMS is Expires in milliseconds, fractions included.
	ExpiresMS Opt[float64] `json:"expires_ms,omitzero"`
	Retrans   int          `json:"retrans"`
}

// TCPInfo is the part of `ss -i` that rules use. Durations as printed by ss are
// milliseconds unless a unit is given.
type TCPInfo struct {
	// Words are the bare words: ts sack ecn cubic app_limited ...
	Words         []string     `json:"words,omitempty"`
	WScale        string       `json:"wscale,omitempty"`
	RTOms         Opt[float64] `json:"rto_ms,omitzero"`
	RTTms         Opt[float64] `json:"rtt_ms,omitzero"`
	RTTVarms      Opt[float64] `json:"rttvar_ms,omitzero"`
	MinRTTms      Opt[float64] `json:"minrtt_ms,omitzero"`
	ATOms         Opt[float64] `json:"ato_ms,omitzero"`
	MSS           Int          `json:"mss,omitzero"`
	PMTU          Int          `json:"pmtu,omitzero"`
	Cwnd          Int          `json:"cwnd,omitzero"`
	Ssthresh      Int          `json:"ssthresh,omitzero"`
	BytesSent     Int          `json:"bytes_sent,omitzero"`
	BytesRetrans  Int          `json:"bytes_retrans,omitzero"`
	BytesAcked    Int          `json:"bytes_acked,omitzero"`
	BytesReceived Int          `json:"bytes_received,omitzero"`
	SegsOut       Int          `json:"segs_out,omitzero"`
	SegsIn        Int          `json:"segs_in,omitzero"`
	LastSndMS     Int          `json:"lastsnd_ms,omitzero"`
	LastRcvMS     Int          `json:"lastrcv_ms,omitzero"`
	LastAckMS     Int          `json:"lastack_ms,omitzero"`
	BusyMS        Int          `json:"busy_ms,omitzero"`
	// RwndLimited and SndbufLimited are shares of the busy time, 0 to 1.
	RwndLimited   Opt[float64] `json:"rwnd_limited,omitzero"`
	SndbufLimited Opt[float64] `json:"sndbuf_limited,omitzero"`
	Unacked       Int          `json:"unacked,omitzero"`
	// Retrans is what is in flight again, RetransTotal all since the start.
	Retrans      Int  `json:"retrans,omitzero"`
	RetransTotal Int  `json:"retrans_total,omitzero"`
	Lost         Int  `json:"lost,omitzero"`
	Backoff      Int  `json:"backoff,omitzero"`
	NotSent      Int  `json:"notsent,omitzero"`
	RcvSpace     Int  `json:"rcv_space,omitzero"`
	SndWnd       Int  `json:"snd_wnd,omitzero"`
	RcvWnd       Int  `json:"rcv_wnd,omitzero"`
	AppLimited   bool `json:"app_limited,omitempty"`
}

// Skmem is the socket's memory as `ss -m` prints it, in bytes.
type Skmem struct {
	Rmem, Rcvbuf, Wmem, Sndbuf, Fwd, Wqueued, Opt, Backlog, Drop int64
}

// Kind is "socket".
func (Socket) Kind() Kind { return "socket" }

// Ref is the row.
func (s Socket) Ref() Ref { return s.At }

// SocketTable describes one table as a whole: what its rows can and cannot say.
// There is one for each table found, also where an artifact holds several.
type SocketTable struct {
	At Ref `json:"-"`
	// Tool is ss, netstat, sockstat, lsof or proc (from /proc/net). What lsof lists depends on
	// its arguments, so nothing follows from what is missing there.
	Tool string `json:"tool"`
	// Unix is true for a table of unix domain sockets alone.
	Unix bool `json:"unix,omitempty"`
	Rows int  `json:"rows"`
	// Last is the reference of the last row; rows of the table stand between.
	Last Ref `json:"-"`
	// HasOwners, HasTimers, HasInodes and HasInfo say whether the options -p,
	// -o, -e and -i were used. A table with -p read without root names few owners.
	HasOwners bool `json:"has_owners"`
	HasTimers bool `json:"has_timers"`
	HasInodes bool `json:"has_inodes"`
	HasInfo   bool `json:"has_info"`
	// HasListeners and HasConnections say which sockets the options include: -l
	// alone shows only listeners, neither -a nor -l only connections.
	HasListeners   bool `json:"has_listeners"`
	HasConnections bool `json:"has_connections"`
	// Filter is the state filter when the table visibly has one (`ss state X`).
	Filter string `json:"filter,omitempty"`
	// Numeric is false when names were resolved (no -n).
	Numeric bool `json:"numeric"`
}

// Kind is "socket_table".
func (SocketTable) Kind() Kind { return "socket_table" }

// Ref is the header.
func (t SocketTable) Ref() Ref { return t.At }
