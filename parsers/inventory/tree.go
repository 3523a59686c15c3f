package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// kind is what a node is.
type kind int

const (
	scalar kind = iota
	mapping
	list
)

// node is a value of YAML or JSON with the line where it stands.
type node struct {
	kind  kind
	text  string   // of a scalar
	keys  []string // of a mapping, in order
	items []*node  // values of a mapping, or items of a list
	line  int
}

// get is the text of a key of a mapping, "" if it has none.
func (n *node) get(key string) string {
	for i, k := range n.keys {
		if k == key && n.items[i].kind == scalar {
			return n.items[i].text
		}
	}
	return ""
}

// hasAddress reports whether one of the values of a mapping holds an address.
func (n *node) hasAddress() bool {
	for i, k := range n.keys {
		if len(addresses(k)) > 0 || n.items[i].kind == scalar && len(addresses(n.items[i].text)) > 0 {
			return true
		}
	}
	return false
}

// maxDepth bounds nesting.
const maxDepth = 64

var errDepth = errors.New("nested too deeply")

// parseYAML reads the first document that is a tree. A panic of the library on
// damaged input is its way to say that it is damaged.
func parseYAML(src []byte) (n *node, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = nil, fmt.Errorf("YAML: %v", v)
		}
	}()
	f, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		n, err := fromYAML(d.Body, 0)
		if err != nil || n.kind != scalar {
			return n, err
		}
	}
	return nil, nil
}

func fromYAML(y ast.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	n := &node{}
	if t := y.GetToken(); t != nil && t.Position != nil {
		n.line = t.Position.Line
	}
	add := func(key string, v ast.Node) error {
		item, err := fromYAML(v, depth+1)
		if err == nil {
			n.keys, n.items = append(n.keys, key), append(n.items, item)
		}
		return err
	}
	switch y := y.(type) {
	case *ast.MappingNode:
		n.kind = mapping
		for _, v := range y.Values {
			if err := add(keyText(v.Key), v.Value); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		n.kind = mapping
		return n, add(keyText(y.Key), y.Value)
	case *ast.SequenceNode:
		n.kind = list
		for _, v := range y.Values {
			item, err := fromYAML(v, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case *ast.AnchorNode:
		return fromYAML(y.Value, depth+1)
	case *ast.TagNode:
		return fromYAML(y.Value, depth+1)
	case *ast.StringNode:
		n.text = y.Value
	case *ast.LiteralNode:
		if y.Value != nil {
			n.text = y.Value.Value
		}
	case nil, *ast.NullNode:
	default:
		if t := y.GetToken(); t != nil {
			n.text = t.Value
		}
	}
	return n, nil
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	if k == nil || k.GetToken() == nil {
		return ""
	}
	return k.GetToken().Value
}

// parseJSON reads one value, keeping what was read before an error.
func parseJSON(src []byte) (*node, error) {
	p := &jsonReader{dec: json.NewDecoder(bytes.NewReader(src)), src: src, line: 1}
	p.dec.UseNumber()
	return p.value(0)
}

type jsonReader struct {
	dec  *json.Decoder
	src  []byte
	at   int // how far lines are counted
	line int
}

// token reads a token and counts the lines before its end.
func (p *jsonReader) token() (json.Token, error) {
	t, err := p.dec.Token()
	if end := int(p.dec.InputOffset()); end > p.at && end <= len(p.src) {
		p.line += bytes.Count(p.src[p.at:end], []byte("\n"))
		p.at = end
	}
	return t, err
}

func (p *jsonReader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	t, err := p.token()
	if err != nil {
		return nil, noEOF(err)
	}
	n := &node{line: p.line}
	switch t {
	case json.Delim('{'):
		n.kind = mapping
		for p.dec.More() {
			key, err := p.token()
			if err != nil {
				return n, noEOF(err)
			}
			v, err := p.value(depth + 1)
			if v != nil {
				n.keys, n.items = append(n.keys, fmt.Sprint(key)), append(n.items, v)
			}
			if err != nil {
				return n, err
			}
		}
		_, err = p.token()
		return n, noEOF(err)
	case json.Delim('['):
		n.kind = list
		for p.dec.More() {
			v, err := p.value(depth + 1)
			if v != nil {
				n.items = append(n.items, v)
			}
			if err != nil {
				return n, err
			}
		}
		_, err = p.token()
		return n, noEOF(err)
	case nil:
	default:
		n.text = fmt.Sprint(t)
	}
	return n, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lineIndex finds lines by number.
type lineIndex struct {
	id     fact.ID
	src    []byte
	starts []int
}

func newLineIndex(src []byte, id fact.ID) *lineIndex {
	x := &lineIndex{id: id, src: src, starts: []int{0}}
	for i, c := range src {
		if c == '\n' {
			x.starts = append(x.starts, i+1)
		}
	}
	return x
}

// ref is the reference to a line, without blanks around it. A number outside the
// file is the first or last line.
func (x *lineIndex) ref(line int) fact.Ref {
	line = min(max(line, 1), len(x.starts))
	from, to := x.starts[line-1], len(x.src)
	if line < len(x.starts) {
		to = x.starts[line] - 1
	}
	text := bytes.TrimRight(x.src[from:to], " \t\r")
	return fact.Ref{Artifact: x.id, Line: line, Offset: int64(from), Len: len(text)}
}
