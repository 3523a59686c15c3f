package pprof_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pprof"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, pprof.Parser(), "testdata/*") }
func TestRobust(t *testing.T) { parsertest.Robust(t, pprof.Parser(), "testdata/goroutine.pb") }
func TestText(t *testing.T)   { parsertest.Robust(t, pprof.Parser(), "testdata/mutex_debug1.txt") }
func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, pprof.Parser(), "testdata/*") }

// TestTextAgrees checks that the text and the binary form of one profile say the
// same.
func TestTextAgrees(t *testing.T) {
	for _, kind := range []string{"mutex", "block"} {
		read := func(name string) (fact.Profile, []fact.ProfileSite) {
			content, err := os.ReadFile("testdata/" + name)
			require.NoError(t, err)
			// The name must not tell the type.
			st, _ := parsertest.Run(t, pprof.Parser(), "x", content)
			return parsertest.All[fact.Profile](st)[0], parsertest.All[fact.ProfileSite](st)
		}
		bin, binSites := read(kind + ".pb")
		text, textSites := read(kind + "_debug1.txt")
		require.Equal(t, kind, bin.Type)
		require.Equal(t, kind, text.Type)
		require.Equal(t, bin.Totals[0].Total, text.Totals[0].Total, "contentions")
		require.InEpsilon(t, float64(bin.Totals[1].Total), float64(text.Totals[1].Total), 0.05, "delay")
		require.Equal(t, len(binSites), len(textSites))
		require.Equal(t, binSites[0].Frames[0].Func, textSites[0].Frames[0].Func)
	}
}

// TestLeakProfile checks that a goroutine leak profile marks its goroutines.
func TestLeakProfile(t *testing.T) {
	content, err := os.ReadFile("testdata/goroutineleak.pb")
	require.NoError(t, err)
	st, _ := parsertest.Run(t, pprof.Parser(), "x", content)
	d := parsertest.All[fact.Dump](st)[0]
	require.True(t, d.Leak)
	require.Equal(t, "proto", d.Form)
}

// TestCompressed checks that a profile is read as the program wrote it, too.
func TestCompressed(t *testing.T) {
	content, err := os.ReadFile("testdata/goroutine.pb")
	require.NoError(t, err)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(content)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	want, _ := parsertest.Run(t, pprof.Parser(), "x", content)
	got, _ := parsertest.Run(t, pprof.Parser(), "x", b.Bytes())
	require.Equal(t, parsertest.All[fact.GoroutineGroup](want), parsertest.All[fact.GoroutineGroup](got))
}

// TestBomb checks that a small file that unpacks to much is refused.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	head := []byte{0x0a, 4, 8, 1, 16, 2, 0x32, 0, 0x32, 0, 0x32, 0}
	_, err := z.Write(head)
	require.NoError(t, err)
	zeros := bytes.Repeat([]byte{0x32, 0}, 1<<19)
	for range 80 {
		_, err = z.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	_, status := parsertest.Force(t, pprof.Parser(), "x.pb.gz", b.Bytes())
	require.Equal(t, analyze.ArtifactFailed, status.Status)
	require.Contains(t, strings.Join(status.Issues, ";"), "64 MiB")
}

// TestTotals compares the totals with those that `go tool pprof -raw` prints, for
// each profile of Google's own tests.
func TestTotals(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/goroutine/google-pprof/*/testdata/*")
	more, _ := filepath.Glob("../../../shared/corpora/goroutine/google-pprof/internal/driver/testdata/*")
	if files = append(files, more...); len(files) == 0 {
		t.Skip("the corpus is not there")
	}
	compared := 0
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "pprof.") || strings.HasSuffix(file, ".string") {
			continue // what pprof is expected to print
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		raw, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-symbolize=none", "-raw", file).Output()
		if err != nil {
			continue // no profile
		}
		want, ok := rawTotals(string(raw))
		if !ok {
			continue
		}
		st, status := parsertest.Run(t, pprof.Parser(), filepath.Base(file), content)
		profiles := parsertest.All[fact.Profile](st)
		if !assert.Len(t, profiles, 1, "%s: %s %v", file, status.Status, status.Issues) {
			continue
		}
		got := map[string]int64{}
		for _, s := range profiles[0].Totals {
			got[s.Type+"/"+s.Unit] = s.Total
		}
		for name, total := range want {
			have, ok := got[name]
			if !ok { // a heap of C++ counts only what is in use
				have, ok = got["inuse_"+name]
			}
			assert.True(t, ok && have == total, "%s: %s %d, pprof says %d", file, name, have, total)
		}
		compared++
	}
	require.Greater(t, compared, 10)
}

// rawTotals sums the samples of `pprof -raw`: their values stand before a colon.
func rawTotals(raw string) (map[string]int64, bool) {
	_, rest, ok := strings.Cut(raw, "\nSamples:\n")
	if !ok {
		return nil, false
	}
	names, rest, _ := strings.Cut(rest, "\n")
	rest, _, _ = strings.Cut(rest, "\nLocations")
	types := strings.Fields(names)
	for i := range types {
		types[i], _, _ = strings.Cut(types[i], "[")
	}
	sums := map[string]int64{}
	for line := range strings.Lines(rest) {
		values, _, ok := strings.Cut(line, ": ")
		if fields := strings.Fields(values); ok && len(fields) == len(types) {
			for i, f := range fields {
				if n, err := strconv.ParseInt(f, 10, 64); err == nil {
					sums[types[i]] += n
				}
			}
		}
	}
	return sums, len(sums) > 0
}

// TestPeer reads the profiles that Google's own tests use, where they are at hand.
func TestPeer(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/goroutine/*/**/*.p*")
	more, _ := filepath.Glob("../../../shared/corpora/goroutine/parca/pkg/*/testdata/*.pb.gz")
	files = append(files, more...)
	if len(files) == 0 {
		t.Skip("the corpus is not there")
	}
	read := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		_, status := parsertest.Run(t, pprof.Parser(), filepath.Base(file), content)
		if status.Status == analyze.ArtifactParsed {
			require.Positive(t, status.Facts, file)
			read++
		} else {
			t.Logf("%s: %s %v", file, status.Status, status.Issues)
		}
	}
	require.Positive(t, read)
}
