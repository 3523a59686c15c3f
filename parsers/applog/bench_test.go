package applog_test

import (
	"bytes"
	"testing"

	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/applog/internal/chatter"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// BenchmarkParse reads ordinary logs: most lines are of no interest.
func BenchmarkParse(b *testing.B) {
	for _, form := range chatter.Forms() {
		b.Run(form, func(b *testing.B) {
			var log bytes.Buffer
			if err := chatter.Write(&log, chatter.Options{Form: form, Bytes: 32 << 20}); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(log.Len()))
			b.ReportAllocs()
			for b.Loop() {
				parsertest.Force(b, applog.Parser(), "app.log", log.Bytes())
			}
		})
	}
}
