package analyze

import "github.com/culprit-dev/culprit/analyze/fact"

// Baseline is a healthy bundle of the same system, against which rules judge.
type Baseline struct {
	Bundle Bundle
	Counts []Count
	// Read is what was read of it, so that its lines can be quoted; nil if only its
	// counts are known.
	Read *Facts
}

// BaselinePrefix stands before the paths of a baseline's artifacts.
const BaselinePrefix = "baseline:"

// facts turns the baseline and what differs from it into facts that rules read. now
// is the census of the bundle.
func (b *Baseline) facts(now []Count) *fact.Shard {
	shard := &fact.Shard{}
	theirs := func(r fact.Ref) fact.Ref {
		if r.Artifact != "" {
			r.Artifact = BaselinePrefix + r.Artifact
		}
		return r
	}
	for _, c := range b.Counts {
		fact.Add(shard, fact.Baseline{
			At: theirs(c.At), What: c.What, Name: c.Name, Of: c.Of, Host: c.Host, N: c.N, Value: c.Value, Time: c.Time,
		})
	}
	for _, d := range Deviations(b.Counts, now, DefaultTolerance()) {
		c := d.Count()
		f := fact.Deviation{
			At: d.After.At, BaselineAt: theirs(d.Before.At), How: d.How, What: c.What, Name: c.Name, Of: c.Of, Host: c.Host,
			Before: d.Before.N, After: d.After.N, ValueBefore: d.Before.Value, ValueAfter: d.After.Value,
		}
		if d.How == Vanished {
			f.At = coverage(now, c)
		} else {
			f.Host = d.After.Host
		}
		fact.Add(shard, f)
	}
	return shard
}

// coverage is the place that shows that something is not there: the head of the
// table it is missing in.
func coverage(now []Count, missing *Count) fact.Ref {
	var at fact.Ref
	for _, c := range now {
		if c.What == missing.What && c.Name == "" && c.Of == "" && (at.IsZero() || c.Host == missing.Host) {
			at = c.At
		}
	}
	return at
}

// Against adds to the facts what follows from the baseline of cfg: its counts, and what
// deviates from them. Without a baseline or a census it adds nothing.
func (f *Facts) Against(cfg Config) {
	run := &runState{store: f.Store, manifest: f.Manifest, thresholds: cfg.Thresholds, limits: cfg.Limits.withDefaults()}
	run.census(&cfg)
	f.Store = run.store
	f.Limits = append(f.Limits, run.limitsHit...)
}
