package join

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// world is a store built fact by fact.
type world struct {
	shard fact.Shard
	arts  map[fact.ID]bool
	list  []fact.Artifact
	line  int
}

func (w *world) at(id fact.ID) fact.Ref {
	if w.arts == nil {
		w.arts = map[fact.ID]bool{}
	}
	if !w.arts[id] {
		w.arts[id] = true
		w.list = append(w.list, fact.Artifact{ID: id})
	}
	w.line++
	return fact.Ref{Artifact: id, Line: w.line}
}

func (w *world) hostname(id fact.ID, name string) {
	fact.Add(&w.shard, fact.HostInfo{At: w.at(id), Name: "hostname", Value: name})
}

func (w *world) ps(id fact.ID, pid, ppid int, command string) {
	fact.Add(&w.shard, fact.Process{At: w.at(id), PID: pid, PPID: fact.Some(int64(ppid)), Command: command})
}

func (w *world) table(id fact.ID) {
	fact.Add(&w.shard, fact.SocketTable{At: w.at(id), Tool: "ss", HasListeners: true, HasConnections: true, HasOwners: true, Numeric: true})
}

func (w *world) socket(id fact.ID, state, local, lport, remote, rport string, owner int) {
	s := fact.Socket{At: w.at(id), Proto: "tcp", State: state, Local: local, LocalPort: lport, Remote: remote, RemotePort: rport}
	if owner > 0 {
		s.Owners = []fact.Owner{{Process: "p", PID: owner}}
	}
	fact.Add(&w.shard, s)
}

func (w *world) link(id fact.ID, pid int, fd, inode string) {
	fact.Add(&w.shard, fact.OpenFile{At: w.at(id), PID: pid, FD: fd, Type: "sock", Node: inode, Name: "socket:[" + inode + "]"})
}

func (w *world) store() *fact.Store { return fact.Seal(w.list, &w.shard) }

func derive[T any](w *world, d *analyze.Derived[T]) T { return analyze.Derive(d, w.store(), nil) }

func TestOneHostHasNoName(t *testing.T) {
	var w world
	w.hostname("net/uname.txt", "a")
	w.ps("before/ps.txt", 10, 1, "svc")
	w.ps("after/ps.txt", 10, 1, "svc")
	h := derive(&w, &hosts)
	require.Equal(t, []string{""}, h.Names)
	require.Equal(t, "", h.Of(fact.Ref{Artifact: "before/ps.txt"}))
	require.Equal(t, "a", h.Title)
}

func TestFoldersThatNameThemselvesDifferentlyAreHosts(t *testing.T) {
	var w world
	w.hostname("case/x/uname.txt", "alpha")
	w.hostname("case/y/uname.txt", "beta")
	w.ps("case/y/sub/ps.txt", 10, 1, "svc")
	h := derive(&w, &hosts)
	require.Equal(t, []string{"x", "y"}, h.Names)
	require.Equal(t, "y", h.OfArtifact("case/y/sub/ps.txt!inner"))
	host, ok := h.Named("alpha")
	require.True(t, ok)
	require.Equal(t, "x", host)
}

func TestFoldersWithOtherProcessesUnderTheSamePidsAreHosts(t *testing.T) {
	var w world
	for pid := range 5 {
		w.ps("a/ps.txt", 100+pid, 1, "nginx")
		w.ps("b/ps.txt", 100+pid, 1, "mysqld")
	}
	require.Equal(t, []string{"a", "b"}, derive(&w, &hosts).Names)
}

func TestProcessTreeAcrossTables(t *testing.T) {
	var w world
	w.ps("ps_before.txt", 10, 1, "node /srv/master.js")
	w.ps("ps_before.txt", 11, 10, "node /srv/worker.js 8080")
	w.ps("ps_after.txt", 11, 1, "node /srv/worker.js 8080") // orphaned
	w.ps("ps_after.txt", 10, 5, "sshd: root@pts/0")         // the pid is used again
	ps := derive(&w, &processes)
	worker := ps.Get("", 11)
	require.Equal(t, 10, worker.PPID, "its first parent says more than pid 1")
	require.Equal(t, "process 11 (node worker.js)", worker.String())
	require.Equal(t, "node master.js", worker.Parent.Name())
	require.Len(t, worker.Rows, 2)
	require.Len(t, ps.All, 3)
	require.True(t, worker.Parent.IsAncestorOf(worker))
}

func TestEndsOfAFlow(t *testing.T) {
	var w world
	w.ps("ps.txt", 20, 1, "/opt/server")
	w.ps("ps.txt", 21, 1, "/opt/client")
	w.table("ss.txt")
	w.socket("ss.txt", fact.StateListen, "0.0.0.0", "80", "0.0.0.0", "*", 20)
	w.socket("ss.txt", fact.StateEstablished, "127.0.0.1", "40000", "127.0.0.1", "80", 21)
	w.socket("ss.txt", fact.StateEstablished, "::ffff:127.0.0.1", "80", "::ffff:127.0.0.1", "40000", 20)
	f := derive(&w, &flows)
	between := func(client string) *fact.Flow {
		f := fact.FlowRecord{
			At: fact.Ref{Artifact: "x.pcap", Packet: 1}, Proto: "tcp",
			Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddrPort("127.0.0.1:80"),
		}.Flow()
		return &f
	}
	fl := between("127.0.0.1:40000")
	require.Equal(t, "process 21 (client)", f.Client(fl).Process.String())
	server := f.Server(fl)
	require.Equal(t, 20, server.Process.PID)
	require.Equal(t, analyze.Confirmed, server.Link.Sure)
	require.NotNil(t, server.Socket.Peer, "the mapped address is the same socket pair")

	other := between("127.0.0.1:40001")
	require.Equal(t, analyze.Likely, f.Server(other).Link.Sure, "only the listener is known")
	require.Nil(t, f.Client(other).Process)
}

func TestDumpOwner(t *testing.T) {
	dump := func(w *world, id fact.ID, file string) {
		fact.Add(&w.shard, fact.Goroutine{At: w.at(id), ID: 1, Dump: 1, Frames: []fact.Frame{{Func: "main.main", File: file}}})
	}
	var only world
	only.ps("ps.txt", 1, 0, "/bin/bash entry.sh")
	only.ps("ps.txt", 7, 1, "node gateway.js")
	only.ps("ps.txt", 8, 1, "./pushd --port 1")
	only.ps("ps.txt", 9, 1, "tcpdump -i any")
	dump(&only, "stacks.txt", "/home/ci/src/other/main.go")
	o := derive(&only, &dumps).Owner("stacks.txt")
	require.Equal(t, 8, o.Process.PID, "everything else is no Go program")
	require.Equal(t, analyze.Likely, o.Link.Sure)

	var two world
	two.ps("ps.txt", 8, 1, "./pushd")
	two.ps("ps.txt", 9, 1, "./feedd")
	dump(&two, "a.txt", "/src/x/main.go")
	dump(&two, "b_9.txt", "/src/y/main.go")
	dump(&two, "c.txt", "/src/pushd/main.go")
	d := derive(&two, &dumps)
	require.Nil(t, d.Owner("a.txt").Process, "two programs fit equally")
	require.Equal(t, 9, d.Owner("b_9.txt").Process.PID)
	require.Equal(t, analyze.Confirmed, d.Owner("b_9.txt").Link.Sure)
	require.Equal(t, 8, d.Owner("c.txt").Process.PID)
}

func TestParseAddrPort(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", ":::80": "[::]:80", "*:80": "0.0.0.0:80",
		"[::ffff:10.0.0.1]:80": "10.0.0.1:80", "localhost:80": "127.0.0.1:80", "[fe80::1%eth0]:80": "[fe80::1]:80",
	} {
		got, ok := ParseAddrPort(in)
		require.True(t, ok, in)
		require.Equal(t, netip.MustParseAddrPort(want), got, in)
	}
	for _, in := range []string{"", "80", "host:80", "1.2.3.4:http", "1.2.3.4:70000"} {
		_, ok := ParseAddrPort(in)
		require.False(t, ok, in)
	}
}

func TestApplicationFrames(t *testing.T) {
	for _, c := range []struct {
		f    fact.Frame
		want bool
	}{
		{fact.Frame{Func: "main.(*Hub).Publish", File: "/src/hub.go"}, true},
		{fact.Frame{Func: "example.com/a/b.F", File: "/src/b.go"}, true},
		{fact.Frame{Func: "store.(*S).Get", File: "/src/store/s.go"}, true},
		{fact.Frame{Func: "net/http.(*conn).serve", File: "/usr/local/go/src/net/http/server.go"}, false},
		{fact.Frame{Func: "sync.(*Mutex).Lock", File: "sync/mutex.go"}, false},
		{fact.Frame{Func: "internal/poll.(*FD).Read", File: "/opt/go1.26/go/src/internal/poll/fd.go"}, false},
	} {
		require.Equal(t, c.want, Application(c.f), c.f.Func)
	}
}

// TestArchivesInTheBundleAreHosts has one archive a host, as fleets are collected,
// and a dump that was found inside a log.
func TestArchivesInTheBundleAreHosts(t *testing.T) {
	var w world
	w.hostname("a.tar.gz!uname.txt", "alpha")
	w.ps("a.tar.gz!ps.txt", 10, 1, "api")
	w.ps("a.tar.gz!app.log!ps", 11, 1, "api")
	w.hostname("b.tar.gz!uname.txt", "beta")
	w.ps("b.tar.gz!ps.txt", 10, 1, "db")
	h := derive(&w, &hosts)
	require.True(t, h.Several())
	require.NotEqual(t, h.OfArtifact("a.tar.gz!ps.txt"), h.OfArtifact("b.tar.gz!ps.txt"))
	require.Equal(t, h.OfArtifact("a.tar.gz!ps.txt"), h.OfArtifact("a.tar.gz!uname.txt"))
	require.Equal(t, h.OfArtifact("a.tar.gz!ps.txt"), h.OfArtifact("a.tar.gz!app.log!ps"))
}

// TestDescriptorsNameOwners: a table without owners, and who holds its inodes.
func TestDescriptorsNameOwners(t *testing.T) {
	var w world
	w.ps("ps.txt", 812, 1, "/srv/shop")
	w.ps("ps.txt", 813, 812, "/srv/shop -worker")
	fact.Add(&w.shard, fact.SocketTable{At: w.at("net/tcp"), Tool: "proc", HasListeners: true, HasConnections: true, HasInodes: true, Numeric: true})
	for port, inode := range map[string]int64{"8080": 145699, "8081": 145700, "8082": 0} {
		fact.Add(&w.shard, fact.Socket{At: w.at("net/tcp"), Proto: "tcp", State: fact.StateListen, Local: "0.0.0.0", LocalPort: port, Remote: "0.0.0.0", RemotePort: "*", Inode: fact.Some(inode)})
	}
	w.link("fd_812.txt", 812, "9", "145699")
	w.link("fd_812.txt", 812, "10", "145699")
	w.link("fd_812.txt", 813, "9", "145699")
	w.link("fd_812.txt", 812, "3", "7")
	s := derive(&w, &sockets)
	pids := map[uint16][]int{}
	for _, k := range s.All {
		for _, o := range k.Owners {
			pids[k.Local.Port()] = append(pids[k.Local.Port()], o.PID)
		}
	}
	require.Equal(t, map[uint16][]int{8080: {812, 813}}, pids)
}

// TestCollectorsFoldersCarryTheHostsName: a sosreport's folder holds the name of
// its host, which is shorter.
func TestCollectorsFoldersCarryTheHostsName(t *testing.T) {
	var w world
	w.hostname("two/sosreport-web-1-0331-2026-11-21-abcdefg/etc/hostname", "web-1")
	w.hostname("two/sosreport-db-1-0331-2026-11-21-hijklmn/etc/hostname", "db-1")
	h := derive(&w, &hosts)
	require.Equal(t, []string{"db-1", "web-1"}, h.Names)
	host, ok := h.Named("web-1")
	require.True(t, ok)
	require.Equal(t, "web-1", host)
}
