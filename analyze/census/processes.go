package census

import (
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// processes counts the processes of each program and their memory, in the latest
// complete table of each host.
func (c *counter) processes() {
	latest := map[string]fact.ID{}
	order := join.SamplesOf(c.p)
	for t := range fact.All[fact.ProcessTable](c.p.Facts) {
		host := c.hosts.Of(t.At)
		if have, ok := latest[host]; !t.All || ok && order.Compare(t.At.Artifact, have) <= 0 {
			continue
		}
		latest[host] = t.At.Artifact
		delete(c.counts, key{host: host, what: "process"})
		c.shows(host, "process", t.At)
	}
	for _, pr := range join.ProcessesOf(c.p).All {
		for _, row := range pr.Rows {
			if row.At.Artifact != latest[pr.Host] || row.Kernel || row.Thread || collector(pr) {
				continue
			}
			c.add(pr.Host, "process", pr.Name(), "", 1, row.At)
			if row.RSSkB.Known {
				c.add(pr.Host, "memory", pr.Name(), "", row.RSSkB.V>>10, row.At)
			}
		}
	}
}

// collectors are programs that run because the bundle is being made.
var collectors = map[string]bool{
	"ps": true, "ss": true, "netstat": true, "lsof": true, "tcpdump": true, "tar": true, "gzip": true, "curl": true,
	"strace": true, "gdb": true, "sleep": true, "timeout": true, "cat": true, "ssh": true, "sshd": true, "bash": true, "sh": true,
}

func collector(pr *join.Process) bool {
	name, _, _ := strings.Cut(pr.Name(), " ")
	return collectors[strings.TrimSuffix(name, ":")]
}

// openFiles counts the descriptors of each program that lists of open files show,
// and notes its limits.
func (c *counter) openFiles() {
	procs := join.ProcessesOf(c.p)
	program := func(host string, pid int) string {
		if pr := procs.Get(host, pid); pr != nil {
			return pr.Name()
		}
		return ""
	}
	type fd struct {
		host string
		pid  int
		fd   string
	}
	seen := map[fd]bool{}
	for f := range fact.All[fact.OpenFile](c.p.Facts) {
		// Names such as cwd, txt and mem are no descriptors.
		host := c.hosts.Of(f.At)
		id := fd{host, f.PID, f.FD}
		if f.FD == "" || f.FD[0] < '0' || f.FD[0] > '9' || f.TID.Known && f.TID.V != int64(f.PID) || seen[id] {
			continue
		}
		seen[id] = true
		c.add(host, "open_files", program(host, f.PID), "", 1, f.At)
	}
	for l := range fact.All[fact.Limit](c.p.Facts) {
		host := c.hosts.Of(l.At)
		if name := program(host, l.PID); name != "" && l.Soft.Known {
			c.set(host, "limit", l.Name, name, number(l.Soft.V), l.At)
		}
	}
}
