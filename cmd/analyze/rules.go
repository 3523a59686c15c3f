package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

func (s *settings) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List the rules",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := s.rules()
			if err != nil {
				return err
			}
			return listRules(s.stdout, all)
		},
	}
	cmd.PersistentFlags().StringVar(&s.rulesDir, "rules", "", "folder of your own rules (YAML)")
	cmd.AddCommand(s.rulesTestCommand(), &cobra.Command{
		Use:     "explain ID",
		Short:   "Print what a rule looks for, what it needs and its thresholds",
		Example: "  analyze rules explain go/leaked-lock",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			all, err := s.rules()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return ruleIDs(all), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := s.rules()
			if err != nil {
				return err
			}
			r, err := findRule(all, args[0])
			if err != nil {
				return err
			}
			return explainRule(s.stdout, r)
		},
	})
	return cmd
}

func ruleIDs(all []*analyze.Rule) []string {
	ids := make([]string, len(all))
	for i, r := range all {
		ids[i] = r.ID
	}
	slices.Sort(ids)
	return ids
}

// findRule finds a rule by its ID; for an unknown one the error names those that
// are near.
func findRule(all []*analyze.Rule, id string) (*analyze.Rule, error) {
	var near []string
	family, words, _ := strings.Cut(id, "/")
	for _, r := range all {
		if r.ID == id {
			return r, nil
		}
		f, w, _ := strings.Cut(r.ID, "/")
		if w == words || w == family || (f == family && words == "") {
			near = append(near, r.ID)
		}
	}
	if len(near) > 0 {
		slices.Sort(near)
		return nil, fmt.Errorf("no rule %q; did you mean %s?", id, strings.Join(near, ", "))
	}
	return nil, fmt.Errorf("no rule %q (`analyze rules` lists them)", id)
}

func listRules(w io.Writer, all []*analyze.Rule) error {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b *analyze.Rule) int { return strings.Compare(a.ID, b.ID) })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range sorted {
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title)
	}
	return t.Flush()
}

// explainRule prints a rule's page and, below it, what the code declares.
func explainRule(w io.Writer, r *analyze.Rule) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(r.Doc))
	fmt.Fprintf(&b, "Usual severity: %s\n", r.Severity)
	for _, line := range []struct {
		label string
		kinds []fact.Kind
	}{{"Needs", r.Needs}, {"Needs one of", r.AnyOf}, {"Reads if present", r.Wants}} {
		if len(line.kinds) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", line.label, joinKinds(line.kinds))
		}
	}
	for _, m := range r.ExplainedBy {
		fmt.Fprintf(&b, "Explained by %s on the same %s: %s\n", m.Rule, m.Via, m.Why)
	}
	if len(r.Thresholds) > 0 {
		b.WriteString("\nThresholds:\n")
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, th := range r.Thresholds {
			fmt.Fprintf(t, "  %s.%s\t%g %s\t%s\n", r.ID, th.Name, th.Default, th.Unit, th.Doc)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func joinKinds(kinds []fact.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}
