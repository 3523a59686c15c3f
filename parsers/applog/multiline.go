package applog

import "bytes"

// goesOn reports whether a line without a stamp and without an indent belongs to
// the event before it: the rest of an object, of a stack trace, of a dump. Other
// such lines are events of their own, of programs that print without a stamp.
func (s *scanner) goesOn(text []byte, pos, line int) bool {
	if dumpKind(text) == "threads" {
		s.wrapped = true
	}
	if s.l.layer != bare && (dumpHeader(text) || s.frames && dumpLine(text)) {
		// They are handed over without the layer, see embedWrapped.
		s.wrapped, s.frames, s.trace = true, true, true
		return true
	}
	if s.race {
		// Its stacks have no stamps; a line of signs ends it.
		s.race = s.l.layer == bare && !bytes.HasPrefix(text, []byte("====="))
		return s.race || bytes.HasPrefix(text, []byte("====="))
	}
	if dumpHeader(text) {
		if !s.dump {
			s.dump, s.trace, s.dumpEnd = true, true, 0
			s.dumpAt = span{start: pos, line: line}
			// The reason stands before the dump: "panic: ...", "SIGQUIT: quit".
			if s.crash || s.panicked {
				s.dumpAt = s.cur
			}
		}
		return true
	}
	if s.dump {
		if bytes.HasPrefix(text, []byte("exit status ")) && s.dumpEnd == 0 {
			s.dumpEnd = pos // go run's word on the program, not the runtime's
		}
		return s.l.stamped || !s.l.begins(text) || dumpLine(text)
	}
	if s.l.json && s.l.layer == bare {
		return text[0] != '{' && continues(text)
	}
	if s.python && s.crash && bytes.HasPrefix(text, []byte("During handling")) {
		return true
	}
	if continues(text) {
		return true
	}
	grave := s.kind.level >= levelWarn || s.kind.signs&hasError != 0 || s.crash
	if !grave {
		return false
	}
	switch {
	case bytes.HasPrefix(text, []byte("Traceback (most recent call last)")):
		if s.crash && s.cur.to == 0 && !s.python {
			return false // the next crash
		}
		s.trace, s.python = true, true
		return true
	case exceptionLine(text):
		// Python names the error behind the frames, others before them.
		first := !s.trace || s.crash || s.python
		s.trace, s.python = true, false
		return first
	case s.python && bytes.HasPrefix(text, []byte("> File \"")), goFunc(text): // the frame that loguru marks; zap's stack
		return true
	case s.trace && property(text) && levelWord(text[:bytes.IndexAny(text, ":=")]) == levelNone:
		return true // errno: "ECONNRESET" behind the frames, as egg prints it
	case s.crash:
		return bytes.HasPrefix(text, []byte("Node.js v")) || bytes.HasPrefix(text, []byte("Emitted ")) || bytes.HasPrefix(text, []byte("[signal ")) ||
			bytes.HasPrefix(text, []byte("exit status ")) || bytes.HasPrefix(text, []byte("Thrown at")) || bytes.HasPrefix(text, []byte("Bun v")) || bytes.HasPrefix(text, []byte("PC="))
	}
	return false
}

// raceReport begins what the race detector prints.
var raceReport = []byte("WARNING: DATA RACE")

// raceText is who met whom: each access with its first frame.
func raceText(report []byte) []byte {
	text := []byte("DATA RACE")
	sep := ": "
	for len(report) > 0 && len(text) < maxText/2 {
		line, rest, _ := bytes.Cut(report, []byte("\n"))
		report = rest
		access, ok := bytes.CutSuffix(bytes.TrimRight(line, "\r"), []byte(":"))
		if !ok || !bytes.Contains(access, []byte(" at 0x")) || access[0] == ' ' {
			continue
		}
		fn, rest, _ := bytes.Cut(report, []byte("\n"))
		file, _, _ := bytes.Cut(rest, []byte("\n"))
		file, _, _ = bytes.Cut(bytes.TrimSpace(file), []byte(" +0x"))
		text = append(append(text, sep...), access...)
		text = append(append(text, " in "...), bytes.TrimSpace(fn)...)
		text = append(append(append(text, " ("...), file[bytes.LastIndexByte(file, '/')+1:]...), ')')
		sep = "; "
	}
	return text
}

// continues reports whether a line cannot begin an event.
func continues(text []byte) bool {
	switch text[0] {
	case '}', ']', ')', ' ', '\t':
		return true
	case 'C':
		return bytes.HasPrefix(text, []byte("Caused by: "))
	case 'a':
		return bytes.HasPrefix(text, []byte("at ")) && bytes.IndexByte(text, '(') > 0
	case '.':
		return bytes.HasPrefix(text, []byte("... "))
	case 'D':
		return bytes.HasPrefix(text, []byte("During handling of the above"))
	case 'T':
		return bytes.HasPrefix(text, []byte("The above exception was"))
	case 'S':
		return bytes.HasPrefix(text, []byte("Suppressed: "))
	}
	return false
}

// crashLine reports whether a line without a stamp begins the text that a runtime
// prints before a program dies.
func crashLine(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	if c := text[0]; !letter(c) && c != '/' && c != '<' {
		return false
	}
	for _, p := range [...]string{
		"Traceback (most recent call last)", "panic: ", "fatal error: ", "SIGQUIT: quit", "SIGABRT: abort", "SIGSEGV: ", "goroutine ",
		"Unhandled ", "Uncaught ", "Exception in thread ", "Fatal Python error", "terminate called ", "thread '", "<--- Last few GCs", "FATAL ERROR: ",
		"Segmentation fault", "Killed", "Aborted",
	} {
		if text[0] == p[0] && bytes.HasPrefix(text, []byte(p)) {
			return p != "goroutine " || dumpHeader(text)
		}
	}
	return scriptLine(text) || exceptionLine(text)
}

// scriptLine reports whether text is "/srv/app.js:8", "file:///srv/app.mjs:8" or
// "node:events:497", with which Node begins the report of an uncaught error.
func scriptLine(text []byte) bool {
	i := bytes.LastIndexByte(text, ':')
	if i < 0 || len(text) > 512 || digits(text[i+1:]) != len(text)-i-1 || i+1 == len(text) || bytes.IndexByte(text, ' ') >= 0 {
		return false
	}
	return bytes.HasPrefix(text, []byte("node:")) || bytes.HasPrefix(text, []byte("internal/")) ||
		(text[0] == '/' || bytes.HasPrefix(text, []byte("file:///"))) && bytes.IndexByte(text[max(0, i-5):i], '.') >= 0
}

// exceptionLine reports whether text is the line that names an error: the class,
// maybe with its package, and a colon, or the class alone.
func exceptionLine(text []byte) bool {
	n := 0
	for n < len(text) && (letter(text[n]) || digit(text[n]) || text[n] == '.' || text[n] == '_' || text[n] == '$') {
		n++
	}
	if n < 5 || n > 200 {
		return false
	}
	w := text[:n]
	switch rest := text[n:]; {
	case len(rest) == 0, rest[0] == ':', bytes.HasPrefix(rest, []byte(" [")):
	case bytes.HasPrefix(rest, []byte(" (")) && bytes.HasPrefix(rest[2+digits(rest[2:]):], []byte("): ")): // .NET prints the errno
	default:
		return false
	}
	for _, suffix := range [...]string{"Error", "Exception", "Throwable", "Interrupt", "Fault", "Exit"} {
		if bytes.HasSuffix(w, []byte(suffix)) {
			return true
		}
	}
	return false
}

// goFunc reports whether text is the function of a stack that zap or runtime/debug
// prints without an indent: "main.(*pool).open", "net/http.HandlerFunc.ServeHTTP(...)".
func goFunc(text []byte) bool {
	name, args := text, []byte(nil)
	if i := bytes.LastIndexByte(text, '('); i > 0 && text[len(text)-1] == ')' && text[i-1] != '.' {
		name, args = text[:i], text[i:]
	}
	slash := bytes.LastIndexByte(name, '/')
	dot := bytes.IndexByte(name[slash+1:], '.')
	if dot <= 0 || len(text) > 300 || bytes.IndexByte(args, '\'') >= 0 {
		return false
	}
	for _, c := range name {
		if !letter(c) && !digit(c) && bytes.IndexByte([]byte("./_-*()[]~%@"), c) < 0 {
			return false
		}
	}
	return name[len(name)-1] != '.'
}

// traceLine reports whether an indented line is a frame of a stack trace.
func traceLine(text []byte) bool {
	t := bytes.TrimLeft(text, " \t")
	return bytes.HasPrefix(t, []byte("at ")) && (bytes.IndexByte(t, '(') > 0 || bytes.IndexByte(t, ':') > 0) ||
		bytes.HasPrefix(t, []byte("File \"")) && bytes.Contains(t, []byte(", line "))
}

// dumpHeader reports whether text is "goroutine 18 [semacquire, 2 minutes]:".
func dumpHeader(text []byte) bool {
	if !bytes.HasPrefix(text, []byte("goroutine ")) {
		return false
	}
	n := digits(text[10:])
	return n > 0 && bytes.IndexByte(text[10+n:], '[') > 0 && bytes.HasSuffix(bytes.TrimRight(text, " "), []byte("]:"))
}

// dumpLine reports whether a line can stand in a dump of goroutines.
func dumpLine(text []byte) bool {
	return bytes.HasSuffix(text, []byte(")")) || bytes.HasPrefix(text, []byte("created by ")) ||
		bytes.HasPrefix(text, []byte("...additional frames elided")) || bytes.HasPrefix(text, []byte("r")) && bytes.Contains(text, []byte(" 0x")) ||
		bytes.HasPrefix(text, []byte("exit status "))
}
