package lsof

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// link reads a row of `ls -l /proc/PID/fd`, with the path where find or ls print
// it. A link that ls may not read has no target.
//
//	lrwx------ 1 web web 64 Nov 21 02:44 19 -> socket:[145699]
//	lr-x------ 1 web web 64 Nov 21 02:44 /proc/812/fd/0 -> /dev/null
func link(b []byte, f *fact.OpenFile) bool {
	i := bytes.Index(b, []byte("l"))
	if i < 0 || len(b) < i+11 || !isLinkMode(b[i:i+10]) || b[i+10] != ' ' && b[i+10] != '.' && b[i+10] != '+' {
		return false
	}
	if i > 0 && strings.Trim(string(b[:i]), "0123456789 ") != "" { // find -ls prints inode and blocks
		return false
	}
	left, target, _ := bytes.Cut(b[i+11:], []byte(" -> "))
	words := bytes.Fields(left)
	if len(words) < 5 {
		return false
	}
	name := string(words[len(words)-1])
	if pid, fd, ok := descriptorPath(name); ok {
		f.PID, name = pid, fd
	}
	if !digits([]byte(name)) {
		return false
	}
	f.User, f.FD, f.Mode, f.Name = string(words[1]), name, linkMode(b[i:]), string(target)
	f.Type, f.Node = targetType(f.Name)
	return true
}

// isLinkMode reports whether a word is the mode of a link in /proc/PID/fd, which
// only its owner may use.
func isLinkMode(b []byte) bool {
	return b[0] == 'l' && (b[1] == 'r' || b[1] == '-') && (b[2] == 'w' || b[2] == '-') && (b[3] == 'x' || b[3] == '-') && string(b[4:10]) == "------"
}

func linkMode(b []byte) string {
	switch {
	case b[1] == 'r' && b[2] == 'w':
		return "u"
	case b[2] == 'w':
		return "w"
	case b[1] == 'r':
		return "r"
	}
	return ""
}

// descriptorPath splits "/proc/812/fd/19"; a thread's descriptors are its process's.
func descriptorPath(s string) (pid int, fd string, ok bool) {
	_, rest, ok := strings.Cut(s, "proc/")
	if !ok {
		return 0, "", false
	}
	parts := strings.Split(strings.Trim(rest, "/:"), "/")
	if n := len(parts); n > 1 && parts[n-1] == "fd" {
		parts = append(parts, "")
	}
	if n := len(parts); n < 3 || parts[n-2] != "fd" {
		return 0, "", false
	}
	pid, err := strconv.Atoi(parts[0])
	return pid, parts[len(parts)-1], err == nil && pid > 0
}

// targetType is what lsof would print as the type and node of a link's target.
func targetType(target string) (kind, node string) {
	inode := func(prefix string) (string, bool) {
		rest, ok := strings.CutPrefix(target, prefix+":[")
		return strings.TrimSuffix(rest, "]"), ok
	}
	if n, ok := inode("socket"); ok {
		return "sock", n
	}
	if n, ok := inode("pipe"); ok {
		return "FIFO", n
	}
	switch {
	case strings.HasPrefix(target, "anon_inode:"):
		return "a_inode", ""
	case strings.HasPrefix(target, "/dev/"):
		return "CHR", ""
	case strings.HasPrefix(target, "/"):
		return "REG", ""
	}
	return "", ""
}
