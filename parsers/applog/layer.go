package applog

import (
	"bytes"

	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// layer is what a collector puts around each line of the programs whose output it
// collects. Lines of one event stand together below it only if they come from the
// same source.
type layer uint8

const (
	// bare: the lines are the program's own.
	bare layer = iota
	// cri: "2026-11-21T05:57:10.139445678Z stderr F line", of containerd and CRI-O;
	// P instead of F marks a line that goes on with the next.
	cri
	// piped: "web-1  | line", of docker compose.
	piped
	// named: "[pod/web-0/app] line", of kubectl logs --prefix.
	named
	// boxed: {"log":"line\n","stream":"stderr","time":"..."}, of Docker's files.
	boxed
)

var boxBegin = []byte(`{"log":"`)

// layerOf tells the layer by the beginning of a log: nearly all lines must have it.
func layerOf(head []byte) layer {
	var count [boxed + 1]int
	lines := 0
	for len(head) > 0 && lines < 200 {
		line := head
		if i := bytes.IndexByte(head, '\n'); i >= 0 {
			line, head = head[:i], head[i+1:]
		} else if head = nil; lines > 1 {
			break // it may be cut
		}
		if len(line) == 0 {
			continue
		}
		lines++
		for l := cri; l <= boxed; l++ {
			if l.body(line) > 0 {
				count[l]++
			}
		}
	}
	for l := cri; l <= boxed; l++ {
		if lines > 0 && count[l]*10 >= lines*9 {
			return l
		}
	}
	return bare
}

// body is where the program's own text begins in a line, zero if the line is not
// of that form.
func (l layer) body(line []byte) int {
	switch l {
	case cri:
		if i := criStream(line); i > 0 {
			return min(i+len("stderr F "), len(line))
		}
	case piped:
		i := bytes.IndexByte(line[:min(len(line), 80)], '|')
		if i < 2 || line[i-1] != ' ' || !name(bytes.TrimRight(line[:i], " ")) {
			return 0
		}
		if i+1 < len(line) && line[i+1] == ' ' {
			i++
		}
		return i + 1
	case named:
		if !bytes.HasPrefix(line, []byte("[pod/")) {
			return 0
		}
		i := bytes.IndexByte(line, ']')
		if i < 0 || i > 200 || !name(line[1:min(i, 64)]) {
			return 0
		}
		if i+1 < len(line) && line[i+1] == ' ' {
			i++
		}
		return i + 1
	case boxed:
		if bytes.HasPrefix(line, boxBegin) {
			return len(boxBegin)
		}
	}
	return 0
}

// criStream is where "stderr F " stands behind a time, zero if it does not.
func criStream(line []byte) int {
	i := bytes.IndexByte(line[:min(len(line), 48)], ' ') + 1
	if i < 20 || !digit(line[0]) || len(line) < i+len("stderr F") {
		return 0
	}
	rest := line[i:]
	if !bytes.HasPrefix(rest, []byte("stdout ")) && !bytes.HasPrefix(rest, []byte("stderr ")) || rest[7] != 'F' && rest[7] != 'P' {
		return 0
	}
	return i
}

// stamped is where the text begins that has the stamp of a line.
func (l layer) stamped(line []byte) int {
	if l == piped || l == named {
		return l.body(line)
	}
	return 0
}

// source is what must be equal in two lines for one to go on with the other, and
// partial whether a line goes on with the next of its source whatever that is.
func (l layer) source(line []byte) (source []byte, partial bool) {
	n := l.body(line)
	switch {
	case n == 0:
		return nil, false
	case l == cri:
		i := criStream(line)
		return line[i : i+6], line[i+7] == 'P'
	case l == boxed:
		end := boxEnd(line)
		source = line[end:]
		if i := bytes.Index(source, []byte(`"time":`)); i > 0 {
			source = source[:i]
		}
		return source, !bytes.HasSuffix(line[:end], []byte(`\n`))
	}
	return line[:n], false
}

// boxEnd is where the string of the program's line ends.
func boxEnd(line []byte) int {
	i := len(boxBegin)
	for i < len(line) && line[i] != '"' {
		if line[i] == '\\' {
			i++
		}
		i++
	}
	return min(i, len(line))
}

// text is the program's own text of a line, to be looked at; what is escaped in it
// stays so.
func (l layer) text(line []byte) []byte {
	n := l.body(line)
	if l == boxed && n > 0 {
		return bytes.TrimSuffix(line[n:boxEnd(line)], []byte(`\n`))
	}
	return line[n:]
}

// indented reports whether text begins with a blank or a tab.
func (l layer) indented(text []byte) bool {
	return text[0] == ' ' || text[0] == '\t' || l == boxed && bytes.HasPrefix(text, []byte(`\t`))
}

// own is the program's own text of a line, as it was printed.
func (l layer) own(line []byte) []byte {
	if l == boxed {
		if text := jsonString(line, "log"); text != nil {
			return bytes.TrimSuffix(text, []byte("\n"))
		}
		return line
	}
	return line[l.body(line):]
}

// stampHead is a log's beginning without the layer, as far as it stands before the
// stamps.
func (l layer) stampHead(head []byte) []byte {
	if l != piped && l != named {
		return head
	}
	var out []byte
	for line := range bytes.Lines(head) {
		out = append(out, line[l.stamped(bytes.TrimRight(line, "\r\n")):]...)
	}
	return out
}

// below reports whether a line goes on with the open event: text is the line, body
// what the program printed.
func (s *scanner) below(text, body []byte, pos, line int) bool {
	source, partial := s.l.layer.source(text)
	if s.open && bytes.Equal(source, s.source) {
		trace := len(body) > 0 && s.l.layer.indented(body)
		if s.partial || len(body) == 0 || trace || s.goesOn(body, pos, line) {
			s.trace = s.trace || trace && traceLine(body)
			s.partial = partial
			return true
		}
	}
	s.source, s.partial = append(s.source[:0], source...), partial
	return false
}

// whole is the first line of an event with what its parts say, and the lines that
// follow it without their layer.
func (s *scanner) whole(first, following []byte) (text, own, rest []byte) {
	_, partial := s.l.layer.source(first)
	text, own = first, s.l.layer.own(first)
	for line := range bytes.Lines(following) {
		line = appendPlain(nil, bytes.TrimRight(line, "\r\n"))
		more := s.l.layer.own(line)
		if len(rest)+len(own) > maxFollowing {
			break
		}
		if partial {
			_, partial = s.l.layer.source(line)
			text, own = append(text[:len(text):len(text)], more...), append(own[:len(own):len(own)], more...)
			continue
		}
		rest = append(append(rest, more...), '\n')
	}
	return text, own, rest
}

// beginsAt is where the stamp of a line stands.
func (l *layout) beginsAt(line []byte) (from, to int) {
	n := l.layer.stamped(line)
	if from, to = l.finder.Begins(line[n:]); to > 0 {
		from, to = from+n, to+n
	}
	return from, to
}

// find is the stamp of a line and where it stands.
func (l *layout) find(line []byte) (st stamp.Stamp, from, to int) {
	n := l.layer.stamped(line)
	if st, from, to = l.finder.Find(line[n:]); to > 0 {
		from, to = from+n, to+n
	}
	return st, from, to
}
