package establishedleak

import (
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

func report(p *analyze.Pass, l *leak, v verdict) {
	f := analyze.Finding{
		Subject:    l.Subject(join.HostsOf(p)),
		Title:      l.title(v),
		Detail:     l.detail(v),
		Severity:   v.severity,
		Confidence: v.confidence,
		Evidence:   l.evidence(p, v),
		Entities:   l.Entities(),
		Fix: "Tear both sides down together: when either socket ends, closes or fails, destroy the other one as well (in Node, stream.pipeline or handlers for 'end', 'error' and " +
			"'close' on both; in Go, close both connections when one copy returns). Add an idle timeout, and turn SO_KEEPALIVE on so that the kernel notices peers that vanish.",
	}
	if l.Owner == nil {
		l.Introduce(&f)
		f.Missing = append(f.Missing, "the owners of the sockets")
		f.Next = append(f.Next, "ss -tanpoe > ss_tanpoe.txt")
	}
	if !l.timersKnown {
		f.Missing = append(f.Missing, "timers: the tables were taken without -o, so that keepalive cannot be ruled out")
		f.Next = append(f.Next, "ss -tanpoei > ss_tanpoei.txt")
	}
	if !v.grows {
		f.Missing = append(f.Missing, "a second table, which would show whether the number grows")
		f.Next = append(f.Next, "sleep 60; ss -tanoe state established > ss_established_2.txt")
	}
	if l.grown != nil {
		f.From, f.To = l.grown.Span(p)
	}
	p.Report(f)
}

func (l *leak) title(v verdict) string {
	who := tables.Sentence(l.Who())
	if v.oneWay {
		return fmt.Sprintf("%s keeps %s to %s in ESTABLISHED for %s: the backend side is not closed when a client leaves",
			who, join.Count(l.silent, "silent connection"), l.Service, clients(l.fronts))
	}
	if v.otherWay {
		return fmt.Sprintf("%s keeps %s on %s in ESTABLISHED and has only %d to its backend %s: the client side is not closed when the backend ends",
			who, join.Count(l.quiet, "client connection"), l.Service, l.backs, l.backend.Service)
	}
	where := "with clients of " + l.Service.String()
	if l.Client {
		where = "to " + l.Service.String()
	}
	return fmt.Sprintf("%s holds %s %s in ESTABLISHED that nothing would ever end", who, join.Count(l.silent, "silent connection"), where)
}

func clients(n int) string {
	if n == 1 {
		return "1 client connection"
	}
	return fmt.Sprintf("%d client connections", n)
}

func (l *leak) detail(v verdict) string {
	b := &strings.Builder{}
	if v.otherWay {
		fmt.Fprintf(b, "%d of %s on %s are ESTABLISHED (ESTAB) with empty queues, and their number rises. For these there are only %d to the backend %s. "+
			"A proxy needs about one connection to the backend for each client; clients beyond that wait for something that is over: the teardown works in one direction only.",
			l.quiet, join.Count(len(l.Sockets), "connection"), l.Service, l.backs, l.backend.Service)
		return b.String() + l.growthWords()
	}
	fmt.Fprintf(b, "%d of %s with %s are ESTABLISHED (ESTAB) with empty queues", l.silent, join.Count(len(l.Sockets), "connection"), l.Service)
	if l.timersKnown {
		fmt.Fprintf(b, " and no timer: nothing is outstanding and keepalive is off, so the kernel will never notice that nobody is behind them; %d have a timer. "+
			"The system's keepalive settings mean nothing until the program turns SO_KEEPALIVE on.", l.timed)
	} else {
		b.WriteString(".")
	}
	if l.oldest >= 0 {
		fmt.Fprintf(b, " The longest has been silent for %s, half of them for more than %s.", ms(l.oldest), ms(l.median))
	}
	if v.oneWay {
		fmt.Fprintf(b, "\n\nFor these there are only %s", clients(l.fronts))
		if l.front != nil {
			fmt.Fprintf(b, " (on %s)", l.front.Local)
		}
		b.WriteString(". A proxy needs about one connection to the backend for each client; what is beyond that was left over when clients went: the teardown works in one direction only.")
	}
	if l.paired > 0 {
		fmt.Fprintf(b, "\n\nBoth ends of %d are on this host", l.paired)
		if l.back != nil {
			fmt.Fprintf(b, "; %s holds the other ends and is not at fault, since it was never told that they are over", l.back)
		}
		b.WriteString(".")
	}
	if l.limit != nil && l.limit.Soft.Known {
		fmt.Fprintf(b, "\n\nThe limit of open files is %d.", l.limit.Soft.V)
	}
	b.WriteString(l.growthWords())
	if l.before > 0 {
		fmt.Fprintf(b, "\n\nAn earlier table (%s) has %d of them.", l.earlier.Meta.At.Artifact, l.before)
	}
	return b.String()
}

// growthWords tells of the number of handles that rises, "" if there is none.
func (l *leak) growthWords() string {
	g := l.grown
	if g == nil {
		return ""
	}
	return fmt.Sprintf("\n\n%s rose from %g to %g in %d observations and hardly ever fell (%s).", g.Name, g.Start, g.End, g.Points, g.FirstAt.Artifact)
}

func ms(n int64) string { return (time.Duration(n) * time.Millisecond).Round(time.Second).String() }

// maxExamples is how many rows of the same kind are cited.
const maxExamples = 3

func (l *leak) evidence(p *analyze.Pass, v verdict) []analyze.Evidence {
	var out []analyze.Evidence
	rows, n, timer := l.examples, l.silent, ""
	if l.timersKnown {
		timer = ", no timer"
	}
	if v.otherWay {
		rows, n, timer = l.Sockets, l.quiet, ""
	}
	for i, k := range rows[:min(len(rows), maxExamples)] {
		note := fmt.Sprintf("%s, ESTABLISHED, empty queues%s", k, timer)
		if i == 0 {
			note = fmt.Sprintf("one of %d: ", n) + note
		}
		out = append(out, tables.CiteIn(l.table, k, "%s", note))
	}
	if v.otherWay {
		out = append(out, tables.CiteIn(l.table, l.backend.Sockets[0], "one of only %d to a backend", l.backs))
	}
	if k := rows[0]; k.Owner() != nil && len(k.RowIn(l.table).Owners) == 0 {
		out = append(out, analyze.Cite(tables.OwnerRow(k).At, "this table names its owner"))
	}
	if l.far != nil {
		note := "the other end of such a connection"
		if l.back != nil {
			note += ", held by " + l.back.String()
		}
		out = append(out, tables.CiteIn(l.table, l.far, "%s", note))
	}
	if v.oneWay && l.front != nil {
		out = append(out, tables.CiteIn(l.table, l.front, "one of only %s", clients(l.fronts)))
	}
	if l.grown != nil {
		out = append(out, l.grown.Cite(p)...)
	}
	if l.limit != nil {
		out = append(out, analyze.Cite(l.limit.At, "the limit of open files"))
	}
	if pr := l.Process(); pr != nil && len(pr.Rows) > 0 {
		out = append(out, analyze.Cite(pr.Rows[0].At, "the process"))
	}
	return out
}
