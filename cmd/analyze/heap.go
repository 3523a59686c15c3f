package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Garbage may take as much again as what is in use, as always in Go, until that is
// more than slack. A large heap consists of facts, which live until the end: there
// slack stays as it is, down to a share that keeps the collector cheap. While facts
// pile up and hardly anything else is allocated, the collector has nothing to do, and
// the share may be larger.
const (
	slack       = 16 << 20
	minShare    = 25 // percent
	pilingShare = 50
)

// usage is what the collector left after a cycle, and what was allocated until then.
type usage struct{ live, allocated uint64 }

// garbageShare is what GOGC is to be after a cycle; before is the cycle before it.
func garbageShare(before, now usage) int {
	least := minShare
	if fresh := now.allocated - before.allocated; now.live > before.live && now.live-before.live >= fresh-fresh/8 {
		least = pilingShare
	}
	return int(min(max(slack*100/max(now.live, 1), uint64(least)), 100))
}

// boundGarbage adapts the garbage collector after each of its cycles. A user's
// GOGC has the last word.
func boundGarbage() {
	if os.Getenv("GOGC") != "" {
		return
	}
	type sentinel struct{ _ *sentinel } // with a pointer, so that it is no part of another object
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	var before usage
	var again func(*sentinel)
	again = func(*sentinel) {
		metrics.Read(sample)
		now := usage{sample[0].Value.Uint64(), sample[1].Value.Uint64()}
		debug.SetGCPercent(garbageShare(before, now))
		before = now
		runtime.SetFinalizer(&sentinel{}, again)
	}
	runtime.SetFinalizer(&sentinel{}, again)
}

// collectFacts frees what reading left behind before rules run, if it may be much:
// the tables of a large capture.
func collectFacts() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	if metrics.Read(sample); sample[0].Value.Uint64() > 4*slack {
		runtime.GC()
	}
}
