package celrule

import (
	"errors"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
)

// OverridesFile is the name of the file, in a folder of rules, that tunes rules
// which exist already:
//
//	thresholds:
//	  socket/close-wait-leak.sockets: 200
//	severity:
//	  - {rule: tcp/refused, subject: 10.0.0.9, severity: low, reason: the canary is off at night}
//	suppress:
//	  - {rule: process/zombies, reason: our base image has no init}
const OverridesFile = "overrides.yaml"

// Tuning is what an overrides file says.
type Tuning struct {
	Thresholds map[string]float64
	Overrides  []analyze.Override
}

type overridesFile struct {
	Thresholds map[string]float64 `yaml:"thresholds"`
	Severity   []override         `yaml:"severity"`
	Suppress   []override         `yaml:"suppress"`
}

type override struct {
	Rule     string `yaml:"rule"`
	Subject  string `yaml:"subject"`
	Severity string `yaml:"severity"`
	Reason   string `yaml:"reason"`
}

// ParseOverrides reads an overrides file. Each override needs a reason.
func ParseOverrides(name string, text []byte) (*Tuning, error) {
	var f overridesFile
	src, err := decode(name, text, &f)
	if err != nil {
		return nil, err
	}
	out := &Tuning{Thresholds: f.Thresholds}
	var errs []error
	add := func(at string, o override, suppress bool) {
		ov := analyze.Override{Rule: o.Rule, Subject: o.Subject, Suppress: suppress, Reason: o.Reason}
		if o.Rule == "" || o.Reason == "" {
			errs = append(errs, src.errorf(at, "an override needs a rule and a reason"))
			return
		}
		if !suppress {
			if err := ov.Severity.UnmarshalText([]byte(o.Severity)); err != nil || ov.Severity == analyze.SeverityUnset {
				errs = append(errs, src.errorf(at, "severity %q: want info, low, medium, high or critical", o.Severity))
				return
			}
		}
		out.Overrides = append(out.Overrides, ov)
	}
	for i, o := range f.Severity {
		add(fmt.Sprintf("$.severity[%d]", i), o, false)
	}
	for i, o := range f.Suppress {
		add(fmt.Sprintf("$.suppress[%d]", i), o, true)
	}
	return out, errors.Join(errs...)
}
