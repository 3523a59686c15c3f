package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/rulecase"
	"github.com/culprit-dev/culprit/analyze/rules"
)

func (s *settings) rulesTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test DIRECTORY",
		Short: "Run the cases of your own rules",
		Long: `test checks a folder of your own rules and runs their cases: small bundles in txtar
files, DIRECTORY/testdata/RULE/fires*.txtar, on which the rule must fire, and
quiet*.txtar, on which it must not. Each rule of the folder needs one of both. A
rule that comes with the program may have cases there too, for example to hold a
threshold of overrides.yaml.

A case begins with its story, then has the artifacts, and ends with what is wanted:

    The broker keeps sockets that its peers have closed.
    -- ss.txt --
    State      Recv-Q Send-Q Local Address:Port Peer Address:Port Process
    CLOSE-WAIT 1      0      10.0.0.5:41000     10.0.0.9:9092     users:(("broker",pid=9,fd=4))
    -- want --
    finding broker
    severity high
    says 1 sockets
    cites ss.txt:2

Below "finding TEXT", which names a finding by its subject, stand the words
severity, confidence, role, says, silent about, cites, against and cause. In place
of findings a quiet case says "clean", or "skipped REASON". Files that begin with
"baseline:" are a healthy bundle to judge against.`,
		Example: "  analyze rules test ./our-rules",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.rulesDir = args[0]
			return s.testRules(cmd.Context())
		},
	}
}

func (s *settings) testRules(ctx context.Context) error {
	cfg, err := s.config()
	if err != nil {
		return err
	}
	builtin := map[string]bool{}
	for _, r := range rules.All() {
		builtin[r.ID] = true
	}
	failed, cases := 0, 0
	for _, r := range cfg.Rules {
		files := ruleCases(s.rulesDir, r.ID)
		if builtin[r.ID] && len(files["fires"])+len(files["quiet"]) == 0 {
			continue
		}
		var problems []string
		for _, kind := range []string{"fires", "quiet"} {
			if len(files[kind]) == 0 && !builtin[r.ID] {
				problems = append(problems, fmt.Sprintf("%s: no case %s*.txtar", caseDir(s.rulesDir, r.ID), kind))
			}
			for _, file := range files[kind] {
				cases++
				list, err := runCase(ctx, file, r.ID, kind == "fires", cfg)
				if err != nil {
					return err
				}
				problems = append(problems, list...)
			}
		}
		if err := printCases(s.stdout, r.ID, len(files["fires"]), len(files["quiet"]), problems); err != nil {
			return err
		}
		failed += len(problems)
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d problems in the cases of %s", failed, s.rulesDir)
	case cases == 0:
		return fmt.Errorf("%s has no rule and no case: put rules there as NAME.yaml and their cases into testdata/RULE/", s.rulesDir)
	}
	return nil
}

// caseDir is where the cases of a rule stand: a folder called like it.
func caseDir(dir, id string) string {
	return filepath.Join(dir, "testdata", filepath.FromSlash(id))
}

// ruleCases lists the cases of a rule by kind, sorted.
func ruleCases(dir, id string) map[string][]string {
	out := map[string][]string{}
	entries, _ := os.ReadDir(caseDir(dir, id)) // none is reported by the caller
	for _, e := range entries {
		for _, kind := range []string{"fires", "quiet"} {
			if !e.IsDir() && strings.HasPrefix(e.Name(), kind) && strings.HasSuffix(e.Name(), ".txtar") {
				out[kind] = append(out[kind], filepath.Join(caseDir(dir, id), e.Name()))
			}
		}
	}
	return out
}

// runCase runs one case and lists what is wrong, each with file and line.
func runCase(ctx context.Context, file, id string, fires bool, cfg analyze.Config) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b, err := rulecase.Parse(text)
	if err != nil {
		at := 1
		var syntax *rulecase.SyntaxError
		if errors.As(err, &syntax) {
			at, err = syntax.Line, errors.New(syntax.Msg)
		}
		return []string{fmt.Sprintf("%s:%d: %v", file, at, err)}, nil
	}
	if fires != (len(b.Want) > 0) {
		return []string{file + ":1: a fires case wants a finding, a quiet one says clean or skipped"}, nil
	}
	res, err := b.Run(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var out []string
	for _, p := range b.Check(id, res) {
		out = append(out, fmt.Sprintf("%s:%d: %s", file, p.Line, p.Msg))
	}
	return out, nil
}

func printCases(w io.Writer, id string, fires, quiet int, problems []string) error {
	var b strings.Builder
	word := "ok  "
	if len(problems) > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(&b, "%s  %s  (%d fire, %d quiet)\n", word, id, fires, quiet)
	for _, p := range slices.Compact(problems) {
		first, rest, _ := strings.Cut(p, "\n")
		fmt.Fprintf(&b, "      %s\n", plain(first))
		for l := range strings.Lines(rest) {
			fmt.Fprintf(&b, "        %s\n", plain(strings.TrimRight(l, "\n")))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
