package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/census"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/redact"
	"github.com/culprit-dev/culprit/analyze/timeline"
	"github.com/culprit-dev/culprit/report"
)

func (s *settings) reportFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&s.format, "format", "f", formats()[0], "form of the report: "+strings.Join(formats(), ", "))
	f.BoolVar(&s.full, "full", false, "show every artifact, rule and piece of evidence")
	f.StringVar(&s.timeline, "timeline", timelines[0], "what the timeline holds: matters (what the findings cite) or all (everything that is dated)")
	f.StringVarP(&s.output, "output", "o", "", "write the report to this file, whole or not at all")
	f.StringVar(&s.failOn, "fail-on", "", "exit with 2 if there is a finding of this severity or above: "+severities)
	completeWords(cmd, "format", formats())
	completeWords(cmd, "fail-on", severityWords())
	completeWords(cmd, "timeline", timelines)
}

// timelines are the words that --timeline takes, the default first.
var timelines = []string{"matters", "all"}

// report is the main job: open, analyse, write.
func (s *settings) report(ctx context.Context, args []string) (err error) {
	enc, err := encoder(s.format)
	if err != nil {
		return err
	}
	failOn, err := severityFlag(s.failOn)
	if err != nil {
		return err
	}
	if !slices.Contains(timelines, s.timeline) {
		return fmt.Errorf("--timeline: unknown word %q, want %s", s.timeline, strings.Join(timelines, " or "))
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
	healthy, err := s.readBaseline(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	if healthy != nil {
		defer func() { err = errors.Join(err, healthy.Close()) }()
	}
	cfg.Census, cfg.Hosts = census.Of, join.HostOf
	if s.timeline == "all" {
		cfg.Timeline = timeline.All
	}
	if s.redact {
		cfg.Redact = redact.New
	}
	b := s.bundle(args, true)
	defer func() { err = errors.Join(err, b.Close()) }()
	cfg.Bundle.Name = b.Name
	progress := s.progress()
	cfg.Progress = func(p analyze.Progress) {
		if p.Stage == "rules" && p.Done == 0 {
			collectFacts()
		}
		progress.show(p)
	}
	res, err = analyze.RunFrom(ctx, s.source(b, &cfg), cfg)
	progress.stop()
	if res != nil {
		res.Bundle.SHA256 = b.SHA256()
	}
	return res, err
}

// severities are the words that --fail-on takes.
const severities = "low, medium, high, critical"

func severityWords() []string { return strings.Split(severities, ", ") }

// severityFlag reads --fail-on; empty means never.
func severityFlag(word string) (analyze.Severity, error) {
	var out analyze.Severity
	if word == "" {
		return out, nil
	}
	if err := out.UnmarshalText([]byte(word)); err != nil || out == analyze.SeverityUnset {
		return out, fmt.Errorf("--fail-on: unknown severity %q, want %s", word, severities)
	}
	return out, nil
}

// completeWords lets a shell complete the words that a flag takes.
func completeWords(cmd *cobra.Command, flag string, words []string) {
	// The only error is a flag that does not exist, which every test would show.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
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
	opt := report.Options{Full: s.full, Events: s.timeline == "all"}
	if f, ok := s.stdout.(*os.File); ok && s.output == "" && isTerminal(f) {
		opt.Color = os.Getenv("NO_COLOR") == ""
		opt.Width, _, _ = term.GetSize(int(f.Fd()))
	}
	return opt
}
