package applog_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// TestExcerpt: what is cited is copied from where it stands, in any encoding.
func TestExcerpt(t *testing.T) {
	for file, want := range map[string]string{
		"pylog.log":   "2026-11-21 01:34:49,000 - worker - INFO - retry",
		"han_gbk.log": "2026年11月21日 01:34:49 [信息] 服务启动 pid=812",
	} {
		content, err := os.ReadFile("testdata/formats/" + file)
		require.NoError(t, err)
		st, _ := parsertest.Run(t, applog.Parser(), file, content)
		all := parsertest.All[fact.LogEvent](st)
		last := all[len(all)-1]
		refs := []fact.Ref{last.At, {Artifact: last.At.Artifact, Line: last.At.Line, Offset: last.At.Offset}, all[0].At}
		got, err := applog.Parser().Excerpt(t.Context(), analyzetest.Input(file, content), refs)
		require.NoError(t, err)
		assert.Equal(t, want, got[0], file)
		assert.Equal(t, want, got[1], "a range without length ends with its line: %s", file)
		assert.NotEmpty(t, got[2], file)
	}
}
