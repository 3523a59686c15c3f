package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Garbage may take as much again as what is in use, as always in Go, until that is
// more than slack. A large heap consists of facts, which live until the end: there
// slack stays as it is, down to a share that keeps the collector cheap.
const (
	slack    = 16 << 20
	minShare = 25 // percent
)

// garbageShare is what GOGC is to be for a heap with so much in use.
func garbageShare(live uint64) int {
	return int(min(max(slack*100/max(live, 1), minShare), 100))
}

// boundGarbage adapts the garbage collector after each of its cycles. A user's
// GOGC has the last word.
func boundGarbage() {
	if os.Getenv("GOGC") != "" {
		return
	}
	type sentinel struct{ _ *sentinel } // with a pointer, so that it is no part of another object
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	var again func(*sentinel)
	again = func(*sentinel) {
		metrics.Read(sample)
		debug.SetGCPercent(garbageShare(sample[0].Value.Uint64()))
		runtime.SetFinalizer(&sentinel{}, again)
	}
	runtime.SetFinalizer(&sentinel{}, again)
}
