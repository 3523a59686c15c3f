package lsof

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// sockets collects the network rows. One socket held by several processes has
// several rows; they are one socket with several owners, recognised by its device
// number (on Linux the inode), so the facts can only be emitted at the end.
type sockets struct {
	table fact.SocketTable
	list  []*fact.Socket
	byKey map[string]*fact.Socket
}

// maxSockets bounds what is held back; further rows are open files only.
const maxSockets = 1 << 20

func newSockets() *sockets {
	return &sockets{
		table: fact.SocketTable{Tool: "lsof", HasOwners: true, Numeric: true},
		byKey: map[string]*fact.Socket{},
	}
}

func (s *sockets) header(at fact.Ref) {
	if s.table.At.IsZero() {
		s.table.At = at
	}
}

// add takes a row if it is a TCP or UDP socket of a process; rows of threads
// repeat those of their process.
func (s *sockets) add(f *fact.OpenFile) {
	if f.TID.Known && f.TID.V != int64(f.PID) || len(s.list) >= maxSockets {
		return
	}
	k := fact.Socket{At: f.At}
	if !network(f, &k) {
		return
	}
	s.header(f.At)
	s.table.Last = f.At
	owner := fact.Owner{Process: f.Process, PID: f.PID}
	if n, err := strconv.ParseInt(f.FD, 10, 32); err == nil {
		owner.FD = fact.Some(n)
	}
	key := f.Device + " " + f.Name
	if have := s.byKey[key]; have != nil && f.Device != "" {
		have.Owners = append(have.Owners, owner)
		return
	}
	k.Owners = []fact.Owner{owner}
	s.list = append(s.list, &k)
	s.byKey[key] = &k
}

// network reads the name of an IPv4 or IPv6 row: "*:3150 (LISTEN)",
// "10.0.0.1:80->10.0.0.2:4711 (ESTABLISHED)", "[::1]:53", with the state and, after
// -T, queue lengths in parentheses.
func network(f *fact.OpenFile, k *fact.Socket) bool {
	switch f.Node {
	case "TCP":
		k.Proto = "tcp"
	case "UDP":
		k.Proto = "udp"
	default:
		return false
	}
	ends, notes, _ := strings.Cut(f.Name, " (")
	local, remote, connected := strings.Cut(ends, "->")
	var ok bool
	if k.Local, k.LocalPort, ok = splitEnd(local, f.Type); !ok {
		return false
	}
	if !connected {
		k.Remote, k.RemotePort = "*", "*"
	} else if k.Remote, k.RemotePort, ok = splitEnd(remote, f.Type); !ok {
		return false
	}
	for _, n := range strings.Fields(strings.Trim(notes, "()")) {
		n = strings.Trim(n, "()")
		switch {
		case strings.HasPrefix(n, "QR="):
			k.RecvQ = queue(n[3:])
		case strings.HasPrefix(n, "QS="):
			k.SendQ = queue(n[3:])
		case k.State == "" && k.Proto == "tcp":
			k.State = state(strings.TrimPrefix(n, "ST="))
		}
	}
	if n, err := strconv.ParseInt(f.Device, 10, 64); err == nil {
		k.Inode = fact.Some(n)
	}
	return true
}

// splitEnd splits "addr:port". The type tells what a bare "*" stands for.
func splitEnd(s, family string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	host, port = strings.Trim(s[:i], "[]"), s[i+1:]
	if host == "*" && family == "IPv6" {
		host = "::"
	}
	return host, port, port != ""
}

func queue(s string) fact.Int {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fact.Int{}
	}
	return fact.Some(n)
}

func state(s string) string {
	switch s {
	case "FIN_WAIT_1":
		return fact.StateFinWait1
	case "FIN_WAIT_2":
		return fact.StateFinWait2
	case "CLOSED":
		return fact.StateClose
	case "SYN_RCVD", "SYN_RECEIVED":
		return fact.StateSynRecv
	}
	return s
}

func (s *sockets) emit(out *analyze.Sink) {
	if len(s.list) == 0 {
		return
	}
	for _, k := range s.list {
		s.table.Rows++
		listener := k.State == fact.StateListen || k.Proto == "udp" && k.RemotePort == "*"
		s.table.HasListeners = s.table.HasListeners || listener
		s.table.HasConnections = s.table.HasConnections || !listener
		s.table.HasInodes = s.table.HasInodes || k.Inode.Known
		_, err := strconv.Atoi(k.LocalPort)
		s.table.Numeric = s.table.Numeric && (err == nil || k.LocalPort == "*")
		analyze.Emit(out, *k)
	}
	// What lsof lists depends on its arguments: one process, one port, one user.
	// That something is missing from it means nothing.
	s.table.Filter = "lsof"
	analyze.Emit(out, s.table)
}
