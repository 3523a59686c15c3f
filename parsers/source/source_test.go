package source_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/source"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, source.Parser(), "testdata/*.[jgp][soy]") }
func TestRobust(t *testing.T) { parsertest.Robust(t, source.Parser(), "testdata/launcher.js") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, source.Parser(), "testdata/*.[jgp][soy]") }
