// Package permissionloop finds programs that are denied the same thing again and
// again.
package permissionloop

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "audit/permission-loop"

//go:embed doc.md
var doc string

// Rule finds steady EACCES, EPERM and mandatory access denials.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "permission loop", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"audit_event"},
		Wants: []fact.Kind{"log_event", "host_info", "process", "account"},
		Thresholds: []analyze.Threshold{
			{Name: "min", Default: 20, Unit: "denials", Doc: "denials of one object to one program"},
			{Name: "within", Default: 600, Unit: "seconds", Doc: "the time in which they must fall"},
		},
		Run: run,
	}
}

// denials are those of one program and one object.
type denials struct {
	host, program, object, what string
	events                      []*fact.AuditEvent
}

func run(_ context.Context, p *analyze.Pass) error {
	h := join.HostsOf(p)
	byKey := map[string]*denials{}
	var order []*denials
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		what, ok := denied(e)
		if !ok {
			continue
		}
		d := denials{host: h.Of(e.At), program: program(e), object: object(e), what: what}
		key := strings.Join([]string{d.host, d.program, d.object, d.what}, "\x00")
		if byKey[key] == nil {
			byKey[key] = &d
			order = append(order, &d)
		}
		byKey[key].events = append(byKey[key].events, e)
	}
	most := 0
	for _, d := range order {
		most = max(most, len(d.events))
		if n := d.busiest(time.Duration(p.Threshold("within")) * time.Second); float64(n) >= p.Threshold("min") {
			d.report(p, n)
		}
	}
	p.Note("the most repeated denial stands %d times, needs %.0f within %.0f s", most, p.Threshold("min"), p.Threshold("within"))
	return nil
}

// denied says what was refused: by ordinary permissions or by a policy.
func denied(e *fact.AuditEvent) (what string, ok bool) {
	switch {
	case strings.EqualFold(e.Result, "denied"):
		if strings.Contains(e.Text, "permissive=1") {
			return "", false // only reported, not enforced
		}
		return "policy: " + strings.TrimSpace(e.Op), true
	case e.Errno == "EACCES" || e.Errno == "EPERM":
		return e.Errno + " of " + e.Syscall, true
	}
	return "", false
}

func program(e *fact.AuditEvent) string {
	if e.Exe != "" {
		return e.Exe
	}
	return e.Comm
}

// object is what was refused: the last path that is no directory above it.
func object(e *fact.AuditEvent) string {
	for i := len(e.Paths) - 1; i >= 0; i-- {
		if i >= len(e.PathTypes) || e.PathTypes[i] != "PARENT" {
			return e.Paths[i]
		}
	}
	if len(e.Paths) > 0 {
		return e.Paths[0]
	}
	return e.Sockaddr
}

// busiest is the largest number of denials within a span of time.
func (d *denials) busiest(span time.Duration) int {
	slices.SortStableFunc(d.events, func(a, b *fact.AuditEvent) int { return a.T.Compare(b.T) })
	best, from := 0, 0
	for i, e := range d.events {
		for e.T.Sub(d.events[from].T) > span {
			from++
		}
		best = max(best, i-from+1)
	}
	return best
}

func (d *denials) report(p *analyze.Pass, n int) {
	first, last := d.events[0], d.events[len(d.events)-1]
	object := d.object
	if object == "" {
		object = "what it asks for"
	}
	c := join.ClocksOf(p)
	f := analyze.Finding{
		Subject: fmt.Sprintf("%s%s on %s", join.HostsOf(p).Prefix(d.host), d.program, object),
		Title:   fmt.Sprintf("%s is refused %s again and again: %s, %d times in %s", d.program, object, d.what, len(d.events), span(first, last)),
		Detail: fmt.Sprintf("%d of the %d refusals fall within %.0f s. The program repeats the call without being able to go on.", n, len(d.events),
			p.Threshold("within")),
		Severity: analyze.Medium, Confidence: analyze.Confirmed,
		Fix:  "Give the program's user the right it needs on that object, or correct the path it uses; for a policy, the rule or the label.",
		Next: []string{fmt.Sprintf("namei -l %s", object), "ausearch -m avc -ts recent"},
	}
	f.From, _, _ = c.UTC(first.At.Artifact, first.Time)
	f.To, _, _ = c.UTC(last.At.Artifact, last.Time)
	for i, e := range []*fact.AuditEvent{first, d.events[len(d.events)/2], last} {
		who := ""
		if e.UID.Known {
			who = fmt.Sprintf(" as uid %d", e.UID.V)
		}
		f.Evidence = append(f.Evidence, c.Date(analyze.Cite(e.At, "%s: pid %d%s, %s", [...]string{"the first refusal", "one of them", "the last one"}[i], e.PID, who, d.what), e.Time))
	}
	seen := map[int]bool{}
	for _, e := range d.events {
		if pr := join.ProcessesOf(p).Get(d.host, e.PID); pr != nil && !seen[e.PID] && len(seen) < 8 {
			seen[e.PID] = true
			f.Entities = append(f.Entities, pr.Entity())
		}
	}
	if strings.HasPrefix(d.what, "policy") && !steadyHarm(p, d) {
		// A denied probe of an agent is noise of a working policy.
		f.Severity = analyze.Low
		f.Detail += " No log line of an error goes with it: the program may well live with the refusal."
	}
	p.Report(f)
}

// steadyHarm reports whether a log names the refusal.
func steadyHarm(p *analyze.Pass, d *denials) bool {
	h := join.HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) == d.host && (l.Errno == "EACCES" || l.Errno == "EPERM") {
			return true
		}
	}
	return false
}

func span(a, b *fact.AuditEvent) string {
	return b.T.Sub(a.T).Round(time.Second).String()
}
