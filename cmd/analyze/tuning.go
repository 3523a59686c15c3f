package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/celrule"
	"github.com/culprit-dev/culprit/analyze/rules"
)

// baselineHelp describes --baseline.
const baselineHelp = "healthy bundle of the same system, or its saved JSON report, to judge against"

// ruleFlags are for every command that applies rules.
func (s *settings) ruleFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.rulesDir, "rules", "", "folder of your own rules (YAML), and of overrides.yaml")
	f.StringVar(&s.baseline, "baseline", "", baselineHelp)
	f.BoolVar(&s.redact, "redact", false, "replace addresses, names of hosts and users, secrets and e-mail addresses by pseudonyms")
	f.StringArrayVar(&s.thresholds, "threshold", nil, "change a number, for example socket/close-wait-leak.sockets=200 (may be repeated)")
}

// rules are the rules that come with the program and those of --rules.
func (s *settings) rules() ([]*analyze.Rule, error) {
	all := rules.All()
	if s.rulesDir == "" {
		return all, nil
	}
	root, err := os.OpenRoot(s.rulesDir)
	if err != nil {
		return nil, fmt.Errorf("--rules: %w", err)
	}
	defer root.Close()
	own, err := celrule.Load(root.FS(), celrule.Options{Folder: s.rulesDir})
	if err != nil {
		return nil, fmt.Errorf("the rules of %s cannot be used:\n%w", s.rulesDir, err)
	}
	return append(all, own...), nil
}

// tune puts overrides.yaml and --threshold into the configuration.
func (s *settings) tune(cfg *analyze.Config) error {
	cfg.Thresholds = map[string]float64{}
	if s.rulesDir != "" {
		name := filepath.Join(s.rulesDir, celrule.OverridesFile)
		text, err := os.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("--rules: %w", err)
		default:
			tuning, err := celrule.ParseOverrides(name, text)
			if err != nil {
				return err
			}
			maps.Copy(cfg.Thresholds, tuning.Thresholds)
			cfg.Overrides = tuning.Overrides
		}
	}
	for _, t := range s.thresholds {
		key, value, ok := strings.Cut(t, "=")
		n, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return fmt.Errorf("--threshold %q: want RULE.NAME=NUMBER, for example socket/close-wait-leak.sockets=200", t)
		}
		cfg.Thresholds[key] = n
	}
	return nil
}

// thresholdsInForce lists the numbers of a rule as a run uses them.
func (s *settings) thresholdsInForce(r *analyze.Rule) ([]string, error) {
	var cfg analyze.Config
	if err := s.tune(&cfg); err != nil {
		return nil, err
	}
	out := make([]string, len(r.Thresholds))
	for i, t := range r.Thresholds {
		key := r.ID + "." + t.Name
		value, changed := cfg.Thresholds[key]
		if !changed {
			value = t.Default
		}
		out[i] = strings.TrimRight(fmt.Sprintf("%s = %g %s", key, value, t.Unit), " ")
		if changed {
			out[i] += fmt.Sprintf(" (default %g)", t.Default)
		}
		if t.Doc != "" {
			out[i] += ": " + t.Doc
		}
	}
	slices.Sort(out)
	return out, nil
}
