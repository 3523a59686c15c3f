package acceptqueuefull

import (
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// unixQueues reports listening unix domain sockets whose queue is above its limit:
// connect waits there, or fails with EAGAIN where the client does not block.
func unixQueues(p *analyze.Pass) {
	hosts := join.HostsOf(p)
	seen := map[string]bool{}
	for row := range fact.All[fact.Socket](p.Facts) {
		full := row.Proto == "unix" && row.State == fact.StateListen && row.SendQ.Or(0) > 0 && row.RecvQ.Or(0) > row.SendQ.V
		if subject := hosts.Prefix(hosts.Of(row.At)) + row.Path; full && row.Path != "" && !seen[subject] {
			seen[subject] = true
			reportUnix(p, row, subject)
		}
	}
}

func reportUnix(p *analyze.Pass, row *fact.Socket, subject string) {
	who := "The program behind " + row.Path
	f := analyze.Finding{
		Subject:  subject,
		Severity: analyze.High, Confidence: analyze.Likely,
		Entities: []analyze.Entity{{Kind: join.KindFile, Key: row.Path, Name: row.Path}},
		Evidence: []analyze.Evidence{analyze.Cite(row.At, "LISTEN with Recv-Q %d above its limit %d", row.RecvQ.V, row.SendQ.V)},
		Fix:      "Find what keeps the acceptor on " + row.Path + " busy (a lock, a blocked call, a limit); only for real bursts raise the backlog of listen.",
		Next:     []string{"ss -xlp"},
	}
	host := join.HostsOf(p).Of(row.At)
	pid := "PID"
	for _, o := range row.Owners {
		if pr := join.ProcessesOf(p).Get(host, o.PID); pr != nil {
			who, pid = pr.String(), fmt.Sprint(o.PID)
			f.Entities = append(f.Entities, pr.Entity())
			break
		}
	}
	f.Next = append(f.Next, "gdb -p "+pid+" -batch -ex 'thread apply all bt'")
	f.Title = fmt.Sprintf("%s does not accept connections fast enough: the accept queue of %s is full (%d waiting, limit %d)",
		who, row.Path, row.RecvQ.V, row.SendQ.V)
	f.Detail = "The kernel queues connections to a listening unix domain socket until the program accepts them. This queue is full: further clients wait in connect, or get EAGAIN."
	clocks := join.ClocksOf(p)
	failed := 0
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno != "EAGAIN" || !strings.Contains(e.Text, row.Path) || join.HostsOf(p).Of(e.At) != host {
			continue
		}
		if failed++; failed <= 2 {
			f.Evidence = append(f.Evidence, clocks.Date(analyze.Cite(e.At, "a client that did not block got EAGAIN"), e.Time))
		}
	}
	if failed > 0 {
		f.Confidence = analyze.Confirmed
		f.Detail += fmt.Sprintf("\n\n%s that connect failed with EAGAIN.", join.Count(failed, "log line says", "log lines say"))
	}
	p.Note("%s: %d waiting, limit %d, %d log lines with EAGAIN", row.Path, row.RecvQ.V, row.SendQ.V, failed)
	p.Report(f)
}
