package audit

import (
	"bytes"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// trail collects what a log covers.
type trail struct {
	at          fact.Ref
	events      int
	first, last int64 // milliseconds
	enriched    bool
	interpreted bool
	wall        bool
	filtered    bool
	killRule    bool
	execRule    bool
	lost        int64
	lostAt      fact.Ref
	gapAt       fact.Ref
	node        string
	nodes       int
	boots       []bootSpan
}

// bootSpan is a run of serials of one boot of one node: serials count up from a
// boot, so a fall by more than records can be out of order starts another.
type bootSpan struct {
	node      string
	min, max  uint64
	seen      int64
	maxAt     fact.Ref
	lastStamp int64
}

const (
	serialSlack = 10000   // how far serials of one boot run out of order
	serialWrap  = 1 << 32 // serials are 32 bits
)

func (t *trail) init(at fact.Ref) { t.at = at }

// count notes a complete event.
func (t *trail) count(a *Assembler, g *group, c class) {
	t.events++
	stamp := g.key.stamp
	if t.events == 1 || stamp < t.first {
		t.first = stamp
	}
	if t.events == 1 || stamp > t.last {
		t.last = stamp
	}
	if t.events == 1 {
		t.node, t.nodes = g.key.node, 1
	} else if t.nodes == 1 && t.node != g.key.node {
		t.nodes = 2
	}
	t.interpreted = t.interpreted || g.interpreted
	t.wall = t.wall || g.wall
	if !t.enriched && bytes.IndexByte(g.buf, enrichment) >= 0 {
		t.enriched = true
	}
	switch c {
	case classSignal, classProbe:
		t.killRule = true
	case classExec:
		t.execRule = true
	}
	// The daemon numbers its own records from a random start.
	if !bytes.HasPrefix(g.kind(g.recs[0]), []byte("DAEMON_")) {
		t.serial(g.key, a.ref(g.recs[0]))
	}
}

func (t *trail) serial(k groupKey, at fact.Ref) {
	for i := len(t.boots) - 1; i >= 0; i-- {
		b := &t.boots[i]
		if b.node != k.node {
			continue
		}
		s := k.serial
		if b.max > serialWrap-serialSlack && s < serialSlack {
			s += serialWrap
		}
		if s+serialSlack < b.max && k.stamp >= b.lastStamp {
			break // a new boot
		}
		b.seen++
		b.lastStamp = k.stamp
		b.min = min(b.min, s)
		if s > b.max {
			if s > b.max+serialSlack/10 && t.gapAt.IsZero() {
				t.gapAt = at
			}
			b.max, b.maxAt = s, at
		}
		return
	}
	if len(t.boots) < 1024 {
		t.boots = append(t.boots, bootSpan{node: k.node, min: k.serial, max: k.serial, seen: 1, maxAt: at, lastStamp: k.stamp})
	}
}

// learn notes what a decoded event says of the audit system itself.
func (t *trail) learn(ev *fact.AuditEvent) {
	rules := func(args []string) {
		line := strings.Join(args, " ")
		if !strings.Contains(line, "-S") {
			return
		}
		for _, w := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' }) {
			switch strings.TrimPrefix(w, "-S") {
			case "kill", "tkill", "tgkill", "all":
				t.killRule = true
			case "execve", "execveat":
				t.execRule = true
			}
		}
	}
	if ev.Comm == "auditctl" || strings.HasSuffix(ev.Exe, "/auditctl") {
		rules(ev.Argv)
	}
	if n, ok := lostCount(ev.Text); ok && n > 0 {
		if t.lostAt.IsZero() {
			t.lostAt = ev.At
		}
		t.lost = max(t.lost, n)
	}
}

// lostCount reads audit_lost=12 or lost=12.
func lostCount(text string) (int64, bool) {
	for _, token := range []string{"audit_lost=", " lost="} {
		if i := strings.Index(text, token); i >= 0 {
			n, k := digits([]byte(text[i+len(token) : min(len(text), i+len(token)+20)]))
			return n, k > 0
		}
	}
	return 0, false
}

// Lost notes a loss that a line outside of any record tells.
func (a *Assembler) Lost(n int64, at fact.Ref) {
	if a.trail.lostAt.IsZero() {
		a.trail.lostAt = at
	}
	a.trail.lost = max(a.trail.lost, n, 1)
}

func (t *trail) fact() fact.AuditTrail {
	basis := fact.Epoch
	form := ""
	switch {
	case t.interpreted:
		basis, form = fact.LocalNoZone, "interpreted"
	case t.enriched:
		form = "enriched"
	}
	if t.wall {
		basis = fact.LocalNoZone
	}
	out := fact.AuditTrail{
		At: t.at, Events: t.events, Form: form, Boots: max(1, t.bootCount()), KillRule: t.killRule, ExecRule: t.execRule,
		Lost: t.lost, LostAt: t.lostAt, GapAt: t.gapAt, Filtered: t.filtered,
		First: stampTime(t.first, basis), Last: stampTime(t.last, basis),
	}
	if t.wall && t.first == 0 {
		out.First, out.Last = fact.Time{}, fact.Time{}
	}
	if t.nodes == 1 {
		out.Node = t.node
	}
	if !t.filtered {
		for _, b := range t.boots {
			out.SerialGaps += max(0, int64(b.max-b.min)+1-b.seen)
		}
	}
	return out
}

// bootCount is the largest number of boots that one node shows.
func (t *trail) bootCount() int {
	most := 0
	count := map[string]int{}
	for _, b := range t.boots {
		count[b.node]++
		most = max(most, count[b.node])
	}
	return most
}

func stampTime(ms int64, basis fact.Basis) fact.Time {
	return fact.Time{T: time.UnixMilli(ms).UTC(), Basis: basis, Precision: time.Millisecond}
}
