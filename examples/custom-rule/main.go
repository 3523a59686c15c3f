// Command custom-rule adds a rule of one's own to those that come with the
// library and prints the report.
//
//	go run ./examples/custom-rule BUNDLE
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "custom-rule:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: custom-rule BUNDLE")
	}
	b, err := bundle.Open(ctx, args, bundle.Options{})
	if err != nil {
		return err
	}
	res, err := analyze.Run(ctx, b.Inputs, analyze.Config{
		Parsers:  parsers.All(),
		Rules:    append(rules.All(), DiskFullRule()),
		Manifest: b.Manifest,
		Bundle:   analyze.Bundle{Name: b.Name},
		// Numbers are defaults to tune.
		Thresholds: map[string]float64{"acme/disk-full.events": 2},
	})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	enc, ok := report.ByName("md")
	if !ok {
		return errors.New("no Markdown encoder")
	}
	return errors.Join(enc.Encode(w, res, report.Options{}), b.Close())
}
