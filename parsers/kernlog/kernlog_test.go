package kernlog_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/kernlog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, kernlog.Parser(), "testdata/*.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, kernlog.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) { parsertest.Robust(t, kernlog.Parser(), "testdata/memcg.txt") }
