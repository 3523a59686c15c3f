// Package supervisorstop finds services that a process manager ended.
package supervisorstop

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/supervisor-stop"

//go:embed doc.md
var doc string

// Rule finds deadly signals from init systems, container runtimes and process
// managers.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "ended by its supervisor", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"audit_event", "log_event"},
		Wants: []fact.Kind{"process", "process_table", "log", "host_info", "socket"},
		Thresholds: []analyze.Threshold{
			{Name: "repeats", Default: 3, Unit: "stops", Doc: "stops of one command by one supervisor that make a pattern"},
			{Name: "error_window", Default: 60, Unit: "seconds", Doc: "how long after a stop errors count as its effect"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	groups := map[string][]*join.Episode{}
	var order []string
	for _, e := range join.EpisodesOf(p) {
		k := e.Root
		if k.Role != join.RoleSupervisor {
			continue
		}
		if !e.Known {
			p.Note("%s: nothing but the audit trail knows the target", k.Tell())
			continue
		}
		key := fmt.Sprint(k.Host, "\x00", k.Sender.PID, "\x00", first(k).Command)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], e)
	}
	told := map[fact.Ref]bool{} // statements that stand in a finding already
	for _, key := range order {
		report(p, groups[key], told)
	}
	statements(p, told)
	return nil
}

func first(k *join.Kill) *join.Process {
	if len(k.Targets) == 0 {
		return &join.Process{}
	}
	return k.Targets[0]
}

func report(p *analyze.Pass, stops []*join.Episode, told map[fact.Ref]bool) {
	e := stops[0]
	k := e.Root
	story := e.Tell(p)
	target := first(k)
	after := errorsAfter(p, e)
	f := analyze.Finding{
		Subject:  fmt.Sprintf("%s, stopped by %s", target, k.Sender.Name()),
		Title:    fmt.Sprintf("%s (pid %d), a process manager, sent %s to %s", k.Sender.Name(), k.Sender.PID, k.Signal, e.Targets()),
		Severity: analyze.Low, Confidence: analyze.Confirmed, From: k.At, To: stops[len(stops)-1].Root.At,
		Evidence: story.Evidence, Entities: story.Entities,
		Fix:  "Find in the manager's own log or policy why it stopped it: failed probe, memory limit, timeout, deploy.",
		Next: []string{"the process manager's own log and the unit, pod or ecosystem file of the service"},
	}
	detail := []string{fmt.Sprintf("The kernel recorded it: %s; the target is %s. A process manager acts on a policy or on a request, so it is the messenger; what made it act stands in its own log.", k.Tell(), k.Relation)}
	// Scripts bound short runs all day long, and their end leaves nothing to miss.
	bounded := k.Sender.Name() == "timeout" && !e.Serves(p) && k.Signal != "SIGKILL"
	severe := special(&f, e)
	severe = severe || story.Harm != "" && (k.Signal == "SIGKILL" || k.Sender.Name() == "timeout" && !bounded)
	if kill := e.Escalated(); kill != nil && kill != k {
		grace := kill.Event.T.Sub(k.Event.T).Round(100 * time.Millisecond)
		detail = append(detail, fmt.Sprintf("The target did not end within %s after %s and got SIGKILL.", grace, k.Signal))
		severe = true
	}
	if n := len(stops); float64(n) >= p.Threshold("repeats") && !bounded {
		detail = append(detail, fmt.Sprintf("It happened %d times.", n))
		severe = true
	}
	for i, s := range stops[1:] {
		f.Entities = append(f.Entities, s.Root.Entity())
		if i < 4 {
			f.Evidence = append(f.Evidence, s.Root.CiteShort())
		}
	}
	if story.Harm != "" && len(after) > 0 {
		detail = append(detail, fmt.Sprintf("%d errors were logged within %.0f s of it.", len(after), p.Threshold("error_window")))
		f.Evidence = append(f.Evidence, after[:min(len(after), 3)]...)
		severe = true
	}
	if story.Harm != "" && len(e.Gone) > 0 && len(e.Replaced) == 0 && !bounded {
		detail = append(detail, "Nothing runs its command any more in the later process table.")
		severe = true
	}
	f.Evidence = append(f.Evidence, ownWords(p, e)...)
	if why, at, ok := reason(p, e); ok {
		f.Title += ": " + why
		detail = append(detail, "The manager says why: "+why+".")
		f.Evidence = append(f.Evidence, at)
		told[at.Ref] = true
		severe = severe || story.Harm != ""
	}
	if severe {
		f.Severity = analyze.High
	} else {
		p.Note("%s: %s, no error followed", k.Tell(), orWord(story.Harm, "no harm is seen"))
	}
	for _, s := range []string{story.Followed, story.Left} {
		if s != "" {
			detail = append(detail, s)
		}
	}
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// special words a finding about a sender that is no manager with a plan: a bound on
// a run, or a guard that acts when memory runs short. severe is true for what hurts
// whatever else the bundle shows.
func special(f *analyze.Finding, e *join.Episode) (severe bool) {
	k := e.Root
	switch {
	case k.Sender.Name() == "timeout":
		f.Title = fmt.Sprintf("timeout (pid %d) ended pid %d (%s) with %s: it ran longer than its limit", k.Sender.PID, first(k).PID, first(k).Name(), k.Signal)
		f.Fix = "Take the service out of `timeout`, or raise its limit."
	case memoryGuard(k.Sender):
		f.Title = fmt.Sprintf("%s (pid %d), which ends processes when memory runs short, sent %s to %s", k.Sender.Name(), k.Sender.PID, k.Signal, e.Targets())
		f.Fix = "Find what uses the memory, at the target or beside it, before changing the limits of the guard."
		return true
	}
	return false
}

// memoryGuard reports whether a sender is one of the daemons that end processes
// before the kernel has to, which they do for no other reason.
func memoryGuard(p *join.Process) bool {
	switch p.Name() {
	case "earlyoom", "systemd-oomd", "oomd", "nohang":
		return true
	}
	return false
}

func orWord(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// errorsAfter lists errors that programs of the host logged after the stop, other
// than about the stop itself.
func errorsAfter(p *analyze.Pass, e *join.Episode) []analyze.Evidence {
	h, c := join.HostsOf(p), join.ClocksOf(p)
	var out []analyze.Evidence
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) != e.Root.Host || l.Errno == "" || slices.Contains(e.Ended, l) {
			continue
		}
		at, _, ok := c.UTC(l.At.Artifact, l.Time)
		if !ok || e.Root.At.IsZero() || at.Before(e.Root.At) || at.Sub(e.Root.At).Seconds() > p.Threshold("error_window") {
			continue
		}
		out = append(out, join.CiteLog(c, l, "after the stop: %s", l.Errno))
	}
	return out
}

// ownWords cites what the manager's own log says around the stop.
func ownWords(p *analyze.Pass, e *join.Episode) []analyze.Evidence {
	h, c := join.HostsOf(p), join.ClocksOf(p)
	var out []analyze.Evidence
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if len(out) == 3 || h.Of(l.At) != e.Root.Host || !slices.Contains(e.Root.Sender.Logs, l.At.Artifact) {
			continue
		}
		at, _, ok := c.UTC(l.At.Artifact, l.Time)
		if gap := at.Sub(e.Root.At); ok && !e.Root.At.IsZero() && gap > -15*time.Second && gap < 3*time.Second {
			out = append(out, join.CiteLog(c, l, "the manager's own log: %s", l.Text))
		}
	}
	return out
}

// reason is what a manager's log says around the stop that made it act.
func reason(p *analyze.Pass, e *join.Episode) (why string, at analyze.Evidence, ok bool) {
	h, c := join.HostsOf(p), join.ClocksOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) != e.Root.Host || !manager(l) && !slices.Contains(e.Root.Sender.Logs, l.At.Artifact) {
			continue
		}
		when, _, known := c.UTC(l.At.Artifact, l.Time)
		if gap := when.Sub(e.Root.At); !known || e.Root.At.IsZero() || gap < -time.Minute || gap > 3*time.Second {
			continue
		}
		if s, ok := stated(l.Text); ok {
			return s.why, join.CiteLog(c, l, "why the manager acted: %s", l.Text), true
		}
	}
	return "", at, false
}

// stated finds the statement that a text makes.
func stated(text string) (statement, bool) {
	low := strings.ToLower(text)
	for _, s := range statementsOf {
		if !slices.ContainsFunc(s.all, func(w string) bool { return !strings.Contains(low, w) }) {
			return s, true
		}
	}
	return statement{}, false
}

// statement is a manager's own sentence that it ended a service because it had to.
type statement struct {
	all []string // words that must all be there, lower case
	why string
	// nameless statements do not say whom they are about.
	nameless bool
}

var statementsOf = [...]statement{
	{all: []string{"timed out", "killing"}, why: "it did not stop within the stop timeout and was killed"},
	{all: []string{"stop-sigterm' timed out"}, why: "it did not stop within the stop timeout and was killed"},
	{all: []string{"watchdog timeout"}, why: "it did not answer its watchdog"},
	{all: []string{"start operation timed out"}, why: "it did not report that it was ready in time"},
	{all: []string{"failed liveness probe"}, why: "its liveness probe failed"},
	{all: []string{"max_memory_restart"}, why: "it exceeded the manager's memory limit"},
	{all: []string{"exceed", "memory", "restart"}, why: "it exceeded the manager's memory limit"},
	{all: []string{"exceed", "memory", "limit"}, why: "it exceeded the manager's memory limit"},
	{all: []string{"failed", "health check"}, why: "its health check failed"},
	{all: []string{"due to memory pressure"}, why: "memory was short (pressure over the limit of systemd-oomd)"},
	{all: []string{"systemd-oomd killed"}, why: "memory was short, and systemd-oomd killed it"},
	{all: []string{"low memory", "at or below"}, why: "memory was short", nameless: true},
	{all: []string{"killed by the oom killer"}, why: "the kernel's OOM killer ended a process of it"},
	{all: []string{"reached runtime time limit"}, why: "it ran longer than its time limit (RuntimeMaxSec)"},
}

// statements reports what managers say in logs where no audit trail shows it.
func statements(p *analyze.Pass, told map[fact.Ref]bool) {
	c := join.ClocksOf(p)
	h := join.HostsOf(p)
	seen := map[string]bool{}
	for l := range fact.All[fact.LogEvent](p.Facts) {
		said, ok := stated(l.Text)
		if !ok || said.nameless || !manager(l) {
			continue
		}
		end, unit := endAfter(p, l), unitOf(l.Text)
		if end != nil && !strings.Contains(l.Text, unit+":") {
			unit = unitOf(end.Text)
		}
		key := h.Of(l.At) + "\x00" + unit + "\x00" + said.why
		if seen[key] {
			continue
		}
		seen[key] = true
		f := analyze.Finding{
			Subject:  h.Prefix(h.Of(l.At)) + "service " + unit,
			Title:    fmt.Sprintf("The process manager ended %s: %s", unit, said.why),
			Detail:   fmt.Sprintf("The manager says so itself: %s", l.Text),
			Severity: analyze.Medium, Confidence: analyze.Likely,
			Evidence: []analyze.Evidence{join.CiteLog(c, l, "the manager's own words")},
			Entities: []analyze.Entity{{Kind: join.KindUnit, Key: h.Of(l.At) + "/" + unit, Name: unit}},
			Fix:      "Find why the service did not answer in time before raising the manager's limit.",
		}
		if at, _, ok := c.UTC(l.At.Artifact, l.Time); ok {
			f.From, f.To = at, at
		}
		if end != nil {
			f.Severity = analyze.High
			f.Evidence = append(f.Evidence, join.CiteLog(c, end, "the end that follows: %s", end.Text))
		}
		ps := join.ProcessesOf(p)
		for _, pid := range l.PIDs {
			if pr := ps.Get(h.Of(l.At), pid); pr != nil {
				f.Entities = append(f.Entities, pr.Entity())
			}
		}
		if !told[l.At] {
			p.Report(f)
		}
	}
}

// endAfter is the line of the same log that states the end of what a statement is
// about, nil if none does.
func endAfter(p *analyze.Pass, said *fact.LogEvent) *fact.LogEvent {
	const within = 2 * time.Minute
	unit := unitOf(said.Text)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if l.At.Artifact != said.At.Artifact || l.At.Line <= said.At.Line || !slices.Contains(l.Signs, fact.SignStop) || l.Signal == "" {
			continue
		}
		if gap, ok := join.ClocksOf(p).Between(said, l); !ok || gap > within {
			return nil
		}
		if named := strings.HasSuffix(unit, ".service") || strings.HasSuffix(unit, ".scope"); !named || strings.Contains(l.Text, unit) {
			return l
		}
	}
	return nil
}

// manager reports whether a log line is a process manager's.
func manager(l *fact.LogEvent) bool {
	name := strings.ToLower(l.Source + " " + path.Base(string(l.At.Artifact)))
	for _, w := range []string{"systemd", "kubelet", "pm2", "supervisor", "docker", "containerd", "monit", "god", "init", "journal", "messages", "syslog", "events", "oom"} {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// unitOf is the first word of a statement that looks like a unit's name.
func unitOf(text string) string {
	for _, w := range strings.Fields(text) {
		w = path.Base(strings.Trim(w, ":,\"'"))
		if strings.HasSuffix(w, ".service") || strings.HasSuffix(w, ".scope") {
			return w
		}
	}
	if i := strings.Index(text, "App ["); i >= 0 {
		if j := strings.IndexByte(text[i:], ']'); j > 0 {
			return text[i+5 : i+j]
		}
	}
	w, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.Trim(w, ":,\"'")
}
