package ps

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// treeReader reads pstree with process numbers. A node's parent is the one whose
// branch its line leaves; branches are known by their columns:
//
//	systemd(1)-+-accounts-daemon(678)-+-{accounts-daemon}(691)
//	           |                      `-{accounts-daemon}(755)
//	           |-bash(8796)---jujud(8800)
//
// With -a every node has a line of its own: "  |-jujud,8800 --data-dir /var".
type treeReader struct {
	t *table
	// stack holds the nodes that later lines may branch from, by the column of
	// their branch.
	stack []treeNode
}

type treeNode struct {
	column int // of the branch that leads to it
	pid    int
}

// isTree reports whether a line can be one of pstree with process numbers.
func isTree(line string) bool {
	line = strings.Trim(line, " ")
	if node := strings.TrimLeft(line, "|`-+│├└─┬ "); len(node) < len(line) {
		_, _, _, ok := treeLabel(node)
		if !ok {
			_, _, _, ok = looseLabel(node)
		}
		return ok || strings.HasSuffix(node, "+") // cut to the width of a terminal
	}
	_, _, rest, ok := treeLabel(line)
	if !ok {
		return false
	}
	for _, s := range []string{"-+-", "---", "─┬─", "───"} {
		if strings.HasPrefix(rest, s) {
			return true
		}
	}
	return rest == "" && strings.HasSuffix(line, ")")
}

// isTreeRoot reports whether a line can be the first one of pstree -ap.
func isTreeRoot(line string) bool {
	_, _, rest, ok := treeLabel(line)
	return ok && (rest == "" || rest[0] == ' ')
}

// treeLabel cuts a node off the front: "bash(8796)---..." or "bash,8796 -l", which
// is "(bash,8796)" where the command line cannot be read, as that of a zombie.
func treeLabel(s string) (name string, pid int, rest string, ok bool) {
	if inner, more, closed := strings.Cut(strings.TrimPrefix(s, "("), ")"); closed && strings.HasPrefix(s, "(") && strings.Contains(inner, ",") {
		name, pid, rest, ok = treeLabel(inner)
		return name, pid, more, ok && rest == ""
	}
	for i := 0; i < min(len(s), maxName); i++ {
		switch s[i] {
		case '(':
			j := i + 1
			for j < len(s) && s[j] >= '0' && s[j] <= '9' {
				j++
			}
			if i > 0 && j > i+1 && j-i <= 11 && j < len(s) && (s[j] == ')' || s[j] == ',') {
				pid, _ = strconv.Atoi(s[i+1 : j])
				end := j + 1
				if s[j] == ',' { // with -u or -g: (8796,root)
					k := strings.IndexByte(s[j:], ')')
					if k < 0 {
						return "", 0, "", false
					}
					end = j + k + 1
				}
				return s[:i], pid, s[end:], true
			}
		case ',':
			j := i + 1
			for j < len(s) && s[j] >= '0' && s[j] <= '9' {
				j++
			}
			if i > 0 && j > i+1 && j-i <= 11 && (j == len(s) || s[j] == ' ' || s[j] == ',') {
				pid, _ = strconv.Atoi(s[i+1 : j])
				return s[:i], pid, s[j:], true
			}
		case ' ':
			return "", 0, "", false
		}
	}
	return "", 0, "", false
}

// line reads all nodes of one line.
func (r *treeReader) line(text string, at fact.Ref) {
	col, pos := 0, 0
	for pos < len(text) && isBranch(text[pos:]) {
		_, n := utf8.DecodeRuneInString(text[pos:])
		pos += n
		col++
	}
	// Branches at or right of this line's own are closed.
	for len(r.stack) > 0 && r.stack[len(r.stack)-1].column >= col {
		r.stack = r.stack[:len(r.stack)-1]
	}
	first := true
	for pos < len(text) {
		name, pid, rest, ok := treeLabel(text[pos:])
		if !ok {
			name, pid, rest, ok = looseLabel(text[pos:])
		}
		if !ok {
			if strings.HasSuffix(text, "+") {
				return // cut to the width of a terminal
			}
			if first || strings.Trim(text[pos:], "-+─┬ ") != "" {
				r.t.out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("no process number in %.60q", text[pos:])})
			}
			return
		}
		r.node(name, pid, rest, col, at)
		first = false
		if strings.HasPrefix(rest, " ") || rest == "" {
			return // -a: the rest is the command line
		}
		used := len(text) - pos - len(rest)
		col += utf8.RuneCountInString(text[pos : pos+used])
		pos += used
		for pos < len(text) && isBranch(text[pos:]) && text[pos] != ' ' {
			_, n := utf8.DecodeRuneInString(text[pos:])
			pos += n
			col++
		}
	}
}

// maxName bounds a process name; prctl allows 15 bytes, the rest is for wide
// characters and user names.
const maxName = 128

// looseLabel reads a name that holds blanks, which pstree prints as they are.
func looseLabel(s string) (name string, pid int, rest string, ok bool) {
	head := s[:min(len(s), maxName)]
	name, pid, rest, ok = treeLabel(strings.ReplaceAll(head, " ", "\x00"))
	if !ok {
		return "", 0, "", false
	}
	return strings.ReplaceAll(name, "\x00", " "), pid, s[len(head)-len(rest):], true
}

func isBranch(s string) bool {
	c, _ := utf8.DecodeRuneInString(s)
	switch c {
	case ' ', '|', '`', '-', '+', '│', '├', '└', '─', '┬':
		return true
	}
	return false
}

// node emits one node below the innermost open branch and opens its own.
func (r *treeReader) node(name string, pid int, rest string, col int, at fact.Ref) {
	p := fact.Process{At: at, PID: pid, Command: name, CommandCut: true, Depth: len(r.stack)}
	if len(r.stack) > 0 {
		p.PPID = fact.Some(int64(r.stack[len(r.stack)-1].pid))
	}
	if strings.HasPrefix(rest, " ") {
		p.Command, p.CommandCut = name+strings.TrimRight(rest, " "), false
	}
	if strings.HasPrefix(name, "{") && strings.HasSuffix(name, "}") {
		p.Thread = true
		p.TID = fact.Some(int64(pid))
		if p.PPID.Known {
			p.PID, p.PPID = int(p.PPID.V), fact.Int{} // a thread's number is its own, its process is the parent
		}
		p.Command = strings.Trim(name, "{}")
		r.t.emit(p)
		return
	}
	r.stack = append(r.stack, treeNode{col, pid})
	r.t.emit(p)
}
