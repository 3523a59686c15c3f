package parsertest

import (
	"bytes"
	"os"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
)

// fuzzSeedMax keeps seeds small: the fuzzer mutates large ones slowly and learns
// little from them.
const fuzzSeedMax = 16 << 10

// Fuzz is the body of a fuzz target. Each seed is a glob of files; long ones are
// cut. Every input must be parsed without panic, into a bounded number of facts
// that stand where they say, twice the same.
func Fuzz(f *testing.F, p *analyze.Parser, seeds ...string) {
	for _, glob := range seeds {
		for _, file := range match(f, glob) {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content[:min(len(content), fuzzSeedMax)])
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p.Sniff(analyze.Head{Path: "fuzz", Size: int64(len(content)), Bytes: content[:min(len(content), analyze.HeadSize)]})
		tr := trial{parser: p, path: "fuzz", content: content, force: true}
		first, _ := must(t, tr)
		tr.jobs = 4
		second, _ := must(t, tr)
		if a, b := Lines(t, first), Lines(t, second); !bytes.Equal(a, b) {
			t.Errorf("a second run, with more jobs, differs: %s", difference(a, b))
		}
	})
}
