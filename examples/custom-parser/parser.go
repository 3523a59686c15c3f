package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// QueueDepth is one sample of a message queue. Its kind carries a prefix, so that
// it never meets a kind of somebody else.
type QueueDepth struct {
	At    fact.Ref `json:"-"`
	Queue string   `json:"queue"`
	Depth int      `json:"depth"`
	fact.Time
}

// Kind is "acme/queue-depth".
func (QueueDepth) Kind() fact.Kind { return "acme/queue-depth" }

// Ref is the line of the sample.
func (q QueueDepth) Ref() fact.Ref { return q.At }

// header is how the tool begins its output.
const header = "# acme-queues v1"

// maxLine bounds a line; the format has none that is longer.
const maxLine = 4096

// QueueParser reads what `acme queues --watch` prints:
//
//	# acme-queues v1
//	2026-11-21T08:30:00Z orders 1200
func QueueParser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "acme-queues",
		Doc:   "Queue depths, as printed by acme queues --watch.",
		Emits: []fact.Kind{QueueDepth{}.Kind()},
		Sniff: func(h analyze.Head) analyze.Match {
			if bytes.HasPrefix(h.Bytes, []byte(header)) {
				return analyze.Sure
			}
			return analyze.No
		},
		Parse: parse,
	}
}

// parse reads the artifact as a stream. What it cannot understand it skips with
// the position; only a read error ends it.
func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewReaderSize(r, maxLine)
	offset := int64(0)
	for number := 1; ctx.Err() == nil; number++ {
		raw, rest, err := readLine(lines)
		text := bytes.TrimRight(raw, "\r\n")
		at := out.Ref(number, offset, len(text))
		offset += int64(len(raw)) + rest
		if len(text) > 0 && text[0] != '#' {
			if rest > 0 {
				out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("line longer than %d bytes", maxLine)})
			} else if q, ok := parseSample(text); ok {
				q.At = at
				analyze.Emit(out, q)
			} else {
				out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("want time, queue and depth, got %.60q", text)})
			}
		}
		if err != nil {
			return ignoreEOF(err)
		}
	}
	return ctx.Err()
}

// parseSample reads one line: time, queue, depth.
func parseSample(text []byte) (q QueueDepth, ok bool) {
	f := bytes.Fields(text)
	if len(f) != 3 {
		return q, false
	}
	t, err := time.Parse(time.RFC3339, string(f[0]))
	if err != nil {
		return q, false
	}
	q.Time = fact.Time{T: t.UTC(), Basis: fact.LocalZone, Precision: time.Second}
	q.Queue = string(f[1])
	q.Depth, err = strconv.Atoi(string(f[2]))
	return q, err == nil
}
