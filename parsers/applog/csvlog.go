package applog

import "bytes"

// csvlog reads a line of PostgreSQL's csvlog behind its time and reports whether it
// is one:
//
//	,"shop","db",812,"10.0.0.9:51000",65f,1,"SELECT",2026-11-21 09:00:00 UTC,3/4,0,ERROR,40P01,"deadlock detected",...
func (h *header) csvlog(b []byte) bool {
	const pid, severity, text = 2, 10, 12
	var f [text + 1][]byte
	for i := range f {
		if len(b) == 0 || b[0] != ',' {
			return false
		}
		f[i], b = csvField(b[1:])
	}
	l := levelWord(f[severity])
	if l == levelNone || digits(f[pid]) == 0 || len(f[pid]) > 7 {
		return false
	}
	h.level, h.pid, h.msg = l, atoi(f[pid]), f[text]
	return true
}

// csvField cuts a field off; doubled quotes stay as they are.
func csvField(b []byte) (field, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		for i := 1; i < len(b); i++ {
			if b[i] != '"' {
				continue
			}
			if i+1 == len(b) || b[i+1] == ',' {
				return b[1:i], b[i+1:]
			}
			i++
		}
		return b[1:], nil // the text goes on in further lines
	}
	if i := bytes.IndexByte(b, ','); i >= 0 {
		return b[:i], b[i:]
	}
	return b, nil
}
