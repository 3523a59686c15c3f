package closewaitleak

import (
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

// detail tells the mechanism and the numbers.
func (l *leak) detail() string {
	n := len(l.Sockets)
	b := &strings.Builder{}
	fmt.Fprintf(b, "The kernel holds a connection in CLOSE_WAIT from the peer's FIN until the local program calls close. No timer ends the state: only the program can. "+
		"%d of %s %s are in it.", n, join.Count(l.total, "socket"), l.ofWhom())
	var parts []string
	if l.eof > 0 {
		parts = append(parts, fmt.Sprintf("%d have an empty receive queue, so the program saw the end of the stream and did not close", l.eof))
	}
	if l.unreadEOF > 0 {
		parts = append(parts, fmt.Sprintf("%d have Recv-Q 1, so the program never read the end of the stream", l.unreadEOF))
	}
	if l.unread > 0 {
		parts = append(parts, fmt.Sprintf("%d hold data that the program never read", l.unread))
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "\n\n%s.", tables.Sentence(strings.Join(parts, "; ")))
	}
	if mirrored, owners := l.mirror(); mirrored > 0 {
		fmt.Fprintf(b, "\n\nThe other ends of %d of them are on this host too, in FIN_WAIT2%s: they have closed and wait.", mirrored, owners)
	}
	if len(l.persisting) > 0 {
		fmt.Fprintf(b, "\n\n%d of the same connections were in CLOSE_WAIT in the earlier sample %s already.", len(l.persisting), l.earlier.Meta.At.Artifact)
	}
	if len(l.flows) > 0 {
		fmt.Fprintf(b, "\n\nThe capture shows %s in which the client's FIN was never answered by one of the server.", join.Count(len(l.flows), "conversation"))
	}
	if g := l.grown; g != nil {
		fmt.Fprintf(b, "\n\n%s rose from %g to %g in %d observations (%s).", g.Name, g.Start, g.End, g.Points, g.FirstAt.Artifact)
	}
	if l.services > 0 {
		fmt.Fprintf(b, "\n\nThe sockets belong to %d services; the most frequent is %s.", l.services+1, l.Service)
	}
	return b.String()
}

func (l *leak) ofWhom() string {
	if l.Process() != nil {
		return "of " + l.who()
	}
	return "with " + l.Service.String()
}

// mirror counts the other ends that are seen on the same host.
func (l *leak) mirror() (n int, owners string) {
	by := map[*join.Process]bool{}
	for _, k := range l.Sockets {
		if k.Peer == nil || k.Peer.State != fact.StateFinWait2 {
			continue
		}
		n++
		if o := k.Peer.Owner(); o != nil && !by[o] {
			by[o] = true
			owners = " (some still held by " + o.String() + ")"
		}
	}
	return n, owners
}

// maxExamples is how many rows of the same kind are cited.
const maxExamples = 3

func (l *leak) evidence(p *analyze.Pass) []analyze.Evidence {
	var out []analyze.Evidence
	for i, k := range l.Sockets[:min(len(l.Sockets), maxExamples)] {
		note := fmt.Sprintf("%s in CLOSE_WAIT", k)
		if i == 0 {
			note = fmt.Sprintf("one of %s in CLOSE_WAIT: %s", join.Count(len(l.Sockets), "socket"), k)
		}
		out = append(out, tables.CiteIn(l.table, k, "%s", note))
	}
	if k := l.Sockets[0]; k.Owner() != nil && len(k.RowIn(l.table).Owners) == 0 {
		out = append(out, analyze.Cite(tables.OwnerRow(k).At, "this table names its owner"))
	}
	for _, k := range l.Sockets {
		if k.Peer != nil && k.Peer.State == fact.StateFinWait2 {
			out = append(out, k.Peer.Cite("the other end of such a connection: closed there, waiting in FIN_WAIT2"))
			break
		}
	}
	for i, k := range l.persisting {
		if i == maxExamples {
			break
		}
		for _, r := range l.earlier.Rows {
			if key, ok := tables.RowKey(r); ok && key == tables.Key(k.Local, k.Remote) {
				out = append(out, analyze.Cite(r.At, "the same connection in the earlier sample"))
				break
			}
		}
	}
	for i, f := range l.flows {
		if i == maxExamples {
			break
		}
		at := f.Ref()
		at.Packet = f.ToServer.FINFrame()
		if at.Packet == 0 {
			at = f.Ref()
		}
		out = append(out, analyze.Cite(at, "the client's FIN, which the server never answers with its own").On(f.ToServer.FINTime(), fact.Epoch, 0))
	}
	if l.grown != nil {
		out = append(out, l.grown.Cite(p)...)
	}
	if pr := l.Process(); pr != nil && len(pr.Rows) > 0 {
		out = append(out, analyze.Cite(pr.Rows[0].At, "the process"))
	}
	return out
}

// peers reports the mirror image: sockets of ours that have closed and wait for a
// peer elsewhere which does not.
func peers(p *analyze.Pass, socks *join.Sockets, t *join.Table) {
	for _, g := range tables.Groups(socks, tables.InState(socks, t, fact.StateFinWait2)) {
		var waiting []*join.Socket
		for _, k := range g.Sockets {
			// Without an owner the kernel ends the state after a minute by itself; with
			// the peer on this host, the finding is about the peer's process.
			if k.Owner() != nil && k.Peer == nil {
				waiting = append(waiting, k)
			}
		}
		if float64(len(waiting)) < p.Threshold("sockets") {
			continue
		}
		far := g.Service
		if !g.Client {
			continue // many different clients that do not close: their affair
		}
		p.Report(analyze.Finding{
			Subject:    "peer " + far.String(),
			Title:      fmt.Sprintf("The peer %s does not close: %s of %s wait in FIN_WAIT2 for its end of the close", far, join.Count(len(waiting), "socket"), g.Who()),
			Detail:     "The local program has shut its side down and keeps the socket; the peer acknowledged and never sent a FIN of its own. On the peer's host these connections are in CLOSE_WAIT.",
			Severity:   analyze.Medium,
			Confidence: analyze.Possible,
			Evidence:   []analyze.Evidence{tables.CiteIn(t, waiting[0], "one of %s in FIN_WAIT2 with an owner: %s", join.Count(len(waiting), "socket"), waiting[0])},
			Missing:    []string{"the socket table of the peer's host"},
			Fix:        "Close the connection in the program at " + far.String() + " when reading ends.",
			Next:       []string{fmt.Sprintf("on the host of %s: ss -tanp state close-wait '( sport = :%d )'", far.Addr(), far.Port())},
			Entities:   []analyze.Entity{join.Endpoint(g.Host, far)},
		})
	}
}
