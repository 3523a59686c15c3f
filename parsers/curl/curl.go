// Package curl reads transcripts of `curl -v`: whether somebody got an answer.
package curl

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// Parser reads transcripts of curl.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "curl",
		Doc:   "Transcripts of curl -v: requests by hand and what became of them.",
		Emits: []fact.Kind{fact.LogEvent{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	n := 0
	for line := range bytes.Lines(h.Bytes) {
		switch line = bytes.TrimRight(line, "\r\n"); {
		case bytes.HasPrefix(line, []byte("*   Trying ")), bytes.HasPrefix(line, []byte("* Connected to ")),
			bytes.HasPrefix(line, []byte("* Connection #")), bytes.HasPrefix(line, []byte("< HTTP/")), failure(line):
			n++
		case requestLine(line) != "":
			n++
		}
	}
	if n >= 2 {
		return analyze.Certain
	}
	return analyze.No
}

// failure reports whether line is "curl: (7) Failed to connect ...".
func failure(line []byte) bool { return bytes.HasPrefix(line, []byte("curl: (")) }

// requestLine is "GET /health" of "> GET /health HTTP/1.1".
func requestLine(line []byte) string {
	rest, ok := bytes.CutPrefix(line, []byte("> "))
	if !ok {
		return ""
	}
	f := strings.Fields(string(rest[:min(len(rest), 2048)]))
	if len(f) == 3 && strings.HasPrefix(f[2], "HTTP/") {
		return f[0] + " " + f[1]
	}
	return ""
}

// exchange is one request of a transcript.
type exchange struct {
	at      fact.Ref
	request string
	addr    string // of the latest connection
	event   *fact.LogEvent
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	x := &exchange{}
	lr := lines.New(r, in.ID())
	for lr.Next() {
		if lr.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		x.line(out, lr.Bytes(), lr.Ref())
	}
	x.flush(out)
	return lr.Err()
}

func (x *exchange) line(out *analyze.Sink, line []byte, at fact.Ref) {
	switch {
	case bytes.HasPrefix(line, []byte("* Connected to ")):
		x.flush(out)
		x.addr = connected(string(line))
	case requestLine(line) != "":
		x.flush(out)
		x.request, x.at = requestLine(line), at
	case bytes.HasPrefix(line, []byte("< HTTP/")):
		_, status, _ := strings.Cut(string(line[:min(len(line), 200)]), " ")
		x.event = &fact.LogEvent{At: at, Source: "curl", Text: x.text(strings.TrimSpace(status)), Signs: []string{fact.SignStat}}
		if strings.HasPrefix(status, "5") {
			x.event.Level, x.event.Signs = "error", []string{fact.SignError}
		}
	case x.event != nil && bytes.HasPrefix(bytes.ToLower(line[:min(len(line), 8)]), []byte("< date: ")):
		if s, n := stamp.Parse(bytes.TrimSpace(line[8:]), stamp.Unknown); n > 0 {
			x.event.Time = s.Time(out.Input().ModTime)
		}
	case failure(line):
		x.flush(out)
		x.failed(out, string(line[:min(len(line), 512)]), at)
	}
}

// text is the request as a log would tell it.
func (x *exchange) text(result string) string {
	method, path, _ := strings.Cut(x.request, " ")
	return strings.ToValidUTF8(fmt.Sprintf("%s http://%s%s %s", method, x.addr, path, result), "\ufffd")
}

func (x *exchange) flush(out *analyze.Sink) {
	if x.event == nil {
		return
	}
	if x.addr != "" {
		x.event.Addresses = []string{x.addr}
	}
	analyze.Emit(out, *x.event)
	x.event = nil
}

// failed takes curl's last word: "curl: (28) Operation timed out after 5001
// milliseconds with 0 bytes received".
func (x *exchange) failed(out *analyze.Sink, text string, at fact.Ref) {
	ev := fact.LogEvent{At: at, Source: "curl", Level: "error", Text: strings.ToValidUTF8(text, "\ufffd"), Signs: []string{fact.SignError}}
	low := strings.ToLower(text)
	switch {
	case strings.Contains(low, "refused"), strings.HasPrefix(low, "curl: (7)"):
		ev.Errno, ev.Syscall, ev.Signs = "ECONNREFUSED", "connect", []string{fact.SignErrno, fact.SignError}
		if !strings.Contains(low, "refused") && !strings.Contains(low, "couldn't connect") && !strings.Contains(low, "could not connect") {
			ev.Errno = ""
		}
	case strings.HasPrefix(low, "curl: (28)"):
		ev.Signs = []string{fact.SignError, fact.SignTimeout}
	case strings.Contains(low, "reset by peer"):
		ev.Errno, ev.Signs = "ECONNRESET", []string{fact.SignErrno, fact.SignError}
	case strings.HasPrefix(low, "curl: (52)"): // empty reply
		ev.Signs = []string{fact.SignError, fact.SignTimeout}
	}
	if ev.Errno == "" {
		ev.Signs = without(ev.Signs, fact.SignErrno)
	}
	if a := failedAddress(text); a != "" {
		ev.Addresses = []string{a}
	} else if x.addr != "" {
		ev.Addresses = []string{x.addr}
	}
	analyze.Emit(out, ev)
}

func without(list []string, s string) []string {
	var out []string
	for _, have := range list {
		if have != s {
			out = append(out, have)
		}
	}
	return out
}

// connected is the address in "* Connected to api (10.0.0.9) port 80 (#0)".
func connected(line string) string {
	_, rest, ok := strings.Cut(line, "(")
	if !ok {
		return ""
	}
	ip, rest, ok := strings.Cut(rest, ")")
	if !ok {
		return ""
	}
	return join(ip, rest)
}

// failedAddress is the address in "Failed to connect to 10.0.0.9 port 80 after 0 ms".
func failedAddress(text string) string {
	_, rest, ok := strings.Cut(text, "connect to ")
	if !ok {
		return ""
	}
	host, rest, ok := strings.Cut(rest, " ")
	if !ok {
		return ""
	}
	return join(host, " "+rest)
}

// join makes an address of a host and the text " port 80 ...".
func join(host, rest string) string {
	rest, ok := strings.CutPrefix(rest, " port ")
	n := 0
	for n < len(rest) && rest[n]-'0' <= 9 {
		n++
	}
	if !ok || n == 0 || n > 5 || host == "" {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + rest[:n]
}
