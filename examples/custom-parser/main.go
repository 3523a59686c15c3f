// Command custom-parser adds a parser for a format of one's own, without a change
// to the library: a parser and its fact are values. It prints the facts it finds
// beside those of the parsers that come with the library.
//
//	go run ./examples/custom-parser BUNDLE
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "custom-parser:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: custom-parser BUNDLE")
	}
	b, err := bundle.Open(ctx, args, bundle.Options{})
	if err != nil {
		return err
	}
	found, err := analyze.Read(ctx, b.Inputs, analyze.Config{Parsers: append(parsers.All(), QueueParser())})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	for q := range fact.All[QueueDepth](found.Store.View("custom-parser")) {
		fmt.Fprintf(w, "%s: %s had %d messages\n", q.Ref(), q.Queue, q.Depth)
	}
	for _, k := range found.Store.Kinds() {
		fmt.Fprintf(w, "%d facts of kind %s\n", found.Store.Count(k), k)
	}
	return b.Close()
}
