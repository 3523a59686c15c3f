package refused

import (
	"fmt"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
	crashsawtooth "github.com/culprit-dev/culprit/analyze/rules/process/crash-sawtooth"
)

// deaths lists findings that the process behind the address died with many
// connections: they explain that it listens no more.
func deaths(p *analyze.Pass, g *wire.Group) []string {
	var out []string
	for _, d := range wire.Of(p).Of(wire.Abort) {
		if !d.ManyDied() || d.Server != g.Server {
			continue
		}
		for _, f := range p.Findings("tcp/abort") {
			if f.Subject == d.Subject {
				out = append(out, f.ID)
			}
		}
	}
	return out
}

// restarts lists findings that a service which says it listens on the address is
// started again and again, by its log.
func restarts(p *analyze.Pass, g *wire.Group) []string {
	var out []string
	for _, s := range wire.ListenerLogs(p, g.End.Host, g.Server.Addr) {
		for _, f := range p.Findings(crashsawtooth.ID) {
			if f.Evidence[0].Artifact == s.Log && !slices.Contains(out, f.ID) {
				out = append(out, f.ID)
			}
		}
	}
	return out
}

// passedOn links resets by which a proxy passes the refusals on to its own clients.
func passedOn(p *analyze.Pass, g *wire.Group) {
	for _, d := range wire.Of(p).Of(wire.Abort) {
		if !d.PassesOn(g) {
			continue
		}
		for _, f := range p.Findings("tcp/abort") {
			if f.Subject == d.Subject {
				p.Explains(p.IDOf(g.Subject), f.ID)
			}
		}
	}
}

// traces tells of the few connections that were lost when the service ended.
func traces(p *analyze.Pass, g *wire.Group) (words []string, ev []analyze.Evidence) {
	for _, d := range wire.Of(p).Of(wire.Abort) {
		if !d.Death() || d.ManyDied() || d.Server != g.Server {
			continue
		}
		c := d.Cases[0]
		complaints, lines := d.Complaints(p, 2)
		text := fmt.Sprintf("%s reset when the service ended: a client had sent %d bytes that it did not live to answer.", join.Count(len(d.Cases), "connection was", "connections were"), c.Unread)
		if complaints != "" {
			text += " Logs: " + complaints + "."
		}
		words = append(words, text)
		ev = append(ev, wire.At(c.Flow, c.Reset.Frame, c.At(), "RST of %s to %s when the service ended", c.Culprit(), c.Victim()))
		ev = append(ev, lines...)
	}
	return words, ev
}
