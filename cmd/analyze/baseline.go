package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/census"
)

// readBaseline puts the bundle of --baseline, or the report that was saved of it,
// into the configuration. The caller closes the bundle after the run.
func (s *settings) readBaseline(ctx context.Context, cfg *analyze.Config) (*bundle.Bundle, error) {
	if s.baseline == "" {
		return nil, nil
	}
	cfg.Census = census.Of
	saved, err := savedReport(s.baseline)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	if saved != nil {
		if len(saved.Census) == 0 {
			return nil, fmt.Errorf("--baseline: the report %s has no census; make it again with this version, or name the bundle itself", s.baseline)
		}
		cfg.Baseline = &analyze.Baseline{Bundle: saved.Bundle, Counts: saved.Census}
		return nil, nil
	}
	b := s.bundle([]string{s.baseline}, true)
	own := analyze.Config{Parsers: cfg.Parsers, Jobs: cfg.Jobs, Limits: cfg.Limits, Bundle: analyze.Bundle{Name: b.Name}, Manifest: cfg.Manifest}
	cfg.Baseline, err = census.Baseline(ctx, s.source(b, &own), own)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--baseline: %w", err), b.Close())
	}
	cfg.Baseline.Bundle.SHA256 = b.SHA256()
	return b, nil
}
