package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
)

func (s *settings) reportFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.format, "format", "f", "md", "form of the report: md, json")
	f.StringVarP(&s.output, "output", "o", "", "write the report to this file, whole or not at all")
	f.StringVar(&s.failOn, "fail-on", "", "exit with 2 if there is a finding of this severity or above: low, medium, high, critical")
}

// report is the main job: open, analyse, write.
func (s *settings) report(ctx context.Context, args []string) (err error) {
	encode, err := encoder(s.format)
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
	if err := writeOut(s.output, s.stdout, func(w io.Writer) error { return encode(w, res) }); err != nil {
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
	b, err := s.open(ctx, args, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	cfg, err := s.config(b)
	if err != nil {
		return nil, err
	}
	progress := s.progress()
	cfg.Progress = progress.show
	res, err = analyze.Run(ctx, b.Inputs, cfg)
	progress.stop()
	if res != nil {
		res.Bundle.SHA256 = b.SHA256()
	}
	return res, err
}

// encoder is the writer of a report format.
func encoder(name string) (func(io.Writer, *analyze.Result) error, error) {
	switch name {
	case "json":
		return func(w io.Writer, res *analyze.Result) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(res)
		}, nil
	case "md":
		return func(w io.Writer, res *analyze.Result) error {
			_, err := fmt.Fprintf(w, "# %s\n\n%s\n", res.Bundle.Name, res.Verdict.Summary)
			return err
		}, nil
	}
	return nil, fmt.Errorf("unknown format %q: md and json are known", name)
}
