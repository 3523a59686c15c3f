package auditd_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/auditd"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, auditd.Parser(), "testdata/*") }
func TestRobust(t *testing.T) { parsertest.Robust(t, auditd.Parser(), "testdata/enriched.log") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, auditd.Parser(), "testdata/*") }
