package applog

import "bytes"

// The tokens of a header. Each method reads one at the beginning of its text, notes
// what it says and returns its length, or 0 where no such token stands.

// enclosed reads "<Error>", also behind a "{query-id}".
func (h *header) enclosed(b []byte) int {
	n := 0
	if b[0] == '{' {
		if n = bytes.Index(b[:min(len(b), 80)], []byte("} <")) + 2; n < 2 {
			return 0
		}
	}
	end := bytes.IndexByte(b[n:min(len(b), n+16)], '>')
	if end < 2 || h.level != levelNone {
		return 0
	}
	if h.level = levelWord(b[n+1 : n+end]); h.level == levelNone {
		return 0
	}
	return n + end + 1
}

// leads is the length of words that only tell who writes, when a level in capitals
// and a colon follow them: "shop@db ERROR:" of PostgreSQL, "pid=812 tid=abc INFO:"
// of Sidekiq.
func (h *header) leads(b []byte) int {
	pid, n := 0, 0
	for range maxTokens {
		w, rest, more := bytes.Cut(b[n:], []byte(" "))
		if !more {
			return 0
		}
		if bare, ok := bytes.CutSuffix(w, []byte(":")); ok && n > 0 && upper(bare) && levelWord(bare) != levelNone {
			if pid > 0 {
				h.pid = pid
			}
			return n
		}
		i := bytes.IndexAny(w, "=@")
		if i <= 0 || len(w) > 64 || bytes.ContainsAny(w, `"'()[]{}:/`) {
			return 0
		}
		if string(w[:i]) == "pid" && digits(w[i+1:]) == len(w)-i-1 {
			pid = atoi(w[i+1:])
		}
		n = len(b) - len(rest)
	}
	return 0
}

// bracket reads [INFO], [gw1], [1234], [core:error], [pid 1:tid 2] and
// [app_worker#1:31895]. It returns 0 when the bracket belongs to the message.
func (h *header) bracket(b []byte) int {
	end := bytes.IndexByte(b[:min(len(b), 80)], ']')
	if end < 1 {
		return 0
	}
	c := bytes.TrimSpace(b[1:end])
	end++
	if end < len(b) && b[end] == ':' {
		end++
	}
	if len(c) == 0 {
		return end
	}
	if l := levelWord(c); l != levelNone {
		if h.level == levelNone {
			h.level = l
		}
		return end
	}
	if digits(c) == len(c) {
		if h.pid == 0 && len(c) < 8 {
			h.pid = atoi(c)
		}
		return end
	}
	if i := bytes.LastIndexByte(c, ' '); i > 0 && h.pid == 0 && h.source == nil && len(c)-i-1 >= 2 && len(c)-i-1 < 8 && digits(c[i+1:]) == len(c)-i-1 && name(c[:i]) && string(c[:i]) != "pid" {
		h.source, h.pid = c[:i], atoi(c[i+1:]) // shopd 10425
		return end
	}
	if bytes.HasPrefix(c, []byte("pid ")) {
		if n := digits(c[4:]); n > 0 {
			h.pid = atoi(c[4 : 4+n])
			return end
		}
	}
	if bytes.HasPrefix(c, []byte("client ")) || h.source != nil || bytes.ContainsAny(c, "{}=<>") {
		return 0
	}
	if i := bytes.LastIndexByte(c, ':'); i > 0 {
		if l := levelWord(c[i+1:]); l != levelNone { // core:error
			h.level, h.source = l, c[:i]
			return end
		}
		if tail := c[i+1:]; digits(tail) == len(tail) && len(tail) >= 2 && len(tail) < 8 && !bytes.ContainsRune(c[:i], '.') {
			h.source, h.pid = c, atoi(tail) // app_worker#1:31895
			return end
		}
	}
	if bytes.Count(c, []byte(" ")) > 2 || !letterIn(c) {
		return 0
	}
	if bytes.IndexByte(c, '/') >= 0 && bytes.IndexByte(c, ' ') > 0 {
		return end // user, address, request: of no logger
	}
	h.source, h.thread = c, true
	return end
}

// number reads "1234 --- [main]" of Spring, "1234#1234:" of nginx and the thread
// number before MySQL's brackets.
func (h *header) number(b []byte, stamped bool) int {
	n := digits(b)
	if n > 7 || !stamped {
		return 0
	}
	rest := b[n:]
	switch {
	case bytes.HasPrefix(rest, []byte(" --- ")):
		h.pid = atoi(b[:n])
		return n + 5
	case len(rest) > 1 && rest[0] == '#' && digits(rest[1:]) > 0:
		h.pid = atoi(b[:n])
		n += 1 + digits(rest[1:])
		if n < len(b) && b[n] == ':' {
			n++
		}
		return n
	case bytes.HasPrefix(rest, []byte(" [")):
		if h.level != levelNone { // behind the level it is the process, before it a thread
			h.pid = atoi(b[:n])
		}
		return n + 1
	}
	return 0
}

// word reads a bare word of a header: a level, "name[pid]:", "file.go:29:",
// "name:" or "name - ". It returns 0 at the first word of the message.
func (h *header) word(b []byte, stamped bool) int {
	n := bytes.IndexAny(b[:min(len(b), 80)], " \t")
	if n < 0 {
		return 0
	}
	w := b[:n]
	if h.level == levelNone && stamped {
		if len(w) == 1 && len(b) > 3 && b[1] == ' ' && letterLevel(w[0]) != levelNone && component(b[1:]) { // mongod 4.2: "E  NETWORK  [conn1] "
			h.level = letterLevel(w[0])
			return 1
		}
		if k := h.leads(b); k > 0 {
			return k
		}
	}
	bare := bytes.TrimRight(w, ":,|")
	colon := len(bare) < len(w)
	if l := levelWord(bare); l != levelNone && (h.level == levelNone || h.level == l) {
		if !commonWord(bare) || colon && (!exceptionWord(bare) || string(bare) == "error") {
			h.level = l
			return n
		}
	}
	if i := bytes.IndexByte(w, '['); i > 0 && h.level == levelNone && levelWord(w[:i]) != levelNone && digits(w[i+1:]) > 0 && w[len(w)-1] == ']' { // logrus: INFO[0012]
		h.level = levelWord(w[:i])
		return n
	}
	if k := phpLevel(b); k > 0 && h.level == levelNone {
		first, _, _ := bytes.Cut(bytes.TrimRight(b[len("PHP "):k], ":"), []byte(" "))
		h.level = levelWord(first)
		return k
	}
	if k := h.pythonDefault(w); !stamped && k > 0 {
		return k
	}
	if string(w) == "stderr" || string(w) == "stdout" { // containerd: "stderr F "
		if len(b) > n+2 && (b[n+1] == 'F' || b[n+1] == 'P') && b[n+2] == ' ' {
			return n + 2
		}
	}
	rest := b[n:]
	if h.thread && dotted(bare) && (bytes.HasPrefix(rest, []byte(" - ")) || bytes.HasPrefix(rest, []byte(" : "))) {
		h.source, h.thread = bare, false // the logger, behind its thread
		return n + 2
	}
	if fileLine(bare) && colon && stamped && h.source != nil { // log.Lshortfile behind a prefix
		return n
	}
	if h.source != nil || !letterIn(w) {
		return 0
	}
	if i := len(w) - 1; w[i] == ']' && i > 0 && stamped && name(w[:i]) { // [2026-... INFO app]
		h.source = w[:i]
		return n
	}
	if i := bytes.IndexByte(w, '['); i > 0 && name(w[:i]) {
		return h.indexed(w, i, colon)
	}
	if i := bytes.IndexByte(w, ':'); i > 0 && stamped && bytes.HasPrefix(rest, []byte(" - ")) && name(w[:i]) && bytes.IndexByte(w[i+1:], ':') > 0 {
		h.source = w[:i] // loguru: module:function:line
		return n + 2
	}
	switch {
	case fileLine(bare):
		h.source = bare
		return n
	case bytes.HasPrefix(rest, []byte(" - ")) && stamped && name(w):
		h.source = w
		return n + 2
	case bytes.HasPrefix(rest, []byte(" log: ")) && name(w): // PM2-like managers: "GOD log:"
		h.source = w
		return n + 5
	case colon && stamped && w[len(w)-1] == ':' && name(bare) && !exceptionWord(bare):
		h.source = bare
		return n
	case bytes.HasPrefix(rest, []byte(" - ")) && stamped && dotted(w):
		h.source = w
		return n + 2
	}
	return 0
}

// component reports whether b goes on with a word in capitals and a bracket.
func component(b []byte) bool {
	w, rest, _ := bytes.Cut(trimLeft(b, " "), []byte(" "))
	rest = trimLeft(rest, " ")
	return len(w) > 1 && upper(w) && len(rest) > 0 && rest[0] == '['
}

// phpLevel is the length of "PHP Warning:" and "PHP Fatal error:" at the beginning
// of b, zero if there is none.
func phpLevel(b []byte) int {
	rest, ok := bytes.CutPrefix(b, []byte("PHP "))
	if !ok {
		return 0
	}
	i := bytes.IndexByte(rest[:min(len(rest), 32)], ':')
	if i < 0 || i+1 < len(rest) && rest[i+1] != ' ' {
		return 0
	}
	first, _, _ := bytes.Cut(rest[:i], []byte(" "))
	if levelWord(first) == levelNone {
		return 0
	}
	return len("PHP ") + i + 1
}

// pythonDefault reads "ERROR:name:message" and returns what it takes.
func (h *header) pythonDefault(w []byte) int {
	i := bytes.IndexByte(w, ':')
	if i <= 0 || h.level != levelNone || !upper(w[:i]) {
		return 0
	}
	l := levelWord(w[:i])
	if l == levelNone {
		return 0
	}
	h.level = l
	if j := bytes.IndexByte(w[i+1:], ':'); j > 0 {
		h.source = w[i+1 : i+1+j]
		return i + 1 + j + 1
	}
	return i + 1
}

// indexed reads "proxy[3286]", "sshd[12]:" and "pool[3]", whose bracket stands at
// i. A small number without a colon is an index, not a process.
func (h *header) indexed(w []byte, i int, colon bool) int {
	k := digits(w[i+1:])
	if k == 0 || k > 7 || i+1+k >= len(w) || w[i+1+k] != ']' || len(w) > i+k+3 {
		return 0
	}
	if k < 3 && !colon {
		h.source = w
		return len(w)
	}
	h.source, h.pid = w[:i], atoi(w[i+1:i+1+k])
	return len(w)
}
