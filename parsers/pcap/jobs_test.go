package pcap_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// sameForAnyJobs reads and judges a capture with 1, 2 and 8 jobs and compares all
// facts and the whole report, as JSON.
func sameForAnyJobs(t *testing.T, path string, content []byte) {
	t.Helper()
	var want []byte
	for _, jobs := range []int{1, 2, 8} {
		in := &analyze.Input{Path: path, Size: int64(len(content)), Open: opener(content)}
		cfg := analyze.Config{Parsers: []*analyze.Parser{pcap.Parser()}, Rules: rules.All(), Jobs: jobs}
		read, err := analyze.Read(t.Context(), []*analyze.Input{in}, cfg)
		require.NoError(t, err)
		res, _ := analyze.Run(t.Context(), []*analyze.Input{in}, cfg) // an error means that nothing could be read
		report, err := json.Marshal(res)
		require.NoError(t, err)
		got := append(parsertest.Lines(t, read.Store), report...)
		if want == nil {
			want = got
		}
		require.True(t, bytes.Equal(want, got), "%s: %d jobs give another result", path, jobs)
	}
}

// TestJobsSamples checks the captures of testdata.
func TestJobsSamples(t *testing.T) {
	names, err := filepath.Glob("testdata/*.pcap.txt")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		name = filepath.Base(name)
		sameForAnyJobs(t, name, compile(t, sample(t, name)))
	}
}

// TestJobsCorpus checks the captures of other projects, where they are there.
func TestJobsCorpus(t *testing.T) {
	const root = "../../../shared/corpora/pcap/"
	if _, err := os.Stat(root); err != nil || testing.Short() {
		t.Skip("the captures of other projects are not here")
	}
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if pcap.Parser().Sniff(analyze.Head{Path: path, Size: int64(len(content)), Bytes: content[:min(len(content), analyze.HeadSize)]}) == analyze.No {
			return nil
		}
		n++
		sameForAnyJobs(t, path, content)
		return nil
	})
	require.NoError(t, err)
	t.Logf("%d captures", n)
}
