package applog

import (
	"bytes"
	"strconv"

	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// header is what stands between a line's stamp and its message.
type header struct {
	level level
	// thread is true when source is what stood in brackets, maybe a thread's name.
	thread bool
	source []byte
	host   []byte
	pid    int
	msg    []byte
}

// parseHeader takes a line whose stamp is line[from:to] (both zero without one).
func parseHeader(line []byte, s stamp.Stamp, from, to int) header {
	var h header
	if to > 0 {
		h.before(line[:from])
		if c := line[from]; c >= 'A' && c <= 'Z' && from+1 < len(line) && digit(line[from+1]) {
			return h.klog(line, from, to)
		}
	}
	if to > 0 && len(line) > to+1 && line[to] == ',' && h.csvlog(line[to:]) {
		return h
	}
	rest := trimLeft(line[to:], "]>)\"':,")
	if to > 0 && bytes.HasSuffix(line[:from], []byte(">1 ")) {
		h.msg = h.rfc5424(rest)
		return h
	}
	if to > 0 && s.Year == 0 && !s.Epoch && !s.Clock || to > 0 && h.host == nil {
		rest = h.syslog(rest, to > 0 && s.Year == 0 && !s.Epoch && !s.Clock)
	}
	h.msg = h.tokens(rest, to > 0)
	return h
}

// rfc5424 reads "host app procid msgid [structured data] message".
func (h *header) rfc5424(b []byte) []byte {
	var f [4][]byte
	for i := range f {
		b = trimLeft(b, " ")
		n := bytes.IndexByte(b, ' ')
		if n < 0 {
			return b
		}
		f[i], b = b[:n], b[n+1:]
		if string(f[i]) == "-" {
			f[i] = nil
		}
	}
	h.host, h.source = f[0], f[1]
	if digits(f[2]) == len(f[2]) {
		h.pid = atoi(f[2])
	}
	for len(b) > 0 && b[0] == '[' {
		i := 1
		for i < len(b) && !(b[i] == ']' && b[i-1] != '\\') {
			i++
		}
		b = b[min(i+1, len(b)):]
	}
	return bytes.TrimPrefix(trimLeft(bytes.TrimPrefix(b, []byte("- ")), " "), []byte("\xef\xbb\xbf"))
}

// before reads what precedes the stamp: a level, a process number (redis), the
// name that docker compose and PM2 put there.
func (h *header) before(b []byte) {
	if i := bytes.IndexByte(b, '<'); i >= 0 {
		if j := bytes.IndexByte(b[i:], '>'); j > 1 {
			if n, err := strconv.Atoi(string(b[i+1 : i+j])); err == nil {
				h.level = syslogLevel(n)
			}
			return
		}
	}
	for len(b) > 0 {
		b = trimLeft(b, " \t|[](),:\"'-")
		n := bytes.IndexAny(b, " \t|[](),\"'")
		if n < 0 {
			n = len(b)
		}
		w := b[:n]
		b = b[n:]
		switch {
		case len(w) == 0:
			return
		case timeKeyWord(w):
			return
		case len(w) == 1 && h.level == levelNone && letterLevel(w[0]) != levelNone:
			h.level = letterLevel(w[0])
		case levelWord(bytes.TrimRight(w, ":")) != levelNone:
			h.level = levelWord(bytes.TrimRight(w, ":"))
		case redisRole(w) > 0:
			h.pid = redisRole(w)
		case h.source == nil && letterIn(w):
			h.source = w
		case h.source != nil && h.pid == 0 && len(w) >= 2 && len(w) < 8 && digits(w) == len(w) && len(b) > 0 && (b[0] == ']' || b[0] == ')'):
			h.pid = atoi(w) // [shopd 10425]
		}
	}
}

func timeKeyWord(w []byte) bool { return w[len(w)-1] == '=' }

// redisRole reads "1234:M".
func redisRole(w []byte) int {
	n := len(w)
	if n < 3 || w[n-2] != ':' || !letter(w[n-1]) {
		return 0
	}
	pid, err := strconv.Atoi(string(w[:n-2]))
	if err != nil {
		return 0
	}
	return pid
}

// klog reads "I1121 01:34:48.123456   12345 file.go:12] message".
func (h *header) klog(line []byte, from, to int) header {
	h.level = letterLevel(line[from])
	rest := trimLeft(line[to:], " ")
	n := digits(rest)
	if n > 0 {
		h.pid = atoi(rest[:n])
		rest = trimLeft(rest[n:], " ")
	}
	if i := bytes.Index(rest, []byte("] ")); i > 0 && i < 80 {
		h.source, rest = rest[:i], rest[i+2:]
	}
	h.msg = rest
	return *h
}

// syslog reads "host program[pid]: ". Where the stamp has its year, the program
// must show its pid or be the kernel, because many programs print "word word: ".
func (h *header) syslog(b []byte, sure bool) []byte {
	b = trimLeft(b, " ")
	i := bytes.IndexByte(b, ' ')
	if i <= 0 || i > 64 || !hostname(b[:i]) {
		return b
	}
	rest := b[i+1:]
	n := 0
	for n < len(rest) && n < 64 && rest[n] != ' ' && rest[n] != ':' && rest[n] != '[' {
		n++
	}
	if n == 0 || n >= len(rest) {
		return b
	}
	prog := rest[:n]
	switch rest[n] {
	case '[':
		k := digits(rest[n+1:])
		if k == 0 || n+1+k >= len(rest) || rest[n+1+k] != ']' {
			return b
		}
		if end := n + 1 + k; end+1 < len(rest) && rest[end+1] == ':' || sure {
			h.host, h.source, h.pid = b[:i], prog, atoi(rest[n+1:end])
			return trimLeft(rest[end+1:], ": ")
		}
	case ':':
		if n+1 < len(rest) && rest[n+1] == ' ' && (sure || string(prog) == "kernel" || string(prog) == "systemd") {
			h.host, h.source = b[:i], prog
			return rest[n+2:]
		}
	}
	return b
}

// maxTokens bounds how many words and brackets a header may have.
const maxTokens = 7

// tokens reads levels, names and numbers up to the message.
func (h *header) tokens(b []byte, stamped bool) []byte {
	for range maxTokens {
		b = trimLeft(b, " \t|")
		if len(b) == 0 {
			return b
		}
		var n int
		switch c := b[0]; {
		case c == '[':
			n = h.bracket(b)
		case c == '-' && len(b) > 1 && (b[1] == ' ' || b[1] == '-'):
			n = len(b) - len(trimLeft(b, "-"))
		case c == ':' && len(b) > 1 && b[1] == ' ':
			n = 1
		case bytes.HasPrefix(b[1:], []byte(" | ")) && h.level == levelNone && letterLevel(c) != levelNone: // capnslog: "I | etcdmain: ..."
			h.level, n = letterLevel(c), len("I | ")
		case c == '#' && digits(b[1:]) > 0: // ruby: #1234]
			n = 1 + digits(b[1:])
			h.pid = atoi(b[1:n])
			if n < len(b) && b[n] == ']' {
				n++
			}
		case (c == '*' || c == '#' || c == '.') && len(b) > 1 && b[1] == ' ' && h.level == levelNone && h.pid > 0: // redis
			h.level = levelInfo
			if c == '#' {
				h.level = levelWarn
			}
			n = 1
		case digit(c):
			n = h.number(b, stamped)
		case c == '(' && h.level != levelNone && h.pid == 0: // haproxy, pino-pretty: (1234)
			if k := digits(b[1:]); k > 0 && k < 8 && byteAt(b, 1+k) == ')' {
				h.pid = atoi(b[1 : 1+k])
				n = 2 + k
				if byteAt(b, n) == ':' {
					n++
				}
			}
		case c == '"' || c == '\'' || c == '(':
			return b
		case c == '{' || c == '<': // ClickHouse: {query-id} <Error>
			n = h.enclosed(b)
		default:
			n = h.word(b, stamped)
		}
		if n == 0 {
			return b
		}
		b = b[n:]
	}
	return b
}

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
