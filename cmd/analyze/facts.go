package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
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
source does not print are left out. No rule is applied.`,
		Example: `  analyze facts bundle.tar.gz -k socket | jq -r 'select(.state=="CLOSE_WAIT").local'
  analyze facts push.pcap -k flow -k capture`,
		Args: needInput,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.facts(cmd.Context(), args, kinds)
		},
	}
	s.inputFlags(cmd)
	cmd.Flags().StringSliceVarP(&kinds, "kind", "k", nil, "only facts of this kind (may be repeated)")
	return cmd
}

func (s *settings) facts(ctx context.Context, args, kinds []string) (err error) {
	known := emitted(parsers.All())
	for _, k := range kinds {
		if !slices.Contains(known, k) {
			return fmt.Errorf("no parser reads facts of kind %q; the kinds are: %s", k, strings.Join(known, " "))
		}
	}
	cfg, err := s.config()
	if err != nil {
		return err
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
	w := bufio.NewWriterSize(s.stdout, 64<<10)
	for _, k := range read.Store.Kinds() {
		if len(kinds) > 0 && !slices.Contains(kinds, string(k)) {
			continue
		}
		for f := range read.Store.Each(k) {
			if err := writeFact(w, f); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return w.Flush()
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

// place is what every line of `facts` begins with.
type place struct {
	Kind     fact.Kind `json:"kind"`
	Artifact fact.ID   `json:"artifact"`
	Line     int       `json:"line,omitempty"`
	Packet   int       `json:"packet,omitempty"`
}

// writeFact prints one fact: its place, then its own fields. The two objects are
// joined as text, so that the order of fields stays that of the structs.
func writeFact(w io.Writer, f fact.Fact) error {
	at := f.Ref()
	head, err := json.Marshal(place{f.Kind(), at.Artifact, at.Line, at.Packet})
	if err != nil {
		return err
	}
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("fact %s at %s: %w", f.Kind(), at, err)
	}
	if len(body) > len("{}") {
		head[len(head)-1] = ','
		head = append(head, body[1:]...)
	}
	_, err = w.Write(append(head, '\n'))
	return err
}
