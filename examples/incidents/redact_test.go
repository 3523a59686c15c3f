package incidents_test

import (
	"bufio"
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/census"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/redact"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/analyze/timeline"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

// What names a machine or a person in the files of a bundle, read as a person would.
var (
	unameHost = regexp.MustCompile(`(?m)^Linux (\S+) \d`)
	passwdMan = regexp.MustCompile(`(?m)^([a-z][\w-]*):x:[1-5]\d{3}:`)
	homeOf    = regexp.MustCompile(`/home/([a-z][\w-]*)`)
	ipv4      = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`)
)

// programs of the bundles are called like these accounts; then the name is no one's.
var alsoPrograms = []string{"node", "push", "app"}

// originals are the names in the text artifacts of a bundle.
func originals(t *testing.T, inputs []*analyze.Input) []string {
	t.Helper()
	var out []string
	for _, in := range inputs {
		r, err := in.Open()
		require.NoError(t, err)
		sc := bufio.NewScanner(r)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() && utf8.Valid(sc.Bytes()) {
			line := sc.Text()
			for _, re := range []*regexp.Regexp{unameHost, passwdMan, homeOf} {
				for _, m := range re.FindAllStringSubmatch(line, -1) {
					out = append(out, m[1])
				}
			}
			for _, a := range ipv4.FindAllString(line, -1) {
				if ip, err := netip.ParseAddr(a); err == nil && !ip.IsLoopback() && !ip.IsUnspecified() && ip.As4()[0] != 255 && ip.As4()[0] != 0 {
					out = append(out, a)
				}
			}
		}
		require.NoError(t, r.Close())
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return slices.Contains(alsoPrograms, s) })
}

// TestRedactedReportsNameNobody renders each known bundle with --redact in every
// format, with everything that can be shown, and looks for the names of its files.
func TestRedactedReportsNameNobody(t *testing.T) {
	found := 0
	for _, k := range knownBundles(t) {
		t.Run(k.name, func(t *testing.T) {
			b, err := bundle.Open(t.Context(), []string{k.path}, bundle.Options{})
			require.NoError(t, err)
			defer func() { assert.NoError(t, b.Close()) }()
			names := originals(t, b.Inputs)
			encoded := func(with func(*analyze.Pass, []string) func(string) string) map[string]string {
				res, err := analyze.Run(t.Context(), b.Inputs, analyze.Config{
					Parsers: parsers.All(), Rules: rules.All(), Manifest: b.Manifest, Bundle: analyze.Bundle{Name: b.Name},
					Census: census.Of, Hosts: join.HostOf, Timeline: timeline.All, Redact: with,
				})
				require.NoError(t, err)
				out := map[string]string{}
				for _, enc := range report.Encoders() {
					var buf bytes.Buffer
					require.NoError(t, enc.Encode(&buf, res, report.Options{Full: true, Events: true}))
					out[enc.Name] = buf.String()
				}
				return out
			}
			plain, hidden := encoded(nil), encoded(redact.New)
			for _, name := range names {
				if word(plain["json"], name) {
					found++
				}
				for format, text := range hidden {
					if at := strings.Index(text, name); at >= 0 && word(text, name) {
						t.Errorf("%s: %q is still there: ...%s...", format, name, text[max(0, at-60):min(len(text), at+60)])
					}
				}
			}
		})
	}
	assert.Greater(t, found, 20, "names that the plain reports hold")
}
