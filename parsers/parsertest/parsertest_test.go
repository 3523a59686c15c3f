package parsertest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// pair is the fact of a toy format: lines of key=value.
type pair struct {
	At    fact.Ref `json:"-"`
	Key   string   `json:"key"`
	Value string   `json:"value"`
}

func (pair) Kind() fact.Kind { return "test/pair" }
func (p pair) Ref() fact.Ref { return p.At }
func pairsSniff(h analyze.Head) analyze.Match {
	key, _, ok := bytes.Cut(h.Bytes, []byte("="))
	if ok && len(key) == 1 {
		return analyze.Probably
	}
	return analyze.No
}

// pairs is a sound parser, as far as edit leaves it sound.
func pairs(edit func(p *pair, out *analyze.Sink)) *analyze.Parser {
	return &analyze.Parser{
		Name: "pairs", Doc: "Lines of key=value.", Emits: []fact.Kind{"test/pair"}, Sniff: pairsSniff,
		Parse: func(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
			r, err := in.Open()
			if err != nil {
				return err
			}
			defer r.Close()
			l := lines.New(r, in.ID())
			for l.Next() {
				key, value, ok := bytes.Cut(l.Bytes(), []byte("="))
				if !ok {
					if len(l.Bytes()) > 0 {
						out.Skip(&analyze.SyntaxError{At: l.Ref(), Msg: "no ="})
					}
					continue
				}
				p := pair{At: l.Ref(), Key: string(key), Value: string(value)}
				if edit != nil {
					edit(&p, out)
				}
				analyze.Emit(out, p)
			}
			return l.Err()
		},
	}
}

func TestGolden(t *testing.T) { Golden(t, pairs(nil), "testdata/pairs.*") }
func TestRobust(t *testing.T) { Robust(t, pairs(nil), "testdata/pairs.txt") }
func FuzzParse(f *testing.F)  { Fuzz(f, pairs(nil), "testdata/pairs.txt") }

func TestRun(t *testing.T) {
	st, status := Run(t, pairs(nil), "x.txt", []byte("a=1\noops\n"))
	assert.Equal(t, []pair{{At: fact.Ref{Artifact: "x.txt", Line: 1, Len: 3}, Key: "a", Value: "1"}}, All[pair](st))
	assert.EqualValues(t, 1, status.Skipped)
	_, status = Run(t, pairs(nil), "x.txt", []byte("prose\n"))
	assert.Equal(t, analyze.ArtifactUnclaimed, status.Status)
	_, status = Force(t, pairs(nil), "x.txt", []byte("prose\n"))
	assert.Equal(t, analyze.ArtifactParsed, status.Status)
}

// broken parsers, each with one of the faults that Robust is there to find, and
// what it says of them.
func broken() map[string]struct {
	parser *analyze.Parser
	says   string
} {
	type entry = struct {
		parser *analyze.Parser
		says   string
	}
	calls := 0
	swallow := pairs(nil)
	swallow.Parse = func(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
		_ = pairs(nil).Parse(context.Background(), in, out)
		return nil
	}
	greedy := pairs(nil)
	greedy.Sniff = func(analyze.Head) analyze.Match { return analyze.Probably }
	lastLine := pairs(nil)
	lastLine.Parse = func(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
		r, err := in.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		b := make([]byte, 4096)
		n, err := r.Read(b) // one Read is not the file
		for i, l := range strings.SplitAfter(string(b[:n]), "\n") {
			if strings.HasSuffix(l, "\n") && i == 0 {
				analyze.Emit(out, pair{At: out.Ref(1, 0, len(l)), Key: l})
			}
		}
		if err != nil && n == 0 {
			return err
		}
		return nil
	}
	return map[string]entry{
		"panics when cut":       {pairs(func(p *pair, _ *analyze.Sink) { _ = p.Value[0] }), "panicked"},
		"position past the end": {pairs(func(p *pair, _ *analyze.Sink) { p.At.Len += 3 }), "of an artifact of"},
		"no artifact":           {pairs(func(p *pair, _ *analyze.Sink) { p.At.Artifact = "" }), "no artifact in its position"},
		"wrong line":            {pairs(func(p *pair, _ *analyze.Sink) { p.At.Line++ }), "claims line"},
		"offset of line start":  {pairs(func(p *pair, _ *analyze.Sink) { p.At.Offset = 0; p.At.Len = 0 }), "claims line"},
		"too many facts": {pairs(func(p *pair, out *analyze.Sink) {
			for range 2000 {
				analyze.Emit(out, *p)
			}
		}), "emits more than"},
		"depends on jobs":   {pairs(func(p *pair, out *analyze.Sink) { p.Value += strings.Repeat("x", out.Jobs()-1) }), "with 2 jobs"},
		"random":            {pairs(func(p *pair, _ *analyze.Sink) { p.Key = string(rune('a' + rand.N(26))) }), "facts differ"},
		"keeps state":       {pairs(func(p *pair, _ *analyze.Sink) { calls++; p.Key = strings.Repeat("k", calls) }), "facts differ"},
		"loses read errors": {swallow, "counts as parsed"},
		"claims everything": {greedy, "Sniff claims"},
		"trusts one Read":   {lastLine, "one byte at a time"},
		"damages on no EOL": {pairs(func(p *pair, out *analyze.Sink) { p.Value = lastByte(out, p) }), "without a final newline"},
		"keeps the CR":      {keepCR(), "with CRLF"},
		"panics on NUL":     {pairs(func(p *pair, _ *analyze.Sink) { mustNoNUL(p.Value) }), "panicked"},
	}
}

func mustNoNUL(s string) {
	if strings.Contains(s, "\x00") {
		panic("NUL")
	}
}

// lastByte reads the artifact again and says whether the line has its end.
func lastByte(out *analyze.Sink, p *pair) string {
	r, err := out.Input().Open()
	if err != nil {
		return ""
	}
	defer r.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(r)
	if end := int(p.At.Offset) + p.At.Len; end < b.Len() {
		return "whole"
	}
	return "cut"
}

func keepCR() *analyze.Parser {
	p := pairs(nil)
	p.Parse = func(_ context.Context, in *analyze.Input, out *analyze.Sink) error {
		r, err := in.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		var b bytes.Buffer
		_, err = b.ReadFrom(r)
		at := int64(0)
		for i, l := range strings.Split(b.String(), "\n") {
			if key, value, ok := strings.Cut(l, "="); ok {
				analyze.Emit(out, pair{At: out.Ref(i+1, at, len(l)), Key: key, Value: value})
			}
			at += int64(len(l)) + 1
		}
		return err
	}
	return p
}

const brokenEnv = "PARSERTEST_BROKEN"

// TestRobustBroken is the other half of TestRobustFindsFaults: it fails, in a
// process of its own.
func TestRobustBroken(t *testing.T) {
	name := os.Getenv(brokenEnv)
	if name == "" {
		t.Skip("runs in a process of TestRobustFindsFaults")
	}
	Robust(t, broken()[name].parser, "testdata/pairs.txt")
}

func TestRobustFindsFaults(t *testing.T) {
	for name, b := range broken() {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRobustBroken$", "-test.count=1")
			cmd.Env = append(os.Environ(), brokenEnv+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "Robust accepts it:\n%s", out)
			assert.Contains(t, string(out), b.says)
		})
	}
}
