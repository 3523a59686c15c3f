// Package nodereport reads the diagnostic reports of Node.js, one JSON object that
// `--report-on-signal`, `--report-on-fatalerror` and process.report write: which
// process, why, the JavaScript stack, the open handles with their sockets, the heap
// and the limits.
package nodereport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Parser reads diagnostic reports of Node.js.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "nodereport",
		Doc:   "Diagnostic reports of Node.js: process, JavaScript stack, open handles, heap and limits.",
		Emits: []fact.Kind{"process", "thread", "socket", "socket_table", "limit", "counter", "host_info", "log_event"},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	b := bytes.TrimLeft(h.Bytes, " \t\r\n")
	if len(b) > 0 && b[0] == '{' && bytes.Contains(b[:min(len(b), 200)], []byte(`"reportVersion"`)) {
		return analyze.Certain
	}
	return analyze.No
}

// maxSize bounds a report; those with ten thousand handles have four MiB.
const maxSize = 64 << 20

// report is the state of one artifact.
type report struct {
	out    *analyze.Sink
	src    []byte
	starts []int // of the lines
	head   header
	table  fact.SocketTable
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	src, err := io.ReadAll(io.LimitReader(r, maxSize))
	if err != nil {
		return err
	}
	p := &report{out: out, src: src, starts: []int{0}}
	for i, c := range src {
		if c == '\n' {
			p.starts = append(p.starts, i+1)
		}
	}
	if err := p.object(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		out.Partial()
		out.Note("the report ends early or is damaged: %v", err)
	}
	if p.table.Rows > 0 {
		analyze.Emit(out, p.table)
	}
	return out.Full()
}

// object reads the sections in their order; the header comes first.
func (p *report) object(ctx context.Context) error {
	dec := json.NewDecoder(bytes.NewReader(p.src))
	if err := open(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if key == "libuv" {
			if err := p.handles(dec); err != nil {
				return fmt.Errorf("libuv: %w", err)
			}
			continue
		}
		start := dec.InputOffset()
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
		if err := p.section(fmt.Sprint(key), raw, p.ref(start, dec.InputOffset())); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
	}
	return nil
}

// section reads one of the sections that are small.
func (p *report) section(key string, raw json.RawMessage, at fact.Ref) error {
	switch key {
	case "header":
		if err := json.Unmarshal(raw, &p.head); err != nil {
			return err
		}
		p.header(at)
	case "javascriptStack":
		var s stack
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		p.stack(s, at)
	case "javascriptHeap":
		var heap map[string]any
		if err := json.Unmarshal(raw, &heap); err != nil {
			return err
		}
		for _, name := range [...]string{"totalMemory", "usedMemory", "memoryLimit", "externalMemory", "detachedContextCount"} {
			if n, ok := heap[name].(float64); ok && n >= 0 && n < 1<<53 {
				analyze.Emit(p.out, fact.Counter{At: at, Source: "node", Name: "heap." + name, Value: int64(n), PID: p.head.ProcessID})
			}
		}
	case "userLimits":
		var l map[string]userLimit
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		p.limits(l, at)
	}
	return nil
}

// handles reads the array of handles one by one: there can be many thousands.
func (p *report) handles(dec *json.Decoder) error {
	if err := open(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		start := dec.InputOffset()
		var h handle
		if err := dec.Decode(&h); err != nil {
			return err
		}
		p.handle(h, p.ref(start, dec.InputOffset()))
		if err := p.out.Full(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

var errShape = errors.New("not of the form that Node.js writes")

func open(dec *json.Decoder, want json.Delim) error {
	t, err := dec.Token()
	if err == nil && t != want {
		err = errShape
	}
	return err
}

// ref is the reference to a value: it begins behind blanks, colons and commas and
// ends with its last byte.
func (p *report) ref(start, end int64) fact.Ref {
	for start < end && bytes.IndexByte([]byte(" \t\r\n:,"), p.src[start]) >= 0 {
		start++
	}
	line := sort.SearchInts(p.starts, int(start)+1)
	return p.out.Ref(line, start, int(end-start))
}
