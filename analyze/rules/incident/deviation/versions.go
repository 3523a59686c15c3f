package deviation

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// statement is a version or a setting that an artifact states.
type statement struct {
	value string
	at    fact.Ref
}

// versions compares what the inventory says of versions and settings with what the
// artifacts state. An inventory's word for something must be the whole name there.
func versions(p *analyze.Pass) {
	for e := range fact.All[fact.Expected](p.Facts) {
		if e.What != "version" && e.What != "setting" || generic[strings.ToLower(e.Name)] {
			continue
		}
		st, ok := stated(p, e)
		if !ok {
			continue
		}
		p.Note("%s %s: %s is expected, %s is stated", e.What, e.Name, e.Value, st.value)
		if same(e.Value, st.value) {
			continue
		}
		p.Report(analyze.Finding{
			Subject: e.What + " of " + e.Name, Severity: analyze.Low, Confidence: analyze.Likely,
			Title:  fmt.Sprintf("The %s of %s is %s; the inventory says %s", e.What, e.Name, st.value, e.Value),
			Detail: "What runs is not what was planned. That alone breaks nothing; it matters where a finding is about the same program.",
			Evidence: []analyze.Evidence{
				analyze.Cite(st.at, "states %s", st.value), analyze.Cite(e.At, "the inventory's %s of %s", e.What, e.Name),
			},
			Fix: "Deploy what the inventory says, or correct the inventory.",
		})
	}
}

// generic names say that something is a version and not of what.
var generic = map[string]bool{"": true, "version": true, "release": true, "tag": true, "image": true}

// stated finds what an artifact says of a version or setting.
func stated(p *analyze.Pass, e *fact.Expected) (statement, bool) {
	if e.What == "setting" {
		for c := range fact.All[fact.Counter](p.Facts) {
			if c.Source == "sysctl" && c.Name == e.Name {
				return statement{cmp.Or(c.Text, strconv.FormatInt(c.Value, 10)), c.At}, true
			}
		}
		return statement{}, false
	}
	for i := range fact.All[fact.HostInfo](p.Facts) {
		if i.Name == e.Name && (i.Name == "kernel" || i.Name == "os") {
			return statement{strings.TrimPrefix(i.Value, "Linux "), i.At}, true
		}
	}
	for d := range fact.All[fact.Dump](p.Facts) {
		if strings.EqualFold(e.Name, "go") && d.GoVersion != "" {
			return statement{d.GoVersion, d.At}, true
		}
	}
	return logged(p, e.Name)
}

// logged finds a log line in which a program states its version: "push 2.9.4",
// "push/2.9.4", "push version=2.9.4".
func logged(p *analyze.Pass, program string) (statement, bool) {
	says, err := regexp.Compile(`(?i)(?:^|[^\w-])` + regexp.QuoteMeta(program) + `[ /:]+(?:version[ =:]*)?v?([0-9]+\.[0-9]+(?:\.[0-9]+)*(?:[-+][\w.]+)?)(?:[^\w.]|\.?$)`)
	if err != nil {
		return statement{}, false
	}
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if m := says.FindStringSubmatch(l.Text); m != nil {
			return statement{m[1], l.At}, true
		}
	}
	return statement{}, false
}

// same reports whether two versions agree: equal, or the shorter one leaves out
// the end of the other ("1.26" and "1.26.3", "6.1" and "6.1.0-18-amd64").
func same(want, got string) bool {
	want, got = strings.TrimPrefix(want, "v"), strings.TrimPrefix(got, "v")
	if len(want) > len(got) {
		want, got = got, want
	}
	rest, ok := strings.CutPrefix(got, want)
	return ok && (rest == "" || strings.ContainsAny(rest[:1], ".-+ "))
}
