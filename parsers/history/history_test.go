package history_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/history"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, history.Parser(), "testdata/*[yat]") }
func TestRobust(t *testing.T) {
	parsertest.Robust(t, history.Parser(), "testdata/bash_history_ana")
}
func FuzzParse(f *testing.F) { parsertest.Fuzz(f, history.Parser(), "testdata/*[yat]") }
