// Package inventory reads what should be there: the list of nodes, peers and
// addresses that people keep in YAML, JSON or plain text beside a service.
package inventory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/tree"
)

// Parser reads inventories.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "inventory",
		Doc:   "Inventories in YAML, JSON or plain text: expected nodes, peers, listeners and versions.",
		Emits: []fact.Kind{"expected"},
		Sniff: sniff,
		Parse: parse,
	}
}

// maxSize bounds an inventory; it is read as a whole, because the place of a value
// in the tree decides what it means.
const maxSize = 4 << 20

// nameWords are words in the names of inventories.
var nameWords = [...]string{"inventory", "expected", "topology", "peers", "members", "nodes", "cluster", "fleet", "endpoints", "hosts.y", "hosts.j", "hosts.ini", "registry"}

// sniff goes by the name and the contents: an address must stand in it, and the
// file must be called an inventory or have the keys of one.
func sniff(h analyze.Head) analyze.Match {
	base := strings.ToLower(path.Base(h.Path))
	named := false
	for _, w := range nameWords {
		named = named || strings.Contains(base, w)
	}
	text := string(h.Bytes)
	ext := path.Ext(base)
	structured := ext == ".yaml" || ext == ".yml" || ext == ".json"
	if h.Size > maxSize || bytes.IndexByte(h.Bytes, 0) >= 0 || clusterState(text) {
		return analyze.No
	}
	listed := false
	for _, k := range [...]string{"nodes", "peers", "members", "hosts", "instances", "servers", "backends", "upstreams", "endpoints", "inventory"} {
		listed = listed || strings.Contains(text, k+":") || strings.Contains(text, `"`+k+`"`) || strings.Contains(text, "["+k)
	}
	lines, found := 0, 0
	for i, line := range strings.Split(text, "\n") {
		if i > 200 {
			break
		}
		if strings.TrimSpace(line) != "" {
			lines++
		}
		if len(addresses(line)) > 0 {
			found++
		}
	}
	switch {
	case found == 0 && named && structured && listed && strings.Contains(base, "inventory"):
		return analyze.Probably // members by name only
	case found == 0:
		return analyze.No
	case named && structured:
		return analyze.Sure
	case named && (listed || found*2 >= lines):
		return analyze.Sure
	case structured && listed:
		return analyze.Probably
	}
	return analyze.No
}

// objectKind is the kind of an object of the Kubernetes API.
var objectKind = regexp.MustCompile(`(?m)^\s*"?kind"?\s*:\s*"?(\w+)|"kind"\s*:\s*"(\w+)"`)

// clusterState reports whether a text is what a cluster says of itself: pods, nodes,
// events. What is there is no statement of what should be there.
func clusterState(text string) bool {
	if !strings.Contains(text, "apiVersion") {
		return false
	}
	m := objectKind.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	switch m[1] + m[2] {
	case "Endpoints", "EndpointSlice", "ConfigMap":
		return false
	}
	return true
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	src, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(src) > maxSize {
		src = src[:maxSize]
		out.Partial()
		out.Note("only the first %d MiB were read", maxSize>>20)
	}
	w := &walker{out: out, lines: tree.NewLines(src, in.ID())}
	trimmed := bytes.TrimSpace(src)
	root, terr := (*tree.Node)(nil), error(nil)
	switch {
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '['):
		root, terr = tree.JSON(src)
		if terr != nil && trimmed[0] == '[' {
			root, terr = nil, nil // "[group]" of an INI file
		}
	default:
		// The library counts CRLF as two lines.
		root, terr = tree.YAML(bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n")))
	}
	if root != nil && root.Kind != tree.Scalar {
		w.walk(root, place{})
	}
	if w.found == 0 {
		w.plain(src)
	}
	if terr != nil && w.found == 0 {
		return fmt.Errorf("inventory: %w", terr)
	}
	if terr != nil {
		out.Partial()
		first, _, _ := strings.Cut(terr.Error(), "\n") // the library adds an excerpt
		out.Note("not well-formed: %s", first)
	}
	return nil
}
