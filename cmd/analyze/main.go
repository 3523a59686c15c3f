package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitDone     = 0 // the report was written
	exitError    = 1 // wrong usage, or the program failed
	exitFindings = 2 // findings at or above --fail-on
	exitUnusable = 3 // the bundle could not be opened or read
)

// run is the program. It returns the exit code and prints errors to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run in order, so that the temporary file goes
	// away; a second one kills.
	context.AfterFunc(ctx, stop)
	// A closed pipe (`analyze facts x | head`) becomes an error of Write, for the
	// same reason.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)

	boundGarbage()
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitError
	}
	var coded *exitCode
	if !errors.As(err, &coded) {
		coded = &exitCode{code: exitError}
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted: no report was written")
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(stderr, "analyze:", msg)
	}
	return coded.code
}

// exitCode is an error that carries the exit code of the program. It keeps the
// code when it is wrapped.
type exitCode struct {
	code int
	err  error
}

func (e *exitCode) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitCode) Unwrap() error { return e.err }
