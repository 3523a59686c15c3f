package inventory_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/inventory"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, inventory.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, inventory.Parser(), "testdata/inventory.yaml") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, inventory.Parser(), "testdata/*") }
