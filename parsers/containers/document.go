package containers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/tree"
)

// reader reads a JSON or YAML document object by object, so that only one is held
// as a tree.
type reader struct {
	ctx   context.Context
	out   *analyze.Sink
	src   []byte
	lines *tree.Lines
	base  int // lines before the object being read
	upTo  int // the offset that base is counted to
}

func parseDocument(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return err
	}
	if len(src) > maxSize {
		src = src[:maxSize]
		out.Partial()
		out.Note("only the first %d MiB were read", maxSize>>20)
	}
	r := &reader{ctx: ctx, out: out, src: src, lines: tree.NewLines(src, in.ID())}
	if t := bytes.TrimLeft(src, "\ufeff \t\r\n"); t[0] == '{' || t[0] == '[' {
		err = r.json()
	} else {
		err = r.yaml()
	}
	if err != nil && ctx.Err() == nil && out.Full() == nil {
		out.Partial()
		out.Note("not well-formed: %v", err)
		return nil
	}
	return errors.Join(ctx.Err(), out.Full())
}

// json reads objects below each other, lists of them, and lists called items.
func (r *reader) json() error {
	skipped := len(r.src) - len(bytes.TrimLeft(r.src, "\ufeff"))
	dec := json.NewDecoder(bytes.NewReader(r.src[skipped:]))
	at := func() int { return skipped + int(dec.InputOffset()) }
	for {
		start := at()
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		listed := tok == json.Delim('[')
		for !listed && dec.More() {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			if key == "items" {
				_, err := dec.Token()
				if err != nil {
					return err
				}
				listed = true
				break
			}
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return err
			}
		}
		for listed && dec.More() {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			if err := r.object(at()-len(raw), at()); err != nil {
				return err
			}
		}
		if err := leave(dec, tok, listed); err != nil {
			return err
		}
		if !listed {
			if err := r.object(start, at()); err != nil {
				return err
			}
		}
	}
}

// leave reads to the end of what began with open at the top: of a list, of an
// object, or of the object around a list.
func leave(dec *json.Decoder, open json.Token, listed bool) error {
	if _, err := dec.Token(); err != nil || open == json.Delim('[') || !listed {
		return err
	}
	for dec.More() {
		if _, err := dec.Token(); err != nil { // the key
			return err
		}
		var skip json.RawMessage
		if err := dec.Decode(&skip); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// object reads the JSON object between two offsets.
func (r *reader) object(from, to int) error {
	n, err := tree.JSON(r.src[from:to])
	if err != nil {
		return err
	}
	r.base += bytes.Count(r.src[r.upTo:from], []byte("\n"))
	r.upTo = from
	return r.emit(n)
}

// yaml reads the documents of a file, and of a list its items: kubectl writes each
// with a dash at the beginning of the line.
func (r *reader) yaml() error {
	dash, from, line, base := []byte(nil), 0, 0, 0
	flush := func(to int) error {
		chunk := bytes.TrimSpace(r.src[from:to])
		if len(chunk) == 0 || dash != nil && !bytes.HasPrefix(r.src[from:to], dash) {
			return nil
		}
		// The library counts CRLF as two lines.
		n, err := tree.YAML(bytes.ReplaceAll(r.src[from:to], []byte("\r\n"), []byte("\n")))
		if err != nil {
			return err
		}
		r.base = base
		if e := n.Elements(); len(e) > 0 {
			n = e[0]
		}
		return r.emit(n)
	}
	for pos := 0; pos < len(r.src); line++ {
		end := len(r.src)
		if i := bytes.IndexByte(r.src[pos:], '\n'); i >= 0 {
			end = pos + i + 1
		}
		text := bytes.TrimRight(r.src[pos:end], " \r\n")
		begins := dash != nil && bytes.HasPrefix(text, dash)
		switch {
		case bytes.Equal(text, []byte("---")):
			if err := flush(pos); err != nil {
				return err
			}
			dash, from, base = nil, end, line+1
		case bytes.Equal(text, []byte("items:")):
			dash, from, base = []byte("- "), end, line+1
			if rest := bytes.TrimLeft(r.src[end:], " "); bytes.HasPrefix(rest, dash) {
				dash = r.src[end : len(r.src)-len(rest)+2]
			}
		case begins || dash != nil && len(text) > 0 && text[0] != ' ' && text[0] != '-':
			if err := flush(pos); err != nil {
				return err
			}
			from, base = pos, line
		}
		pos = end
	}
	return flush(len(r.src))
}

// emit makes facts of one object.
func (r *reader) emit(n *tree.Node) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	switch kind := n.At("kind").String(); {
	case kind == "Pod":
		r.pod(n)
	case kind == "Event":
		r.event(n)
	case kind == "" && n.At("State") != nil && n.At("Config") != nil:
		r.docker(n)
	}
	return r.out.Full()
}

// ref is the line of the first value that is there.
func (r *reader) ref(values ...*tree.Node) fact.Ref {
	for _, v := range values {
		if v != nil {
			at := r.lines.Ref(r.base + v.Line)
			at.Len = min(at.Len, maxLine)
			return at
		}
	}
	return r.lines.Ref(r.base + 1)
}

// maxLine bounds what is quoted of a document that is one line.
const maxLine = 4096

// first is the first of values with a text.
func first(values ...*tree.Node) *tree.Node {
	for _, v := range values {
		if v.String() != "" && v.String() != "null" {
			return v
		}
	}
	return nil
}

func number(n *tree.Node) fact.Int {
	var v int64
	if _, err := fmt.Sscan(n.String(), &v); err != nil {
		return fact.Int{}
	}
	return fact.Some(v)
}
