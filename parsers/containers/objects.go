package containers

import (
	"cmp"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/tree"
)

// pod makes a fact of each container, and one of the pod where it failed as a whole.
func (r *reader) pod(n *tree.Node) {
	meta, spec, status := n.At("metadata"), n.At("spec"), n.At("status")
	pod := fact.Container{
		Namespace: meta.At("namespace").String(), Pod: meta.At("name").String(), Node: spec.At("nodeName").String(),
	}
	if reason := status.At("reason"); reason.String() != "" {
		c := pod
		c.At, c.State, c.Reason, c.Message = r.ref(reason), "terminated", reason.String(), status.At("message").String()
		analyze.Emit(r.out, c)
	}
	for _, list := range [...]string{"initContainerStatuses", "containerStatuses"} {
		for _, s := range status.At(list).Elements() {
			c := pod
			c.Init = list == "initContainerStatuses"
			c.At = r.ref(s.At("name"))
			c.Name, c.Image, c.ID = s.At("name").String(), s.At("image").String(), bareID(s.At("containerID").String())
			c.Restarts = number(s.At("restartCount"))
			r.state(&c, s)
			for _, want := range spec.At("containers").Elements() {
				if want.At("name").String() == c.Name {
					c.MemoryLimit = want.At("resources", "limits", "memory").String()
				}
			}
			analyze.Emit(r.out, c)
		}
	}
}

// state reads how a container is and how it ended the last time.
func (r *reader) state(c *fact.Container, status *tree.Node) {
	for _, state := range [...]string{"waiting", "running", "terminated"} {
		if s := status.At("state", state); s != nil {
			c.State, c.Reason, c.Message = state, s.At("reason").String(), s.At("message").String()
			c.Since = instant(s.At("startedAt").String())
		}
	}
	for _, path := range [][]string{{"state", "terminated"}, {"lastState", "terminated"}} {
		if end := status.At(path...); end != nil && c.End == nil {
			c.End = &fact.ContainerEnd{
				At: r.ref(end.At("reason"), end.At("exitCode"), end), Reason: end.At("reason").String(), Message: end.At("message").String(),
				ExitCode: number(end.At("exitCode")), Started: instant(end.At("startedAt").String()), Finished: instant(end.At("finishedAt").String()),
			}
		}
	}
}

// event reads an Event of v1 or of events.k8s.io/v1.
func (r *reader) event(n *tree.Node) {
	object := n.At("involvedObject")
	if object == nil {
		object = n.At("regarding")
	}
	e := fact.ClusterEvent{
		At: r.ref(n.At("reason")), Type: n.At("type").String(), Reason: n.At("reason").String(),
		Namespace: cmp.Or(object.At("namespace").String(), n.At("metadata", "namespace").String()),
		Object:    strings.ToLower(object.At("kind").String()) + "/" + object.At("name").String(),
		From:      first(n.At("source", "component"), n.At("reportingComponent"), n.At("reportingController"), n.At("deprecatedSource", "component")).String(),
		Message:   first(n.At("message"), n.At("note")).String(),
		Count:     number(first(n.At("series", "count"), n.At("count"), n.At("deprecatedCount"))),
		Time:      instant(first(n.At("series", "lastObservedTime"), n.At("lastTimestamp"), n.At("deprecatedLastTimestamp"), n.At("eventTime"), n.At("metadata", "creationTimestamp")).String()),
		First:     instant(first(n.At("firstTimestamp"), n.At("deprecatedFirstTimestamp"), n.At("eventTime")).String()),
	}
	e.Container = containerOf(object.At("fieldPath").String())
	if e.Reason != "" {
		analyze.Emit(r.out, e)
	}
}

// containerOf reads "spec.containers{cart}".
func containerOf(field string) string {
	_, name, ok := strings.Cut(field, "{")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(name, "}")
}

// docker reads one element of docker inspect.
func (r *reader) docker(n *tree.Node) {
	s := n.At("State")
	c := fact.Container{
		At: r.ref(n.At("Name"), n.At("Id")), Name: strings.TrimPrefix(n.At("Name").String(), "/"), ID: n.At("Id").String(),
		Image: n.At("Config", "Image").String(), State: s.At("Status").String(), Restarts: number(n.At("RestartCount")),
		Since: instant(s.At("StartedAt").String()),
	}
	if limit := number(n.At("HostConfig", "Memory")); limit.V > 0 {
		c.MemoryLimit = n.At("HostConfig", "Memory").String()
	}
	if c.State == "exited" || c.State == "dead" {
		c.State = "terminated"
	}
	finished := instant(s.At("FinishedAt").String())
	if killed := s.At("OOMKilled"); finished.Known() || killed.String() == "true" {
		end := &fact.ContainerEnd{At: r.ref(s.At("ExitCode")), Message: s.At("Error").String(), Finished: finished}
		if c.State == "terminated" {
			end.ExitCode, end.Started = number(s.At("ExitCode")), c.Since
		}
		if killed.String() == "true" {
			end.Reason, end.At = "OOMKilled", r.ref(killed)
		}
		c.End = end
	}
	analyze.Emit(r.out, c)
}

// instant reads a time of RFC 3339; the zero time of Go is none.
func instant(s string) fact.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1971 {
		return fact.Time{}
	}
	return fact.Time{T: t.UTC(), Basis: fact.Epoch, Precision: time.Second}
}
