package analyze_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// whole is a parser that takes everything, as one word.
func whole() *analyze.Parser {
	return &analyze.Parser{
		Name: "whole", Doc: "anything", Emits: []fact.Kind{"test/word"},
		Sniff: func(analyze.Head) analyze.Match { return analyze.Maybe },
		Parse: func(_ context.Context, _ *analyze.Input, out *analyze.Sink) error {
			analyze.Emit(out, word{At: out.Ref(1, 0, 0), Text: "whole"})
			return nil
		},
	}
}

// TestSourceIsReadWhileItFindsMore waits for the first input to be parsed before
// it finds the second, and only then knows the manifest.
func TestSourceIsReadWhileItFindsMore(t *testing.T) {
	read := make(chan struct{})
	first := input("b.txt", "words\nx")
	slow := words()
	parse := slow.Parse
	slow.Parse = func(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
		defer func() {
			if in.Path == "b.txt" {
				close(read)
			}
		}()
		return parse(ctx, in, out)
	}
	src := func(_ context.Context, yield func(...*analyze.Input)) (*analyze.Manifest, error) {
		yield(first)
		select {
		case <-read:
		case <-time.After(10 * time.Second):
			return nil, errors.New("the first input was not read")
		}
		yield(input("a.txt", "words\ny"), input("host/c.txt", "words\nz\nembed q"))
		return &analyze.Manifest{
			Summary: "late",
			Hosts:   []analyze.HostRule{{Prefix: "", Host: "outer"}, {Prefix: "host/", Host: "inner"}},
			Files:   []analyze.FileRule{{Path: "b.txt", Parser: "whole"}, {Path: "a.txt", Host: "bastion"}},
		}, nil
	}
	cfg := analyze.Config{Parsers: []*analyze.Parser{slow, whole()}, Jobs: 2}
	got, err := analyze.ReadFrom(t.Context(), src, cfg)
	require.NoError(t, err)
	require.Equal(t, "late", got.Manifest.Summary)
	hosts, parsers := map[fact.ID]string{}, map[fact.ID]string{}
	for _, a := range got.Store.View("test").Artifacts() {
		hosts[a.ID], parsers[a.ID] = a.Host, a.Parser
	}
	require.Equal(t, map[fact.ID]string{"a.txt": "bastion", "b.txt": "outer", "host/c.txt": "inner", "host/c.txt!inner": "inner"}, hosts)
	require.Equal(t, map[fact.ID]string{"a.txt": "words", "b.txt": "whole", "host/c.txt": "words", "host/c.txt!inner": "words"}, parsers)
}

func TestSourceThatFails(t *testing.T) {
	gone := errors.New("the archive is gone")
	cfg := analyze.Config{Parsers: []*analyze.Parser{words()}}
	_, err := analyze.RunFrom(t.Context(), func(_ context.Context, yield func(...*analyze.Input)) (*analyze.Manifest, error) {
		yield(input("a", "words\nx"))
		return nil, gone
	}, cfg)
	require.ErrorIs(t, err, gone)
	_, err = analyze.RunFrom(t.Context(), func(ctx context.Context, yield func(...*analyze.Input)) (*analyze.Manifest, error) {
		yield(input("a", "words\nx"))
		yield(input("a", "words\ny"))
		<-ctx.Done() // a source learns that the run has ended
		return nil, ctx.Err()
	}, cfg)
	require.ErrorContains(t, err, `two inputs have the path "a"`)
}

func TestForcedParser(t *testing.T) {
	in := input("a", "words\nx")
	in.Parser = "no-such"
	res, err := analyze.Run(t.Context(), []*analyze.Input{in, input("b", "words\ny")}, analyze.Config{Parsers: []*analyze.Parser{words(), whole()}})
	require.NoError(t, err)
	require.Equal(t, analyze.ArtifactFailed, status(res, "a").Status)
	require.Contains(t, status(res, "a").Issues[0], `no parser is named "no-such"`)
}
