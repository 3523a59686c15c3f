package analyze

// Limits bound what a run may use. They are on by default: a zero field takes the
// default, never "unlimited".
type Limits struct {
	// FactsPerArtifact bounds the facts one parser may emit.
	FactsPerArtifact int
	// Embedded bounds artifacts found inside others, and EmbedDepth their nesting.
	Embedded   int
	EmbedDepth int
	// ExcerptBytes bounds one excerpt, EvidenceKept how much evidence, and how much
	// against it, one finding keeps.
	ExcerptBytes int
	EvidenceKept int
	// Timeline bounds the entries of the timeline.
	Timeline int
	// Events bounds those of a timeline of everything, see Config.Timeline.
	Events int
	// FindingsPerRule bounds what one rule may report.
	FindingsPerRule int
}

// DefaultLimits returns the limits that zero fields take.
func DefaultLimits() Limits {
	return Limits{
		FactsPerArtifact: 4 << 20,
		Embedded:         256,
		EmbedDepth:       3,
		ExcerptBytes:     1 << 10,
		EvidenceKept:     24,
		Timeline:         200,
		Events:           20_000,
		FindingsPerRule:  50,
	}
}

func (l Limits) withDefaults() Limits {
	pick := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	d := DefaultLimits()
	pick(&l.FactsPerArtifact, d.FactsPerArtifact)
	pick(&l.Embedded, d.Embedded)
	pick(&l.EmbedDepth, d.EmbedDepth)
	pick(&l.ExcerptBytes, d.ExcerptBytes)
	pick(&l.EvidenceKept, d.EvidenceKept)
	pick(&l.Timeline, d.Timeline)
	pick(&l.Events, d.Events)
	pick(&l.FindingsPerRule, d.FindingsPerRule)
	return l
}
