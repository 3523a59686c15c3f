package analyze

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Facts is what Read found: the sealed store and what became of each artifact.
type Facts struct {
	Store     *fact.Store
	Artifacts []ArtifactStatus
	// Limits lists limits that were hit, in words.
	Limits []string
	// Manifest is what the collector said, nil if nothing.
	Manifest *Manifest

	inputs   map[fact.ID]*parsed
	readable bool
}

// parsed is one artifact after its parser ran.
type parsed struct {
	in     *Input
	parser *Parser
	shard  *fact.Shard
	status ArtifactStatus
	inner  []*Input
	forced string // the parser that the input or the manifest named, "" if none
	// skippedAt are the first records that could not be understood.
	skippedAt []fact.Ref
}

// Read sniffs and parses inputs and seals their facts, without applying rules.
func Read(ctx context.Context, inputs []*Input, cfg Config) (*Facts, error) {
	return ReadFrom(ctx, Inputs(inputs, cfg.Manifest), cfg)
}

// ReadFrom is Read for inputs that are still being found.
func ReadFrom(ctx context.Context, src Source, cfg Config) (*Facts, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	cfg.Jobs = max(cfg.Jobs, 1)
	meter := &meter{report: cfg.Progress}
	out := &Facts{inputs: map[fact.ID]*parsed{}}
	all, manifest, err := gather(ctx, src, &cfg, meter)
	if err != nil {
		return nil, err
	}
	out.Manifest = manifest
	paths := map[string]bool{}
	for _, d := range all {
		paths[d.in.Path] = true
	}
	// Artifacts inside artifacts are read in waves, one a level of nesting, so
	// that the order never depends on which parser was faster.
	for depth, last, given := 0, all, len(all); len(last) > 0; depth++ {
		var wave []*Input
		for _, d := range last {
			for _, in := range d.inner {
				switch {
				case paths[in.Path]:
					d.status.Issues = append(d.status.Issues, fmt.Sprintf("a second embedded artifact is named %q: not read", in.Path))
				case depth >= cfg.Limits.EmbedDepth || len(paths)-given >= cfg.Limits.Embedded:
					d.status.Issues = append(d.status.Issues, fmt.Sprintf("embedded artifact %q not read: limit of %d artifacts, %d levels", in.Path, cfg.Limits.Embedded, cfg.Limits.EmbedDepth))
					out.Limits = append(out.Limits, fmt.Sprintf("%s: embedded artifacts beyond the limit were not read", d.in.Path))
				default:
					paths[in.Path] = true
					wave = append(wave, in)
				}
			}
		}
		last = make([]*parsed, len(wave))
		// Large artifacts first: the longest job decides when the wave ends.
		order := bySize(wave)
		err := parallel(ctx, cfg.Jobs, len(wave), func(i int) {
			last[order[i]] = parseOne(ctx, wave[order[i]], manifest.parser(wave[order[i]]), &cfg, meter)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, last...)
	}
	slices.SortFunc(all, func(a, b *parsed) int { return strings.Compare(a.in.Path, b.in.Path) })
	var arts []fact.Artifact
	var shards []*fact.Shard
	for _, d := range all {
		a := fact.Artifact{ID: d.in.ID(), Parser: d.status.Parser, Facts: d.status.Facts, Partial: d.status.Status == ArtifactPartial, Host: manifest.host(d.in),
			Unclaimed: d.status.Status == ArtifactUnclaimed, Skipped: d.status.Skipped, SkippedAt: d.skippedAt}
		if !d.in.ModTime.IsZero() {
			a.ModTime = fact.Time{T: d.in.ModTime.UTC(), Basis: fact.FileTime}
		}
		arts = append(arts, a)
		shards = append(shards, d.shard)
		out.Artifacts = append(out.Artifacts, d.status)
		out.inputs[d.in.ID()] = d
		out.readable = out.readable || d.status.Status == ArtifactParsed || d.status.Status == ArtifactPartial || d.status.Status == ArtifactUnclaimed
	}
	out.Store = fact.Seal(arts, append(shards, manifest.expectations())...)
	return out, nil
}

// bySize lists indexes of inputs, largest first; ties keep the order given.
func bySize(in []*Input) []int {
	order := make([]int, len(in))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(in[b].Size, in[a].Size) })
	return order
}

// parseOne picks the parser of one artifact, unless one is named, and runs it.
func parseOne(ctx context.Context, in *Input, forced string, cfg *Config, m *meter) *parsed {
	d := &parsed{in: in, forced: forced, status: ArtifactStatus{Path: in.Path, Bytes: max(in.Size, 0)}}
	if in.Note != "" {
		d.status.Issues = append(d.status.Issues, in.Note)
	}
	fail := func(status string, err error) *parsed {
		d.status.Status = status
		if err != nil {
			d.status.Issues = append(d.status.Issues, err.Error())
		}
		m.done(in)
		return d
	}
	if in.Err != nil {
		return fail(ArtifactSkipped, in.Err)
	}
	head, err := peek(in)
	switch {
	case err != nil && len(head.Bytes) == 0:
		return fail(ArtifactFailed, err)
	case len(head.Bytes) == 0:
		return fail(ArtifactSkipped, errors.New("empty file"))
	}
	in, head = decodeWide(in, head)
	if bytes.IndexByte(head.Bytes, esc) >= 0 && bytes.IndexByte(head.Bytes, 0) < 0 {
		head.Bytes = AppendPlain(nil, head.Bytes) // colours of a terminal
	}
	d.in = in
	candidates := pick(cfg.Parsers, forced, head)
	if len(candidates) == 0 && forced != "" {
		return fail(ArtifactFailed, fmt.Errorf("no parser is named %q", forced))
	}
	if len(candidates) == 0 {
		return fail(ArtifactUnclaimed, errors.New(unclaimedWhy(head)))
	}
	for _, p := range candidates {
		sink := &Sink{parser: p, input: in, shard: &fact.Shard{}, limits: cfg.Limits, jobs: cfg.Jobs}
		n, err := runParser(ctx, p, in, sink, m)
		if errors.Is(err, ErrForeign) {
			continue
		}
		d.parser, d.shard, d.inner = p, sink.shard, sink.embedded
		d.settle(sink, n, err)
		m.done(in)
		return d
	}
	return fail(ArtifactUnclaimed, errors.New("looked like a known format, but no parser could read it"))
}

// settle turns what a parser left behind into the artifact's status.
func (d *parsed) settle(s *Sink, read int64, err error) {
	st := &d.status
	st.Parser, st.Kind = s.parser.Name, string(s.parser.Emits[0])
	st.Facts, st.Skipped = s.shard.Len(), s.skipped
	if d.in.Size < 0 {
		st.Bytes = read
	}
	st.Status = ArtifactParsed
	switch {
	case err != nil && st.Facts == 0:
		st.Status = ArtifactFailed
	case err != nil || s.partial:
		st.Status = ArtifactPartial
	}
	if s.full != nil {
		st.Issues = append(st.Issues, s.full.Error())
	}
	if err != nil && !errors.Is(err, s.full) {
		st.Issues = append(st.Issues, err.Error())
	}
	st.Issues = append(st.Issues, s.notes...)
	for _, p := range s.problems {
		st.Issues = append(st.Issues, p.Error())
		d.skippedAt = append(d.skippedAt, p.At)
	}
}

// runParser opens the artifact and runs one parser, containing its panics.
func runParser(ctx context.Context, p *Parser, in *Input, sink *Sink, m *meter) (read int64, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("parser %s panicked: %v", p.Name, v)
		}
	}()
	counted := &countedInput{m: m, path: in.Path}
	view := *in
	view.Open = func() (io.ReadCloser, error) {
		r, err := in.Open()
		if err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
		return &countedReader{ReadCloser: r, c: counted}, nil
	}
	err = p.Parse(ctx, &view, sink)
	return counted.n, err
}

// peek reads the beginning of an artifact.
func peek(in *Input) (Head, error) {
	h := Head{Path: in.Path, Size: in.Size}
	r, err := in.Open()
	if err != nil {
		return h, fmt.Errorf("open: %w", err)
	}
	defer r.Close()
	h.Bytes = make([]byte, HeadSize)
	n, err := io.ReadFull(r, h.Bytes)
	h.Bytes = h.Bytes[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return h, err
}

// pick orders the parsers that claim an artifact, surest first; among equals the
// configured order decides.
func pick(parsers []*Parser, forced string, head Head) []*Parser {
	type claim struct {
		p *Parser
		m Match
	}
	var claims []claim
	for _, p := range parsers {
		if forced != "" {
			if p.Name == forced {
				return []*Parser{p}
			}
			continue
		}
		if m := sniff(p, head); m > No {
			claims = append(claims, claim{p, m})
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return int(b.m - a.m) })
	out := make([]*Parser, len(claims))
	for i, c := range claims {
		out[i] = c.p
	}
	return out
}

// sniff asks one parser; a sniffer that panics on hostile bytes does not claim.
func sniff(p *Parser, head Head) (m Match) {
	defer func() {
		if recover() != nil {
			m = No
		}
	}()
	return p.Sniff(head)
}

func unclaimedWhy(h Head) string {
	if bytes.IndexByte(h.Bytes, 0) >= 0 {
		return "binary data of no known format"
	}
	return "text of no known format"
}

// meter adds up progress over artifacts that are read at the same time.
type meter struct {
	report      func(Progress)
	mu          sync.Mutex
	total, read int64
	counted     map[string]int64
}

func (m *meter) expect(in *Input) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in.Size < 0 || m.total < 0 {
		m.total = -1
		return
	}
	m.total += in.Size
}

func (m *meter) add(path string, n int64) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counted == nil {
		m.counted = map[string]int64{}
	}
	m.counted[path] += n
	m.read += n
	m.report(Progress{Stage: "read", Artifact: path, Done: m.read, Total: m.total})
}

// done corrects the sum for artifacts that were not read to the end or read twice.
func (m *meter) done(in *Input) {
	if m.report == nil || in.Size < 0 {
		return
	}
	m.mu.Lock()
	n := m.counted[in.Path]
	m.mu.Unlock()
	m.add(in.Path, in.Size-n)
}

// meterStep is how many bytes pass between two progress reports of one reader.
const meterStep = 1 << 20

type countedInput struct {
	m    *meter
	path string
	n    int64
}

type countedReader struct {
	io.ReadCloser
	c       *countedInput
	pending int64
}

func (r *countedReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.c.n += int64(n)
	r.pending += int64(n)
	if r.pending >= meterStep || err != nil {
		r.c.m.add(r.c.path, r.pending)
		r.pending = 0
	}
	return n, err
}
