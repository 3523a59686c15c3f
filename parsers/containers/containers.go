// Package containers reads what Kubernetes and Docker say of containers: pods and
// events as `kubectl get` prints them (tables, -o json, -o yaml, lists of
// cluster-info dump and support bundles), `kubectl describe pod`, and `docker
// inspect`.
package containers

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads descriptions of containers.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "containers",
		Doc:   "Containers: kubectl get pods and events (tables, JSON, YAML), kubectl describe pod, docker inspect.",
		Emits: []fact.Kind{"container", "cluster_event"},
		Sniff: sniff,
		Parse: parse,
	}
}

// maxSize bounds an artifact; a cluster of ten thousand pods has about that.
const maxSize = 64 << 20

// form is how an artifact is written.
type form int

const (
	unknown form = iota
	document
	describe
	table
)

func sniff(h analyze.Head) analyze.Match {
	if formOf(h.Bytes) == unknown {
		return analyze.No
	}
	return analyze.Certain
}

// formOf goes by the contents.
func formOf(head []byte) form {
	text := bytes.TrimLeft(head, "\ufeff \t\r\n")
	first, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case len(text) == 0:
	case text[0] == '{' || text[0] == '[':
		if objects(text) || bytes.Contains(text, []byte(`"RestartCount"`)) && bytes.Contains(text, []byte(`"State"`)) {
			return document
		}
	case bytes.HasPrefix(text, []byte("apiVersion:")) || bytes.HasPrefix(text, []byte("---\napiVersion:")):
		if objects(text) {
			return document
		}
	case bytes.HasPrefix(first, []byte("Name:")) && bytes.Contains(text, []byte("\nNamespace:")):
		if bytes.Contains(text, []byte("\nNode:")) || bytes.Contains(text, []byte("\nContainers:")) {
			return describe
		}
	case columnsOf(string(first)) != nil:
		return table
	}
	return unknown
}

// objects reports whether pods or events of Kubernetes begin in a document.
func objects(text []byte) bool {
	squeezed := bytes.NewBuffer(make([]byte, 0, len(text)))
	for _, c := range text {
		if c != ' ' && c != '"' {
			squeezed.WriteByte(c)
		}
	}
	for _, k := range [...]string{"kind:Pod", "kind:Event"} { // PodList, EventList too
		if i := bytes.Index(squeezed.Bytes(), []byte(k)); i >= 0 && bytes.Contains(squeezed.Bytes(), []byte("apiVersion:")) {
			rest := bytes.TrimPrefix(squeezed.Bytes()[i+len(k):], []byte("List"))
			return len(rest) == 0 || bytes.IndexByte(rest[:1], ',') == 0 || rest[0] == '\n' || rest[0] == '\r' || rest[0] == '}'
		}
	}
	return false
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	head, err := peek(in)
	if err != nil {
		return err
	}
	switch formOf(head) {
	case document:
		return parseDocument(ctx, in, out)
	case describe:
		d := &describer{out: out}
		err := lines.Each(ctx, in, out, d.line)
		d.flush()
		return err
	case table:
		t := &rows{out: out}
		return lines.Each(ctx, in, out, t.line)
	}
	return analyze.ErrForeign
}

func peek(in *analyze.Input) ([]byte, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, analyze.HeadSize))
}

// bareID is the ID of a container without its runtime.
func bareID(s string) string {
	if _, id, ok := strings.Cut(s, "://"); ok {
		return id
	}
	return s
}
