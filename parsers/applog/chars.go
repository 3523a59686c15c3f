package applog

import "bytes"

// fileLine reports whether w is "hub.go:77".
func fileLine(w []byte) bool {
	i := bytes.LastIndexByte(w, ':')
	if i < 0 || digits(w[i+1:]) != len(w)-i-1 || i+1 == len(w) {
		return false
	}
	j := bytes.LastIndexByte(w[:i], '.')
	return j > 0 && i-j <= 5 && i-j > 1 && letter(w[j+1])
}

func name(w []byte) bool {
	for i, c := range w {
		if c == ':' && i > 0 && i+1 < len(w) && (w[i-1] == ':' || w[i+1] == ':') {
			continue // a module of Rust or C++
		}
		if !letter(c) && !digit(c) && c != '-' && c != '_' && c != '.' && c != '/' && c != '#' && c != '@' && c != '$' {
			return false
		}
	}
	return len(w) > 0 && len(w) <= 64
}

func dotted(w []byte) bool { return name(w) && bytes.IndexByte(w, '.') > 0 }

func hostname(w []byte) bool {
	for _, c := range w {
		if !letter(c) && !digit(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return levelWord(w) == levelNone
}

// exceptionWord reports whether w ends like the class of an error: such a word
// with a colon begins a message, it is no source.
func exceptionWord(w []byte) bool {
	for _, suffix := range [...]string{"Error", "error", "Exception", "ERROR", "panic", "Panic", "failure", "Warning", "failed", "fatal", "Fault"} {
		if bytes.HasSuffix(w, []byte(suffix)) {
			return true
		}
	}
	return false
}

func upper(w []byte) bool {
	for _, c := range w {
		if c-'A' >= 26 {
			return false
		}
	}
	return len(w) > 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func digit(c byte) bool { return c-'0' <= 9 }

func letterIn(w []byte) bool {
	for _, c := range w {
		if letter(c) || c >= 0x80 {
			return true
		}
	}
	return false
}

// digits is how many digits b begins with.
func digits(b []byte) int {
	n := 0
	for n < len(b) && digit(b[n]) {
		n++
	}
	return n
}

// atoi reads at most nine digits.
func atoi(b []byte) int {
	v := 0
	for i, c := range b {
		if i == 9 || !digit(c) {
			break
		}
		v = v*10 + int(c-'0')
	}
	return v
}

func trimLeft(b []byte, cut string) []byte {
	for len(b) > 0 && bytes.IndexByte([]byte(cut), b[0]) >= 0 {
		b = b[1:]
	}
	return b
}
