package netstats_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/netstats"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, netstats.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, netstats.Parser(), "testdata/netstat_s.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, netstats.Parser(), "testdata/*") }
