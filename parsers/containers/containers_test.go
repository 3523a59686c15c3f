package containers_test

import (
	"testing"

	"github.com/culprit-dev/culprit/parsers/containers"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, containers.Parser(), "testdata/*") }

func TestRobust(t *testing.T) {
	for _, file := range []string{"kubectl-1.31-pods.json", "kubectl-1.31-pods.yaml", "kubectl-1.31-describe.txt", "kubectl-1.31-events-wide.txt"} {
		t.Run(file, func(t *testing.T) { parsertest.Robust(t, containers.Parser(), "testdata/"+file) })
	}
}

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, containers.Parser(), "testdata/*") }
