package nodereport_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/nodereport"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, nodereport.Parser(), "testdata/*.json") }

func TestRobust(t *testing.T) {
	parsertest.Robust(t, nodereport.Parser(), "testdata/node-20-api.json")
}

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, nodereport.Parser(), "testdata/*.json") }
