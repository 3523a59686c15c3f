package analyze

import (
	"runtime"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Config is what a run uses. The zero value runs nothing: set Parsers and Rules.
type Config struct {
	Parsers []*Parser
	Rules   []*Rule
	// Jobs bounds the goroutines that parse and judge; zero means GOMAXPROCS. The
	// result does not depend on it.
	Jobs   int
	Limits Limits
	// Bundle is copied into the result; Artifacts and Bytes are filled by Run.
	Bundle Bundle
	Tool   Tool
	// Manifest is what the collector said, nil if nothing.
	Manifest *Manifest
	// Thresholds override rule thresholds: "socket/close-wait-leak.sockets" to a number.
	Thresholds map[string]float64
	// Overrides change or suppress findings, each for a reason that the result shows.
	Overrides []Override
	// Census, if set, counts what stands in the bundle; the result shows it, and two
	// results can be compared. census.Of is the one that comes with the module.
	Census func(*Pass) []Count
	// Baseline is a healthy bundle of the same system to judge against, nil if none;
	// it needs Census. Nothing that is wrong with it is a finding.
	Baseline *Baseline
	// Hosts, if set, says which host an artifact comes from; join.HostOf is the one that
	// comes with the module. Without it, hosts are those that the manifest names.
	Hosts func(*Pass) func(fact.ID) string
	// Timeline, if set, lists what the bundle dates, in order: at most limit events, those
	// nearest to the time from from to to, and in words what it left out. The timeline of
	// the result then holds it, not only what the findings cite. timeline.All is the one
	// that comes with the module.
	Timeline func(p *Pass, from, to time.Time, limit int) ([]TimelineEntry, []string)
	// Progress, if set, is told how far the run is. Calls are serialised.
	Progress func(Progress)
	// Redact, if set, is given all texts of the result and returns what replaces
	// them; redact.New is the one that comes with the module. Positions, roles and
	// figures stay.
	Redact func(p *Pass, texts []string) func(string) string
}

// Progress says how far a run is.
type Progress struct {
	Stage string // "read", "rules", "excerpts"
	// Artifact is the one being read. Done and Total are bytes for "read" (Total
	// is -1 if a size is unknown), rules for "rules".
	Artifact    string
	Done, Total int64
}

// withDefaults fills in what the zero values stand for.
func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Jobs <= 0 {
		c.Jobs = runtime.GOMAXPROCS(0)
	}
	return c
}
