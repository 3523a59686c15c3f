package pprof

import (
	"bytes"
	"encoding/binary"
)

// Before protocol buffers, profilers of C++ and the JVM wrote forms of their own:
// the heap, contention and thread texts of gperftools, and its binary CPU profile.
// Package profile still reads them.

var legacyHeads = [...]string{"--- contentionz ", "--- heapz ", "--- threadz ", "--- growthz ", "--- fragmentationz ", "--- Memory map: "}

// isLegacy reports whether b begins such a profile.
func isLegacy(b []byte) bool {
	for _, head := range legacyHeads {
		if bytes.HasPrefix(b, []byte(head)) {
			return true
		}
	}
	return legacyCPU(b)
}

// legacyCPU recognizes the header of a CPU profile: the words 0, 3, the version 0
// (1 of a JVM's), the sampling period in microseconds and 0, in the order of bytes
// and the width of the machine.
func legacyCPU(b []byte) bool {
	const words = 5
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, width := range [...]int{8, 4} {
			if len(b) < words*width {
				continue
			}
			var w [words]uint64
			for i := range w {
				if width == 8 {
					w[i] = order.Uint64(b[i*width:])
				} else {
					w[i] = uint64(order.Uint32(b[i*width:]))
				}
			}
			if w[0] == 0 && w[1] == 3 && w[2] <= 1 && w[3] > 0 && w[3] <= 10_000_000 && w[4] == 0 {
				return true
			}
		}
	}
	return false
}
