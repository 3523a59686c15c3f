package metrics_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/metrics"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, metrics.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, metrics.Parser(), "testdata/one.csv") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, metrics.Parser(), "testdata/*") }
