package rules_test

import (
	"testing"

	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
)

// TestRules runs each rule over the bundles in its folder: go test -run
// TestRules/tcp/refused runs one.
func TestRules(t *testing.T) {
	analyzetest.Rules(t, ".", parsers.All(), rules.All())
}
