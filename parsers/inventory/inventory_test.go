package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/inventory"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, inventory.Parser(), "testdata/*") }

func TestRobust(t *testing.T) { parsertest.Robust(t, inventory.Parser(), "testdata/inventory.yaml") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, inventory.Parser(), "testdata/*") }

// TestClusterState: what a cluster says of itself is no inventory.
func TestClusterState(t *testing.T) {
	for text, claimed := range map[string]bool{
		`{"kind":"NodeList","apiVersion":"v1","items":[{"status":{"addresses":[{"address":"10.0.0.11"}]}}],"nodes":[]}`: false,
		"apiVersion: v1\nkind: Pod\nstatus:\n  hosts:\n  - 10.0.0.11\n":                                                 false,
		"apiVersion: v1\nkind: Endpoints\nendpoints:\n  - 10.0.0.11\n":                                                  true,
		"version: 1\nnodes:\n  - 10.0.0.11\n":                                                                           true,
	} {
		m := inventory.Parser().Sniff(analyze.Head{Path: "nodes.yaml", Size: int64(len(text)), Bytes: []byte(text)})
		require.Equal(t, claimed, m > analyze.No, text)
	}
}
