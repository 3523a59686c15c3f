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
