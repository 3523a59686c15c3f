package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGarbageShare(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, slack: 100, 2 * slack: 50, 1 << 30: minShare} {
		require.Equal(t, want, garbageShare(live), live)
	}
}
