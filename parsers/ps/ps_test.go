package ps_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/ps"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, ps.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) {
	for _, sample := range []string{"axjf", "pstree", "top", "pidstat"} {
		t.Run(sample, func(t *testing.T) { parsertest.Robust(t, ps.Parser(), "testdata/"+sample+".txt") })
	}
}

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, ps.Parser(), "testdata/*.txt") }
