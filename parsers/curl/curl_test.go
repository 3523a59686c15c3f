package curl_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/curl"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, curl.Parser(), "testdata/*.txt") }
func TestRobust(t *testing.T) { parsertest.Robust(t, curl.Parser(), "testdata/health.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, curl.Parser(), "testdata/*.txt") }
