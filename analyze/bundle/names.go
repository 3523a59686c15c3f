package bundle

import (
	"fmt"
	"path"
	"strings"
	"unicode"
)

// maxName bounds a label; longer ones are cut, and made unique like any other.
const maxName = 1024

// cleanName makes a label of an entry's name: forward slashes, relative, without
// ".." and control characters. It is never used as a path.
func cleanName(name string) string {
	name = strings.ToValidUTF8(strings.ReplaceAll(name, `\`, "/"), "\uFFFD")
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, name)
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

// unsafeName reports whether a name would have left the directory into which a
// naive program unpacks.
func unsafeName(name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(name, "/") || (len(name) > 1 && name[1] == ':') {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// names hands out unique labels.
type names struct {
	taken map[string]bool
	next  map[string]int // of a label that occurred before
}

func newNames() *names { return &names{taken: map[string]bool{}, next: map[string]int{}} }

// unique is the label itself, or with a number if it is taken: "a.log (2)".
func (n *names) unique(label string) string {
	if !n.taken[label] {
		n.taken[label] = true
		return label
	}
	for i := max(n.next[label], 2); ; i++ {
		try := fmt.Sprintf("%s (%d)", label, i)
		if !n.taken[try] {
			n.taken[try] = true
			n.next[label] = i + 1
			return try
		}
	}
}
