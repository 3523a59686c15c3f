package containers

import (
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// describer reads kubectl describe pod: keys with values, nested by blanks, and a
// table of events at the end of each pod.
type describer struct {
	out     *analyze.Sink
	pod     fact.Container
	failed  bool // the pod as a whole has a reason
	section string
	cur     *fact.Container
	state   string // State, Last State or Limits, whose details follow
}

func (d *describer) line(text string, at fact.Ref) {
	indent := len(text) - len(strings.TrimLeft(text, " "))
	key, value, keyed := strings.Cut(strings.TrimSpace(text), ":")
	value = strings.TrimSpace(value)
	switch {
	case indent == 0 && keyed:
		d.top(key, value, at)
	case d.section == "Events":
		d.event(text, at)
	case !keyed:
	case d.section == "Containers" || d.section == "Init Containers":
		d.container(indent, key, value, at)
	}
}

// top reads a key of the pod.
func (d *describer) top(key, value string, at fact.Ref) {
	d.endContainer()
	d.section = key
	switch key {
	case "Name":
		d.flush()
		d.pod = fact.Container{At: at, Pod: value}
	case "Namespace":
		d.pod.Namespace = value
	case "Node":
		d.pod.Node, _, _ = strings.Cut(value, "/")
	case "Reason":
		d.pod.At, d.pod.State, d.pod.Reason, d.failed = at, "terminated", value, true
	case "Message":
		d.pod.Message = value
	}
}

// container reads a line below Containers.
func (d *describer) container(indent int, key, value string, at fact.Ref) {
	switch {
	case indent <= 2:
		d.endContainer()
		c := d.pod
		c.At, c.Name, c.Init, c.State, c.Reason, c.Message = at, key, d.section == "Init Containers", "", "", ""
		d.cur = &c
	case d.cur == nil:
	case indent <= 4:
		d.state = key
		switch key {
		case "Container ID":
			d.cur.ID = bareID(value)
		case "Image":
			d.cur.Image = value
		case "State":
			d.cur.State = strings.ToLower(value)
		case "Last State":
			if value == "Terminated" && d.cur.End == nil {
				d.cur.End = &fact.ContainerEnd{At: at}
			}
		case "Restart Count":
			d.cur.Restarts = count(value)
		}
		if key == "State" && value == "Terminated" {
			d.cur.End = &fact.ContainerEnd{At: at}
		}
	case d.state == "Limits" && key == "memory":
		d.cur.MemoryLimit = value
	case d.state == "State":
		d.detail(key, value, at, d.cur.State == "terminated")
	case d.state == "Last State" && d.cur.State != "terminated":
		d.detail(key, value, at, true)
	}
}

// detail reads a line below a state; ended is true for those of an end.
func (d *describer) detail(key, value string, at fact.Ref, ended bool) {
	if d.state == "State" {
		switch key {
		case "Reason":
			d.cur.Reason = value
		case "Message":
			d.cur.Message = value
		case "Started":
			d.cur.Since = described(value)
		}
	}
	end := d.cur.End
	if !ended || end == nil {
		return
	}
	switch key {
	case "Reason":
		end.Reason, end.At = value, at
	case "Message":
		end.Message = value
	case "Exit Code":
		end.ExitCode = count(value)
	case "Started":
		end.Started = described(value)
	case "Finished":
		end.Finished = described(value)
	}
}

func (d *describer) endContainer() {
	if d.cur != nil {
		analyze.Emit(d.out, *d.cur)
	}
	d.cur, d.state = nil, ""
}

// flush ends a pod.
func (d *describer) flush() {
	d.endContainer()
	if d.failed {
		analyze.Emit(d.out, d.pod)
	}
	d.failed = false
}

// event reads a row below Events: "Warning  BackOff  5m6s (x9 over 53m)  kubelet  Back-off ...".
func (d *describer) event(text string, at fact.Ref) {
	f := splitColumns(text, 5)
	if len(f) < 5 || f[0] != "Normal" && f[0] != "Warning" {
		return
	}
	age, times, _ := strings.Cut(f[2], " (x")
	e := fact.ClusterEvent{
		At: at, Type: f[0], Reason: f[1], Namespace: d.pod.Namespace, Object: "pod/" + d.pod.Pod, From: f[3], Message: f[4], AgeS: seconds(age),
	}
	n, _, _ := strings.Cut(times, " ")
	e.Count = count(n)
	analyze.Emit(d.out, e)
}

// described reads "Sat, 21 Nov 2026 10:04:50 +0000".
func described(s string) fact.Time {
	t, err := time.Parse(time.RFC1123Z, s)
	if err != nil {
		return fact.Time{}
	}
	return fact.Time{T: t.UTC(), Basis: fact.LocalZone, Precision: time.Second}
}

func count(s string) fact.Int {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fact.Int{}
	}
	return fact.Some(n)
}
