// Command library shows the library in a program of one's own: it reads bundles
// and prints one line each, such as a chat bot or a ticket system would post.
//
//	go run ./examples/library BUNDLE ...
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "library:", err)
		os.Exit(1)
	}
}

// run says what happened in each bundle. A bundle that cannot be read does not
// keep the others from being read.
func run(ctx context.Context, w io.Writer, paths []string) error {
	if len(paths) == 0 {
		return errors.New("usage: library BUNDLE")
	}
	var errs []error
	for _, path := range paths {
		res, err := diagnose(ctx, path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		fmt.Fprintf(w, "%s: %s: %s\n", path, res.Verdict.Status, res.Verdict.Summary)
		for _, id := range res.Verdict.RootCauses {
			cause := res.Finding(id)
			fmt.Fprintf(w, "  see %s\n", cause.Evidence[0].Ref)
		}
	}
	return errors.Join(errs...)
}

// diagnose is all it takes: open, run, close.
func diagnose(ctx context.Context, path string) (*analyze.Result, error) {
	b, err := bundle.Open(ctx, []string{path}, bundle.Options{})
	if err != nil {
		return nil, err
	}
	res, err := analyze.Run(ctx, b.Inputs, analyze.Config{
		Parsers:  parsers.All(),
		Rules:    rules.All(),
		Manifest: b.Manifest,
		Bundle:   analyze.Bundle{Name: b.Name},
	})
	return res, errors.Join(err, b.Close())
}
