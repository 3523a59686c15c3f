package ipaddr_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/ipaddr"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, ipaddr.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, ipaddr.Parser(), "testdata/ip_addr.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, ipaddr.Parser(), "testdata/*") }
