package goroutine_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/goroutine"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T)  { parsertest.Golden(t, goroutine.Parser(), "testdata/*.txt") }
func TestRobust(t *testing.T)  { parsertest.Robust(t, goroutine.Parser(), "testdata/debug2.txt") }
func TestGrouped(t *testing.T) { parsertest.Robust(t, goroutine.Parser(), "testdata/debug1.txt") }
func FuzzParse(f *testing.F)   { parsertest.Fuzz(f, goroutine.Parser(), "testdata/*.txt") }

// peer is a goroutine as DataDog's gostackparse writes it.
type peer struct {
	ID             int64
	State          string
	Wait           int64 // nanoseconds
	LockedToThread bool
	Stack          []peerFrame
	FramesElided   bool
	CreatedBy      *peerFrame
}

type peerFrame struct {
	Func, File string
	Line       int
}

// TestPeer compares with the expectations of another parser, where its corpus is
// at hand. That parser drops a goroutine with a damaged stack, ours keeps it.
func TestPeer(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/goroutine/gostackparse/test-fixtures/*.txt")
	if len(files) == 0 {
		t.Skip("the corpus is not there")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			var want struct{ Goroutines []*peer }
			golden, err := os.ReadFile(strings.TrimSuffix(file, ".txt") + ".golden.json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(golden, &want))
			var got []*peer
			if len(content) > 0 {
				st, _ := parsertest.Force(t, goroutine.Parser(), "dump.txt", content)
				for _, g := range parsertest.All[fact.Goroutine](st) {
					if !g.Broken {
						got = append(got, asPeer(g))
					}
				}
			}
			if diff := cmp.Diff(want.Goroutines, got); diff != "" && len(want.Goroutines)+len(got) > 0 {
				t.Error(diff)
			}
		})
	}
}

func asPeer(g fact.Goroutine) *peer {
	p := &peer{ID: g.ID, State: g.State, Wait: g.WaitMinutes.Or(0) * 60e9, LockedToThread: g.LockedToThread, FramesElided: g.Elided}
	for _, f := range g.Frames {
		p.Stack = append(p.Stack, peerFrame{f.Func, f.File, f.Line})
	}
	if g.CreatedBy != "" {
		p.CreatedBy = &peerFrame{g.CreatedBy, g.CreatedByFile, g.CreatedByLine}
	}
	return p
}

// TestFrameAt checks that the positions that rules cite are those of the lines
// they mean.
func TestFrameAt(t *testing.T) {
	content, err := os.ReadFile("testdata/debug2.txt")
	require.NoError(t, err)
	st, _ := parsertest.Run(t, goroutine.Parser(), "debug2.txt", content)
	text := func(r fact.Ref) string { return string(content[r.Offset:][:r.Len]) }
	lineNumber := func(off int64) int { return bytes.Count(content[:off], []byte("\n")) + 1 }
	seen := 0
	for _, g := range parsertest.All[fact.Goroutine](st) {
		for i, f := range g.Frames {
			at := g.FrameAt(i)
			require.True(t, strings.HasPrefix(strings.TrimLeft(text(at), "\t "), f.Func+"("), text(at))
			require.Contains(t, text(at), fmt.Sprintf("%s:%d", f.File, f.Line))
			require.Equal(t, lineNumber(at.Offset), at.Line)
			require.True(t, strings.HasPrefix(text(g.Through(i)), fmt.Sprintf("goroutine %d [", g.ID)))
			require.True(t, strings.HasSuffix(text(g.Through(i)), text(at)))
			seen++
		}
		if g.CreatedBy != "" {
			require.Contains(t, text(g.CreatedByAt()), "created by "+g.CreatedBy)
			require.Equal(t, lineNumber(g.CreatedByAt().Offset), g.CreatedByAt().Line)
		}
	}
	require.Greater(t, seen, 5)
}

// TestPrefixed checks that a dump that passed through a log is read like the dump
// itself.
func TestPrefixed(t *testing.T) {
	plain, err := os.ReadFile("testdata/debug2.txt")
	require.NoError(t, err)
	want, _ := parsertest.Run(t, goroutine.Parser(), "debug2.txt", plain)
	for name, prefix := range map[string]func(i int) string{
		"journald": func(i int) string { return fmt.Sprintf("Nov 21 00:36:%02d web quoted[312]: ", i%60) },
		// CRI drops trailing zeros of the time, so the prefix changes its length.
		"cri":      func(i int) string { return fmt.Sprintf("2026-11-21T00:36:32.%dZ stderr F ", 1+i*37) },
		"kubectl":  func(int) string { return "[pod/web-0/app] " },
		"compose":  func(int) string { return "web-1  | " },
		"indented": func(int) string { return "    " },
		"tabs":     func(int) string { return "\t\t" },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for i, line := range strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n") {
				b.WriteString(strings.TrimRight(prefix(i)+line, " \t") + "\n")
			}
			got, status := parsertest.Run(t, goroutine.Parser(), "app.log", []byte(b.String()))
			require.Equal(t, analyze.ArtifactParsed, status.Status, status.Issues)
			require.Zero(t, status.Skipped, status.Issues)
			strip := func(st *fact.Store) (out []*peer) {
				for _, g := range parsertest.All[fact.Goroutine](st) {
					out = append(out, asPeer(g))
				}
				return out
			}
			if diff := cmp.Diff(strip(want), strip(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSniff(t *testing.T) {
	dump := "goroutine 7 [running]:\nmain.main()\n\t/src/main.go:3 +0x1d\n"
	for _, c := range []struct {
		text string
		want analyze.Match
	}{
		{dump, analyze.Certain},
		{"panic: boom\n\n" + dump, analyze.Certain},
		{"SIGQUIT: quit\nPC=0x408fee m=0 sigcode=0\n\n" + dump, analyze.Certain},
		{"goroutine profile: total 571\n566 @ 0x1\n", analyze.Certain},
		{"# collected by hand\n" + dump, analyze.Sure},
		{strings.Repeat("2026-11-21 INFO ready\n", 20) + dump, analyze.Maybe},
		{"goroutine 7 has ended\n", analyze.No},
		{`{"msg":"goroutine 7 [running]:\nmain.main()"}` + "\n", analyze.No},
		{"", analyze.No},
	} {
		got := goroutine.Parser().Sniff(analyze.Head{Path: "x", Bytes: []byte(c.text)})
		require.Equal(t, c.want, got, c.text)
	}
}

// TestProfileCut checks the one limit of pprof that nobody sees in the file: it
// stops at exactly 64 MiB, also between two goroutines.
func TestProfileCut(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 64 MiB")
	}
	text := bigDump(64<<20, 64<<20)
	require.Len(t, text, 64<<20)
	st, status := parsertest.Run(t, goroutine.Parser(), "goroutine.txt", text)
	require.Equal(t, analyze.ArtifactPartial, status.Status)
	require.True(t, parsertest.All[fact.Dump](st)[0].Cut)
}

// bigDump is goroutines of a hundred different stacks, cut at limit bytes.
func bigDump(size, limit int) []byte {
	var b bytes.Buffer
	writeHead(&b)
	for i := 2; b.Len() < size; i++ {
		writeGoroutine(&b, i)
	}
	return b.Bytes()[:min(b.Len(), limit)]
}

func writeHead(w io.Writer) {
	fmt.Fprint(w, "goroutine 1 [running]:\nruntime/pprof.writeGoroutineStacks({0x784ec0, 0x38d6ebe58000})\n\t/usr/local/go/src/runtime/pprof/pprof.go:819 +0x6b\n\n")
}

// writeGoroutine writes goroutine i, with one of a hundred stacks and arguments of
// its own.
func writeGoroutine(w io.Writer, i int) {
	p := 0xc000000000 + i*0x40
	fmt.Fprintf(w, "goroutine %d [select, %d minutes]:\nruntime.gopark(%#x?, %#x?, 0x0?, 0x0?, 0x0?)\n\t/usr/local/go/src/runtime/proc.go:462 +0xce\n", i, 1+i%90, p, p+8)
	for d := range 6 {
		fmt.Fprintf(w, "github.com/acme/shop/internal/service%d.(*Worker).step%d(%#x, {0x7ccd58, %#x})\n\t/src/shop/internal/service%d/worker.go:%d +0x2fb\n", i%100, d, p, p+16*d, i%100, 40+d)
	}
	fmt.Fprintf(w, "created by github.com/acme/shop/internal/service%d.New in goroutine 1\n\t/src/shop/internal/service%d/new.go:12 +0x4a\n\n", i%100, i%100)
}

// For measurements of the whole program:
//
//	go test ./parsers/goroutine -run TestWrite -write /tmp/goroutines.txt -goroutines 100000
var (
	file       = flag.String("write", "", "write a dump to this file")
	goroutines = flag.Int("goroutines", 100000, "its goroutines")
)

func TestWrite(t *testing.T) {
	if *file == "" {
		t.Skip("nothing to write: see -write")
	}
	f, err := os.Create(*file)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	writeHead(w)
	for i := 2; i <= *goroutines; i++ {
		writeGoroutine(w, i)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
}

// TestAlike checks that the goroutines of a crowd are counted where they are too
// many to keep, that none is lost, and that who has waited longest is kept.
func TestAlike(t *testing.T) {
	const n = 5000
	var b bytes.Buffer
	for i := 2; i < n+2; i++ {
		wait := "select"
		if i == n {
			wait = "select, 7 minutes"
		}
		fmt.Fprintf(&b, "goroutine %d [%s]:\nmain.worker(%#x)\n\t/src/app/main.go:20 +0x2b\ncreated by main.main in goroutine 1\n\t/src/app/main.go:12 +0x4a\n\n", i, wait, 0xc000000000+i*64)
	}
	for i := n + 2; i < 2*n+2; i++ {
		fmt.Fprintf(&b, "goroutine %d [sync.Mutex.Lock]:\nmain.work(%#x)\n\t/src/app/main.go:30 +0x2b\ncreated by main.main in goroutine 1\n\t/src/app/main.go:14 +0x4a\n\n", i, 0xc000000000+i*64)
	}
	st, _ := parsertest.Run(t, goroutine.Parser(), "dump.txt", b.Bytes())
	kept := parsertest.All[fact.Goroutine](st)
	dump := parsertest.All[fact.Dump](st)[0]
	require.Equal(t, 2*n, dump.Goroutines)
	require.Len(t, dump.Alike, 1)
	require.Equal(t, int64(2), dump.Alike[0].Like)
	require.True(t, dump.Alike[0].OneCreator)
	seen := map[int64]bool{}
	waiters, longest := 0, int64(0)
	for _, g := range kept {
		seen[g.ID] = true
		longest = max(longest, g.WaitMinutes.Or(0))
		if g.State == "sync.Mutex.Lock" {
			waiters++
		}
	}
	for _, id := range dump.Alike[0].IDs {
		require.False(t, seen[id])
		seen[id] = true
	}
	require.Len(t, seen, 2*n)
	require.Equal(t, n, waiters, "who waits for a lock is kept")
	require.Equal(t, int64(7), longest)
	require.Less(t, len(kept), 2*n)
}

// BenchmarkParse reads 64 MiB of goroutines.
func BenchmarkParse(b *testing.B) {
	text := bigDump(64<<20, 64<<20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		in := &analyze.Input{Path: "dump.txt", Size: int64(len(text)), Open: opener(text)}
		if _, err := analyze.Read(b.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{goroutine.Parser()}}); err != nil {
			b.Fatal(err)
		}
	}
}

func opener(text []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
}
