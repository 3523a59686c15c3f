package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	_ "time/tzdata" // --tz means the same on hosts without zone files

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/parsers"
)

// settings are what the flags say, and where the program reads and writes.
type settings struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	jobs       int
	noProgress bool
	zone       string
	tempDir    string
	limits     limitFlags

	rulesDir   string
	thresholds []string
	baseline   string
	redact     bool

	format   string
	output   string
	full     bool
	timeline string
	failOn   string
}

// limitFlags are the limits that a user may have to raise; zero is the default.
type limitFlags struct {
	entries  int
	bytes    size
	maxRatio int
	depth    int
	facts    int
}

// inputFlags are for every command that opens a bundle.
func (s *settings) inputFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&s.jobs, "jobs", 0, "goroutines to use, 0 for one a core; the report does not depend on it")
	f.BoolVar(&s.noProgress, "no-progress", false, "no progress on a terminal")
	f.StringVar(&s.zone, "tz", "", "zone of clocks that do not say theirs: Asia/Shanghai, +08:00, UTC")
	f.StringVar(&s.tempDir, "temp-dir", "", "where to unpack large entries (default: the system's)")
	f.IntVar(&s.limits.entries, "max-entries", 0, "most entries to read from archives and directories")
	f.Var(&s.limits.bytes, "max-bytes", "most bytes to unpack, for example 20GiB")
	f.IntVar(&s.limits.maxRatio, "max-ratio", 0, "highest compression ratio of large entries")
	f.IntVar(&s.limits.depth, "max-depth", 0, "deepest nesting of archives")
	f.IntVar(&s.limits.facts, "max-facts", 0, "most facts to keep of one artifact")
}

// config is what the flags say of a run; it is checked before anything is read.
func (s *settings) config() (analyze.Config, error) {
	cfg := analyze.Config{
		Parsers: parsers.All(), Jobs: s.jobs,
		Limits: analyze.Limits{FactsPerArtifact: s.limits.facts},
		Tool:   analyze.Tool{Name: "culprit", Version: version()},
	}
	var err error
	if cfg.Rules, err = s.rules(); err != nil {
		return cfg, err
	}
	if err := s.tune(&cfg); err != nil {
		return cfg, err
	}
	if s.zone != "" {
		loc, err := bundle.ParseZone(s.zone)
		if err != nil {
			return cfg, fmt.Errorf("--tz: %w", err)
		}
		cfg.Manifest = &analyze.Manifest{Zone: loc}
	}
	return cfg, nil
}

// bundle is what the arguments name; it is opened while it is analysed.
func (s *settings) bundle(args []string, sum bool) *bundle.Bundle {
	return bundle.New(args, bundle.Options{
		Stdin: s.stdin, TempDir: s.tempDir, Sum: sum,
		Limits: bundle.Limits{
			Entries: s.limits.entries, Bytes: int64(s.limits.bytes),
			Ratio: s.limits.maxRatio, Depth: s.limits.depth,
		},
	})
}

// source opens a bundle for a run. A failure is that of the bundle, not of the
// program. The zone of --tz comes before that of the manifest.
func (s *settings) source(b *bundle.Bundle, cfg *analyze.Config) analyze.Source {
	return func(ctx context.Context, yield func(...*analyze.Input)) (*analyze.Manifest, error) {
		m, err := b.Source(ctx, yield)
		if err != nil && ctx.Err() == nil {
			err = &exitCode{exitUnusable, err}
		}
		if b.ManifestErr != nil {
			fmt.Fprintf(s.stderr, "analyze: the manifest is not used: %v\n", b.ManifestErr)
		}
		if m != nil && cfg.Manifest != nil {
			zoned := *m
			zoned.Zone = cfg.Manifest.Zone
			zoned.Hosts = slices.Clone(m.Hosts)
			for i := range zoned.Hosts {
				zoned.Hosts[i].Zone = nil
			}
			m = &zoned
		}
		return m, err
	}
}

// checkFile refuses an output that would overwrite an input.
func checkFile(output string, inputs []string) error {
	out, err := os.Stat(output)
	if err != nil || !out.Mode().IsRegular() {
		return nil
	}
	same := slices.ContainsFunc(inputs, func(in string) bool {
		st, err := os.Stat(in)
		return err == nil && os.SameFile(st, out)
	})
	if same {
		return fmt.Errorf("--output %s is one of the inputs: name another file", output)
	}
	return nil
}
