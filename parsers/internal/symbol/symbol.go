// Package symbol reads the frame lines of pprof's debug=1 texts:
//
//	#	0x66cfe4	main.query+0x64	/src/fanout/main.go:23
package symbol

import (
	"bytes"
	"strconv"
)

// Frame is one line: its function, and its place if the line has one.
type Frame struct {
	Func, File []byte
	Line       int
	Addr       uint64
}

// Parse reads a line that begins with '#'. ok is false for a line that is no
// frame; a frame without a symbol has no Func.
func Parse(line []byte) (f Frame, ok bool) {
	fields := bytes.FieldsFunc(line[1:], func(r rune) bool { return r == '\t' })
	if len(fields) == 0 || !bytes.HasPrefix(fields[0], []byte("0x")) {
		return f, false
	}
	f.Addr, _ = strconv.ParseUint(string(fields[0][2:]), 16, 64)
	if len(fields) < 2 {
		return f, true
	}
	f.Func = fields[1]
	if i := bytes.LastIndex(f.Func, []byte("+0x")); i > 0 {
		f.Func = f.Func[:i]
	}
	if len(fields) > 2 {
		f.File, f.Line = Place(fields[2])
	}
	return f, true
}

// Place splits "file:line"; the file may have a colon itself (C:/...).
func Place(b []byte) (file []byte, line int) {
	i := bytes.LastIndexByte(b, ':')
	if i < 0 {
		return b, 0
	}
	n, err := strconv.Atoi(string(b[i+1:]))
	if err != nil {
		return b, 0
	}
	return b[:i], n
}
