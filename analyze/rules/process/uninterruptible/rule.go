// Package uninterruptible finds processes that hang inside the kernel.
package uninterruptible

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
)

// ID is the rule's identity.
const ID = "process/uninterruptible"

//go:embed doc.md
var doc string

// Rule finds threads in state D that share a wait channel or stay there, and the
// kernel's own reports of hung tasks.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "uninterruptible sleep", Doc: doc, Severity: analyze.High,
		AnyOf:   []fact.Kind{"process", "kernel_event"},
		Wants:   []fact.Kind{"process_table", "host_info"},
		Collect: map[fact.Kind]string{"process": "ps -eLo pid,ppid,tid,stat,wchan:32,args > ps_threads.txt"},
		Thresholds: []analyze.Threshold{
			{Name: "share_wchan", Default: 3, Unit: "threads", Doc: "threads in D with one wait channel in one table"},
		},
		Run: run,
	}
}

// group is what waits at one place on one host.
type group struct {
	host, wchan string
	rows        []*fact.Process
	lasted      []*fact.Process
	hung        []*fact.KernelEvent
}

func run(_ context.Context, p *analyze.Pass) error {
	h, order := join.HostsOf(p), join.SamplesOf(p)
	byKey := map[string]*group{}
	get := func(host, wchan string) *group {
		key := host + "\x00" + wchan
		if byKey[key] == nil {
			byKey[key] = &group{host: host, wchan: wchan}
		}
		return byKey[key]
	}
	first := map[string]*fact.Process{}
	for r := range fact.All[fact.Process](p.Facts) {
		if !strings.HasPrefix(r.State, "D") || r.Kernel {
			continue
		}
		host := h.Of(r.At)
		g := get(host, r.Wchan)
		g.rows = append(g.rows, r)
		key := fmt.Sprintf("%s\x00%d\x00%d", host, r.PID, r.TID.V)
		if f := first[key]; f == nil {
			first[key] = r
		} else if order.Apart(f.At.Artifact, r.At.Artifact) && f.Wchan == r.Wchan {
			g.lasted = append(g.lasted, r)
		}
	}
	var hung []*fact.KernelEvent
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if e.Event == "hung-task" {
			hung = append(hung, e)
		}
	}
	for _, e := range hung {
		g := get(h.Of(e.At), "")
		for _, o := range byKey {
			if o.host == h.Of(e.At) && slices.ContainsFunc(o.rows, func(r *fact.Process) bool { return r.PID == e.PID || r.TID.Or(0) == int64(e.PID) }) && o.wchan != "" {
				g = o
			}
		}
		g.hung = append(g.hung, e)
	}
	var all []*group
	for _, g := range byKey {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.wchan, b.wchan)) })
	for _, g := range all {
		g.judge(p)
	}
	return nil
}

// most is the largest number of rows that one table shows.
func (g *group) most() int {
	n, count := 0, map[fact.ID]int{}
	for _, r := range g.rows {
		count[r.At.Artifact]++
		n = max(n, count[r.At.Artifact])
	}
	return n
}

func (g *group) judge(p *analyze.Pass) {
	need := p.Threshold("share_wchan")
	n := g.most()
	p.Note("wait channel %q: %d threads in D at once, needs %.0f; %d in two tables; %d hung-task reports", g.wchan, n, need, len(g.lasted), len(g.hung))
	many := float64(n) >= need && g.wchan != ""
	if !many && len(g.lasted) == 0 && len(g.hung) == 0 {
		return
	}
	c := join.ClocksOf(p)
	place := g.wchan
	if place == "" {
		place = "an unknown place"
	}
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(g.host) + "uninterruptible sleep in " + place,
		Severity: analyze.Medium, Confidence: analyze.Possible,
		Fix:      "Look at the device, file server or driver behind that place; signals, SIGKILL too, wait until it answers.",
		Next:     []string{"echo w > /proc/sysrq-trigger; dmesg -T > dmesg.txt", "cat /proc/PID/stack", "ps -eLo pid,tid,stat,wchan:32,args > ps_threads_2.txt"},
		Entities: []analyze.Entity{join.HostsOf(p).Entity(g.host)},
	}
	f.Title = fmt.Sprintf("%d thread%s hang in the kernel (state D) in %s", max(n, len(g.hung)), s(max(n, len(g.hung))), place)
	f.Detail = "A thread in uninterruptible sleep waits for storage, a network file system or a driver, and nothing can end it until that answers."
	if strings.Contains(g.wchan, "nfs") || strings.Contains(g.wchan, "rpc") {
		f.Detail += " The wait channel is that of NFS: look at the file server and the path to it."
	}
	for i, e := range g.hung {
		if i < 4 {
			f.Evidence = append(f.Evidence, c.Date(analyze.Cite(e.At, "the kernel reports a hung task: pid %d (%s)", e.PID, e.Comm), c.Kernel(e)))
		}
	}
	seen := map[int]bool{}
	for _, r := range slices.Concat(g.lasted, g.rows) {
		if len(f.Evidence) < 8 && !seen[r.At.Line] {
			f.Evidence = append(f.Evidence, analyze.Cite(r.At, "pid %d in state %s%s", r.PID, r.State, at(r.Wchan)))
			seen[r.At.Line] = true
		}
		if pr := join.ProcessesOf(p).Get(g.host, r.PID); pr != nil && len(f.Entities) < 32 && !slices.Contains(f.Entities, pr.Entity()) {
			f.Entities = append(f.Entities, pr.Entity())
		}
	}
	switch {
	case len(g.hung) > 0:
		f.Severity, f.Confidence = analyze.High, analyze.Confirmed
		f.From, _, _ = c.UTC(g.hung[0].At.Artifact, g.hung[0].Time)
	case len(g.lasted) > 0:
		f.Confidence = analyze.Likely
	default:
		f.Missing = []string{"a second table: one sample may catch ordinary IO"}
	}
	p.Report(f)
}

func at(wchan string) string {
	if wchan == "" {
		return ""
	}
	return " in " + wchan
}

func s(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
