package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
)

func (s *settings) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain INPUT... RULE",
		Short: "Say why a rule fired, stayed quiet or could not run on a bundle",
		Long: `explain applies all rules to a bundle and tells of one of them what decided: the
comparisons it made, the thresholds in force, what it found and what that was
explained by, or which inputs it lacked and which commands collect them.`,
		Example: "  analyze explain bundle.tar.gz go/leaked-lock",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("name a bundle and a rule, for example: analyze explain bundle.tar.gz go/leaked-lock (`analyze rules` lists them)")
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			all, err := s.rules()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return ruleIDs(all), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			last := len(args) - 1
			return s.explain(cmd.Context(), args[:last], args[last])
		},
	}
	s.inputFlags(cmd)
	s.ruleFlags(cmd)
	return cmd
}

func (s *settings) explain(ctx context.Context, inputs []string, id string) error {
	all, err := s.rules()
	if err != nil {
		return err
	}
	rule, err := findRule(all, id)
	if err != nil {
		return err
	}
	res, err := s.analyze(ctx, inputs)
	unusable := errors.Is(err, analyze.ErrUnusable)
	if err != nil && !unusable {
		return err
	}
	thresholds, err := s.thresholdsInForce(rule)
	if err != nil {
		return err
	}
	if err := explainRun(s.stdout, rule, res, thresholds); err != nil {
		return err
	}
	if unusable {
		return &exitCode{exitUnusable, err}
	}
	return nil
}

// outcomes are the ways in which a rule ends, in words.
var outcomes = map[string]string{
	analyze.RuleFinding: "found something",
	analyze.RuleClean:   "ran and found nothing",
	analyze.RuleSkipped: "could not judge this bundle",
	analyze.RuleFailed:  "failed",
}

// explainRun prints what one rule did in a run.
func explainRun(w io.Writer, rule *analyze.Rule, res *analyze.Result, thresholds []string) error {
	i := slices.IndexFunc(res.Rules, func(st analyze.RuleStatus) bool { return st.ID == rule.ID })
	if i < 0 {
		return fmt.Errorf("rule %s was not part of the run", rule.ID)
	}
	st := res.Rules[i]
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s) %s", rule.ID, rule.Title, outcomes[st.Status])
	if st.Why != "" {
		fmt.Fprintf(&b, ": %s", plain(st.Why))
	}
	b.WriteString(".\n")
	section(&b, "What decided", st.Notes)
	section(&b, "Thresholds in force", thresholds)
	section(&b, "To let it judge, collect", st.Next)
	for _, o := range res.Overridden {
		if o.Rule == rule.ID {
			section(&b, "Changed by the user", []string{fmt.Sprintf("%s: was %s, %s", o.Title, o.Was, o.Reason)})
		}
	}
	for _, f := range res.Findings {
		if f.Rule == rule.ID {
			explainFinding(&b, f, res)
		}
	}
	if st.Status == analyze.RuleClean || st.Status == analyze.RuleSkipped {
		fmt.Fprintf(&b, "\nWhat it looks for: analyze rules explain %s\n", rule.ID)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func explainFinding(b *strings.Builder, f *analyze.Finding, res *analyze.Result) {
	fmt.Fprintf(b, "\n%s, %s, %s: %s\n", f.Severity, f.Confidence, strings.ReplaceAll(f.Role.String(), "_", " "), plain(f.Title))
	section(b, "Evidence", cited(f.Evidence))
	section(b, "Against it", cited(f.Against))
	section(b, "Would settle it", f.Missing)
	section(b, "Explained by", titles(res, f.Causes))
	section(b, "Made more likely by", titles(res, f.Raised))
	var effects []string
	for _, other := range res.Findings {
		if slices.Contains(other.Causes, f.ID) {
			effects = append(effects, other.ID)
		}
	}
	section(b, "Explains", titles(res, effects))
}

// section prints a list below a heading, or nothing.
func section(b *strings.Builder, heading string, list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", heading)
	for _, l := range list {
		fmt.Fprintf(b, "  %s\n", plain(l))
	}
}

func cited(list []analyze.Evidence) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.Ref.String()
		if e.Note != "" {
			out[i] += "  " + e.Note
		}
	}
	return out
}

func titles(res *analyze.Result, ids []string) []string {
	var out []string
	for _, id := range ids {
		if f := res.Finding(id); f != nil {
			out = append(out, f.Rule+": "+f.Title)
		}
	}
	return out
}

// plain makes text that may hold names from artifacts safe for a terminal: one
// line without control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '\uFFFD'
		}
		return r
	}, s)
}
