package applog_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// BenchmarkParse reads an ordinary log: most lines are of no interest.
func BenchmarkParse(b *testing.B) {
	var log bytes.Buffer
	for i := range 100_000 {
		at := fmt.Sprintf("2026-03-02T08:%02d:%02d.%03dZ", i/6000%60, i/100%60, i%1000)
		switch {
		case i%100 == 7:
			fmt.Fprintf(&log, "%s ERROR [api] call to 10.0.0.%d:7402 failed: connect ECONNREFUSED\n", at, i%5)
		case i%3 == 0:
			fmt.Fprintf(&log, "%s DEBUG [cache] lookup key=order:%d trace=%016x hit in the second level\n", at, i, i*7919)
		default:
			fmt.Fprintf(&log, "%s INFO  [api] request %d user %d path /v1/orders/%d took %dms\n", at, i, i*31, i*17, i%900)
		}
	}
	b.SetBytes(int64(log.Len()))
	for b.Loop() {
		parsertest.Force(b, applog.Parser(), "app.log", log.Bytes())
	}
}
