// Package stucksenders finds goroutines blocked in a send that nobody receives.
package stucksenders

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/stuck-senders"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "stuck senders", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 10, Unit: "goroutines", Doc: "so many senders at one line make it high severity"},
			{Name: "crowd", Default: 1000, Unit: "goroutines", Doc: "so many, and half of all, are no back-pressure although a consumer is alive"},
			{Name: "growth", Default: 1.5, Unit: "times", Doc: "growth between two dumps that counts although a consumer is alive"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, s := range d.Sends {
			if s.Consumer != nil {
				c := s.Consumer
				p.Note("%s at %s: %s should receive and waits for something else: see go/stuck-receivers", join.Count(s.Count, "sender"), s.Stacks[0].At(s.Stacks[0].Top()), c.At(c.Top()))
				continue
			}
			report(p, d, s)
			if b := s.Behind; b != nil && b.Consumer == nil && b.Behind != s {
				p.Explains(p.IDOf(subject(d, b)), p.IDOf(subject(d, s)))
			}
		}
	}
	return nil
}

func report(p *analyze.Pass, d *waits.Dump, send *waits.Send) {
	s := send.Stacks[0]
	g := s.First()
	top := s.Top()
	before, grown := d.Grown(s)
	grown = grown && send.Count > before
	if send.Live != nil {
		// A pipeline's senders come and go with its consumer; a leak only grows.
		grown = grown && float64(send.Count) >= p.Threshold("growth")*float64(before)
	}
	f := analyze.Finding{
		Subject:  subject(d, send),
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Title:    title(d, send, before, grown),
		Detail:   detail(d, send, before, grown),
		Missing:  append(d.Limits(), "what became of the receiver stands in the source: it has returned, or never was started"),
		Entities: append(d.Entities(), s.SiteEntity(d.Host, top)),
		Fix:      fix(s),
		Next:     d.NextDumps(),
	}
	for _, st := range send.Stacks[:min(len(send.Stacks), 3)] {
		first := st.First()
		more := ""
		if st.Count > 1 {
			more = fmt.Sprintf(", one of %d with this stack", st.Count)
		}
		f.Evidence = append(f.Evidence, st.Cite(first, st.Shown(), "%s is blocked %s in %s (%s)%s", st.Label(first), st.Kind, st.At(st.Top()), st.Path(), more))
	}
	if g.CreatedBy != "" {
		f.Evidence = append(f.Evidence, analyze.Cite(g.CreatedByAt(), "created by %s", waits.ShortFunc(g.CreatedBy)))
	}
	f.Evidence = slices.Concat(f.Evidence, d.Link(), d.SupportFor(s))
	if send.Count >= int64(p.Threshold("many")) || grown {
		f.Severity = analyze.High
	}
	switch {
	case send.Leaked, grown:
		f.Confidence = analyze.Confirmed
	case !d.Complete():
		f.Confidence = analyze.Possible
	}
	if l := send.Live; l != nil && !send.Leaked && !grown {
		f.Against = append(f.Against, l.Cite(l.First(), l.Top(), "%s of the same code is %s in %s: it may be a slow receiver", l.Label(l.First()), l.Kind, l.At(l.Top())))
		// Back-pressure by a consumer that is alive is what channels are for: however
		// many wait, one dump cannot tell it from a stall.
		f.Confidence = analyze.Possible
		if float64(send.Count) < p.Threshold("crowd") || 2*send.Count < d.Total {
			f.Severity = analyze.Low
		}
	}
	p.Report(f)
}

func is(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// subject is "chan send at hub.go:31".
func subject(d *waits.Dump, send *waits.Send) string {
	s := send.Stacks[0]
	what := "chan send"
	if s.Kind == waits.OnPipe {
		what = "pipe write"
	}
	return what + " at " + s.Where(s.Top()) + d.In()
}

// partner says what a blocked sender needs.
func partner(s *waits.Stack) string {
	if s.Kind == waits.OnPipe {
		return "A write to an io.Pipe waits until the other end has read it or is closed; "
	}
	return "A send on a channel without room waits until somebody receives; "
}

func fix(s *waits.Stack) string {
	at := s.Where(s.Top())
	if s.Kind == waits.OnPipe {
		return fmt.Sprintf("Close the reading end of the pipe on every path of who reads it (`defer pr.Close()`): the write at %s returns then.", at)
	}
	return fmt.Sprintf("Give the send at %s a way out: a channel with a buffer for the one value, or a select with the context that ends when the receiver leaves; where the channel counts slots, give the slot back on every path (defer).", at)
}

func title(d *waits.Dump, send *waits.Send, before int64, grown bool) string {
	s := send.Stacks[0]
	who := "and nobody receives"
	switch {
	case send.Behind != nil:
		o := send.Behind.Stacks[0]
		who = fmt.Sprintf("and %s, which should receive, is blocked %s itself in %s", o.Label(o.First()), o.Kind, o.At(o.Top()))
	case s.Kind == waits.OnPipe:
		who = "and nobody reads"
	}
	if send.Live != nil && !send.Leaked && !grown {
		who = "behind a consumer that may be slow"
	}
	t := fmt.Sprintf("%s%s %s blocked %s in %s, %s", join.Count(send.Count, "goroutine"), d.In(), is(send.Count), s.Kind, s.At(s.Top()), who)
	if grown {
		t += fmt.Sprintf("; %d more than in the earlier dump", send.Count-before)
	}
	return t
}

func detail(d *waits.Dump, send *waits.Send, before int64, grown bool) string {
	var b strings.Builder
	s := send.Stacks[0]
	g := s.First()
	fmt.Fprintf(&b, "%d of the %d goroutines in the dump %s blocked %s in %s%s. ", send.Count, d.Total, is(send.Count), s.Kind, s.At(s.Top()), aged(s))
	b.WriteString(partner(s))
	switch {
	case s.Kind == waits.OnPipe && send.Live == nil:
		b.WriteString("no goroutine of the dump that has to do with this code works or could come back to read. The reader has returned, without closing its end, or never began.")
	case send.Behind != nil:
		o := send.Behind.Stacks[0]
		fmt.Fprintf(&b, "%s should receive, and is itself blocked %s in %s: that send has a finding of its own.", o.Label(o.First()), o.Kind, o.At(o.Top()))
	case send.Live == nil:
		b.WriteString("no goroutine of the dump that has to do with this code receives, works, or could come back to receive. The receiver has returned (a timeout, a cancelled request, an error path, the first of several answers) and the sender cannot leave. Where the channel counts slots (a semaphore, a pool), the same stack means that slots were taken and never given back.")
	default:
		b.WriteString("a goroutine of the same code still works and may come back to receive.")
	}
	if g.CreatedBy != "" {
		fmt.Fprintf(&b, "\n\nCreated by %s", waits.ShortFunc(g.CreatedBy))
		if g.CreatedByFile != "" {
			fmt.Fprintf(&b, " at %s:%d", g.CreatedByFile[strings.LastIndexAny(g.CreatedByFile, `/\`)+1:], g.CreatedByLine)
		}
		fmt.Fprintf(&b, "; the stack: %s.", s.Path())
	}
	if grown {
		fmt.Fprintf(&b, "\n\nThe earlier dump has %d of them: their number grows, each keeps its stack and all that it refers to.", before)
	}
	if send.Leaked {
		b.WriteString("\n\nThe goroutine leak profile marks them as leaked: the garbage collector found that nothing alive can reach the channel.")
	}
	return b.String()
}

func aged(s *waits.Stack) string {
	if m := s.Minutes(); m > 0 {
		return ", the longest for at least " + join.Count(m, "minute")
	}
	return ""
}
