package zerowindow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

// wait is a connection whose sender waited for room in the other side's window.
type wait struct {
	flow *fact.Flow
	l    *fact.Limited
	end  join.End
}

// slow reports whether a receiver held its sender up by reading too slowly: the window
// had shrunk by what lay unread. A window that is full at its largest is too small for
// the path, and nobody's fault.
func slow(p *analyze.Pass, f *fact.Flow, l *fact.Limited) bool {
	largest := f.ToClient.MaxWindow()
	if l.By == "client" {
		largest = f.ToServer.MaxWindow()
	}
	return l.Total.Seconds() >= p.Threshold("duration") && l.Longest.Seconds() >= p.Threshold("blip") &&
		share(f, l) >= p.Threshold("limited") && float64(l.Window) <= p.Threshold("shrunk")*float64(largest)
}

// share is the part of the connection's life that its sender waited.
func share(f *fact.Flow, l *fact.Limited) float64 {
	return l.Total.Seconds() / max(f.Last().Sub(f.First()).Seconds(), l.Total.Seconds())
}

// mostly is the part of a connection for which its sender had to wait before a slow
// reader is more than a hint.
const mostly = 0.5

// reportSlow is about a receiver that never closed its window for long, but reads
// more slowly than it is sent to. Whether that is too slow is not for the packets to
// say: it is a note, unless the sender waited most of the time.
func reportSlow(p *analyze.Pass, r *receiver) {
	slices.SortStableFunc(r.slow, func(a, b wait) int { return cmp.Compare(b.l.Total, a.l.Total) })
	worst := r.slow[0]
	who := r.end.String()
	if r.end.Process != nil {
		who = r.end.Process.String()
	}
	part := share(worst.flow, worst.l)
	f := analyze.Finding{
		Subject: who, From: worst.l.From, To: worst.l.From.Add(worst.l.Longest), Severity: analyze.Low, Confidence: analyze.Possible,
		Title: fmt.Sprintf("%s reads more slowly than it is sent to: on %s its window was full, for up to %v (%.0f %% of the time)",
			who, join.Count(len(r.slow), "connection", "connections"), wire.Round(worst.l.Total), part*100),
		Entities: r.end.Entities(),
		Fix:      "Find out what keeps " + who + " from reading faster: it works between two reads, waits for a disk or for somebody else, or limits its rate on purpose.",
		Next:     []string{"ss -tnpi", "gdb -p PID -batch -ex 'thread apply all bt'"},
	}
	p.Note("%s: its window was full on %d connections, for %v at most, which is %.0f %% of the connection", f.Subject, len(r.slow), wire.Round(worst.l.Total), part*100)
	client := !slices.ContainsFunc(r.slow, func(w wait) bool { return w.l.By != "client" })
	if !client && part >= mostly && worst.l.Total >= brief {
		f.Severity = analyze.Medium
	}
	sockets := make([]*join.Socket, len(r.slow))
	for i, w := range r.slow {
		if sockets[i] = w.end.Socket; i < 3 {
			f.Evidence = append(f.Evidence, wire.At(w.flow, w.l.FirstFrame, w.l.From, "data in flight fills the window of %s, which has shrunk to %d bytes; its sender waits for %v", w.end.Addr, w.l.Window, wire.Round(w.l.Longest)))
		}
		if i > 0 {
			f.Entities = append(f.Entities, join.Endpoint(w.end.Host, w.end.Addr))
		}
		if w.l.From.Before(f.From) {
			f.From = w.l.From
		}
	}
	detail := []string{"What a program has not read yet takes room in its receive buffer, and the window that it announces shrinks by as much. The sender had sent as much as that allows and waited. The network is not what held it up: nothing was sent again meanwhile."}
	if queued := queues(sockets, &f); queued > 0 {
		f.Confidence = analyze.Likely
		detail = append(detail, fmt.Sprintf("The socket table agrees: up to %d bytes lie unread in its receive queue.", queued))
	} else {
		f.Missing = append(f.Missing, "the receive queues of the process (ss -tnp)")
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}
