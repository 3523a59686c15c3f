package analyze

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Facts is what Read found: the sealed store, whose facts fact.All yields, and what
// became of each artifact.
type Facts struct {
	Store     *fact.Store
	Artifacts []ArtifactStatus
	// Limits lists limits that were hit, in words.
	Limits []string
	// Manifest is what the collector said, nil if nothing.
	Manifest *Manifest

	inputs   map[fact.ID]*parsed
	readable bool
}

// Read sniffs and parses inputs and seals their facts, without applying rules. It
// returns an error for misuse and when ctx ends, as Run does.
func Read(ctx context.Context, inputs []*Input, cfg Config) (*Facts, error) {
	return ReadFrom(ctx, Inputs(inputs, cfg.Manifest), cfg)
}

// ReadFrom is Read for inputs that are still being found.
func ReadFrom(ctx context.Context, src Source, cfg Config) (*Facts, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return cfg.read(ctx, src)
}

func (c *Config) read(ctx context.Context, src Source) (*Facts, error) {
	meter := &meter{report: c.Progress}
	given, manifest, err := gather(ctx, src, c, meter)
	if err != nil {
		return nil, err
	}
	out := &Facts{Manifest: manifest, inputs: map[fact.ID]*parsed{}}
	all, err := out.unfold(ctx, given, c, meter)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *parsed) int { return strings.Compare(a.in.Path, b.in.Path) })
	out.seal(all)
	return out, nil
}

// unfold reads artifacts inside artifacts, in waves, one a level of nesting, so
// that the order never depends on which parser was faster. It returns all.
func (f *Facts) unfold(ctx context.Context, given []*parsed, cfg *Config, m *meter) ([]*parsed, error) {
	all, last := given, given
	paths := map[string]bool{}
	for _, d := range given {
		paths[d.in.Path] = true
	}
	for depth := 0; len(last) > 0; depth++ {
		var wave []*Input
		for _, d := range last {
			for _, in := range d.inner {
				switch {
				case paths[in.Path]:
					d.status.Issues = append(d.status.Issues, fmt.Sprintf("a second embedded artifact is named %q: not read", in.Path))
				case depth >= cfg.Limits.EmbedDepth || len(paths)-len(given) >= cfg.Limits.Embedded:
					d.status.Issues = append(d.status.Issues, fmt.Sprintf("embedded artifact %q not read: limit of %d artifacts, %d levels", in.Path, cfg.Limits.Embedded, cfg.Limits.EmbedDepth))
					f.Limits = append(f.Limits, fmt.Sprintf("%s: embedded artifacts beyond the limit were not read", d.in.Path))
				default:
					paths[in.Path] = true
					wave = append(wave, in)
				}
			}
		}
		last = make([]*parsed, len(wave))
		// Large artifacts first: the longest job decides when the wave ends.
		order := bySize(wave)
		err := parallel(ctx, cfg.Jobs, len(wave), func(i int) {
			in := wave[order[i]]
			last[order[i]] = parseOne(ctx, in, f.Manifest.parser(in), cfg, m)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, last...)
	}
	return all, nil
}

// seal makes one store of the facts of all artifacts, which are in their order.
func (f *Facts) seal(all []*parsed) {
	var arts []fact.Artifact
	var shards []*fact.Shard
	for _, d := range all {
		arts = append(arts, d.artifact(f.Manifest.host(d.in)))
		shards = append(shards, d.shard)
		f.Artifacts = append(f.Artifacts, d.status)
		f.inputs[d.in.ID()] = d
		switch d.status.Status {
		case ArtifactParsed, ArtifactPartial, ArtifactUnclaimed:
			f.readable = true
		}
	}
	f.Store = fact.Seal(arts, append(shards, f.Manifest.expectations())...)
}

// bySize lists indexes of inputs, largest first; ties keep the order given.
func bySize(in []*Input) []int {
	order := make([]int, len(in))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(in[b].Size, in[a].Size) })
	return order
}
