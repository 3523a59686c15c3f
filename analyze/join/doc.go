// Package join creates identity: which host an artifact comes from, which rows
// of which tables are one process or one socket, who stands at the ends of a
// flow, which flows are one connection captured twice, which process a dump is of,
// what describes one container, and how the clock of each artifact relates to UTC
// and to those of other hosts. It is the only place that does so; rules take what it
// says and never match pids or addresses by themselves.
//
// Each index is built once per run, when the first rule asks: HostsOf, ProcessesOf,
// SocketsOf, FlowsOf, ConnectionsOf, PathsOf, DumpsOf, ContainersOf, ClocksOf. A
// join that could be wrong says how it was made and how sure it is (see Link).
// Nothing is joined across hosts except by address. What goroutines and threads wait
// for is in packages waits and threads below.
package join

import "github.com/culprit-dev/culprit/analyze"

// Link says how two things were joined and how sure that is.
type Link struct {
	// By says it in words, to be printed: "same five-tuple in ss_tanp.txt:12".
	By   string
	Sure analyze.Confidence
}

// The kinds of entities that findings share.
const (
	KindHost      = "host"      // key: host name
	KindProcess   = "process"   // key: host/pid
	KindEndpoint  = "endpoint"  // key: addr:port, loopback with its host
	KindSocket    = "socket"    // key: both ends
	KindFlow      = "flow"      // key: both ends
	KindLock      = "lock"      // key: process and address or lock site
	KindPort      = "port"      // key: host and port number
	KindSite      = "site"      // key: a source line
	KindUnit      = "unit"      // key: host and cgroup, container or service unit
	KindContainer = "container" // key: pod and container
	KindFile      = "file"      // key: path of an artifact
)
