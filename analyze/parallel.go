package analyze

import (
	"context"
	"sync"
	"sync/atomic"
)

// parallel calls do(0) to do(n-1) on at most jobs goroutines and waits for them.
// It starts no further call once ctx is done, and then returns its error.
func parallel(ctx context.Context, jobs, n int, do func(int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(jobs, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}
