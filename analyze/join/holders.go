package join

import (
	"slices"
	"strconv"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// holders are the processes that hold sockets, by the inode: `ls -l /proc/PID/fd`
// shows "socket:[145699]", which ss -e and /proc/net/tcp print as well. Where ss
// had no right to see owners, or is not installed, nothing else names them.
type holders map[inodeKey][]*Process

type inodeKey struct {
	host  string
	inode int64
}

func buildHolders(p *analyze.Pass, hosts *Hosts, ps *Processes) holders {
	h := holders{}
	for f := range fact.All[fact.OpenFile](p.Facts) {
		if f.Type != "sock" {
			continue
		}
		inode, err := strconv.ParseInt(f.Node, 10, 64)
		if err != nil {
			continue
		}
		host := hosts.Of(f.At)
		key := inodeKey{host, inode}
		if pr := ps.Get(host, f.PID); pr != nil && !slices.Contains(h[key], pr) {
			h[key] = append(h[key], pr)
		}
	}
	return h
}

// of are the holders of the socket of a row.
func (h holders) of(host string, row *fact.Socket) []*Process {
	if len(h) == 0 || row.Inode.V == 0 {
		return nil
	}
	return h[inodeKey{host, row.Inode.V}]
}
