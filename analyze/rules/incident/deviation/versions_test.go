package deviation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers"
)

func TestManifestVersions(t *testing.T) {
	at := fact.Ref{Artifact: "culprit.yaml", Line: 4}
	res, err := analyze.Run(t.Context(), []*analyze.Input{
		analyzetest.Input("culprit.yaml", []byte("summary: x\nexpected:\n")),
		analyzetest.Input("uname.txt", []byte("Linux push-1 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux\n")),
		analyzetest.Input("push.log", []byte("2026-11-21T00:00:00.000Z INFO starting quotepushd version 3.9.2 pid=30\n2026-11-21T00:00:01.000Z INFO listening on 10.2.0.5:7000\n")),
	}, analyze.Config{Parsers: parsers.All(), Rules: []*analyze.Rule{Rule()}, Manifest: &analyze.Manifest{Expected: []analyze.Expectation{
		{What: "version", Name: "quotepushd", Value: "4.1.0", Ref: at},
		{What: "version", Name: "kernel", Value: "6.1", Ref: at},
		{What: "version", Name: "redis", Value: "7.2", Ref: at},
	}}})
	require.NoError(t, err)
	require.Len(t, res.Findings, 1, "the kernel agrees, and nothing states a version of redis")
	f := res.Findings[0]
	assert.Equal(t, "The version of quotepushd is 3.9.2; the inventory says 4.1.0", f.Title)
	assert.Equal(t, analyze.Low, f.Severity)
	assert.Equal(t, []fact.ID{"push.log", "culprit.yaml"}, []fact.ID{f.Evidence[0].Artifact, f.Evidence[1].Artifact})
}

func TestSameVersion(t *testing.T) {
	for _, ok := range [][2]string{{"1.26", "1.26.3"}, {"v1.26.3", "1.26.3"}, {"6.1.0-18-amd64", "6.1"}} {
		assert.True(t, same(ok[0], ok[1]), ok)
	}
	for _, bad := range [][2]string{{"1.2", "1.26"}, {"3.9", "4.1"}, {"1.26.3", "1.26.4"}} {
		assert.False(t, same(bad[0], bad[1]), bad)
	}
}
