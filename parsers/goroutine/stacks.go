package goroutine

import (
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/symbol"
)

// stacks is a tree of the stacks seen so far, from the innermost frame outwards,
// so that equal stacks of many goroutines share one slice of frames and each
// frame line is compared rather than copied. A dump of 100,000 goroutines with
// 100 distinct stacks then costs about 40 bytes a frame, and most lines one
// comparison with the frame that followed last time.
type stacks struct {
	root    node
	strings map[string]string
	key     []byte
}

// node is one frame below the frames of its parents.
type node struct {
	frame  fact.Frame
	where  string // "file:line" as printed
	parent *node
	depth  int
	// last is the child that was taken last, kids all of them once there are two.
	last *node
	kids map[string]*node
	// about is what the frames up to here reveal of the program.
	about about
	// frames is the path to here, made when a goroutine ends here.
	frames []fact.Frame
}

func (st *stacks) intern(b []byte) string {
	if s, ok := st.strings[string(b)]; ok {
		return s
	}
	s := string(b)
	st.strings[s] = s
	return s
}

// child is the node of a frame below n. where is the text "file:line".
func (st *stacks) child(n *node, fn, where []byte, inlined bool) *node {
	c := n.last
	if c != nil && c.frame.Inlined == inlined && c.frame.Func == string(fn) && c.where == string(where) {
		return c
	}
	if n.last != nil {
		k := append(st.key[:0], fn...)
		if inlined {
			k = append(k, 1)
		}
		k = append(append(k, 0), where...)
		st.key = k
		if n.kids == nil {
			n.kids = map[string]*node{n.last.key(): n.last}
		}
		if c = n.kids[string(k)]; c != nil {
			n.last = c
			return c
		}
	}
	file, line := symbol.Place(where)
	c = &node{parent: n, depth: n.depth + 1, where: st.intern(where)}
	c.frame = fact.Frame{Func: st.intern(fn), File: st.intern(file), Line: line, Inlined: inlined}
	c.about = n.about.with(c.frame)
	if n.kids != nil {
		n.kids[c.key()] = c
	}
	n.last = c
	return c
}

func (n *node) key() string {
	var b strings.Builder
	b.WriteString(n.frame.Func)
	if n.frame.Inlined {
		b.WriteByte(1)
	}
	b.WriteByte(0)
	b.WriteString(n.where)
	return b.String()
}

// path is the stack that ends at n, innermost frame first.
func (n *node) path() []fact.Frame {
	if n.frames == nil && n.depth > 0 {
		n.frames = make([]fact.Frame, n.depth)
		for c := n; c.depth > 0; c = c.parent {
			n.frames[c.depth-1] = c.frame
		}
	}
	return n.frames
}
