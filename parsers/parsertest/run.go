package parsertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Run reads content as an artifact named path with one parser, through
// analyze.Read, and returns its facts and what became of it. The test fails at
// once if the parser panics or if a fact's position does not stand in content.
func Run(t testing.TB, p *analyze.Parser, path string, content []byte) (*fact.Store, analyze.ArtifactStatus) {
	t.Helper()
	return must(t, trial{parser: p, path: path, content: content})
}

// Force is Run without Sniff: the parser gets the content whatever it looks like.
func Force(t testing.TB, p *analyze.Parser, path string, content []byte) (*fact.Store, analyze.ArtifactStatus) {
	t.Helper()
	return must(t, trial{parser: p, path: path, content: content, force: true})
}

// All collects the facts of type T of a store, in their order.
func All[T fact.Fact](st *fact.Store) []T {
	var out []T
	for f := range fact.All[T](st.View("test")) {
		out = append(out, *f)
	}
	return out
}

// trial is one way to read one artifact.
type trial struct {
	parser  *analyze.Parser
	path    string
	content []byte
	force   bool
	jobs    int
	// wrap changes how the bytes arrive, nil leaves them.
	wrap func(io.Reader) io.Reader
}

func must(t testing.TB, tr trial) (*fact.Store, analyze.ArtifactStatus) {
	t.Helper()
	st, status, err := tr.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st, status
}

// run reads the artifact and checks what must hold for every input.
func (tr trial) run(ctx context.Context) (*fact.Store, analyze.ArtifactStatus, error) {
	w := &watch{path: tr.path, text: tr.content}
	p := w.guard(tr.parser)
	in := &analyze.Input{Path: tr.path, Size: int64(len(tr.content)), Open: tr.open}
	if tr.force {
		in.Parser = p.Name
	}
	got, err := analyze.Read(ctx, []*analyze.Input{in}, analyze.Config{
		Parsers: []*analyze.Parser{p}, Jobs: max(tr.jobs, 1),
		// A parser that emits without end must meet a limit before the machine does.
		Limits: analyze.Limits{FactsPerArtifact: factBound(tr.content) + 1},
	})
	if err != nil {
		return nil, analyze.ArtifactStatus{}, err
	}
	status := statusOf(got, tr.path)
	switch {
	case w.panicked != "":
		err = fmt.Errorf("parser %s panicked on %s: %s", p.Name, quoteHead(tr.content), w.panicked)
	case status.Facts > factBound(tr.content):
		err = fmt.Errorf("parser %s emits more than %d facts from %d bytes", p.Name, factBound(tr.content), len(tr.content))
	default:
		err = checkPositions(got.Store, tr.path, w.text)
	}
	if err == nil && p.Excerpt != nil {
		err = checkExcerpts(ctx, p, in, got.Store, w)
	}
	return got.Store, status, err
}

func (tr trial) open() (io.ReadCloser, error) {
	var r io.Reader = bytes.NewReader(tr.content)
	if tr.wrap != nil {
		r = tr.wrap(r)
	}
	// Only Read is promised for an input; a parser must not rely on more.
	return io.NopCloser(struct{ io.Reader }{r}), nil
}

func statusOf(f *analyze.Facts, path string) analyze.ArtifactStatus {
	i := slices.IndexFunc(f.Artifacts, func(a analyze.ArtifactStatus) bool { return a.Path == path })
	return f.Artifacts[i]
}

// factBound is more facts than any format packs into so many bytes.
func factBound(content []byte) int { return 1000 + len(inflate(content)) }

func quoteHead(b []byte) string {
	const n = 80
	if len(b) > n {
		return fmt.Sprintf("%q... (%d bytes)", b[:n], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// watch notes panics with their stacks; the engine contains them and would leave
// only the message.
type watch struct {
	panicked string
	path     string
	// text is what the parser read: the content, or what the engine made of it.
	text []byte
}

func (w *watch) guard(p *analyze.Parser) *analyze.Parser {
	g := *p
	note := func() {
		if v := recover(); v != nil {
			w.panicked = fmt.Sprintf("%v\n%s", v, firstFrames(debug.Stack()))
			panic(v)
		}
	}
	g.Sniff = func(h analyze.Head) analyze.Match {
		defer note()
		return p.Sniff(h)
	}
	g.Parse = func(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
		defer note()
		// Perhaps UTF-16. What the parser found inside comes here, too.
		if in.Path == w.path && bytes.IndexByte(w.text[:min(len(w.text), 64)], 0) >= 0 {
			if r, err := in.Open(); err == nil {
				if text, err := io.ReadAll(r); err == nil {
					w.text = text
				}
				_ = r.Close()
			}
		}
		return p.Parse(ctx, in, out)
	}
	return &g
}

// firstFrames keeps the part of a stack that says where it happened.
func firstFrames(stack []byte) string {
	lines := strings.SplitAfterN(string(stack), "\n", 24)
	return strings.Join(lines[:min(len(lines), 23)], "")
}
