// Package fdlimit finds processes that have used up their file descriptors, or
// nearly so.
package fdlimit

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/tables"
)

//go:embed doc.md
var doc string

// Rule finds processes that have used up their file descriptors, or nearly so.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "process/fd-limit", Title: "descriptor limit", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"limit", "log_event", "open_file", "socket"},
		Thresholds: []analyze.Threshold{
			{Name: "share", Default: 0.8, Unit: "share", Doc: "open descriptors as a share of the soft limit"},
			{Name: "hint", Default: 0.98, Unit: "share", Doc: "open descriptors as a share of a usual limit, where the bundle does not say the limit"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "socket/close-wait-leak", Via: join.KindProcess, Why: "connections that are not closed keep their descriptors"},
			{Rule: "socket/established-leak", Via: join.KindProcess, Why: "connections that are not closed keep their descriptors"},
			{Rule: "go/http-connection-leak", Via: join.KindProcess, Why: "response bodies that are not closed keep their connections"},
			{Rule: "go/goroutine-leak", Via: join.KindProcess, Why: "goroutines that never end keep their connections"},
		},
		Run: run,
	}
}

// usage is what is known of one process's descriptors.
type usage struct {
	proc    *join.Process
	files   map[string]int // distinct descriptors by type, from lsof
	fds     map[string]bool
	sockets map[int64]bool // distinct descriptors of sockets, from socket tables
	limit   *fact.Limit
	errors  []*fact.LogEvent // EMFILE, or ENFILE of the whole system
	row     fact.Ref         // a row that shows one of its descriptors
}

func run(_ context.Context, p *analyze.Pass) error {
	list := usages(p)
	limits := false
	for _, u := range list {
		limits = limits || u.limit != nil
		judge(p, u)
	}
	if !limits && len(list) > 0 {
		p.Note("no limit of open files stands in the bundle; collect it with: cat /proc/PID/limits > limits_PID.txt")
	}
	if len(list) == 0 {
		p.Skip("no artifact shows descriptors, their limit or an error about them", "cat /proc/PID/limits > limits_PID.txt; lsof -nP -p PID > lsof_PID.txt")
	}
	return nil
}

// usages collects what each process has open, sorted by host and pid.
func usages(p *analyze.Pass) []*usage {
	h, procs := join.HostsOf(p), join.ProcessesOf(p)
	by := map[*join.Process]*usage{}
	get := func(host string, pid int) *usage {
		pr := procs.Get(host, pid)
		if pr == nil {
			return nil
		}
		if by[pr] == nil {
			by[pr] = &usage{proc: pr, files: map[string]int{}, fds: map[string]bool{}, sockets: map[int64]bool{}}
		}
		return by[pr]
	}
	for f := range fact.All[fact.OpenFile](p.Facts) {
		// Names such as cwd, txt and mem are no descriptors.
		if f.FD == "" || f.FD[0] < '0' || f.FD[0] > '9' || f.TID.Known && f.TID.V != int64(f.PID) {
			continue
		}
		if u := get(h.Of(f.At), f.PID); u != nil && !u.fds[f.FD] {
			u.fds[f.FD] = true
			u.files[f.Type]++
			u.row = f.At
		}
	}
	for s := range fact.All[fact.Socket](p.Facts) {
		for _, o := range s.Owners {
			if u := get(h.Of(s.At), o.PID); u != nil && o.FD.Known {
				u.sockets[o.FD.V] = true
				if u.row.IsZero() {
					u.row = s.At
				}
			}
		}
	}
	for l := range fact.All[fact.Limit](p.Facts) {
		if u := get(h.Of(l.At), l.PID); u != nil && l.Name == "Max open files" {
			u.limit = l
		}
	}
	writers := join.OpenersOf(p)
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno != "EMFILE" {
			continue
		}
		if w, ok := writers.WriterOf(e); ok {
			if u := get(w.Process.Host, w.Process.PID); u != nil {
				u.errors = append(u.errors, e)
			}
		}
	}
	var out []*usage
	for _, u := range by {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *usage) int {
		return cmp.Or(cmp.Compare(a.proc.Host, b.proc.Host), cmp.Compare(a.proc.PID, b.proc.PID))
	})
	return out
}

// open is the number of descriptors known to be open.
func (u *usage) open() int { return max(len(u.fds), len(u.sockets)) }

// usualLimits are the limits that systems and services come with.
var usualLimits = [...]int{1024, 4096, 10000, 65535, 65536, 524288, 1048576}

func judge(p *analyze.Pass, u *usage) {
	n := float64(u.open())
	if u.limit != nil && u.limit.Soft.Known {
		share := n / float64(max(u.limit.Soft.V, 1))
		p.Note("%s: %d of %d descriptors (%.0f%%), EMFILE in %s", u.proc, u.open(), u.limit.Soft.V, 100*share, join.Count(len(u.errors), "log line"))
		switch {
		case len(u.errors) > 0:
			report(p, u, int(u.limit.Soft.V), analyze.High, analyze.Confirmed)
		case share >= p.Threshold("share"):
			report(p, u, int(u.limit.Soft.V), analyze.Medium, analyze.Likely)
		}
		return
	}
	if len(u.errors) > 0 {
		report(p, u, 0, analyze.High, analyze.Likely)
		return
	}
	for _, l := range usualLimits {
		if n >= p.Threshold("hint")*float64(l) && n <= float64(l) {
			report(p, u, l, analyze.Low, analyze.Possible)
			return
		}
	}
}

func report(p *analyze.Pass, u *usage, limit int, sev analyze.Severity, conf analyze.Confidence) {
	f := analyze.Finding{
		Subject: u.proc.String(), Severity: sev, Confidence: conf,
		Entities: []analyze.Entity{u.proc.Entity()},
		Fix:      "Find what keeps descriptors open and close it; raise the limit (LimitNOFILE, ulimit -n) only when the number is what the service really needs.",
	}
	who := tables.Sentence(u.proc.String())
	switch {
	case len(u.errors) > 0 && limit > 0:
		f.Title = fmt.Sprintf("%s has no file descriptor left (EMFILE): %d are open, the limit is %d", who, u.open(), limit)
	case len(u.errors) > 0:
		f.Title = who + " has no file descriptor left (EMFILE)"
	default:
		f.Title = fmt.Sprintf("%s has %d file descriptors open, %d%% of its limit of %d", who, u.open(), 100*u.open()/limit, limit)
	}
	f.Detail = u.kinds()
	clocks := join.ClocksOf(p)
	if n := len(u.errors); n > 0 {
		f.Evidence = append(f.Evidence, clocks.Date(analyze.Cite(u.errors[0].At, "the first of %s: no descriptor is left", join.Count(n, "log line")), u.errors[0].Time))
		f.From, _, _ = clocks.UTC(u.errors[0].At.Artifact, u.errors[0].Time)
		f.To, _, _ = clocks.UTC(u.errors[n-1].At.Artifact, u.errors[n-1].Time)
	}
	switch {
	case u.limit != nil:
		f.Evidence = append(f.Evidence, analyze.Cite(u.limit.At, "the limit is %d", limit))
	default:
		f.Missing = append(f.Missing, "the limit itself")
		f.Next = append(f.Next, fmt.Sprintf("cat /proc/%d/limits", u.proc.PID))
		if limit > 0 {
			f.Detail += fmt.Sprintf(" The bundle does not say the limit; %d is a usual one.", limit)
		}
	}
	if !u.row.IsZero() {
		f.Evidence = append(f.Evidence, analyze.Cite(u.row, "one of %s", join.Count(u.open(), "open descriptor")))
	}
	if len(u.fds) == 0 {
		f.Next = append(f.Next, fmt.Sprintf("lsof -nP -p %d > lsof_%d.txt", u.proc.PID, u.proc.PID))
	}
	p.Report(f)
}

// kinds says what is open.
func (u *usage) kinds() string {
	if len(u.fds) == 0 {
		return fmt.Sprintf("The socket tables show %s of it; other files are not counted there.", join.Count(len(u.sockets), "socket"))
	}
	type kind struct {
		name string
		n    int
	}
	var list []kind
	for name, n := range u.files {
		list = append(list, kind{cmp.Or(name, "unknown"), n})
	}
	slices.SortFunc(list, func(a, b kind) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	var parts []string
	for _, k := range list[:min(len(list), 5)] {
		parts = append(parts, fmt.Sprintf("%d %s", k.n, k.name))
	}
	return fmt.Sprintf("Of %s, by type: %s.", join.Count(len(u.fds), "open descriptor"), strings.Join(parts, ", "))
}
