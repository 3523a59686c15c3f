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
		if ev.timeout != "" {
			p.Note("%s: %s", k.Tell(), ev.timeout)
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
	if !e.Known {
		return "nothing but the audit trail knows the target"
	}
	return ""
}

// evidence is what speaks for and against exec's limit.
type evidence struct {
	cites   []analyze.Evidence
	against []analyze.Evidence
	says    []string
	decided bool
	timeout string
	limit   float64 // maxBuffer, from the source where it says so
}

// weigh looks for what tells exec's limit from its timeout and from child.kill.
func weigh(p *analyze.Pass, e *join.Episode) evidence {
	ev := evidence{limit: p.Threshold("max_buffer")}
	ev.source(p, e)
	ev.message(p, e)
	ev.volume(p, e)
	return ev
}

// source reads calls in the launcher's own source file.
func (ev *evidence) source(p *analyze.Pass, e *join.Episode) {
	script := ""
	for _, a := range strings.Fields(e.Root.Sender.Command)[min(1, len(strings.Fields(e.Root.Sender.Command))):] {
		if !strings.HasPrefix(a, "-") {
			script = a
			break
		}
	}
	for c := range fact.All[fact.SourceCall](p.Facts) {
		if script != "" && path.Base(string(c.At.Artifact)) != path.Base(script) {
			continue
		}
		switch {
		case strings.HasSuffix(c.Name, ".kill"):
			ev.against = append(ev.against, analyze.Cite(c.At, "the launcher's source also calls kill itself"))
		case strings.HasSuffix(c.Name, "exec"), strings.HasSuffix(c.Name, "execFile"):
			if limit := c.Options["timeout"]; limit != "" && limit != "0" {
				ev.timeout = fmt.Sprintf("%s starts it with a timeout of %s ms, which sends the same signal", c.At, limit)
			}
			note := "the launcher starts its child with exec"
			if m := c.Options["maxBuffer"]; m != "" {
				note += " and maxBuffer " + m
				if n, err := strconv.ParseFloat(m, 64); err == nil && n > 0 {
					ev.limit = n
				}
			}
			ev.cites = append(ev.cites, analyze.Cite(c.At, "%s", note))
			ev.says = append(ev.says, fmt.Sprintf("%s says so: %s", c.At, strings.TrimSpace(c.Text)))
			ev.decided = true
		}
	}
}

// message looks for Node's own words about the limit.
func (ev *evidence) message(p *analyze.Pass, e *join.Episode) {
	h := join.HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) == e.Root.Host && (strings.Contains(l.Text, "STDIO_MAXBUFFER") || strings.Contains(l.Text, "maxBuffer length exceeded") || strings.Contains(l.Text, "maxBuffer exceeded")) {
			ev.cites = append(ev.cites, join.CiteLog(join.ClocksOf(p), l, "Node reports the limit itself"))
			ev.says = append(ev.says, fmt.Sprintf("Node reports it itself in %s", l.At))
			ev.decided, ev.timeout = true, ""
			return
		}
	}
}

// volume compares what the launcher read before the kill with the limit. The
// counter also holds what it read to start, so it may be above.
func (ev *evidence) volume(p *analyze.Pass, e *join.Episode) {
	limit, slack := ev.limit, p.Threshold("read_slack")
	read, at, ok := readBytes(p, e)
	if !ok {
		return
	}
	switch {
	case read >= limit && read <= limit*(1+slack):
		ev.cites = append(ev.cites, analyze.Cite(at, "the launcher had read %.0f bytes when it stopped reading; exec's limit is %.0f", read, limit))
		ev.says = append(ev.says, fmt.Sprintf("the launcher had read %.0f bytes, just above the limit of %.0f", read, limit))
		ev.decided, ev.timeout = true, ""
	case read < limit/2:
		ev.against = append(ev.against, analyze.Cite(at, "the launcher had read only %.0f bytes, exec's limit is %.0f", read, limit))
	default:
		p.Note("the launcher read %.0f bytes, the limit is %.0f", read, limit)
	}
}

// readBytes is the most that /proc/PID/io of the launcher shows as read.
func readBytes(p *analyze.Pass, e *join.Episode) (read float64, at fact.Ref, ok bool) {
	pid := strconv.Itoa(e.Root.Sender.PID)
	h := join.HostsOf(p)
	mine := func(r fact.Ref, label string) bool {
		words := strings.FieldsFunc(path.Base(string(r.Artifact)), func(c rune) bool { return c < '0' || c > '9' })
		return h.Of(r) == e.Root.Host && (label == pid || label == "" && slices.Contains(words, pid))
	}
	for m := range fact.All[fact.Metric](p.Facts) {
		if m.Name == "rchar" && mine(m.At, m.Labels["pid"]) && m.Max > read {
			read, at, ok = m.Max, m.MaxAt, true
			if at.IsZero() {
				at = m.At
			}
		}
	}
	for c := range fact.All[fact.Counter](p.Facts) {
		label := ""
		if c.PID > 0 {
			label = strconv.Itoa(c.PID)
		}
		if c.Name == "rchar" && mine(c.At, label) && float64(c.Value) > read {
			read, at, ok = float64(c.Value), c.At, true
		}
	}
	return read, at, ok
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
	if story.Harm == "" {
		f.Severity = analyze.Medium
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
		"(1 MiB by default, 200 KiB before Node 12). A service that logs to stdout reaches that sooner or later. The sender is the parent of its target, no process manager, "+
		"no login session and no shell is involved. Tree: %s.", target.Tree())}
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
