// Package pprof reads pprof profiles of every kind: the binary form, and the
// debug=1 text of mutex, block, heap and threadcreate profiles. The text forms of
// goroutine profiles are read by package goroutine.
package pprof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/pprof/profile"
	"github.com/klauspost/compress/gzip"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Parser returns the parser.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:    "pprof",
		Doc:     "pprof profiles: goroutine, goroutineleak, heap, allocs, mutex, block, threadcreate and cpu, binary; mutex, block, heap and threadcreate also as debug=1 text; the older forms of gperftools.",
		Emits:   []fact.Kind{"profile", "profile_site", "goroutine_group", "dump"},
		Sniff:   sniff,
		Parse:   parse,
		Excerpt: excerpt,
	}
}

// maxProfile bounds an unpacked profile; it is decoded in memory, at several times
// its size. Profiles of large services have a few megabytes.
const maxProfile = 64 << 20

var gzipMagic = []byte{0x1f, 0x8b}

func sniff(h analyze.Head) analyze.Match {
	if isText(h.Bytes) || isLegacy(h.Bytes) {
		return analyze.Sure
	}
	b := h.Bytes
	if bytes.HasPrefix(b, gzipMagic) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return analyze.No
		}
		b, _ = io.ReadAll(io.LimitReader(z, analyze.HeadSize)) // the head ends inside; what came is enough
	}
	return sniffProto(b)
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	rd, err := in.Open()
	if err != nil {
		return err
	}
	defer rd.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(rd, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	all := io.MultiReader(bytes.NewReader(head[:n]), rd)
	if isText(head[:n]) {
		return parseText(ctx, all, in, out)
	}
	p, err := decode(all)
	if err != nil {
		return err
	}
	emit(p, out)
	return nil
}

// decode reads a binary profile, compressed or not.
func decode(r io.Reader) (*profile.Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, gzipMagic) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("unpack the profile: %w", err)
		}
		if data, err = io.ReadAll(io.LimitReader(z, maxProfile+1)); err != nil {
			return nil, fmt.Errorf("unpack the profile: %w", err)
		}
	}
	if len(data) > maxProfile {
		return nil, fmt.Errorf("%w: the profile has more than %d MiB", analyze.ErrLimit, maxProfile>>20)
	}
	read := profile.ParseUncompressed
	if isLegacy(data) {
		read = profile.ParseData
	}
	p, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("decode the profile: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, analyze.ErrForeign
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("decode the profile: %w", err)
	}
	return p, nil
}

// excerpt writes a cited sample of a binary profile as text; text profiles are
// copied line by line.
func excerpt(_ context.Context, in *analyze.Input, refs []fact.Ref) ([]string, error) {
	rd, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	data, err := io.ReadAll(io.LimitReader(rd, maxProfile+1))
	if err != nil {
		return nil, err
	}
	out := make([]string, len(refs))
	if isText(data) {
		for i, r := range refs {
			if r.Offset >= 0 && r.Offset < int64(len(data)) {
				text := data[r.Offset:]
				if r.Len > 0 {
					text = text[:min(r.Len, len(text))]
				} else if end := bytes.IndexByte(text, '\n'); end >= 0 {
					text = text[:end]
				}
				out[i] = string(text)
			}
		}
		return out, nil
	}
	p, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for i, r := range refs {
		if r.Packet > 0 && r.Packet <= len(p.Sample) {
			out[i] = describe(p, p.Sample[r.Packet-1])
		}
	}
	return out, nil
}
