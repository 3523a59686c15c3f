package source

import (
	"bytes"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// wanted are calls by their full name. Methods of values whose type is not known
// ("server.listen") are found by their last part, under "*".
var wanted = map[string]map[string]bool{
	"js": {
		"child_process.exec": true, "child_process.execSync": true, "child_process.execFile": true, "child_process.execFileSync": true,
		"child_process.spawn": true, "child_process.spawnSync": true, "child_process.fork": true,
		"net.createServer": true, "http.createServer": true, "https.createServer": true, "tls.createServer": true,
		"net.connect": true, "net.createConnection": true, "process.kill": true,
		"*.listen": true, "*.setKeepAlive": true, "*.kill": true, "net.Socket": true,
	},
	"go": {
		"exec.Command": true, "exec.CommandContext": true, "net.Listen": true, "http.ListenAndServe": true, "http.ListenAndServeTLS": true,
		"syscall.Kill": true, "*.Kill": true, "*.Signal": true, "os.FindProcess": true,
	},
	"python": {
		"subprocess.run": true, "subprocess.Popen": true, "subprocess.call": true, "subprocess.check_output": true, "subprocess.check_call": true,
		"os.kill": true, "os.killpg": true, "os.system": true, "*.listen": true, "*.terminate": true, "*.kill": true,
	},
}

// settings are properties whose assignment or presence in options matters.
var settings = map[string]bool{"allowHalfOpen": true, "keepAliveTimeout": true, "headersTimeout": true, "pauseOnConnect": true}

// maxCalls and maxCall bound what one file gives and how long one call may be.
const (
	maxCalls = 500
	maxCall  = 8 << 10
)

// calls finds the wanted calls and settings, in order.
func (f *file) calls() []fact.SourceCall {
	var out []fact.SourceCall
	line, counted := 1, 0
	for i := 0; i < len(f.code) && len(out) < maxCalls; i++ {
		if !identByte(f.code[i]) || i > 0 && (identByte(f.code[i-1]) || f.code[i-1] == '.') {
			continue
		}
		start := i
		for i < len(f.code) && (identByte(f.code[i]) || f.code[i] == '.') {
			i++
		}
		name := string(f.code[start:i])
		line += bytes.Count(f.code[counted:start], []byte("\n"))
		counted = start
		after := i + len(f.code[i:]) - len(bytes.TrimLeft(f.code[i:], " \t"))
		switch {
		case after < len(f.code) && f.code[after] == '(':
			// require('child_process').exec( stands behind a call.
			if full := f.wanted(name); full != "" && !f.defined(start) {
				out = append(out, f.call(full, start, after, line))
			} else if name == "require" {
				if full, open, ok := f.required(after); ok {
					out = append(out, f.call(full, start, open, line))
				}
			}
		case after < len(f.code) && (f.code[after] == '=' || f.code[after] == ':') && (after+1 >= len(f.code) || f.code[after+1] != '='):
			if key := name[strings.LastIndexByte(name, '.')+1:]; settings[key] {
				c := f.at(key, start, line)
				c.Options = map[string]string{key: f.value(after + 1)}
				out = append(out, c)
			}
		}
	}
	return out
}

// wanted is the name under which a call is reported, "" if it is of no interest.
func (f *file) wanted(name string) string {
	full := f.resolve(name)
	if wanted[f.lang][full] {
		// A bare exec( counts only where the file binds it to the module.
		return full
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 && wanted[f.lang]["*"+name[i:]] {
		return name[i+1:]
	}
	return ""
}

// defined reports whether the name at start is being declared, not called.
func (f *file) defined(start int) bool {
	before := bytes.TrimRight(f.code[:start], " \t")
	w := string(before[word(before, len(before)):])
	return w == "function" || w == "func" || w == "def" || w == "class"
}

// required reads require('child_process').exec( with the parenthesis of require at
// open.
func (f *file) required(open int) (full string, call int, ok bool) {
	closing := matching(f.code, open)
	if closing < 0 || closing+1 >= len(f.code) || f.code[closing+1] != '.' {
		return "", 0, false
	}
	module := strings.TrimPrefix(strings.Trim(strings.TrimSpace(string(f.text[open+1:closing])), `'"`), "node:")
	i := closing + 2
	for i < len(f.code) && identByte(f.code[i]) {
		i++
	}
	full = module + "." + string(f.code[closing+2:i])
	return full, i, wanted[f.lang][full] && i < len(f.code) && f.code[i] == '('
}

// at makes a fact for the line of a position.
func (f *file) at(name string, start, line int) fact.SourceCall {
	from := bytes.LastIndexByte(f.text[:start], '\n') + 1
	end := lineEnd(f.text, start)
	text := bytes.TrimRight(f.text[from:end], "\r")
	return fact.SourceCall{
		At:   fact.Ref{Artifact: f.id, Line: line, Offset: int64(from), Len: len(text)},
		Lang: f.lang, Name: name, Text: strings.ToValidUTF8(strings.TrimSpace(string(text[:min(len(text), 512)])), "\ufffd"),
	}
}

// call makes the fact of a call whose parenthesis stands at open.
func (f *file) call(name string, start, open, line int) fact.SourceCall {
	c := f.at(name, start, line)
	closing := matching(f.code, open)
	if closing < 0 {
		return c
	}
	for _, a := range f.split(open+1, closing) {
		text := strings.TrimSpace(string(f.text[a[0]:a[1]]))
		switch {
		case text == "":
		case text[0] == '{':
			f.options(&c, a[0]+strings.IndexByte(string(f.text[a[0]:a[1]]), '{'))
		case f.lang == "python" && keyword(text) > 0:
			option(&c, text[:keyword(text)], strings.TrimSpace(text[keyword(text)+1:]))
		default:
			if lit, ok := f.literal(text); ok && len(c.Args) < 16 {
				c.Args = append(c.Args, lit)
			}
		}
	}
	return c
}

// keyword is where the equals sign of a keyword argument stands, 0 without one.
func keyword(text string) int {
	n := 0
	for n < len(text) && identByte(text[n]) {
		n++
	}
	if n == 0 || n >= len(text)-1 || text[n] != '=' || text[n+1] == '=' {
		return 0
	}
	return n
}

// literal is the value of a string, a number, or a variable set to a string.
func (f *file) literal(text string) (string, bool) {
	switch c := text[0]; {
	case (c == '\'' || c == '"' || c == '`') && len(text) > 1 && text[len(text)-1] == c:
		return text[1 : len(text)-1], true
	case c-'0' <= 9, c == '-' && len(text) > 1 && text[1]-'0' <= 9:
		return text, len(text) < 64
	}
	if v, ok := f.values[text]; ok {
		return v, true
	}
	return "", false
}

// options reads the keys of an object literal on its first level.
func (f *file) options(c *fact.SourceCall, open int) {
	closing := matching(f.code, open)
	if closing < 0 {
		return
	}
	for _, a := range f.split(open+1, closing) {
		key, val, ok := strings.Cut(strings.TrimSpace(string(f.text[a[0]:a[1]])), ":")
		key = strings.Trim(strings.TrimSpace(key), `'"`)
		if !ok {
			val = key // shorthand: { shell }
		}
		val = strings.TrimSpace(val)
		if val == "" {
			continue
		}
		if lit, ok := f.literal(val); ok {
			val = lit
		}
		if key != "" && len(key) < 64 && !strings.ContainsAny(key, " (\n") {
			option(c, key, strings.Trim(val, `'"`))
		}
	}
}

func option(c *fact.SourceCall, key, val string) {
	if c.Options == nil {
		c.Options = map[string]string{}
	}
	if len(c.Options) < 32 {
		c.Options[key] = strings.ToValidUTF8(val[:min(len(val), 200)], "\ufffd")
	}
}

// value is the text of an assignment's right side, to the end of its statement.
func (f *file) value(from int) string {
	end := from
	for end < len(f.code) && end-from < 200 && !strings.ContainsRune(",;\n}", rune(f.code[end])) {
		end++
	}
	return strings.TrimSpace(string(f.text[from:end]))
}

// matching is the position of the bracket that closes the one at open, -1 if it is
// too far away.
func matching(code []byte, open int) int {
	depth := 0
	for i := open; i < len(code) && i-open < maxCall; i++ {
		switch code[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// split cuts code[from:to] at commas of the first level.
func (f *file) split(from, to int) [][2]int {
	var out [][2]int
	depth, start := 0, from
	for i := from; i < to; i++ {
		switch f.code[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, [2]int{start, i})
				start = i + 1
			}
		}
	}
	return append(out, [2]int{start, to})
}
