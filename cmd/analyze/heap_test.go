package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGarbageShare(t *testing.T) {
	const churn = 1 << 40 // of which hardly anything stays
	for live, want := range map[uint64]int{0: 100, slack: 100, 2 * slack: 50, 1 << 30: minShare} {
		require.Equal(t, want, garbageShare(usage{}, usage{live, churn}), live)
	}
	before := usage{live: 1 << 30, allocated: churn}
	for name, c := range map[string]struct {
		kept, fresh uint64
		want        int
	}{
		"all of it stays":    {100 << 20, 100 << 20, pilingShare},
		"nearly all stays":   {90 << 20, 100 << 20, pilingShare},
		"much of it stays":   {80 << 20, 100 << 20, minShare},
		"nothing was needed": {0, 0, minShare},
	} {
		now := usage{before.live + c.kept, before.allocated + c.fresh}
		require.Equal(t, c.want, garbageShare(before, now), name)
	}
	require.Equal(t, minShare, garbageShare(before, usage{before.live / 2, churn + 1<<20}), "less than before")
}
