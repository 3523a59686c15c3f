package join

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Container is one container, joined from all that describes it.
type Container struct {
	Pod, Name string
	// Rows describe it, those with most to say first.
	Rows []*fact.Container
	// Events are those of its pod that name no other container, oldest first.
	Events []*fact.ClusterEvent
}

var containers = analyze.Derived[[]*Container]{
	Name: "containers", Needs: []fact.Kind{"container", "cluster_event"}, Build: buildContainers,
}

// ContainersOf returns the containers of the bundle, by pod and name. A pod of which
// only a table tells is one container without a name.
func ContainersOf(p *analyze.Pass) []*Container { return containers.Of(p) }

// buildContainers joins by the names of pod and container: a pod's name is unique in
// a cluster as long as a bundle lasts, and tables often leave out its namespace.
func buildContainers(p *analyze.Pass) []*Container {
	type key struct{ pod, name string }
	byKey := map[key]*Container{}
	pods := map[string][]*Container{}
	var whole []*fact.Container
	for c := range fact.All[fact.Container](p.Facts) {
		if c.Name == "" {
			whole = append(whole, c)
			continue
		}
		k := key{c.Pod, c.Name}
		if byKey[k] == nil {
			byKey[k] = &Container{Pod: c.Pod, Name: c.Name}
			pods[c.Pod] = append(pods[c.Pod], byKey[k])
		}
		byKey[k].Rows = append(byKey[k].Rows, c)
	}
	for _, c := range whole {
		if len(pods[c.Pod]) == 0 {
			pods[c.Pod] = []*Container{{Pod: c.Pod}}
		}
		if of := pods[c.Pod]; len(of) == 1 || c.Reason == "Evicted" {
			of[0].Rows = append(of[0].Rows, c) // a pod's restarts are those of its only container
		}
	}
	for e := range fact.All[fact.ClusterEvent](p.Facts) {
		pod, ok := strings.CutPrefix(e.Object, "pod/")
		if !ok {
			continue
		}
		if len(pods[pod]) == 0 {
			pods[pod] = []*Container{{Pod: pod}}
		}
		for _, c := range pods[pod] {
			if len(pods[pod]) == 1 || e.Container == c.Name || e.Container == "" && strings.Contains(e.Message, c.Name) {
				c.Events = append(c.Events, e)
			}
		}
	}
	var out []*Container
	for _, list := range pods {
		for _, c := range list {
			slices.SortStableFunc(c.Rows, func(a, b *fact.Container) int { return cmp.Compare(telling(b), telling(a)) })
			slices.SortStableFunc(c.Events, func(a, b *fact.ClusterEvent) int {
				return cmp.Or(cmp.Compare(b.AgeS.Or(0), a.AgeS.Or(0)), a.T.Compare(b.T), a.At.Compare(b.At))
			})
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *Container) int { return cmp.Or(cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Name, b.Name)) })
	return out
}

// telling ranks descriptions of one container.
func telling(c *fact.Container) int {
	n := 0
	for _, said := range []bool{c.End != nil, c.Name != "", c.ID != "", c.MemoryLimit != ""} {
		n *= 2
		if said {
			n++
		}
	}
	return n
}

// String names it for subjects: "container cart of pod cart-6c9f", "pod cart-6c9f".
func (c *Container) String() string {
	switch {
	case c.Pod == "":
		return "container " + c.Name
	case c.Name == "":
		return "pod " + c.Pod
	}
	return "container " + c.Name + " of pod " + c.Pod
}

// Entity is its identity.
func (c *Container) Entity() analyze.Entity {
	return analyze.Entity{Kind: KindContainer, Key: c.Pod + "/" + c.Name, Name: cmp.Or(c.Name, c.Pod)}
}

// End is how it ended the last time, nil if nothing says that it did.
func (c *Container) End() *fact.ContainerEnd {
	for _, r := range c.Rows {
		if r.End != nil {
			return r.End
		}
	}
	return nil
}

// Waiting is why it does not run, "" if it does, with the row that says so.
func (c *Container) Waiting() (reason string, row *fact.Container) {
	for _, r := range c.Rows {
		if r.State == "waiting" {
			return r.Reason, r
		}
	}
	return "", nil
}

// Restarts is how often it was started again, with the row that says so.
func (c *Container) Restarts() (n int64, row *fact.Container) {
	for _, r := range c.Rows {
		if r.Restarts.Known && (row == nil || r.Restarts.V > n) {
			n, row = r.Restarts.V, r
		}
	}
	return n, row
}

// Ago is how long before the bundle was taken it ended the last time; ok is false
// where nothing tells.
func (c *Container) Ago(p *analyze.Pass) (ago time.Duration, ok bool) {
	for _, r := range c.Rows {
		if r.LastRestartS.Known {
			return time.Duration(r.LastRestartS.V) * time.Second, true
		}
	}
	end := c.End()
	if end == nil || !end.Finished.Known() {
		return 0, false
	}
	var now time.Time
	for h := range fact.All[fact.HostInfo](p.Facts) {
		if h.Name == "date" && h.Time.T.After(now) {
			now = h.Time.T
		}
	}
	for r := range fact.All[fact.Container](p.Facts) {
		for _, t := range []fact.Time{r.Since, endTime(r)} {
			if t.T.After(now) {
				now = t.T
			}
		}
	}
	return now.Sub(end.Finished.T), true
}

func endTime(c *fact.Container) fact.Time {
	if c.End == nil {
		return fact.Time{}
	}
	return c.End.Finished
}
