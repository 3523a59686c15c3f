package report

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestSARIF(t *testing.T) {
	var log sarifLog
	require.NoError(t, json.Unmarshal([]byte(encode(t, "sarif", sample(), Options{})), &log))
	assert.Equal(t, "2.1.0", log.Version)
	require.Len(t, log.Runs, 1)
	run := log.Runs[0]
	require.Len(t, run.Results, len(sample().Findings))
	levels := []string{}
	for i, r := range run.Results {
		f := sample().Findings[i]
		levels = append(levels, r.Level)
		require.Len(t, r.Locations, 1, "a result stands at one place")
		assert.Len(t, r.Related, len(f.Evidence)-1)
		assert.Equal(t, f.ID, r.Fingerprints["culprit/v1"])
		if r.RuleIndex != nil {
			assert.Equal(t, f.Rule, run.Tool.Driver.Rules[*r.RuleIndex].ID)
		}
	}
	assert.Equal(t, []string{"error", "error", "note", "error", "error", "note", "note"}, levels)
	first := run.Results[0].Locations[0]
	assert.Equal(t, "goroutine.txt", first.Physical.Artifact.URI)
	assert.Equal(t, 120, first.Physical.Region.StartLine)
	window := run.Results[4].Locations[0]
	assert.Equal(t, "frame 301: first zero window", window.Message.Text)
	assert.EqualValues(t, 30100, *window.Physical.Region.ByteOffset)
	assert.Len(t, run.Invocations[0].Notifications, 4+2, "artifacts not read and rules that could not judge")
}

func TestArtifactURI(t *testing.T) {
	for path, want := range map[string]string{
		"a/b c.log":     "a/b%20c.log",
		"x.zip!in/y":    "x.zip%21in/y",
		"http://evil/x": "http%3A//evil/x",
		"//evil/x":      "evil/x",
		"50%/?q#f":      "50%25/%3Fq%23f",
		"päth":          "p%C3%A4th",
	} {
		got := artifactURI(path)
		assert.Equal(t, want, got)
		u, err := url.Parse(got)
		require.NoError(t, err)
		assert.Empty(t, u.Scheme+u.Host+u.RawQuery+u.Fragment, "%s is a relative path", path)
	}
}

func TestSARIFNamesRecordsByTheirKind(t *testing.T) {
	r := sample()
	e := analyze.Evidence{Ref: fact.Ref{Artifact: "heap.pb.gz", Packet: 7}, Note: "most bytes"}
	r.Artifacts = append(r.Artifacts, analyze.ArtifactStatus{Path: "heap.pb.gz", Parser: "pprof", Status: analyze.ArtifactParsed})
	r.Findings[0].Evidence = []analyze.Evidence{e}
	assert.Equal(t, "sample 7: most bytes", sarifFinding(r.Findings[0], recordWords(r)).Locations[0].Message.Text)
}
