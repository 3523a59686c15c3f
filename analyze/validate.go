package analyze

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// validate rejects a configuration that could only surprise later.
func (c *Config) validate() error {
	var errs []error
	seen := map[string]bool{}
	for _, p := range c.Parsers {
		switch {
		case p == nil:
			errs = append(errs, errors.New("config: nil parser"))
			continue
		case p.Name == "" || p.Sniff == nil || p.Parse == nil || len(p.Emits) == 0:
			errs = append(errs, fmt.Errorf("config: parser %q lacks a name, Sniff, Parse or Emits", p.Name))
		case seen[p.Name]:
			errs = append(errs, fmt.Errorf("config: two parsers are named %q", p.Name))
		}
		seen[p.Name] = true
	}
	known := map[string]*Rule{}
	for _, r := range c.Rules {
		if r == nil {
			errs = append(errs, errors.New("config: nil rule"))
			continue
		}
		errs = append(errs, r.validate())
		if known[r.ID] != nil {
			errs = append(errs, fmt.Errorf("config: two rules are named %q", r.ID))
		}
		known[r.ID] = r
	}
	if c.Baseline != nil && c.Census == nil {
		errs = append(errs, errors.New("config: a baseline needs a census to compare with"))
	}
	for key := range c.Thresholds {
		dot := strings.LastIndexByte(key, '.')
		switch {
		case dot < 0 || known[key[:dot]] == nil:
			errs = append(errs, fmt.Errorf("config: no threshold %q, want rule.name, for example socket/close-wait-leak.sockets", key))
		case !known[key[:dot]].hasThreshold(key[dot+1:]):
			errs = append(errs, fmt.Errorf("config: no threshold %q; the thresholds of %s are: %s", key, key[:dot], strings.Join(known[key[:dot]].thresholdNames(), ", ")))
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) validate() error {
	family, words, ok := strings.Cut(r.ID, "/")
	switch {
	case !ok || family == "" || words == "":
		return fmt.Errorf("config: rule %q: want an ID family/words", r.ID)
	case r.Title == "" || r.Doc == "":
		return fmt.Errorf("config: rule %s lacks a title or a doc", r.ID)
	case r.Severity == SeverityUnset:
		return fmt.Errorf("config: rule %s lacks a severity", r.ID)
	case r.Run == nil:
		return fmt.Errorf("config: rule %s lacks Run", r.ID)
	case slices.Contains(r.After, r.ID):
		return fmt.Errorf("config: rule %s runs after itself", r.ID)
	}
	return nil
}

func (r *Rule) hasThreshold(name string) bool {
	return slices.ContainsFunc(r.Thresholds, func(t Threshold) bool { return t.Name == name })
}

func (r *Rule) thresholdNames() []string {
	var out []string
	for _, t := range r.Thresholds {
		out = append(out, t.Name)
	}
	return out
}

// validate rejects a finding that could not be shown with its proof.
func (f *Finding) validate() error {
	switch {
	case f.Subject == "" || f.Title == "":
		return errors.New("a finding without subject or title")
	case f.Severity == SeverityUnset || f.Confidence == ConfidenceUnset:
		return fmt.Errorf("finding %q without severity or confidence", f.Title)
	case len(f.Evidence) == 0:
		return fmt.Errorf("finding %q without evidence", f.Title)
	}
	for _, e := range slices.Concat(f.Evidence, f.Against) {
		if e.Artifact == "" || (e.Line == 0 && e.Packet == 0) {
			return fmt.Errorf("finding %q cites %q without line or packet", f.Title, e.Ref)
		}
	}
	return nil
}

// possible is a time, or zero for one that no report could write: a damaged or
// hostile stamp may name a year of six digits, and JSON has none.
func possible(t time.Time) time.Time {
	if y := t.UTC().Year(); y < 1 || y > 9998 { // 9998: a zone may add a day
		return time.Time{}
	}
	return t
}

// dropImpossibleTimes forgets times that no report could write.
func (f *Finding) dropImpossibleTimes() {
	f.From, f.To = possible(f.From), possible(f.To)
	for _, list := range [][]Evidence{f.Evidence, f.Against} {
		for i := range list {
			list[i].Time = possible(list[i].Time)
		}
	}
}
