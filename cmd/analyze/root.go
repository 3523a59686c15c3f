package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"
)

// newRoot builds the command tree. Nothing is kept between two calls, so that
// tests may run it in parallel.
func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	s := &settings{stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "analyze INPUT...",
		Short: "Find the culprit of an incident in the files saved while it happened",
		Long: `analyze reads a bundle of what was saved while a service was failing (packet
captures, goroutine dumps, audit logs, socket and process tables, stack and
system call traces, logs) and says who did it: the root cause, the chain from
cause to symptom, and the line or packet that proves each step.

INPUT is an archive (tar, zip, and compressed ones), a directory, one or more
files, or - for standard input. A directory named like a command is ./NAME.

The exit code is 0 when the report was written, 1 for wrong usage or a failure of
the program, 2 for findings at or above --fail-on, and 3 when nothing could be read.`,
		Example: `  analyze bundle.tar.gz
  analyze bundle.tar.gz -f json -o report.json
  ssh host 'tar cz /tmp/incident' | analyze -`,
		Args:          needInput,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return suggest(cmd, args[0], s.report(cmd.Context(), args))
		},
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(usageError)
	s.inputFlags(root)
	s.ruleFlags(root)
	s.reportFlags(root)
	root.AddCommand(s.diffCommand(), s.factsCommand(), s.explainCommand(), s.rulesCommand(), s.schemaCommand(), s.manCommand())
	return root
}

// suggest adds to the error about a file that does not exist the command that its
// name may have been meant for.
func suggest(cmd *cobra.Command, word string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if names := cmd.SuggestionsFor(word); len(names) > 0 {
		return fmt.Errorf("%w; did you mean analyze %s?", err, names[0])
	}
	return err
}

// needInput wants at least one input.
func needInput(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return fmt.Errorf("name a bundle to read, for example: %[1]s bundle.tar.gz (see %[1]s --help)", cmd.CommandPath())
}

func usageError(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
}
