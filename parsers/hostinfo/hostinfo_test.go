package hostinfo_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/hostinfo"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, hostinfo.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, hostinfo.Parser(), "testdata/host_info.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, hostinfo.Parser(), "testdata/*") }
