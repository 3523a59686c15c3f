package unansweredrequest

import (
	"slices"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// complaints are log lines that say an answer is missing at this address. Where none
// names it, those count that name no address at all, written by a caller while its
// requests were open: several, since a caller may wait for other things as well.
func complaints(p *analyze.Pass, o *open) (n int, ev []analyze.Evidence) {
	clocks := join.ClocksOf(p)
	want, _ := join.ParseAddrPort(o.server.Addr)
	hosts, callers := join.HostsOf(p), callersOf(p, o)
	var named, bare []analyze.Evidence
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !slices.Contains(e.Signs, fact.SignTimeout) && e.Errno != "ETIMEDOUT" {
			continue
		}
		if len(e.Addresses) == 0 && callers.wrote(e, hosts) && o.during(clocks, e) {
			bare = append(bare, clocks.Date(analyze.Cite(e.At, "a caller misses an answer: %s", e.Text), e.Time))
		}
		if want.Addr().IsLoopback() && hosts.Of(e.At) != o.server.Host {
			continue
		}
		for _, a := range e.Addresses {
			ap, ok := join.ParseAddrPort(a)
			if !ok {
				ap, ok = join.ParseAddrPort(":" + a)
			}
			if ok && ap.Port() == want.Port() && (ap.Addr().IsUnspecified() || ap.Addr() == want.Addr()) {
				named = append(named, clocks.Date(analyze.Cite(e.At, "the caller misses an answer: %s", e.Text), e.Time))
				break
			}
		}
	}
	if len(named) == 0 && len(bare) >= int(p.Threshold("requests")) {
		named = bare
	}
	return len(named), named[:min(len(named), 2)]
}

// callers are who sent the open requests.
type callers struct {
	logs map[fact.ID]bool // of the processes that sent them
	// hosts are those of unknown callers, apart from the service's own.
	hosts map[string]bool
}

func callersOf(p *analyze.Pass, o *open) *callers {
	c := &callers{logs: map[fact.ID]bool{}, hosts: map[string]bool{}}
	for _, f := range o.flows {
		end := join.FlowsOf(p).Client(f)
		if end.Process != nil {
			for _, id := range end.Process.Logs {
				c.logs[id] = true
			}
		}
		if end.Host != join.FlowsOf(p).Server(f).Host {
			c.hosts[end.Host] = true
		}
	}
	return c
}

func (c *callers) wrote(e *fact.LogEvent, hosts *join.Hosts) bool {
	return c.logs[e.At.Artifact] || c.hosts[hosts.Of(e.At)]
}

// during reports whether a line was written while requests were open.
func (o *open) during(clocks *join.Clocks, e *fact.LogEvent) bool {
	at, off, ok := clocks.UTC(e.At.Artifact, e.Time)
	return ok && !at.Before(o.from.Add(-off)) && at.Before(o.to.Add(time.Minute+off))
}
