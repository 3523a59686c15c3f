// Package execmaxbuffer finds children that Node's own exec ended because they
// wrote more than its output limit.
package execmaxbuffer

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// ID is the rule's identity.
const ID = "process/exec-maxbuffer"

//go:embed doc.md
var doc string

// Rule finds a SIGTERM from a Node process to its own child that nothing but
// child_process.exec explains.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "child ended by exec's output limit", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"audit_event"},
		Wants: []fact.Kind{"process", "process_table", "log_event", "log", "host_info", "socket", "source_call", "metric", "counter"},
		Thresholds: []analyze.Threshold{
			{Name: "max_buffer", Default: 1 << 20, Unit: "bytes", Doc: "exec's default maxBuffer: 1 MiB since Node 12, 200 KiB before"},
			{Name: "read_slack", Default: 0.25, Unit: "share", Doc: "how far what the launcher read may be from maxBuffer and still speak for it"},
		},
		Run: run,
	}
}

// node are the runtimes that share child_process.
func node(e *fact.AuditEvent) bool {
	name := strings.TrimRight(path.Base(e.Exe), "0123456789.-")
	return name == "node" || name == "nodejs" || name == "bun" || name == "electron" || e.Exe == "" && (e.Comm == "node" || e.Comm == "MainThread")
}

func run(_ context.Context, p *analyze.Pass) error {
	found := map[string]*analyze.Finding{}
	var order []string
	for _, e := range join.EpisodesOf(p) {
		k := e.Root
		if k.Role == join.RoleSupervisor || k.Relation != join.ToChild || k.Signal != "SIGTERM" || !node(k.Event) {
			continue
		}
		if why := notExec(e); why != "" {
			p.Note("%s: %s", k.Tell(), why)
			continue
		}
		ev := weigh(p, e)
		if ev.other != "" {
			p.Note("%s: %s", k.Tell(), ev.other)
			continue
		}
		// Without a process table a target that ends its own children in answer must
		// do for a service.
		if !e.Known && !ev.decided && !(e.Unlisted && len(e.Answers) > 0) {
			p.Note("%s: nothing but the audit trail knows the target", k.Tell())
			continue
		}
		f := report(p, e, ev)
		// The same launcher killed again and again is one finding.
		key := k.Host + "\x00" + k.Sender.Command
		if first := found[key]; first != nil && k.Sender.Command != "" {
			first.Detail += fmt.Sprintf("\n\nIt happened again: %s.", k.Tell())
			first.Evidence = append(first.Evidence, k.CiteShort())
			first.Entities = append(first.Entities, f.Entities...)
			first.To = f.To
			continue
		}
		found[key] = f
		order = append(order, key)
	}
	for _, key := range order {
		p.Report(*found[key])
	}
	return nil
}

// notExec says what makes another story of a kill from parent to child.
func notExec(e *join.Episode) string {
	s := e.Root.Sender
	for _, r := range e.Replaced {
		if r.PPID == s.PID {
			return fmt.Sprintf("the sender started the same command again as pid %d: it supervises", r.PID)
		}
	}
	return ""
}

// evidence is what speaks for and against exec's limit.
type evidence struct {
	cites   []analyze.Evidence
	against []analyze.Evidence
	says    []string
	decided bool
	other   string  // another explanation of the same signal, which is better
	limit   float64 // maxBuffer, from the source where it says so
}

// weigh looks for what tells exec's limit from its timeout and from a kill by the
// launcher's own code, which send the same signal.
func weigh(p *analyze.Pass, e *join.Episode) evidence {
	ev := evidence{limit: p.Threshold("max_buffer")}
	ev.source(p, e)
	ev.volume(p, e)
	ev.message(p, e)
	return ev
}

// source reads calls in the launcher's own source file.
func (ev *evidence) source(p *analyze.Pass, e *join.Episode) {
	var kills, starts *fact.SourceCall
	for c := range fact.All[fact.SourceCall](p.Facts) {
		if !ofLauncher(c, e.Root.Sender) {
			continue
		}
		switch {
		case c.Name == "kill" || strings.HasSuffix(c.Name, ".kill"):
			kills = c
		case strings.Contains(c.Name, "child_process.exec"):
			ev.exec(c)
		case strings.HasSuffix(c.Name, ".spawn"), strings.HasSuffix(c.Name, ".fork"):
			starts = c
		}
	}
	switch {
	case kills != nil && !ev.decided && starts != nil:
		ev.other = fmt.Sprintf("%s starts its child without exec, and %s ends it", starts.At, kills.At)
	case kills != nil:
		ev.against = append(ev.against, analyze.Cite(kills.At, "the launcher's source also calls kill itself"))
	}
}

// ofLauncher reports whether a call stands in the script that the sender runs.
func ofLauncher(c *fact.SourceCall, sender *join.Process) bool {
	argv := strings.Fields(sender.Command)
	for _, a := range argv[min(1, len(argv)):] {
		if !strings.HasPrefix(a, "-") {
			name := path.Base(string(c.At.Artifact))
			return name == path.Base(a) || strings.TrimSuffix(name, path.Ext(name)) == path.Base(a)
		}
	}
	return false
}

func (ev *evidence) exec(c *fact.SourceCall) {
	note := "the launcher starts its child with exec"
	if m := c.Options["maxBuffer"]; m != "" {
		note += " and maxBuffer " + m
		if n, err := strconv.ParseFloat(m, 64); err == nil && n > 0 {
			ev.limit = n
		}
		if m == "Infinity" {
			ev.other = fmt.Sprintf("%s sets no limit", c.At)
		}
	}
	if limit := c.Options["timeout"]; limit != "" && limit != "0" {
		ev.other = fmt.Sprintf("%s starts it with a timeout of %s ms, which sends the same signal", c.At, limit)
	}
	ev.cites = append(ev.cites, analyze.Cite(c.At, "%s", note))
	ev.says = append(ev.says, fmt.Sprintf("%s has the call: %s", c.At, strings.TrimSpace(c.Text)))
	ev.decided = true
}

// message looks for Node's own words about the limit.
func (ev *evidence) message(p *analyze.Pass, e *join.Episode) {
	h := join.HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) == e.Root.Host && (strings.Contains(l.Text, "STDIO_MAXBUFFER") || strings.Contains(l.Text, "maxBuffer length exceeded") || strings.Contains(l.Text, "maxBuffer exceeded") ||
			l.Errno == "ENOBUFS" && strings.Contains(l.Text, "spawnSync")) {
			ev.cites = append(ev.cites, join.CiteLog(join.ClocksOf(p), l, "Node reports the limit itself"))
			ev.says = append(ev.says, fmt.Sprintf("Node reports it itself in %s", l.At))
			ev.decided, ev.other = true, ""
			return
		}
	}
}

// volume compares what the launcher read before the kill with the limit. The
// counter also holds what it read to start, so it may be above.
func (ev *evidence) volume(p *analyze.Pass, e *join.Episode) {
	limit, slack := ev.limit, p.Threshold("read_slack")
	read, ok := readBytes(p, e)
	if !ok {
		return
	}
	switch {
	case read.bytes >= limit && read.bytes <= limit*(1+slack)+startBytes:
		ev.cites = append(ev.cites, analyze.Cite(read.at, "the launcher had read %.0f bytes when it stopped reading; exec's limit is %.0f", read.bytes, limit))
		ev.says = append(ev.says, fmt.Sprintf("the launcher had read %.0f bytes, just above the limit of %.0f (%s)", read.bytes, limit, read.at))
		ev.decided, ev.other = true, ""
	case read.bytes < limit/2 && read.covers:
		ev.other = fmt.Sprintf("the launcher had read only %.0f bytes (%s), exec's limit is %.0f", read.bytes, read.at, limit)
	case read.bytes < limit/2:
		ev.against = append(ev.against, analyze.Cite(read.at, "the launcher had read only %.0f bytes, exec's limit is %.0f", read.bytes, limit))
	default:
		p.Note("the launcher read %.0f bytes, the limit is %.0f", read.bytes, limit)
	}
}

// startBytes is what a runtime reads of its own files before the first output.
const startBytes = 512 << 10

// amount is what /proc/PID/io says a process had read.
type amount struct {
	bytes  float64
	at     fact.Ref
	covers bool // the samples reach to the kill
}

func readBytes(p *analyze.Pass, e *join.Episode) (a amount, ok bool) {
	pid := strconv.Itoa(e.Root.Sender.PID)
	h, clocks := join.HostsOf(p), join.ClocksOf(p)
	mine := func(r fact.Ref, label string) bool {
		words := strings.FieldsFunc(path.Base(string(r.Artifact)), func(c rune) bool { return c < '0' || c > '9' })
		return h.Of(r) == e.Root.Host && (label == pid || label == "" && slices.Contains(words, pid))
	}
	for m := range fact.All[fact.Metric](p.Facts) {
		if !strings.HasSuffix(m.Name, "rchar") || !mine(m.At, m.Labels["pid"]) || m.Max <= a.bytes {
			continue
		}
		a, ok = amount{bytes: m.Max, at: m.MaxAt}, true
		if a.at.IsZero() {
			a.at = m.At
		}
		last, _, known := clocks.UTC(m.At.Artifact, m.Last)
		if !known && m.Last.Known() { // its clock may be off by a zone, not by minutes
			last, known = m.Last.T.Add(e.Root.At.Sub(m.Last.T).Round(15*time.Minute)), true
		}
		a.covers = known && !e.Root.At.IsZero() && last.After(e.Root.At.Add(-3*time.Second))
	}
	for c := range fact.All[fact.Counter](p.Facts) {
		label := ""
		if c.PID > 0 {
			label = strconv.Itoa(c.PID)
		}
		if strings.HasSuffix(c.Name, "rchar") && mine(c.At, label) && float64(c.Value) > a.bytes {
			a, ok = amount{bytes: float64(c.Value), at: c.At}, true
		}
	}
	return a, ok
}

func report(p *analyze.Pass, e *join.Episode, ev evidence) *analyze.Finding {
	k := e.Root
	story := e.Tell(p)
	target := k.Targets[0]
	f := &analyze.Finding{
		Subject: k.Sender.String(),
		Title: fmt.Sprintf("%s (pid %d) itself sent SIGTERM to its child %d (%s): child_process.exec ends a child that has written more than maxBuffer",
			k.Sender.Name(), k.Sender.PID, target.PID, target.Name()),
		Severity: analyze.High, Confidence: analyze.Likely,
		From: k.At, To: k.At,
		Evidence: slices.Concat(story.Evidence[:1], ev.cites, story.Evidence[1:]),
		Against:  ev.against, Entities: story.Entities,
		Fix:  "Start the service with spawn and stdio 'inherit' (or pipe its output to a file) instead of exec, which buffers all output and ends the child at maxBuffer.",
		Next: []string{fmt.Sprintf("read the source of %s around exec( and its options", k.Sender.Name()), fmt.Sprintf("while true; do date +%%FT%%T; cat /proc/%d/io; sleep 1; done", k.Sender.PID)},
	}
	if story.Harm == "" && !ev.decided {
		f.Severity = analyze.Medium
	}
	if !e.Known && !ev.decided {
		f.Severity, f.Confidence = analyze.Medium, analyze.Possible
	}
	if ev.decided {
		f.Confidence = analyze.Confirmed
		f.Next = nil
	} else {
		f.Missing = []string{"the launcher's source, which would show exec and its options, or Node's ERR_CHILD_PROCESS_STDIO_MAXBUFFER"}
	}
	if len(ev.against) > 0 {
		f.Confidence = f.Confidence.Lower()
	}
	parts := []string{fmt.Sprintf("child_process.exec collects the child's stdout and stderr in memory and sends the child SIGTERM once either exceeds maxBuffer "+
		"(1 MiB by default, 200 KiB before Node 12). A service that logs to stdout reaches that sooner or later. The sender is the parent of its target, "+
		"and neither a process manager nor a shell or a login session. Tree: %s.", target.Tree())}
	if len(ev.says) > 0 {
		parts = append(parts, "What confirms it: "+strings.Join(ev.says, "; ")+".")
	}
	for _, s := range []string{story.Followed, story.Left} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	f.Detail = strings.Join(parts, "\n\n")
	return f
}
