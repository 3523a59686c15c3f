package analyze

import (
	"fmt"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Count is one line of a census: how many of something stood in a bundle, under a
// name that means the same in another bundle of the same system. It holds no pid,
// no ephemeral port and no address in memory. Package census makes counts.
type Count struct {
	// What is listener, peer, upstream, sockets, process, memory, open_files,
	// goroutines, lock, version, setting or limit.
	What string `json:"what"`
	// Name is which of them: "0.0.0.0:7700/tcp", "CLOSE_WAIT", "quotepushd". The
	// count without a name is that of all: its presence says that the bundle shows
	// such things at all, so that the absence of a name means something.
	Name string `json:"name,omitempty"`
	// Of is what it belongs to: a program, a service's address.
	Of   string `json:"of,omitempty"`
	Host string `json:"host,omitempty"`
	// N is how many, and Value what a version or a setting says, or who holds a
	// listener.
	N     int64  `json:"n,omitempty"`
	Value string `json:"value,omitempty"`
	// At is one place that shows it.
	At fact.Ref `json:"source"`
	// Time is when it was counted, where the bundle says so.
	fact.Time
}

// key is what equal things of two bundles share. The host is left to the caller.
func (c *Count) key() string { return c.What + "\x00" + c.Name + "\x00" + c.Of }

// census counts what stands in the bundle and adds to the store what follows from
// the baseline.
func (s *runState) census(cfg *Config) (counts []Count) {
	if cfg.Census == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			counts = nil
			s.limitsHit = append(s.limitsHit, fmt.Sprintf("the census failed, so that nothing can be compared: %v", v))
		}
	}()
	counts = cfg.Census(&Pass{
		Facts: s.store.View("census"), Manifest: s.manifest, rule: &Rule{ID: "census"}, run: s,
	})
	if cfg.Baseline != nil {
		s.store = s.store.With(cfg.Baseline.facts(counts))
	}
	return counts
}
