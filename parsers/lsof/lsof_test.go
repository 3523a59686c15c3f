package lsof_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/lsof"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, lsof.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, lsof.Parser(), "testdata/lsof_p.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, lsof.Parser(), "testdata/*") }
