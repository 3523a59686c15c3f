package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers"
)

func (s *settings) factsCommand() *cobra.Command {
	var kinds []string
	cmd := &cobra.Command{
		Use:   "facts INPUT...",
		Short: "Print what the parsers read, as JSON Lines",
		Long: `facts prints what the parsers read from a bundle, one fact a line: its kind,
artifact and line or packet first, then what the source said. Fields that the
source does not print are left out. No rule is applied. With --baseline, what was
counted in the healthy bundle and what deviates from it are facts too, of the kinds
baseline and deviation.`,
		Example: `  analyze facts bundle.tar.gz -k socket | jq -r 'select(.state=="CLOSE_WAIT").local'
  analyze facts push.pcap -k flow -k capture
  analyze facts bundle.tar.gz --baseline healthy.tar.gz -k deviation`,
		Args: needInput,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.facts(cmd.Context(), args, kinds)
		},
	}
	s.inputFlags(cmd)
	cmd.Flags().StringVar(&s.baseline, "baseline", "", baselineHelp)
	cmd.Flags().StringSliceVarP(&kinds, "kind", "k", nil, "only facts of this kind (may be repeated)")
	return cmd
}

func (s *settings) facts(ctx context.Context, args, kinds []string) (err error) {
	known := emitted(parsers.All())
	if s.baseline != "" {
		known = append(known, "baseline", "deviation")
	}
	for _, k := range kinds {
		if !slices.Contains(known, k) {
			return fmt.Errorf("no parser reads facts of kind %q; the kinds are: %s", k, strings.Join(known, " "))
		}
	}
	cfg, err := s.config()
	if err != nil {
		return err
	}
	healthy, err := s.readBaseline(ctx, &cfg)
	if err != nil {
		return err
	}
	if healthy != nil {
		defer func() { err = errors.Join(err, healthy.Close()) }()
	}
	b := s.bundle(args, false)
	defer func() { err = errors.Join(err, b.Close()) }()
	cfg.Bundle.Name = b.Name
	progress := s.progress()
	cfg.Progress = progress.show
	read, err := analyze.ReadFrom(ctx, s.source(b, &cfg), cfg)
	progress.stop()
	if err != nil {
		return err
	}
	s.warn(read.Artifacts)
	read.Against(cfg)
	for _, k := range read.Store.Kinds() {
		if len(kinds) > 0 && !slices.Contains(kinds, string(k)) {
			continue
		}
		if err := writeFacts(ctx, s.stdout, read.Store.Each(k), cfg.Jobs); err != nil {
			return err
		}
	}
	return nil
}

// emitted lists the kinds that parsers emit, sorted.
func emitted(all []*analyze.Parser) []string {
	var out []string
	for _, p := range all {
		for _, k := range p.Emits {
			out = append(out, string(k))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// batchSize is how many facts are encoded together.
const batchSize = 1024

// writeFacts prints facts in their order, one a line. Batches are encoded by up to
// jobs goroutines; each hands its text over through its place in the queue.
func writeFacts(ctx context.Context, w io.Writer, facts iter.Seq[fact.Fact], jobs int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan chan []byte, max(jobs, 1))
	go func() {
		defer close(queue)
		batch := make([]fact.Fact, 0, batchSize)
		send := func() bool {
			text := make(chan []byte, 1)
			go func(batch []fact.Fact) {
				b, err := encodeFacts(batch)
				if err != nil {
					stop(err)
				}
				text <- b
			}(batch)
			select {
			case queue <- text:
				batch = make([]fact.Fact, 0, batchSize)
				return true
			case <-ctx.Done():
				return false
			}
		}
		for f := range facts {
			if batch = append(batch, f); len(batch) == batchSize && !send() {
				return
			}
		}
		send()
	}()
	for text := range queue {
		b := <-text
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// encodeFacts is the lines of some facts: their kind, artifact and line or packet,
// then their own fields. The two are joined as text, so that the order of fields
// stays that of the structs.
func encodeFacts(batch []fact.Fact) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	var artifact fact.ID
	var quoted []byte
	for i, f := range batch {
		at := f.Ref()
		if i == 0 || at.Artifact != artifact {
			var err error
			if quoted, err = json.Marshal(at.Artifact); err != nil {
				return nil, fmt.Errorf("artifact %q: %w", at.Artifact, err)
			}
			artifact = at.Artifact
		}
		head := append(append(append(out.AvailableBuffer(), `{"kind":"`...), f.Kind()...), `","artifact":`...)
		head = append(head, quoted...)
		if at.Line != 0 {
			head = strconv.AppendInt(append(head, `,"line":`...), int64(at.Line), 10)
		}
		if at.Packet != 0 {
			head = strconv.AppendInt(append(head, `,"packet":`...), int64(at.Packet), 10)
		}
		out.Write(head)
		start := out.Len()
		if err := enc.Encode(f); err != nil {
			return nil, fmt.Errorf("fact %s at %s: %w", f.Kind(), at, err)
		}
		// The second object goes on with the first one, unless it has no fields.
		if body := out.Bytes()[start:]; len(body) > len("{}\n") {
			body[0] = ','
		} else {
			out.Truncate(start)
			out.WriteString("}\n")
		}
	}
	return out.Bytes(), nil
}
