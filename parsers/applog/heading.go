package applog

import "bytes"

// Some loggers print an event in two lines: what stands in the first of them is a
// heading, and the message follows. Such an event is read as if the message stood
// behind the heading.
//
//	Nov 21, 2026 6:09:02 AM com.example.Db open       java.util.logging
//	SEVERE: connection refused
//
//	fail: Shop.Db[0]                                  Microsoft.Extensions.Logging
//	      connection refused

// headed reports whether a line, whose stamp ends at to, is a heading.
func headed(line []byte, to int) bool {
	rest := line[to:]
	if to == 0 {
		return categoryHeading(rest)
	}
	if len(rest) < 4 || rest[0] != ' ' || len(rest) > 200 {
		return false
	}
	class, method, two := bytes.Cut(rest[1:], []byte(" "))
	return two && len(class) > 0 && bytes.IndexByte(method, ' ') < 0 && len(method) > 0 && !bytes.ContainsAny(method, ":=") &&
		letter(class[0]) && name(class) && levelWord(class) == levelNone
}

// categoryHeading reads "fail: Shop.Db[0]".
func categoryHeading(b []byte) bool {
	if len(b) < 9 || b[4] != ':' || b[5] != ' ' || b[len(b)-1] != ']' || levelWord(b[:4]) == levelNone {
		return false
	}
	i := bytes.LastIndexByte(b, '[')
	return i > 6 && digits(b[i+1:]) == len(b)-i-2 && bytes.IndexByte(b[6:], ' ') < 0
}

// appendHeaded appends the line that heading and message make together. ok is
// false when next is no message of the heading.
func appendHeaded(dst, heading []byte, to int, next []byte) (line []byte, ok bool) {
	if to == 0 {
		if next[0] != ' ' {
			return dst, false
		}
		dst = append(append(dst, heading...), ' ')
		return append(dst, trimLeft(next, " ")...), true
	}
	i := bytes.IndexByte(next[:min(len(next), 12)], ':')
	if i < 3 || !upper(next[:i]) || levelWord(next[:i]) == levelNone {
		return dst, false
	}
	class, _, _ := bytes.Cut(heading[to+1:], []byte(" "))
	dst = append(append(dst, heading[:to]...), " ["...)
	dst = append(append(dst, class...), "] "...)
	return append(dst, next...), true
}

// message takes the line behind a heading: the two make the shape of the event.
func (s *scanner) message(data, next []byte) bool {
	s.heading = false
	first := firstLine(data[s.cur.start:])
	if s.colour {
		first = appendPlain(nil, first)
	}
	line, ok := appendHeaded(s.joined[:0], first, s.cur.to, next)
	s.joined = line
	if !ok {
		return false
	}
	s.hash = shapeHash(line[s.cur.to:])
	s.kind = s.kindOf(line, s.hash, s.cur)
	return true
}
