package auditctl_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/auditctl"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, auditctl.Parser(), "testdata/*.txt") }
func TestRobust(t *testing.T) { parsertest.Robust(t, auditctl.Parser(), "testdata/both.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, auditctl.Parser(), "testdata/*.txt") }
