package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/diff"
)

// sampleDiff compares the sample with what is left of it after a restart.
func sampleDiff() *diff.Diff {
	before, after := sample(), sample()
	after.Findings = after.Findings[1:]
	after.Findings[0].Severity = analyze.Critical
	before.Census = []analyze.Count{
		{What: "listener", N: 1}, {What: "listener", Name: "0.0.0.0:7700/tcp", N: 1, Value: "quotepushd"},
		{What: "goroutines", N: 40}, {What: "goroutines", Name: "main.<b>serve</b>", N: 40}, {What: "lock"},
	}
	after.Census = []analyze.Count{{What: "listener"}, {What: "goroutines", N: 900}, {What: "goroutines", Name: "main.<b>serve</b>", N: 900}}
	return diff.Results(before, after, analyze.DefaultTolerance())
}

func encodeDiffAs(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	for _, e := range DiffEncoders() {
		if e.Name == name {
			require.NoError(t, e.Encode(&b, sampleDiff(), Options{}))
		}
	}
	return b.String()
}

func TestDiffText(t *testing.T) {
	md := encodeDiffAs(t, "md")
	assert.Contains(t, md, "## Findings that are gone")
	assert.Contains(t, md, "## Changed findings")
	assert.Contains(t, md, "- goroutines created by `main.<b>serve</b>`: 40 to 900")
	assert.Contains(t, md, "## Vanished\n\n- listener `0.0.0.0:7700/tcp`")
	assert.Contains(t, md, "- lock: only in the bundle before")
	text := encodeDiffAs(t, "text")
	assert.Contains(t, text, "Grew:\n  goroutines created by main.<b>serve</b>: 40 to 900\n")
	assert.NotContains(t, text, "`")
}

func TestDiffSchemaAcceptsComparisons(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(DiffSchema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("diff.json", doc))
	s, err := c.Compile("diff.json")
	require.NoError(t, err)
	got, err := jsonschema.UnmarshalJSON(strings.NewReader(encodeDiffAs(t, "json")))
	require.NoError(t, err)
	assert.NoError(t, s.Validate(got))
}
