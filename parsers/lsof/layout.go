package lsof

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// layout is where the columns end. lsof aligns all but COMMAND and NAME to the
// right and makes columns as wide as their widest value, so that the last
// character of a value stands below the last of its heading. The zero layout
// knows no columns and goes by the shape of the words.
type layout struct {
	// middle are the columns between PID and FD in order, USER last.
	middle []column
	fd     int // right edge of FD
	// after are the columns between FD and NAME.
	after []column
	name  int // left edge of NAME
}

type column struct {
	name  string
	right int
}

// parseHeader reads "COMMAND PID TID TASKCMD USER FD TYPE DEVICE SIZE/OFF NODE NAME".
func parseHeader(b []byte) (*layout, bool) {
	words := fields(b)
	if len(words) < 5 || string(words[0].text) != "COMMAND" || string(words[1].text) != "PID" {
		return nil, false
	}
	l := &layout{}
	for _, w := range words[2:] {
		switch c := (column{string(w.text), w.end}); {
		case c.name == "NAME":
			l.name = w.start
			return l, l.fd > 0
		case c.name == "FD":
			l.fd = w.end
		case l.fd == 0:
			l.middle = append(l.middle, c)
		default:
			l.after = append(l.after, c)
		}
	}
	return nil, false
}

// word is a field with its place in the line.
type word struct {
	text       []byte
	start, end int
}

func fields(b []byte) []word {
	var out []word
	for i := 0; i < len(b); {
		for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
			i++
		}
		j := i
		for j < len(b) && b[j] != ' ' && b[j] != '\t' {
			j++
		}
		if j > i {
			out = append(out, word{b[i:j], i, j})
		}
		i = j
	}
	return out
}

// row reads one row. The FD column is found by its form, because everything else
// around it may be blank; where it stands tells how far the row is shifted.
func (l *layout) row(b []byte, f *fact.OpenFile) bool {
	words := fields(b)
	if len(words) < 4 {
		return false
	}
	pid, err := strconv.Atoi(string(words[1].text))
	if err != nil || pid < 0 {
		return false
	}
	at := l.fdWord(words)
	if at < 0 {
		return false
	}
	f.Process, f.PID = unescape(words[0].text), pid
	l.setMiddle(words[2:at], f)
	shift := l.setFD(words[at], f)
	l.setAfter(b, words[at+1:], shift, f)
	return true
}

// fdWord is the index of the FD column's word, -1 if there is none.
func (l *layout) fdWord(words []word) int {
	last := min(len(words)-1, max(len(l.middle), 6)+2)
	for i := 3; i <= last; i++ {
		if isFD(words[i].text) {
			return i
		}
	}
	// A bare number is a descriptor whose mode is unknown: it ends below the heading,
	// or stands where nothing before it is blank.
	for i := 3; i <= last; i++ {
		if digits(words[i].text) && (words[i].end == l.fd || i == len(l.middle)+2) {
			return i
		}
	}
	return -1
}

// isFD reports whether a word is a name like cwd or a number, with its access mode
// and lock: 14u, 5wW, 3r, 8uR, mem-W.
func isFD(w []byte) bool {
	n := fdLen(w)
	mode := w[n:]
	switch {
	case n == 0 || len(mode) > 2:
		return false
	case len(mode) > 0:
		return strings.IndexByte("rwu-", mode[0]) >= 0 && (len(mode) == 1 || strings.IndexByte("NrRwWuUxX", mode[1]) >= 0)
	}
	return w[0] < '0' || w[0] > '9' // a bare number could be a pid or a user
}

// fdNames are the descriptors that are no numbers.
var fdNames = [...]string{
	"cwd", "rtd", "txt", "mem", "mmap", "DEL", "del", "err", "ltx", "NOFD", "jld", "pd", "fd", "m86", "v86", "ctty", "twd", "ptr",
}

// fdLen is the length of the descriptor at the start of w, without mode and lock.
func fdLen(w []byte) int {
	n := 0
	for n < len(w) && n < 9 && w[n] >= '0' && w[n] <= '9' {
		n++
	}
	if n > 0 {
		return n
	}
	for _, name := range fdNames {
		if bytes.HasPrefix(w, []byte(name)) {
			return len(name)
		}
	}
	if len(w) > 1 && (w[0] == 'L' || w[0] == 'M') { // L12: an entry of the library list
		for n = 1; n < len(w) && w[n] >= '0' && w[n] <= '9'; n++ {
		}
		if n > 1 {
			return n
		}
	}
	return 0
}

// setMiddle assigns the words between PID and FD. TID and TASKCMD are blank for
// the main thread; USER is never blank.
func (l *layout) setMiddle(words []word, f *fact.OpenFile) {
	if len(words) == 0 {
		return
	}
	f.User = string(words[len(words)-1].text)
	rest := words[:len(words)-1]
	var names []string
	for _, c := range l.middle {
		if c.name != "USER" {
			names = append(names, c.name)
		}
	}
	if len(rest) != len(names) {
		// The thread's columns are blank, or there is no header.
		if len(names) > 0 && len(rest) == 0 {
			return
		}
		names = []string{"TID", "TASKCMD"}
	}
	for i, w := range rest {
		if i < len(names) && names[i] == "TID" {
			if n, err := strconv.ParseInt(string(w.text), 10, 64); err == nil {
				f.TID = fact.Some(n)
			}
		}
	}
}

// setFD splits "14uW" and returns how far the row stands right of its header.
func (l *layout) setFD(w word, f *fact.OpenFile) (shift int) {
	n := fdLen(w.text)
	f.FD, f.Mode = string(w.text[:n]), string(w.text[n:])
	return w.start + n - l.fd
}

// setAfter assigns the words between FD and NAME by the column above whose end
// they end.
func (l *layout) setAfter(b []byte, words []word, shift int, f *fact.OpenFile) {
	if len(words) > 1 && slices.ContainsFunc(l.after, func(c column) bool { return c.name == "FILE-FLAG" }) &&
		strings.Trim(string(words[1].text), "ABCDEFGHIJKLMNOPQRSTUVWXYZ_,;0x") == "" {
		words = slices.Delete(slices.Clone(words), 1, 2) // +fg: the open flags
	}
	if l.name == 0 || len(words) > 0 && (string(words[0].text) == "IPv4" || string(words[0].text) == "IPv6") {
		setByShape(b, words, f)
		return
	}
	next := 0
	if len(words) > 0 && f.FD != "NOFD" {
		f.Type = string(words[0].text) // the only column that is never blank
		words, next = words[1:], 1
	}
	for _, w := range words {
		if w.start-shift >= l.name || next >= len(l.after) {
			f.Name = string(b[w.start:])
			return
		}
		i := next
		for i < len(l.after)-1 && l.after[i].right < w.end-shift {
			i++
		}
		next = i + 1
		set(f, l.after[i].name, string(w.text))
	}
}

func set(f *fact.OpenFile, column, value string) {
	switch column {
	case "TYPE":
		f.Type = value
	case "DEVICE":
		f.Device = value
	case "SIZE/OFF", "SIZE", "OFFSET":
		f.Size = value
	case "NODE":
		f.Node = value
	}
}

// setByShape reads a row without header: TYPE, then what can be a device, a size
// and a node, then the name.
func setByShape(b []byte, words []word, f *fact.OpenFile) {
	if len(words) == 0 {
		return
	}
	f.Type = string(words[0].text)
	columns := []string{"DEVICE", "SIZE/OFF", "NODE"}
	words = words[1:]
	for i := 0; len(words) > 0 && i < len(columns); i++ {
		w := words[0].text
		isNode := bytes.Equal(w, []byte("TCP")) || bytes.Equal(w, []byte("UDP"))
		if !isNode && strings.Trim(string(w), "0123456789abcdefxt,") != "" {
			break
		}
		if isNode {
			i = 2
		}
		set(f, columns[i], string(w))
		words = words[1:]
	}
	if len(words) > 0 {
		f.Name = string(b[words[0].start:])
	}
}

// unescape undoes the \x20 with which lsof writes blanks in a command.
func unescape(b []byte) string {
	s := string(b)
	if !strings.Contains(s, `\x`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
