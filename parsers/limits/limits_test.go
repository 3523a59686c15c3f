package limits_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/limits"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, limits.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, limits.Parser(), "testdata/limits_711.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, limits.Parser(), "testdata/*") }
