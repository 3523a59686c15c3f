package unparsed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
)

// The bundles of analyzetest may hold no file that no parser knows.
func TestUnclaimedFilesAreListed(t *testing.T) {
	res, err := analyze.Run(t.Context(), []*analyze.Input{
		analyzetest.Input("notes.txt", []byte("what is this\nand this\n")),
		analyzetest.Input("core", []byte{0, 1, 2}),
	}, analyze.Config{Rules: []*analyze.Rule{Rule()}})
	require.NoError(t, err)
	require.Equal(t, analyze.RuleFinding, res.Rules[0].Status, res.Rules[0].Why)
	f := res.Findings[0]
	require.Equal(t, "2 files of the bundle could not be read: no known format", f.Title)
	require.Equal(t, "notes.txt:1", f.Evidence[1].String())
	require.Equal(t, analyze.StatusInsufficient, res.Verdict.Status)
}
