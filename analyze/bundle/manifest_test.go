package bundle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/fact"
)

const manifest = `# what the collector knows
summary: The push service stopped delivering to some users.
from: 2026-11-21T08:20:00+08:00
to: 2026-11-21T01:00:00Z
collected: 2026-11-21T01:05:00Z
zone: Asia/Shanghai
host: gateway
hosts:
  - {path: push/, name: push-node-3, zone: "-05:30"}
  - {path: push/sidecar/, name: sidecar}
files:
  - {path: odd.txt, parser: ss}
  - {path: push/copied.txt, host: bastion}
expected:
  - peer: 172.17.0.9:9092
    name: kafka
  - {listener: "0.0.0.0:7700", name: quotepushd}
  # Anwendung für Größen: bytes count, not characters
  - version: 18.2
    name: node
  - setting: 7200
    name: net.ipv4.tcp_keepalive_time
`

func TestManifest(t *testing.T) {
	b := openTar(t, file{"inc/app.log", "x"}, file{"inc/push/ss.txt", "x"}, file{"inc/push/sidecar/ss.txt", "x"},
		file{"inc/odd.txt", "x"}, file{"inc/push/copied.txt", "x"}, file{"inc/culprit.yaml", manifest},
		file{"inc/deeper/culprit.yaml", "summary: not this one"})
	require.NoError(t, b.ManifestErr)
	m := b.Manifest
	require.Equal(t, "The push service stopped delivering to some users.", m.Summary)
	require.Equal(t, "2026-11-21T00:20:00Z", m.From.UTC().Format(time.RFC3339))
	require.Equal(t, "2026-11-21T01:00:00Z", m.To.UTC().Format(time.RFC3339))
	require.Equal(t, "2026-11-21T01:05:00Z", m.Collected.UTC().Format(time.RFC3339))
	require.Equal(t, "Asia/Shanghai", m.Zone.String())
	_, offset := time.Unix(0, 0).In(m.Hosts[1].Zone).Zone()
	require.Equal(t, -(5*3600 + 30*60), offset)
	require.Equal(t, "inc/", m.Hosts[0].Prefix)
	require.Equal(t, "inc/push/sidecar/", m.Hosts[2].Prefix)
	require.Equal(t, []analyze.FileRule{
		{Path: "inc/odd.txt", Parser: "ss"}, {Path: "inc/push/copied.txt", Host: "bastion"},
	}, m.Files)
	line := func(n int, offset int64) fact.Ref {
		return fact.Ref{Artifact: "inc/culprit.yaml", Line: n, Offset: offset}
	}
	require.Equal(t, []analyze.Expectation{
		{What: "peer", Name: "kafka", Value: "172.17.0.9:9092", Ref: line(15, at(t, "  - peer"))},
		{What: "listener", Name: "quotepushd", Value: "0.0.0.0:7700", Ref: line(17, at(t, "  - {listener"))},
		{What: "version", Name: "node", Value: "18.2", Ref: line(19, at(t, "  - version"))},
		{What: "setting", Name: "net.ipv4.tcp_keepalive_time", Value: "7200", Ref: line(21, at(t, "  - setting"))},
	}, m.Expected)
}

// at is where a text stands in the manifest.
func at(t *testing.T, text string) int64 {
	t.Helper()
	for i := range manifest {
		if i+len(text) <= len(manifest) && manifest[i:i+len(text)] == text {
			return int64(i)
		}
	}
	require.Fail(t, "not in the manifest", text)
	return 0
}

func TestManifestErrors(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":   {"summary: x\nsummry: y\n", "[2:1]"},
		"wrong type":    {"summary: x\nhosts: push\n", "[2:"},
		"no YAML":       {"summary: x\n\t- {", "[2:1]"},
		"time":          {"summary: x\nfrom: yesterday\n", "[2:7] \"yesterday\" is no time"},
		"zone":          {"zone: Local\n", `unknown zone "Local"`},
		"expectation":   {"expected:\n  - peer: a\n    listener: b\n", "not both"},
		"unknown word":  {"expected:\n  - per: a\n", `[2:5] unknown key "per"`},
		"empty":         {"expected:\n  - name: a\n", "needs a peer"},
		"host":          {"hosts:\n  - path: a/\n", "hosts[0] needs a path and a name"},
		"file":          {"files:\n  - path: a\n", "files[0] needs"},
		"brackets":      {strings.Repeat("[", 60_000), "nests at most"},
		"too long":      {strings.Repeat("# no end\n", 10_000), "at most 64 KiB"},
		"alias nesting": {"a: &a [x,x]\nb: &b [*a,*a]\nexpected: *b\n", "["},
	} {
		t.Run(name, func(t *testing.T) {
			b := openTar(t, file{"culprit.yaml", test.text}, file{"a.log", "x"})
			require.ErrorContains(t, b.ManifestErr, test.want)
			require.ErrorContains(t, b.ManifestErr, "culprit.yaml: ")
			require.NotContains(t, b.ManifestErr.Error(), "\n")
			require.Nil(t, b.Manifest)
			require.Contains(t, input(t, b, "culprit.yaml").Note, "not used")
			require.Len(t, b.Inputs, 2, "the rest of the bundle is as usable as before")
		})
	}
	b := openTar(t, file{"culprit.yaml", ""})
	require.NoError(t, b.ManifestErr)
}

func TestParseZone(t *testing.T) {
	for _, bad := range []string{"", "Local", "local", "Mars/Olympus", "8", "+8"} {
		_, err := bundle.ParseZone(bad)
		require.Error(t, err, bad)
	}
	loc, err := bundle.ParseZone("+05:45")
	require.NoError(t, err)
	require.Equal(t, "+05:45", loc.String())
}

func FuzzManifest(f *testing.F) {
	f.Add(manifest)
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		b := openTar(t, file{"culprit.yaml", text})
		require.True(t, b.Manifest == nil || b.ManifestErr == nil)
	})
}
