package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
)

// TestPace checks the rate and the remaining time beside a bar.
func TestPace(t *testing.T) {
	for want, p := range map[string]analyze.Progress{
		"read at 100.00MB/s, 3s left":  {Stage: "read", Done: 200e6, Total: 500e6},
		"read at 100.00MB/s, 1s left":  {Stage: "read", Done: 200e6, Total: 210e6},
		"read at 100.00MB/s":           {Stage: "read", Done: 200e6, Total: -1}, // a stream
		"read at 1.00KB/s, 2m18s left": {Stage: "read", Done: 2000, Total: 140e3},
		"read":                         {Stage: "read", Total: 10},
		"rules":                        {Stage: "rules", Done: 20, Total: 90},
	} {
		require.Equal(t, want, pace(p, 2*time.Second))
	}
}
