// Package crashsawtooth finds programs that end and start again at a steady pace.
package crashsawtooth

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/crash-sawtooth"

//go:embed doc.md
var doc string

// Rule finds series of starts in logs, audit trails and process tables, and
// numbers that climb and fall off a cliff.
func Rule() *analyze.Rule {
	ended := "each end in the series is one such end"
	return &analyze.Rule{
		ID: ID, Title: "crash sawtooth", Doc: doc, Severity: analyze.Medium,
		AnyOf: []fact.Kind{"log_event", "audit_event", "process", "metric"},
		Wants: []fact.Kind{"process_table", "log", "host_info", "socket"},
		Thresholds: []analyze.Threshold{
			{Name: "starts", Default: 3, Unit: "starts", Doc: "starts of one program that make a series"},
			{Name: "steady", Default: 0.5, Unit: "", Doc: "largest coefficient of variation of the time between starts"},
			{Name: "pace", Default: 2, Unit: "seconds", Doc: "shortest mean time between starts; faster ones are workers that start together"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/oom-kill", Via: join.KindProcess, Why: ended},
			{Rule: "process/exec-maxbuffer", Via: join.KindProcess, Why: ended},
			{Rule: "process/operator-kill", Via: join.KindProcess, Why: ended},
			{Rule: "process/supervisor-stop", Via: join.KindProcess, Why: ended},
			{Rule: "process/signal-sender", Via: join.KindProcess, Why: ended},
			{Rule: "socket/established-leak", Via: join.KindProcess, Why: "what leaks forces the restarts"},
			{Rule: "socket/close-wait-leak", Via: join.KindProcess, Why: "what leaks forces the restarts"},
			{Rule: "socket/port-conflict", Via: join.KindProcess, Why: "it ends because the port is taken"},
		},
		Run: run,
	}
}

// series is one program's starts.
type series struct {
	host, what string
	starts     []start
	ends       []*fact.LogEvent // abnormal ends between them
	pids       []int
}

type start struct {
	at  fact.Ref
	t   time.Time
	raw fact.Time
	pid int
}

func run(_ context.Context, p *analyze.Pass) error {
	inLogs(p)
	inTrail(p)
	inTables(p)
	inMetrics(p)
	return nil
}

// pace is the mean time between starts and how much it varies.
func (s *series) pace() (mean time.Duration, variation float64) {
	n := len(s.starts) - 1
	if n < 1 {
		return 0, math.Inf(1)
	}
	var sum, square float64
	for i := range n {
		d := s.starts[i+1].t.Sub(s.starts[i].t).Seconds()
		sum += d
		square += d * d
	}
	m := sum / float64(n)
	if m <= 0 {
		return 0, math.Inf(1)
	}
	return time.Duration(m * float64(time.Second)), math.Sqrt(max(0, square/float64(n)-m*m)) / m
}

// steady reports whether the starts come often and evenly enough.
func (s *series) steady(p *analyze.Pass) (mean time.Duration, ok bool) {
	mean, variation := s.pace()
	if len(s.starts) > 1 {
		p.Note("%s: %d starts, every %s, variation %.2f", s.what, len(s.starts), mean.Round(time.Second), variation)
	}
	return mean, float64(len(s.starts)) >= p.Threshold("starts") && variation <= p.Threshold("steady") && mean.Seconds() >= p.Threshold("pace")
}

// inLogs looks for the same start message again and again in one log, with an
// abnormal end before each. Ends with code 0 or by SIGTERM are reloads.
func inLogs(p *analyze.Pass) {
	type key struct {
		id    fact.ID
		shape string
	}
	byKey := map[key]*series{}
	var order []key
	ends := map[fact.ID][]*fact.LogEvent{}
	h := join.HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if !l.Known() {
			continue
		}
		if abnormal(l) {
			ends[l.At.Artifact] = append(ends[l.At.Artifact], l)
			continue
		}
		if !slices.Contains(l.Signs, fact.SignStart) || slices.Contains(l.Signs, fact.SignStop) || l.Shape == "" {
			continue
		}
		k := key{l.At.Artifact, l.Shape}
		if byKey[k] == nil {
			byKey[k] = &series{host: h.Of(l.At), what: fmt.Sprintf("%q in %s", short(unnumbered(l)), l.At.Artifact)}
			order = append(order, k)
		}
		s := byKey[k]
		s.starts = append(s.starts, start{at: l.At, t: l.T, raw: l.Time})
		s.pids = append(s.pids, l.PIDs...)
		if l.PID.Known {
			s.pids = append(s.pids, int(l.PID.V))
		}
	}
	for _, k := range order {
		s := byKey[k]
		mean, ok := s.steady(p)
		if !ok {
			continue
		}
		between := 0
		for i := 1; i < len(s.starts); i++ {
			for _, e := range ends[k.id] {
				if !e.T.Before(s.starts[i-1].t) && !e.T.After(s.starts[i].t) {
					s.ends = append(s.ends, e)
					between++
					break
				}
			}
		}
		if between*2 < len(s.starts)-1 {
			p.Note("%s: only %d of %d starts follow an abnormal end", s.what, between, len(s.starts)-1)
			continue
		}
		s.report(p, mean, analyze.Likely)
	}
}

// unnumbered is the text of a line without the pids in it, which differ from start
// to start.
func unnumbered(l *fact.LogEvent) string {
	text := l.Text
	for _, pid := range append(slices.Clone(l.PIDs), int(l.PID.Or(0))) {
		if pid > 9 {
			text = strings.ReplaceAll(text, fmt.Sprint(pid), "N")
		}
	}
	return text
}

// abnormal reports a statement that a process ended otherwise than asked for.
func abnormal(l *fact.LogEvent) bool {
	if !slices.Contains(l.Signs, fact.SignStop) && !slices.Contains(l.Signs, fact.SignOOM) {
		return l.Level == "fatal"
	}
	switch l.Signal {
	case "SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL":
		return true
	}
	low := strings.ToLower(l.Text)
	for _, w := range []string{"code=1", "code=2", "code 1", "code: 1", "code=137", "code 137", "status=1", "status 1", "exit status", "crash", "core dump", "uncaught", "panic", "fatal", "out of memory", "unexpectedly"} {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}

// inTrail looks for one command line that is executed at a steady pace.
func inTrail(p *analyze.Pass) {
	if !p.Facts.Has("process") {
		return // a service is known by its row in a process table
	}
	byKey := map[string]*series{}
	var order []string
	h := join.HostsOf(p)
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		if e.Syscall != "execve" || len(e.Argv) == 0 || e.Success.Known && !e.Success.V {
			continue
		}
		k := fmt.Sprintf("%s\x00%d\x00%s", h.Of(e.At), e.PPID, strings.Join(e.Argv, "\x00"))
		if byKey[k] == nil {
			byKey[k] = &series{host: h.Of(e.At), what: strings.Join(e.Argv, " ")}
			order = append(order, k)
		}
		s := byKey[k]
		s.starts = append(s.starts, start{at: e.At, t: e.T, raw: e.Time, pid: e.PID})
		s.pids = append(s.pids, e.PID)
	}
	for _, k := range order {
		s := byKey[k]
		if float64(len(s.starts)) < p.Threshold("starts") || !service(p, s) {
			continue
		}
		if mean, ok := s.steady(p); ok {
			s.report(p, mean, analyze.Likely)
		}
	}
}

// service reports whether a command is a service: a process table shows it, and
// its parent is no scheduler.
func service(p *analyze.Pass, s *series) bool {
	for _, pr := range join.ProcessesOf(p).OnHost(s.host) {
		if len(pr.Rows) == 0 || pr.Command != s.what {
			continue
		}
		if pr.Parent != nil {
			switch path.Base(pr.Parent.Name()) {
			case "cron", "crond", "CRON", "atd", "anacron", "watch":
				return false
			}
		}
		return true
	}
	return false
}

// inTables looks for one command of one parent that has another pid in each of
// several tables.
func inTables(p *analyze.Pass) {
	type run struct {
		rows   []*fact.Process
		tables map[fact.Ref]int
	}
	h, order := join.HostsOf(p), join.SamplesOf(p)
	heads := map[fact.ID][]fact.Ref{}
	for t := range fact.All[fact.ProcessTable](p.Facts) {
		heads[t.At.Artifact] = append(heads[t.At.Artifact], t.At)
	}
	byKey := map[string]*run{}
	var keys []string
	for r := range fact.All[fact.Process](p.Facts) {
		if r.Thread || r.Kernel || r.CommandCut || !r.PPID.Known || r.PPID.V == 0 {
			continue
		}
		var head fact.Ref
		for _, t := range heads[r.At.Artifact] {
			if t.Line < r.At.Line {
				head = t
			}
		}
		k := fmt.Sprintf("%s\x00%d\x00%s", h.Of(r.At), r.PPID.V, r.Command)
		if byKey[k] == nil {
			byKey[k] = &run{tables: map[fact.Ref]int{}}
			keys = append(keys, k)
		}
		byKey[k].rows = append(byKey[k].rows, r)
		byKey[k].tables[head]++
	}
	for _, k := range keys {
		g := byKey[k]
		single := true
		for _, n := range g.tables {
			single = single && n == 1
		}
		slices.SortStableFunc(g.rows, func(a, b *fact.Process) int { return order.Compare(a.At.Artifact, b.At.Artifact) })
		s := &series{host: h.Of(g.rows[0].At), what: g.rows[0].Command}
		for _, r := range g.rows {
			if !slices.Contains(s.pids, r.PID) {
				s.pids = append(s.pids, r.PID)
				s.starts = append(s.starts, start{at: r.At, pid: r.PID})
			}
		}
		if !single || len(g.tables) < 3 || float64(len(s.starts)) < p.Threshold("starts") || strings.HasPrefix(s.what, "ps ") || strings.HasPrefix(s.what, "sleep ") {
			continue
		}
		s.report(p, 0, analyze.Possible)
	}
}

func (s *series) report(p *analyze.Pass, mean time.Duration, sure analyze.Confidence) {
	c := join.ClocksOf(p)
	f := analyze.Finding{
		Subject:  join.HostsOf(p).Prefix(s.host) + "restarts of " + short(s.what),
		Title:    fmt.Sprintf("%s was started %d times", short(s.what), len(s.starts)),
		Severity: analyze.Medium, Confidence: sure,
		Detail: "A program that ends and is started again at a steady pace is in a crash loop, or is restarted on purpose to hide what grows in it.",
		Fix:    "Find what ends it each time: its last log lines, the kernel log, what grows before the end.",
		Next:   []string{"dmesg -T > dmesg.txt", "the service's log around two ends"},
	}
	if mean > 0 {
		f.Title += fmt.Sprintf(", every %s", mean.Round(time.Second))
	}
	f.From, _, _ = c.UTC(s.starts[0].at.Artifact, s.starts[0].raw)
	f.To, _, _ = c.UTC(s.starts[len(s.starts)-1].at.Artifact, s.starts[len(s.starts)-1].raw)
	for i, b := range s.starts {
		if i < 6 {
			f.Evidence = append(f.Evidence, c.Date(analyze.Cite(b.at, "start %d%s", i+1, pidWord(b.pid)), b.raw))
		}
	}
	for i, e := range s.ends {
		if i < 4 {
			f.Evidence = append(f.Evidence, join.CiteLog(c, e, "an end: %s", short(e.Text)))
		}
		s.pids = append(s.pids, e.PIDs...)
	}
	slices.Sort(s.pids)
	s.pids = slices.Compact(s.pids)
	for _, pid := range s.pids[:min(len(s.pids), 16)] {
		if pr := join.ProcessesOf(p).Get(s.host, pid); pr != nil {
			f.Entities = append(f.Entities, pr.Entity())
		}
	}
	p.Report(f)
}

// growing are words in names of numbers that grow in a leak.
var growing = []string{"rss", "mem", "heap", "handle", "fd", "socket", "conn", "goroutine", "thread"}

// inMetrics looks for numbers that climb and fall sharply at least twice.
func inMetrics(p *analyze.Pass) {
	for m := range fact.All[fact.Metric](p.Facts) {
		low := strings.ToLower(m.Name)
		if float64(len(m.Falls)) < p.Threshold("starts")-1 || m.Rising < 0.7 || m.Max < 4*max(m.Min, 1) ||
			!slices.ContainsFunc(growing, func(w string) bool { return strings.Contains(low, w) }) {
			continue
		}
		host := join.HostsOf(p).Of(m.At)
		f := analyze.Finding{
			Subject:  fmt.Sprintf("%s%s in %s", join.HostsOf(p).Prefix(host), m.Name, m.At.Artifact),
			Title:    fmt.Sprintf("%s climbs to %.0f and falls off a cliff %d times", m.Name, m.Max, len(m.Falls)),
			Detail:   "A number that only grows until it drops to nothing is a leak that restarts hide; each drop is a restart.",
			Severity: analyze.Medium, Confidence: analyze.Likely,
			Evidence: []analyze.Evidence{analyze.Cite(m.MaxAt, "its highest value, %.0f", m.Max)},
			Fix:      "Find what grows; the restarts only hide it.",
		}
		for i, r := range m.Falls {
			if i < 5 {
				f.Evidence = append(f.Evidence, analyze.Cite(r, "it falls"))
			}
		}
		if pid := m.Labels["pid"]; pid != "" {
			for _, pr := range join.ProcessesOf(p).OnHost(host) {
				if fmt.Sprint(pr.PID) == pid {
					f.Entities = append(f.Entities, pr.Entity())
				}
			}
		}
		p.Report(f)
	}
}

func pidWord(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(": pid %d", pid)
}

func short(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
