package parsertest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/culprit-dev/culprit/analyze"
)

// maxCuts bounds the truncations that are tried, overLong is longer than any line
// that a parser keeps.
const (
	maxCuts  = 1500
	overLong = 3 << 20
)

// Robust parses damaged forms of the good sample in the file path; see the
// package comment. The sample must be one that the parser claims and reads whole.
func Robust(t *testing.T, p *analyze.Parser, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(path)
	good, status := Run(t, p, name, content)
	if status.Status != analyze.ArtifactParsed || status.Facts == 0 {
		t.Fatalf("want a sample that is read whole, got %d facts, %s: %s", status.Facts, status.Status, strings.Join(status.Issues, "; "))
	}
	s := &sample{parser: p, name: name, content: content, facts: Lines(t, good)}
	t.Run("arrives differently", s.arrives)
	t.Run("again and with jobs", s.again)
	t.Run("cut", s.cut)
	t.Run("read error", s.readError)
	t.Run("NUL", s.nul)
	t.Run("foreign", s.foreign)
	if bytes.IndexByte(content, 0) < 0 && bytes.IndexByte(content, '\n') >= 0 {
		t.Run("CRLF", s.crlf)
		t.Run("no final newline", s.noFinalNewline)
		t.Run("over-long line", s.overLong)
		t.Run("not UTF-8", s.notUTF8)
	}
}

// sample is a good artifact and its facts.
type sample struct {
	parser  *analyze.Parser
	name    string
	content []byte
	facts   []byte
}

func (s *sample) trial(content []byte) trial {
	return trial{parser: s.parser, path: s.name, content: content, force: true}
}

// twice runs a trial two times: what damage brings out must be the same again.
func (s *sample) twice(t *testing.T, what string, tr trial) {
	t.Helper()
	var last []byte
	for i := range 2 {
		st, _, err := tr.run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		now := Lines(t, st)
		if i > 0 && !bytes.Equal(last, now) {
			t.Fatalf("%s: a second run gives other facts", what)
		}
		last = now
	}
}

// same demands the facts of the good sample.
func (s *sample) same(t *testing.T, what string, tr trial) {
	t.Helper()
	st, _ := must(t, tr)
	if d := difference(s.facts, Lines(t, st)); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

// difference names the first line in which two lists of facts differ.
func difference(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return "facts differ\nwant " + a + "\ngot  " + b
		}
	}
	return ""
}

func (s *sample) arrives(t *testing.T) {
	for what, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte at a time": iotest.OneByteReader,
		"half of each read":  iotest.HalfReader,
		"data with EOF":      iotest.DataErrReader,
	} {
		tr := s.trial(s.content)
		tr.wrap = wrap
		s.same(t, what, tr)
	}
}

func (s *sample) again(t *testing.T) {
	// At the same time, because a parser value is shared by all artifacts.
	trials := []trial{s.trial(s.content), s.trial(s.content), s.trial(s.content)}
	trials[1].jobs, trials[2].jobs = 2, 8
	got := make([][]byte, len(trials))
	var wg sync.WaitGroup
	for i, tr := range trials {
		wg.Go(func() {
			if st, _, err := tr.run(t.Context()); err != nil {
				t.Error(err)
			} else {
				got[i] = Lines(t, st)
			}
		})
	}
	wg.Wait()
	for i, tr := range trials {
		if d := difference(s.facts, got[i]); d != "" && !t.Failed() {
			t.Errorf("with %d jobs: %s", max(tr.jobs, 1), d)
		}
	}
}

func (s *sample) cut(t *testing.T) {
	for _, n := range cuts(len(s.content)) {
		tr := s.trial(s.content[:n])
		if n%97 == 0 { // a second run of each would double the time for little
			s.twice(t, "cut", tr)
			continue
		}
		if _, _, err := tr.run(t.Context()); err != nil {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(s.content), err)
		}
	}
}

// cuts lists where to cut: everywhere in a small file, else everywhere near both
// ends and evenly between.
func cuts(size int) []int {
	var out []int
	if size <= maxCuts {
		for n := range size {
			out = append(out, n)
		}
		return out
	}
	const part = maxCuts / 3
	for n := range part {
		out = append(out, n, size-1-n, part+n*(size-2*part)/part)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var errDisk = errors.New("disk is gone")

func (s *sample) readError(t *testing.T) {
	for _, n := range []int{1, len(s.content) / 2, len(s.content) - 1} {
		tr := s.trial(s.content)
		tr.wrap = func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, int64(n)), iotest.ErrReader(errDisk))
		}
		_, status := must(t, tr)
		if status.Status == analyze.ArtifactParsed {
			t.Errorf("a read error after %d of %d bytes: the artifact counts as parsed", n, len(s.content))
		}
	}
}

func (s *sample) nul(t *testing.T) {
	for i := range 64 {
		at := i * len(s.content) / 64
		for _, run := range []int{1, 4096} {
			s.twice(t, "NULs inserted", s.trial(slices.Concat(s.content[:at], make([]byte, run), s.content[at:])))
		}
		over := bytes.Clone(s.content)
		over[at] = 0
		s.twice(t, "NUL over a byte", s.trial(over))
	}
}

func (s *sample) crlf(t *testing.T) {
	st, _ := must(t, s.trial(bytes.ReplaceAll(bytes.ReplaceAll(s.content, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))))
	if d := difference(withoutBytes(s.facts), withoutBytes(Lines(t, st))); d != "" {
		t.Errorf("with CRLF: %s", d)
	}
}

func (s *sample) noFinalNewline(t *testing.T) {
	st, _ := must(t, s.trial(bytes.TrimRight(s.content, "\r\n")))
	if d := difference(withoutBytes(s.facts), withoutBytes(Lines(t, st))); d != "" {
		t.Errorf("without a final newline: %s", d)
	}
}

var bytePosition = regexp.MustCompile(`"(?:offset|len)":\d+,?`)

// withoutBytes drops offsets and lengths, which rightly change with line ends.
func withoutBytes(facts []byte) []byte { return bytePosition.ReplaceAll(facts, nil) }

func (s *sample) overLong(t *testing.T) {
	mid := bytes.IndexByte(s.content[len(s.content)/2:], '\n') + len(s.content)/2 + 1
	if mid <= len(s.content)/2 {
		mid = 0
	}
	long := bytes.Repeat([]byte("A"), overLong)
	first := bytes.IndexByte(s.content, '\n')
	for what, content := range map[string][]byte{
		"a long line between":  slices.Concat(s.content[:mid], long, []byte("\n"), s.content[mid:]),
		"a long first line":    slices.Concat(s.content[:first], long, s.content[first:]),
		"a long line in place": slices.Concat(s.content[:max(mid-1, 0)], long, s.content[max(mid-1, 0):]),
		"a long last line":     slices.Concat(bytes.TrimRight(s.content, "\n"), long),
		"long in words":        slices.Concat(s.content[:mid], bytes.Repeat([]byte("a=1 "), overLong/4), s.content[mid:]),
		"many short lines":     slices.Concat(s.content, bytes.Repeat([]byte("\n"), overLong/8)),
	} {
		if _, _, err := s.trial(content).run(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func (s *sample) notUTF8(t *testing.T) {
	for i := range 64 {
		over := bytes.Clone(s.content)
		for at := i; at < len(over); at += 64 {
			if over[at] != '\n' {
				over[at] = 0xff
			}
		}
		s.twice(t, "bytes that are not UTF-8", s.trial(over))
	}
	s.twice(t, "UTF-8 byte order mark", s.trial(slices.Concat([]byte("\xef\xbb\xbf"), s.content)))
}

// foreign hands over artifacts of other formats: Sniff must not claim them and
// Parse must survive them.
func (s *sample) foreign(t *testing.T) {
	for what, text := range map[string]string{
		"prose":     "The quick brown fox jumps over the lazy dog.\nIt was not seen again.\n",
		"newlines":  "\n\n\n\n",
		"spaces":    "     ",
		"one byte":  "x",
		"png":       "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00",
		"elf":       "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00", 56),
		"html":      "<!DOCTYPE html>\n<html><head><title>x</title></head><body></body></html>\n",
		"go source": "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tfmt.Println(\"goroutine 1 [running]:\")\n}\n",
		"empty gz":  "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"high bits": strings.Repeat("\xff\xfe\x80\x00", 300),
		"brackets":  strings.Repeat("[({", 4000) + strings.Repeat(":=,", 4000),
	} {
		if _, _, err := s.trial([]byte(text)).run(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if m := s.parser.Sniff(analyze.Head{Path: "artifact", Size: int64(len(text)), Bytes: []byte(text)}); m >= analyze.Probably {
			t.Errorf("%s: Sniff claims it (%d); want at most Maybe", what, m)
		}
	}
	if m := s.parser.Sniff(analyze.Head{Path: s.name, Size: 0}); m != analyze.No {
		t.Errorf("Sniff claims an empty artifact by its name (%d)", m)
	}
}
