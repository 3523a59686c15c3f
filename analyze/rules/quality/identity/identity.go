// Package identity tells when a bundle holds artifacts of several hosts, because
// then pids and loopback addresses mean something only within each of them.
package identity

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

//go:embed doc.md
var doc string

// ID is the rule's identity.
const ID = "quality/identity"

// Rule finds bundles of several hosts.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "several hosts in one bundle", Doc: doc, Severity: analyze.Info,
		AnyOf: []fact.Kind{"host_info", "process", "socket"},
		Run:   run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	hosts := join.HostsOf(p)
	if !hosts.Several() {
		p.Note("all artifacts are taken for one host")
		return nil
	}
	f := analyze.Finding{
		Subject:    "the bundle",
		Title:      fmt.Sprintf("The bundle holds artifacts of %d hosts: %s", len(hosts.Names), strings.Join(hosts.Names, ", ")),
		Detail:     "Processes, sockets and loopback addresses were joined within each host only; across hosts only by address.",
		Severity:   analyze.Info,
		Confidence: analyze.Likely,
	}
	for _, name := range hosts.Names {
		f.Entities = append(f.Entities, hosts.Entity(name))
		if at, ok := sample(p, hosts, name); ok {
			f.Evidence = append(f.Evidence, analyze.Cite(at, "from host %s", name))
		}
	}
	if len(f.Evidence) > 0 {
		p.Report(f)
	}
	return nil
}

// sample is a position in one of the host's own tables.
func sample(p *analyze.Pass, hosts *join.Hosts, name string) (fact.Ref, bool) {
	for hi := range fact.All[fact.HostInfo](p.Facts) {
		if hi.Name == "hostname" && hosts.Of(hi.At) == name {
			return hi.At, true
		}
	}
	for pr := range fact.All[fact.Process](p.Facts) {
		if hosts.Of(pr.At) == name {
			return pr.At, true
		}
	}
	for s := range fact.All[fact.Socket](p.Facts) {
		if hosts.Of(s.At) == name {
			return s.At, true
		}
	}
	return fact.Ref{}, false
}
