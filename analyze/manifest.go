package analyze

import (
	"cmp"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Manifest is what the collector of a bundle says about it (culprit.yaml). All of
// it is optional.
type Manifest struct {
	// Summary is a sentence about the incident; From and To its window.
	Summary  string    `json:"summary,omitempty"`
	From, To time.Time `json:"-"`
	// Collected is when the bundle was made, zero if unknown.
	Collected time.Time `json:"-"`
	// Zone is the zone of wall clocks that do not say theirs, nil if unknown.
	Zone *time.Location `json:"-"`
	// Hosts maps a path prefix to the host it comes from.
	Hosts []HostRule `json:"hosts,omitempty"`
	// Files says of single artifacts what their content alone would not.
	Files []FileRule `json:"files,omitempty"`
	// Expected is the inventory: peers, listeners and versions.
	Expected []Expectation `json:"expected,omitempty"`
	// Ref is where the manifest stands.
	Ref fact.Ref `json:"-"`
}

// HostRule assigns the artifacts below a path prefix to a host.
type HostRule struct {
	Prefix, Host string
	Zone         *time.Location
	// Clock is what is added to the host's times to get the right ones, nil if
	// nobody measured it.
	Clock *time.Duration
}

// FileRule names the parser or the host of one artifact.
type FileRule struct{ Path, Parser, Host string }

// Expectation is one item of an inventory.
type Expectation struct {
	What, Name, Value string
	Ref               fact.Ref
}

// parser is the parser that is named for an input, "" if its content decides.
func (m *Manifest) parser(in *Input) string {
	if m != nil && in.Parser == "" {
		for _, f := range m.Files {
			if f.Path == in.Path && f.Parser != "" {
				return f.Parser
			}
		}
	}
	return in.Parser
}

// host is the host that is named for an input, "" if none is. What was found
// inside a file comes from where the file does.
func (m *Manifest) host(in *Input) string {
	if m == nil || in.Host != "" {
		return in.Host
	}
	longest, host := -1, ""
	for _, h := range m.Hosts {
		if len(h.Prefix) > longest && strings.HasPrefix(in.Path, h.Prefix) {
			longest, host = len(h.Prefix), h.Host
		}
	}
	for _, f := range m.Files {
		if f.Path == in.Path || strings.HasPrefix(in.Path, f.Path+"!") {
			host = cmp.Or(f.Host, host)
		}
	}
	return host
}

// expectations are the manifest's inventory as facts.
func (m *Manifest) expectations() *fact.Shard {
	shard := &fact.Shard{}
	if m == nil {
		return shard
	}
	for _, e := range m.Expected {
		fact.Add(shard, fact.Expected{At: e.Ref, What: e.What, Name: e.Name, Value: e.Value, Path: "expected." + strings.ToLower(e.What)})
	}
	return shard
}
