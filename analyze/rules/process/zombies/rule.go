// Package zombies finds parents that do not collect their dead children.
package zombies

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
const ID = "process/zombies"

//go:embed doc.md
var doc string

// Rule finds many or old zombies of one parent.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "zombies", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"process"},
		Wants: []fact.Kind{"process_table", "host_info"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 20, Unit: "processes", Doc: "zombies of one parent in one table that are worth a finding"},
			{Name: "old", Default: 600, Unit: "seconds", Doc: "age from which a single zombie counts"},
		},
		Run: run,
	}
}

// brood are the zombies of one parent.
type brood struct {
	host   string
	parent int64
	rows   []*fact.Process // of the table with most of them
	tables []fact.ID       // that show some
	fewer  []*fact.Process // of an earlier table, from which they became more
	lasted []*fact.Process // seen in an earlier table too
	old    []*fact.Process // by their own elapsed time
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, b := range collect(p) {
		b.judge(p)
	}
	return nil
}

func collect(p *analyze.Pass) []*brood {
	h, order := join.HostsOf(p), join.SamplesOf(p)
	old := p.Threshold("old") * 1000
	byKey := map[string]*brood{}
	var all []*brood
	first := map[string]*fact.Process{}
	counts := map[string][]*fact.Process{}
	for r := range fact.All[fact.Process](p.Facts) {
		if r.Thread || !r.Defunct && !strings.HasPrefix(r.State, "Z") || !r.PPID.Known {
			continue
		}
		host := h.Of(r.At)
		key := fmt.Sprintf("%s\x00%d", host, r.PPID.V)
		b := byKey[key]
		if b == nil {
			b = &brood{host: host, parent: r.PPID.V}
			byKey[key] = b
			all = append(all, b)
		}
		table := key + "\x00" + string(r.At.Artifact)
		if counts[table] == nil {
			b.tables = append(b.tables, r.At.Artifact)
		}
		counts[table] = append(counts[table], r)
		if len(counts[table]) > len(b.rows) {
			b.rows = counts[table]
		}
		same := fmt.Sprintf("%s\x00%d", key, r.PID)
		if f := first[same]; f == nil {
			first[same] = r
		} else if order.Apart(f.At.Artifact, r.At.Artifact) {
			b.lasted = append(b.lasted, r)
		}
		if float64(r.EtimeMS.Or(0)) >= old {
			b.old = append(b.old, r)
		}
	}
	for _, b := range all {
		most := b.rows[0].At.Artifact
		for _, id := range b.tables {
			rows := counts[fmt.Sprintf("%s\x00%d\x00%s", b.host, b.parent, id)]
			if len(rows) < len(b.rows) && len(rows) > len(b.fewer) && order.Apart(id, most) && order.Compare(id, most) < 0 {
				b.fewer = rows
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *brood) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.parent, b.parent)) })
	return all
}

func (b *brood) judge(p *analyze.Pass) {
	many := p.Threshold("many")
	p.Note("parent %d: %d zombies, needs %.0f; %d old ones", b.parent, len(b.rows), many, len(b.old))
	if float64(len(b.rows)) < many && len(b.old) == 0 {
		return
	}
	f := analyze.Finding{
		Severity: analyze.Medium, Confidence: analyze.Likely,
		Subject: fmt.Sprintf("%sprocess %d", join.HostsOf(p).Prefix(b.host), b.parent),
		Fix:     "Let the parent wait for its children (handle SIGCHLD); in a container run an init such as tini as pid 1.",
		Next:    []string{fmt.Sprintf("cat /proc/%d/stack /proc/%d/wchan", b.parent, b.parent)},
	}
	name := ""
	if pr := join.ProcessesOf(p).Get(b.host, int(b.parent)); pr != nil {
		f.Subject = pr.String()
		f.Entities = append(f.Entities, pr.Entity())
		if pr.Name() != "" {
			name = " (" + pr.Name() + ")"
		}
		if len(pr.Rows) > 0 {
			f.Evidence = append(f.Evidence, analyze.Cite(pr.Rows[0].At, "the parent"))
		}
	}
	what := fmt.Sprintf("%d zombies", len(b.rows))
	if float64(len(b.rows)) < many {
		what = fmt.Sprintf("%d zombie%s older than %.0f minutes", len(b.old), map[bool]string{true: "", false: "s"}[len(b.old) == 1], p.Threshold("old")/60)
		f.Severity = analyze.Low
	}
	f.Title = fmt.Sprintf("Process %d%s does not collect its dead children: %s", b.parent, name, what)
	f.Detail = "A zombie holds no memory but its process number and table entry; they are used up one by one until fork fails. The parent is blocked, or never waits for its children."
	if b.parent == 1 {
		f.Detail += " Pid 1 must collect every orphan: in a container the service itself often is pid 1 and does not."
	}
	if len(b.lasted) > 0 {
		f.Confidence = analyze.Confirmed
		f.Detail += fmt.Sprintf(" %d of them stand in two tables.", len(b.lasted))
	}
	if len(b.fewer) > 0 && len(b.lasted) >= len(b.fewer) {
		// None went, more came: the parent never waits, and the table fills up.
		f.Severity = analyze.High
		f.Title += fmt.Sprintf(", %d at first", len(b.fewer))
		f.Detail += fmt.Sprintf(" They became more, from %d to %d, and none of the first ones went.", len(b.fewer), len(b.rows))
		f.Evidence = append(f.Evidence, analyze.Cite(b.fewer[0].At, "the first of %d zombies in the earlier table", len(b.fewer)))
	}
	for i, r := range slices.Concat(b.rows, b.old) {
		if i == 4 {
			break
		}
		f.Evidence = append(f.Evidence, analyze.Cite(r.At, "zombie pid %d", r.PID))
	}
	p.Report(f)
}
