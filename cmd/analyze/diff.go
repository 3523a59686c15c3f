package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/diff"
	"github.com/culprit-dev/culprit/report"
)

// comparing is what the flags of diff say.
type comparing struct {
	format, output, failOn string
	full                   bool
	tolerance              analyze.Tolerance
}

func (s *settings) diffCommand() *cobra.Command {
	c := comparing{tolerance: analyze.DefaultTolerance()}
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Compare two bundles, or two saved reports, by findings and entities",
		Long: `diff compares two bundles of the same system: which findings are new, gone or
changed, and which listeners, peers, processes, sockets, goroutines, locks,
versions and settings appeared, vanished or grew. Pids, ephemeral ports and
addresses in memory do not count as differences.

BEFORE and AFTER are bundles as for a report, or reports that were saved with
-f json. What only one of the two shows is named and not compared.`,
		Example: "  analyze diff healthy.tar.gz incident.tar.gz\n  analyze diff monday.json tuesday.json -f json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name two bundles or saved reports, for example: analyze diff before.tar.gz after.tar.gz")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return s.diff(cmd.Context(), args[0], args[1], c) },
	}
	s.inputFlags(cmd)
	s.ruleFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&c.format, "format", "f", diffFormats()[0], "form of the comparison: "+strings.Join(diffFormats(), ", "))
	f.BoolVar(&c.full, "full", false, "show every entity")
	f.StringVarP(&c.output, "output", "o", "", "write the comparison to this file, whole or not at all")
	f.StringVar(&c.failOn, "fail-on", "", "exit with 2 if a finding of this severity or above is new or became worse: "+severities)
	f.Float64Var(&c.tolerance.Factor, "min-factor", c.tolerance.Factor, "how many times as many is a difference")
	f.Int64Var(&c.tolerance.Least, "min-count", c.tolerance.Least, "how many more, at least, is a difference")
	completeWords(cmd, "format", diffFormats())
	completeWords(cmd, "fail-on", severityWords())
	return cmd
}

func diffFormats() []string {
	var names []string
	for _, e := range report.DiffEncoders() {
		names = append(names, e.Name)
	}
	return names
}

func (s *settings) diff(ctx context.Context, before, after string, c comparing) error {
	i := slices.Index(diffFormats(), c.format)
	if i < 0 {
		return fmt.Errorf("--format: unknown format %q, want %s", c.format, strings.Join(diffFormats(), ", "))
	}
	failOn, err := severityFlag(c.failOn)
	if err != nil {
		return err
	}
	if c.output != "" {
		if err := checkFile(c.output, []string{before, after}); err != nil {
			return err
		}
	}
	var results [2]*analyze.Result
	for i, arg := range []string{before, after} {
		if results[i], err = s.result(ctx, arg); err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
	}
	d := diff.Results(results[0], results[1], c.tolerance)
	err = writeOut(c.output, s.stdout, func(w io.Writer) error {
		return report.DiffEncoders()[i].Encode(w, d, report.Options{Full: c.full})
	})
	if err != nil {
		return err
	}
	if failOn > analyze.SeverityUnset && d.Worst() >= failOn {
		return &exitCode{code: exitFindings}
	}
	return nil
}

// result is the saved report that an argument names, or the analysis of the bundle.
func (s *settings) result(ctx context.Context, arg string) (*analyze.Result, error) {
	if res, err := savedReport(arg); res != nil || err != nil {
		return res, err
	}
	return s.analyze(ctx, []string{arg})
}

// maxReport bounds a file that is taken for a saved report.
const maxReport = 256 << 20

// savedReport reads a report that was written with -f json; nil if the file is none.
func savedReport(path string) (*analyze.Result, error) {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxReport {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil // opening it as a bundle says what is wrong
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	if text := bytes.TrimSpace(head[:n]); !bytes.HasPrefix(text, []byte("{")) || !bytes.Contains(text, []byte(`"culprit/report/`)) {
		return nil, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return report.Decode(f)
}
