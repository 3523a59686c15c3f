package df_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/df"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, df.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) { parsertest.Robust(t, df.Parser(), "testdata/df_h.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, df.Parser(), "testdata/*.txt") }
