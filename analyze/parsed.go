package analyze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/culprit-dev/culprit/analyze/fact"
)

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

// artifact is what rules see of it; host is the one that the collector named.
func (d *parsed) artifact(host string) fact.Artifact {
	a := fact.Artifact{
		ID: d.in.ID(), Parser: d.status.Parser, Facts: d.status.Facts, Host: host,
		Partial: d.status.Status == ArtifactPartial, Unclaimed: d.status.Status == ArtifactUnclaimed,
		Skipped: d.status.Skipped, SkippedAt: d.skippedAt,
	}
	if d.status.Facts > 0 {
		a.Main = fact.Kind(d.status.Kind)
		a.Kinds = d.shard.Kinds()
	}
	if !d.in.ModTime.IsZero() {
		a.ModTime = fact.Time{T: d.in.ModTime.UTC(), Basis: fact.FileTime}
	}
	return a
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
