package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/report"
)

func (s *settings) reportFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.format, "format", "f", formats()[0], "form of the report: "+strings.Join(formats(), ", "))
	f.BoolVar(&s.full, "full", false, "show every artifact, rule and piece of evidence")
	f.StringVarP(&s.output, "output", "o", "", "write the report to this file, whole or not at all")
	f.StringVar(&s.failOn, "fail-on", "", "exit with 2 if there is a finding of this severity or above: low, medium, high, critical")
}

// report is the main job: open, analyse, write.
func (s *settings) report(ctx context.Context, args []string) (err error) {
	enc, err := encoder(s.format)
	if err != nil {
		return err
	}
	var failOn analyze.Severity
	if s.failOn != "" {
		if err := failOn.UnmarshalText([]byte(s.failOn)); err != nil {
			return fmt.Errorf("--fail-on: %w", err)
		}
	}
	if s.output != "" {
		if err := checkFile(s.output, args); err != nil {
			return err
		}
	}
	res, err := s.analyze(ctx, args)
	unusable := errors.Is(err, analyze.ErrUnusable)
	if err != nil && !unusable {
		return err
	}
	if err := writeOut(s.output, s.stdout, func(w io.Writer) error { return enc.Encode(w, res, s.layout()) }); err != nil {
		return err
	}
	s.warn(res.Artifacts)
	if unusable {
		return &exitCode{exitUnusable, fmt.Errorf("%w: see the list of artifacts in the report", err)}
	}
	if failOn > analyze.SeverityUnset {
		for _, f := range res.Findings {
			if f.Severity >= failOn {
				return &exitCode{code: exitFindings}
			}
		}
	}
	return nil
}

// analyze opens the bundle and runs all rules over it.
func (s *settings) analyze(ctx context.Context, args []string) (res *analyze.Result, err error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	b := s.bundle(args, true)
	defer func() { err = errors.Join(err, b.Close()) }()
	cfg.Bundle.Name = b.Name
	progress := s.progress()
	cfg.Progress = progress.show
	res, err = analyze.RunFrom(ctx, s.source(b, &cfg), cfg)
	progress.stop()
	if res != nil {
		res.Bundle.SHA256 = b.SHA256()
	}
	return res, err
}

// encoder finds a report format by its name.
func encoder(name string) (report.Encoder, error) {
	enc, ok := report.ByName(name)
	if !ok {
		return enc, fmt.Errorf("--format: unknown format %q, want %s", name, strings.Join(formats(), ", "))
	}
	return enc, nil
}

// formats are the names of the report formats, the default first.
func formats() []string {
	var names []string
	for _, e := range report.Encoders() {
		names = append(names, e.Name)
	}
	return names
}

// layout is how the report is presented where it goes.
func (s *settings) layout() report.Options {
	opt := report.Options{Full: s.full}
	if f, ok := s.stdout.(*os.File); ok && s.output == "" && isTerminal(f) {
		opt.Color = os.Getenv("NO_COLOR") == ""
		opt.Width, _, _ = term.GetSize(int(f.Fd()))
	}
	return opt
}
