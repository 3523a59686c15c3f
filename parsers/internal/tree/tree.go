// Package tree reads YAML and JSON into trees whose values know their lines.
package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Kind is what a node is.
type Kind int

// The kinds.
const (
	Scalar Kind = iota
	Mapping
	List
)

// Node is a value of YAML or JSON with the line where it stands.
type Node struct {
	Kind  Kind
	Text  string   // of a scalar
	Keys  []string // of a mapping, in order
	Items []*Node  // values of a mapping, or items of a list
	Line  int
}

// Get is the text of a key of a mapping, "" if it has none.
func (n *Node) Get(key string) string {
	for i, k := range n.Keys {
		if k == key && n.Items[i].Kind == Scalar {
			return n.Items[i].Text
		}
	}
	return ""
}

// At follows keys of mappings. It is nil where one is not there, and so is At of nil.
func (n *Node) At(path ...string) *Node {
	for _, key := range path {
		i := -1
		if n != nil && n.Kind == Mapping {
			i = slices.Index(n.Keys, key)
		}
		if i < 0 {
			return nil
		}
		n = n.Items[i]
	}
	return n
}

// String is the text of a scalar, "" for anything else.
func (n *Node) String() string {
	if n == nil || n.Kind != Scalar {
		return ""
	}
	return n.Text
}

// Elements are the items of a list, none for anything else.
func (n *Node) Elements() []*Node {
	if n == nil || n.Kind != List {
		return nil
	}
	return n.Items
}

// maxDepth bounds nesting.
const maxDepth = 64

var errDepth = errors.New("nested too deeply")

// YAML reads the first document that is a tree. A panic of the library on
// damaged input is its way to say that it is damaged.
func YAML(src []byte) (n *Node, err error) {
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
		if err != nil || n.Kind != Scalar {
			return n, err
		}
	}
	return nil, nil
}

func fromYAML(y ast.Node, depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	n := &Node{}
	if t := y.GetToken(); t != nil && t.Position != nil {
		n.Line = t.Position.Line
	}
	add := func(key string, v ast.Node) error {
		item, err := fromYAML(v, depth+1)
		if err == nil {
			n.Keys, n.Items = append(n.Keys, key), append(n.Items, item)
		}
		return err
	}
	switch y := y.(type) {
	case *ast.MappingNode:
		n.Kind = Mapping
		for _, v := range y.Values {
			if err := add(keyText(v.Key), v.Value); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		n.Kind = Mapping
		return n, add(keyText(y.Key), y.Value)
	case *ast.SequenceNode:
		n.Kind = List
		for _, v := range y.Values {
			item, err := fromYAML(v, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
	case *ast.AnchorNode:
		return fromYAML(y.Value, depth+1)
	case *ast.TagNode:
		return fromYAML(y.Value, depth+1)
	case *ast.StringNode:
		n.Text = y.Value
	case *ast.LiteralNode:
		if y.Value != nil {
			n.Text = y.Value.Value
		}
	case nil, *ast.NullNode:
	default:
		if t := y.GetToken(); t != nil {
			n.Text = t.Value
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

// JSON reads one value, keeping what was read before an error.
func JSON(src []byte) (*Node, error) {
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

func (p *jsonReader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	t, err := p.token()
	if err != nil {
		return nil, noEOF(err)
	}
	n := &Node{Line: p.line}
	switch t {
	case json.Delim('{'):
		n.Kind = Mapping
		for p.dec.More() {
			key, err := p.token()
			if err != nil {
				return n, noEOF(err)
			}
			v, err := p.value(depth + 1)
			if v != nil {
				n.Keys, n.Items = append(n.Keys, fmt.Sprint(key)), append(n.Items, v)
			}
			if err != nil {
				return n, err
			}
		}
		_, err = p.token()
		return n, noEOF(err)
	case json.Delim('['):
		n.Kind = List
		for p.dec.More() {
			v, err := p.value(depth + 1)
			if v != nil {
				n.Items = append(n.Items, v)
			}
			if err != nil {
				return n, err
			}
		}
		_, err = p.token()
		return n, noEOF(err)
	case nil:
	default:
		n.Text = fmt.Sprint(t)
	}
	return n, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Lines finds lines by number.
type Lines struct {
	id     fact.ID
	src    []byte
	starts []int
}

// NewLines indexes the lines of src, the text of the artifact id.
func NewLines(src []byte, id fact.ID) *Lines {
	x := &Lines{id: id, src: src, starts: []int{0}}
	for i, c := range src {
		if c == '\n' {
			x.starts = append(x.starts, i+1)
		}
	}
	return x
}

// Ref is the reference to a line, without blanks around it. A number outside the
// file is the first or last line.
func (x *Lines) Ref(line int) fact.Ref {
	line = min(max(line, 1), len(x.starts))
	from, to := x.starts[line-1], len(x.src)
	if line < len(x.starts) {
		to = x.starts[line] - 1
	}
	text := bytes.TrimRight(x.src[from:to], " \t\r")
	return fact.Ref{Artifact: x.id, Line: line, Offset: int64(from), Len: len(text)}
}
