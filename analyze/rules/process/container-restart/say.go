package containerrestart

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// said is the row whose state has a reason, nil if none has.
func said(c *join.Container, reason string) *fact.Container {
	for _, r := range c.Rows {
		if r.Reason == reason {
			return r
		}
	}
	return nil
}

// limit is " at its limit of 256Mi", "" if nothing names the limit.
func limit(c *join.Container) string {
	for _, r := range c.Rows {
		if r.MemoryLimit == "" {
			continue
		}
		if strings.Trim(r.MemoryLimit, "0123456789") == "" {
			return " at its limit of " + r.MemoryLimit + " bytes"
		}
		return " at its limit of " + r.MemoryLimit
	}
	return ""
}

// again is " (4 restarts)", "" for none.
func again(c *join.Container) string {
	if n, _ := c.Restarts(); n > 0 {
		return " (" + join.Count(int(n), "restart") + ")"
	}
	return ""
}

// node is the node's name with a blank, "" if it is unknown.
func node(c *join.Container) string {
	for _, r := range c.Rows {
		if r.Node != "" {
			return r.Node + " "
		}
	}
	return ""
}

// containerID is the ID in the runtime, "" if it is unknown or too short to be
// found by chance only.
func containerID(c *join.Container) string {
	for _, r := range c.Rows {
		if len(r.ID) >= 12 {
			return r.ID
		}
	}
	return ""
}

func ended(end *fact.ContainerEnd) analyze.Evidence {
	note := "it ended"
	if end.Reason != "" {
		note += ": " + end.Reason
	}
	if end.ExitCode.Known {
		note += fmt.Sprintf(", exit code %d", end.ExitCode.V)
	}
	e := analyze.Cite(end.At, "%s", note)
	if end.Finished.Known() {
		e = e.On(end.Finished.T, end.Finished.Basis, end.Finished.Precision)
	}
	return e
}

func cite(p *analyze.Pass, e *fact.ClusterEvent, format string, args ...any) analyze.Evidence {
	return join.ClocksOf(p).Date(analyze.Cite(e.At, format, args...), e.Time)
}

// lastWords is the last error that the container's log tells of, nil if there is no
// such log. A log is the container's when its path names the pod or the container.
func lastWords(p *analyze.Pass, c *join.Container) *fact.LogEvent {
	var last *fact.LogEvent
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(l.Signs, fact.SignError) || !names(string(l.At.Artifact), c) {
			continue
		}
		if last == nil || last.At.Artifact == l.At.Artifact && last.At.Line < l.At.Line || last.At.Artifact != l.At.Artifact && strings.Contains(string(l.At.Artifact), "prev") {
			last = l
		}
	}
	return last
}

// names reports whether a path names the container: its pod's folder or file, or
// the container as a word of the file's name.
func names(file string, c *join.Container) bool {
	if c.Pod != "" && strings.Contains(file, c.Pod) {
		return true
	}
	own := c.Name
	if own == "" {
		own = workload(c.Pod)
	}
	base := strings.FieldsFunc(path.Base(file), func(r rune) bool { return strings.ContainsRune("._ ", r) })
	return own != "" && slices.Contains(base, own)
}

// workload is a pod's name without the parts that its controller adds.
func workload(pod string) string {
	parts := strings.Split(pod, "-")
	for n := 0; n < 2 && len(parts) > 1 && strings.ContainsAny(parts[len(parts)-1], "0123456789"); n++ {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, "-")
}

// words is the beginning of a text, for a title.
func words(s string) string {
	const most = 160
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
