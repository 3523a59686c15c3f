package applog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// wrapper is what a collector puts around each line of a program: words before it
// (CRI, compose, syslog), or a JSON object of which it is one string. Nothing
// stands around stacks that a program printed into its own log.
type wrapper struct {
	dump        string   // what the program prints: goroutines, threads
	key, stream string   // of JSON
	words       []string // of a prefix; "#" stands for a time or a date
	blanks      int      // between the prefix and the line
}

// wrapperKeys are the keys under which a program's own line stands.
var wrapperKeys = [...]string{"log", "message", "msg", "MESSAGE"}

// dumpMarks begin the lines that dumpKind knows.
var dumpMarks = [...][]byte{[]byte("goroutine "), []byte(jvmDump), []byte("Thread 0x"), []byte("Current thread 0x")}

const jvmDump = "Full thread dump "

// dumpKind is what a line begins: goroutines, or the stacks of a JVM or of Python's
// faulthandler; "" for others.
func dumpKind(text []byte) string {
	switch {
	case dumpHeader(text):
		return "goroutines"
	case bytes.HasPrefix(text, []byte(jvmDump)), bytes.HasSuffix(text, []byte(" (most recent call first):")) && bytes.Contains(text[:min(len(text), 20)], []byte("hread 0x")):
		return "threads"
	}
	return ""
}

// wrapperOf finds the header of a dump that does not begin its line, or is no
// goroutine's, and says what stands around it.
func wrapperOf(line []byte) (w wrapper, ok bool) {
	if len(line) < 16 || dumpHeader(line) {
		return w, false
	}
	if line[0] == '{' {
		for _, key := range wrapperKeys {
			if !bytes.Contains(line, []byte(`"`+key+`":`)) {
				continue
			}
			for _, l := range bytes.Split(jsonString(line, key), []byte("\n")) {
				if kind := dumpKind(l); kind != "" {
					return wrapper{dump: kind, key: key, stream: string(jsonString(line, "stream"))}, true
				}
			}
		}
		return w, false
	}
	at, kind := -1, ""
	for _, mark := range dumpMarks {
		if i := bytes.LastIndex(line, mark); i >= 0 && kind == "" {
			at, kind = i, dumpKind(line[i:])
		}
	}
	if kind == "" {
		return w, false
	}
	before := bytes.TrimRight(line[:at], " ")
	w.dump, w.blanks = kind, at-len(before)
	if len(before) > 0 && w.blanks == 0 || len(before) > 256 {
		return w, false
	}
	for _, f := range bytes.Fields(before) {
		w.words = append(w.words, maskTime(f))
	}
	return w, true
}

// maskTime makes one word of all times and dates, which change from line to line.
func maskTime(f []byte) string {
	for _, c := range f {
		if !digit(c) && bytes.IndexByte([]byte("[]()<>:.,-+/TZ"), c) < 0 {
			return string(f)
		}
	}
	if !bytes.ContainsAny(f, "0123456789") {
		return string(f)
	}
	return "#"
}

// unwrap is the program's own text of a line; ok is false for another's line.
func (w *wrapper) unwrap(line []byte) (text []byte, ok bool) {
	if w.key != "" {
		if len(line) == 0 || line[0] != '{' || string(jsonString(line, "stream")) != w.stream {
			return nil, false
		}
		text = jsonString(line, w.key)
		return bytes.TrimSuffix(text, []byte("\n")), text != nil
	}
	for _, want := range w.words {
		line = bytes.TrimLeft(line, " ")
		n := bytes.IndexByte(line, ' ')
		if n < 0 {
			n = len(line)
		}
		if n == 0 || maskTime(line[:n]) != want {
			return nil, false
		}
		line = line[n:]
	}
	for n := 0; n < w.blanks && len(line) > 0 && line[0] == ' '; n++ {
		line = line[1:]
	}
	if bytes.HasPrefix(line, []byte("#011")) { // rsyslog's tab
		line = append([]byte("\t"), line[4:]...)
	}
	return line, true
}

// jsonString is the string under a key of a JSON line, nil without one.
func jsonString(line []byte, key string) []byte {
	i := bytes.Index(line, []byte(`"`+key+`":`))
	if i < 0 {
		return nil
	}
	v := trimLeft(line[i+len(key)+3:], " ")
	if len(v) == 0 || v[0] != '"' {
		return nil
	}
	end := 1
	for end < len(v) && v[end] != '"' {
		if v[end] == '\\' {
			end++
		}
		end++
	}
	var s string
	if end >= len(v) || json.Unmarshal(v[:end+1], &s) != nil {
		return nil
	}
	return []byte(s)
}

const (
	// maxWrapped bounds the programs whose dumps are taken out of one log.
	maxWrapped = 16
	// causeReach is how many lines may stand between a panic and its goroutines.
	causeReach = 40
)

// causes begin the lines that say why a runtime prints goroutines.
var causes = [...][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("SIG"), []byte("http: panic serving "), []byte("runtime: ")}

// reason is a line that may say why goroutines follow.
type reason struct {
	line int
	text []byte
}

// wrappedDump is one dump: the lines of a program from first to last, all if last
// is zero.
type wrappedDump struct {
	wrapper
	first, last int
}

// embedWrapped hands over the dumps whose lines a collector wrapped, and those of
// threads: an artifact for each program, from the words that say why it prints its
// goroutines, or from its first goroutine or thread, to the end of the log or to
// its next dump.
func embedWrapped(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	var dumps []*wrappedDump
	latest := map[string]*wrappedDump{} // by what stands around
	var reasons []reason
	for r.Next() {
		if r.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line := r.Bytes()
		if w, ok := wrapperOf(line); ok {
			before := latest[fmt.Sprint(w)]
			if before != nil && !bytes.Contains(line, []byte(jvmDump)) {
				continue // a goroutine or thread of the same dump
			}
			if len(dumps) == maxWrapped {
				out.Note("more than %d dumps stand here: the rest is not read", maxWrapped)
				break
			}
			if before != nil {
				before.last = r.Number() - 1
			}
			d := &wrappedDump{wrapper: w, first: w.begin(reasons, r.Number())}
			dumps, latest[fmt.Sprint(w)] = append(dumps, d), d
			continue
		}
		if len(line) > maxRead {
			continue
		}
		for _, c := range causes {
			if bytes.Contains(line, c) {
				reasons = append(reasons[max(0, len(reasons)-causeReach):], reason{r.Number(), bytes.Clone(line)})
				break
			}
		}
	}
	count := map[string]int{}
	for _, d := range dumps {
		count[d.dump]++
		d.embed(in, out, count[d.dump])
	}
	return r.Err()
}

// begin is the line with which a dump begins whose first goroutine stands in line:
// the first of the program's reasons for it.
func (w *wrapper) begin(reasons []reason, line int) int {
	for _, why := range reasons {
		if line-why.line > causeReach {
			continue
		}
		text, ok := w.unwrap(why.text)
		for _, c := range causes {
			if ok && bytes.Contains(text[:min(len(text), 64)], c) {
				return why.line
			}
		}
	}
	return line
}

// embed hands over the n-th dump of its kind.
func (d *wrappedDump) embed(in *analyze.Input, out *analyze.Sink, n int) {
	name := "wrapped-" + d.dump
	if n > 1 {
		name = fmt.Sprintf("%s%d", name, n)
	}
	out.Embed(&analyze.Input{
		Path: in.Path + "!" + name, Size: -1, ModTime: in.ModTime, Host: in.Host,
		Note: fmt.Sprintf("from line %d of the log, without what stands around each line", d.first),
		Open: func() (io.ReadCloser, error) {
			f, err := in.Open()
			if err != nil {
				return nil, err
			}
			return &unwrapped{Closer: f, r: lines.New(f, in.ID()), d: d}, nil
		},
	})
}

// unwrapped reads a program's own lines out of a log.
type unwrapped struct {
	io.Closer
	r   *lines.Reader
	d   *wrappedDump
	buf []byte
}

func (u *unwrapped) Read(p []byte) (int, error) {
	for len(u.buf) == 0 {
		if !u.r.Next() || u.d.last > 0 && u.r.Number() > u.d.last {
			if err := u.r.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		if u.r.Number() < u.d.first {
			continue
		}
		if text, ok := u.d.unwrap(u.r.Bytes()); ok {
			u.buf = append(append([]byte(nil), text...), '\n')
		}
	}
	n := copy(p, u.buf)
	u.buf = u.buf[n:]
	return n, nil
}
