// Package containerrestart finds containers that an orchestrator had to start again,
// could not start, or put out, and why.
package containerrestart

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
const ID = "process/container-restart"

//go:embed doc.md
var doc string

// Rule finds containers that were killed, crash or do not start.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "container restarts", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"container", "cluster_event"},
		Wants: []fact.Kind{"log_event", "log", "kernel_event", "host_info"},
		Thresholds: []analyze.Threshold{
			{Name: "crashes", Default: 3, Unit: "restarts", Doc: "restarts after which a failing container is a crash loop although nothing says so"},
			{Name: "recent", Default: 24, Unit: "hours", Doc: "older ends are history"},
		},
		Collect: map[fact.Kind]string{
			"container":     "kubectl describe pod POD > describe_POD.txt",
			"cluster_event": "kubectl get events -A --sort-by=.lastTimestamp > events.txt",
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "process/oom-kill", Via: join.KindUnit, Why: "the kernel killed inside the container's cgroup"},
			{Rule: "process/crash", Via: join.KindFile, Why: "the program in the container ended by itself"},
			{Rule: "log/resource-errno", Via: join.KindFile, Why: "the program in the container lacked a resource"},
			{Rule: "log/network-errno", Via: join.KindFile, Why: "the program in the container gives up when its peer fails"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, c := range join.ContainersOf(p) {
		if ago, ok := c.Ago(p); ok && ago > time.Duration(p.Threshold("recent")*float64(time.Hour)) {
			p.Note("%s: its last end is %v old", c, ago.Round(time.Minute))
			continue
		}
		for _, judge := range []func(*analyze.Pass, *join.Container) *analyze.Finding{memory, probe, evicted, crash, unable} {
			if f := judge(p, c); f != nil {
				complete(p, c, f)
				p.Report(*f)
				break
			}
		}
	}
	return nil
}

// memory is for a container that the kernel killed at its limit: only the runtime's
// own word says so, since exit code 137 is any SIGKILL.
func memory(p *analyze.Pass, c *join.Container) *analyze.Finding {
	end := c.End()
	row := said(c, "OOMKilled")
	if row == nil && (end == nil || end.Reason != "OOMKilled") {
		return nil
	}
	f := &analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Title:  fmt.Sprintf("The %s was killed because its memory ran out: OOMKilled%s%s", c, limit(c), again(c)),
		Detail: "The memory of its cgroup reached the limit, and the kernel killed a process in it. The container was not asked to stop.",
		Fix:    "Find what grows (a heap profile, the numbers in its log); raise the limit only if its size is right. A runtime with a heap of its own must know the limit.",
		Next:   []string{"dmesg -T on the node " + node(c) + "> dmesg.txt"},
	}
	if end != nil && end.Reason == "OOMKilled" {
		f.Evidence = append(f.Evidence, ended(end))
	} else {
		f.Evidence = append(f.Evidence, analyze.Cite(row.At, "its state is OOMKilled"))
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		if id := containerID(c); id != "" && e.Event == "oom-kill" && strings.Contains(e.Cgroup, id) {
			host := join.HostsOf(p).Of(e.At)
			f.Entities = append(f.Entities, analyze.Entity{Kind: join.KindUnit, Key: host + "/" + e.Cgroup, Name: e.Cgroup})
			f.Evidence = append(f.Evidence, analyze.Cite(e.At, "the kernel states the kill in its cgroup"))
			break
		}
	}
	return f
}

// probe is for a container that kubelet killed because a probe of it failed.
func probe(p *analyze.Pass, c *join.Container) *analyze.Finding {
	var killing, failed *fact.ClusterEvent
	kind := ""
	for _, e := range c.Events {
		for _, k := range []string{"liveness", "startup"} {
			if !strings.Contains(strings.ToLower(e.Message), k+" probe") {
				continue
			}
			switch e.Reason {
			case "Killing":
				killing, kind = e, k
			case "Unhealthy":
				failed = e
				if kind == "" {
					kind = k
				}
			}
		}
	}
	n, _ := c.Restarts()
	end := c.End()
	switch {
	case killing != nil:
	case failed == nil || n == 0 && end == nil:
		return nil
	case end != nil && end.ExitCode.Known && end.ExitCode.V != 137 && end.ExitCode.V != 143:
		return nil // it ended by itself
	}
	f := &analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Likely,
		Title: fmt.Sprintf("kubelet killed the %s because its %s probe failed%s", c, kind, again(c)),
		Detail: "kubelet asks the probe at its interval; after so many failures it sends SIGTERM, and SIGKILL when the grace period has passed (exit codes 143 and 137). " +
			"A process that is slow or blocked fails the probe as one that is dead does: restarting it helps only the latter.",
		Fix:     "Find why the service does not answer the probe in time; give the probe a time-out that the service meets under load, and let it check only what a restart would mend.",
		Missing: []string{"what the process did while it did not answer"},
		Next:    []string{"a dump of the process (goroutines, jstack, py-spy, gdb) while the probe fails", "kubectl logs POD --previous > previous.log"},
	}
	if killing != nil {
		f.Confidence = analyze.Confirmed
		f.Evidence = append(f.Evidence, cite(p, killing, "kubelet says why: %s", killing.Message))
	}
	if failed != nil {
		f.Title += ": " + strings.TrimSpace(failed.Message[strings.Index(failed.Message, ":")+1:])
		f.Evidence = append(f.Evidence, cite(p, failed, "the probe fails"))
	}
	if end != nil {
		f.Evidence = append(f.Evidence, ended(end))
	}
	return f
}

// evicted is for a pod that kubelet put out to save its node.
func evicted(_ *analyze.Pass, c *join.Container) *analyze.Finding {
	row := said(c, "Evicted")
	if row == nil {
		return nil
	}
	f := &analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Title:    fmt.Sprintf("kubelet evicted the %s: its node ran short of a resource", c),
		Detail:   "Eviction ends whole pods by the usage of the node, those first that use more than they requested.",
		Evidence: []analyze.Evidence{analyze.Cite(row.At, "the pod's reason is Evicted")},
		Fix:      "Find who used up the resource on the node; set requests that are near the real use, so that the pod is not the first to go.",
		Next:     []string{"kubectl describe node NODE > describe_node.txt"},
	}
	if row.Message != "" {
		f.Title = fmt.Sprintf("kubelet evicted the %s: %s", c, strings.TrimRight(row.Message, ". "))
	}
	return f
}

// crash is for a container whose program ends with an error again and again.
func crash(p *analyze.Pass, c *join.Container) *analyze.Finding {
	end := c.End()
	n, row := c.Restarts()
	waiting, at := c.Waiting()
	if waiting != "CrashLoopBackOff" && float64(n) < p.Threshold("crashes") {
		return nil
	}
	code := ""
	if end != nil && end.ExitCode.Known {
		if end.ExitCode.V == 0 {
			return nil
		}
		code = fmt.Sprintf(" with exit code %d", end.ExitCode.V)
	} else if waiting != "CrashLoopBackOff" {
		p.Note("%s: %d restarts, nothing says how it ends", c, n)
		return nil
	}
	f := &analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Likely,
		Title:  fmt.Sprintf("The %s ends%s again and again%s", c, code, again(c)),
		Detail: "Its program ends soon after it was started; kubelet starts it again with growing pauses.",
		Fix:    "Mend what its last words tell of; the log of the container before this one has them.",
		Next:   []string{"kubectl logs POD --previous > previous.log"},
	}
	if end != nil {
		f.Evidence = append(f.Evidence, ended(end))
	}
	if at != nil {
		f.Evidence = append(f.Evidence, analyze.Cite(at.At, "its state is %s", waiting))
	} else if row != nil {
		f.Evidence = append(f.Evidence, analyze.Cite(row.At, "it was restarted %d times", n))
	}
	if l := lastWords(p, c); l != nil {
		f.Title += ": " + words(l.Text)
		f.Evidence = append(f.Evidence, join.CiteLog(join.ClocksOf(p), l, "its last words"))
		f.Entities = append(f.Entities, analyze.Entity{Kind: join.KindFile, Key: string(l.At.Artifact), Name: string(l.At.Artifact)})
	} else {
		f.Missing = append(f.Missing, "the log of the container before it was restarted")
	}
	return f
}

// unableReasons are those of containers that never get as far as their program.
var unableReasons = []string{
	"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// unable is for a container that cannot be started.
func unable(_ *analyze.Pass, c *join.Container) *analyze.Finding {
	reason, row := c.Waiting()
	if !slices.Contains(unableReasons, reason) {
		return nil
	}
	f := &analyze.Finding{
		Severity: analyze.High, Confidence: analyze.Confirmed,
		Title:    fmt.Sprintf("The %s cannot be started: %s", c, reason),
		Detail:   "kubelet has not got as far as starting the program: the image, a secret, a configuration or a mount is missing.",
		Evidence: []analyze.Evidence{analyze.Cite(row.At, "its state is %s", reason)},
		Fix:      "Mend what the message names, and compare with what the last deployment changed.",
		Next:     []string{"kubectl describe pod POD > describe_POD.txt"},
	}
	if row.Message != "" {
		f.Title += ": " + words(row.Message)
	}
	return f
}

// complete adds what all findings about a container share.
func complete(p *analyze.Pass, c *join.Container, f *analyze.Finding) {
	f.Subject = c.String()
	f.Entities = append(f.Entities, c.Entity())
	if end := c.End(); end != nil {
		if at, _, ok := join.ClocksOf(p).UTC(end.At.Artifact, end.Finished); ok {
			f.From, f.To = at, at
		}
	}
	if n, row := c.Restarts(); row != nil && n > 0 && !slices.ContainsFunc(f.Evidence, func(e analyze.Evidence) bool { return e.Ref == row.At }) {
		f.Evidence = append(f.Evidence, analyze.Cite(row.At, "it was restarted %s", join.Count(int(n), "time")))
	}
	p.Note("%s: %s", c, f.Title)
}
