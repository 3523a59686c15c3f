// Package chatter writes large logs for benchmarks: what busy services print while
// little is wrong. The same options give the same bytes on every machine. Its test
// writes such a log to a file.
package chatter

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options say what to write; zero fields take the defaults.
type Options struct {
	// Form is one of Forms, default "text".
	Form string
	// Bytes is how long the log becomes, within a line; default 1 MiB.
	Bytes int64
	Seed  uint64
}

// Forms are the kinds of logs.
func Forms() []string { return []string{"text", "json", "access", "syslog", "java"} }

// Write writes a log.
func Write(w io.Writer, o Options) error {
	if o.Form == "" {
		o.Form = "text"
	}
	if !slices.Contains(Forms(), o.Form) {
		return fmt.Errorf("no form of logs is called %q", o.Form)
	}
	if o.Bytes <= 0 {
		o.Bytes = 1 << 20
	}
	g := &generator{w: bufio.NewWriterSize(w, 1<<20), rng: o.Seed*2 + 1, now: time.Unix(1_795_000_000, 0).UTC()}
	for g.written < o.Bytes {
		g.now = g.now.Add(time.Duration(g.random()%3_000_000) * time.Nanosecond)
		g.event(o.Form)
	}
	return g.w.Flush()
}

// generator holds what is common to all lines.
type generator struct {
	w       *bufio.Writer
	rng     uint64
	now     time.Time
	written int64
	line    []byte
}

// random is splitmix64: small, fast, and the same everywhere.
func (g *generator) random() uint64 {
	g.rng += 0x9e3779b97f4a7c15
	z := g.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (g *generator) number(n uint64) uint64 { return g.random() % n }

// message is what an event says, apart from its layout.
type message struct {
	level, source, text, err string
}

// message makes one: one in a hundred tells of an error.
func (g *generator) message() message {
	switch n := g.number(1000); {
	case n < 7:
		return message{"ERROR", "client", fmt.Sprintf("call %d to 10.0.0.%d:7402 failed", g.number(1e6), g.number(5)), "connect: connection refused"}
	case n < 10:
		return message{"WARN", "pool", fmt.Sprintf("waited %dms for a connection, %d in use", g.number(900), g.number(64)), ""}
	case n < 300:
		return message{"DEBUG", "cache", fmt.Sprintf("lookup key=order:%d trace=%016x hit in the second level", g.number(1e6), g.random()), ""}
	case n < 500:
		return message{"INFO", "billing", fmt.Sprintf("invoice %d of customer %d was written to the archive in %d.%03d ms", g.number(1e6), g.number(1e5), g.number(90), g.number(1000)), ""}
	case n < 501:
		return message{"INFO", "server", fmt.Sprintf("listening on 127.0.0.1:%d", 8000+g.number(4)), ""}
	default:
		return message{"INFO", "api", fmt.Sprintf("request %d user %d path /v1/orders/%d took %dms", g.number(1e9), g.number(1e5), g.number(1e6), g.number(900)), ""}
	}
}

// event writes one event.
func (g *generator) event(form string) {
	m := g.message()
	b := g.line[:0]
	switch form {
	case "text":
		b = g.now.AppendFormat(b, "2006-01-02T15:04:05.000Z")
		b = fmt.Appendf(b, " %-5s [%s] %s", m.level, m.source, m.text)
		b = appendCause(b, ": ", m.err, "")
	case "json":
		b = fmt.Appendf(b, `{"time":"%s","level":"%s","logger":"%s","msg":"%s"`, g.now.Format(time.RFC3339Nano), m.level, m.source, m.text)
		b = appendCause(b, `,"error":"`, m.err, `"`)
		b = append(b, '}')
	case "access":
		status := 200
		if m.err != "" {
			status = 502
		}
		b = fmt.Appendf(b, `10.2.%d.%d - - [%s] "GET /v1/orders/%d?page=%d HTTP/1.1" %d %d "-" "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0" 0.%03d`,
			g.number(256), g.number(256), g.now.Format("02/Jan/2006:15:04:05 -0700"), g.number(1e6), g.number(9), status, g.number(1e5), g.number(1000))
	case "syslog":
		b = fmt.Appendf(b, "%s web-1 %s[%d]: %s", g.now.Format(time.Stamp), m.source, 800+len(m.source), m.text)
		b = appendCause(b, ": ", m.err, "")
	case "java":
		b = fmt.Appendf(b, "%s [http-nio-8080-exec-%d] %-5s com.example.shop.%s.Handler - %s", g.now.Format("2006-01-02 15:04:05,000"), g.number(20), m.level, m.source, m.text)
		if m.err != "" {
			b = appendTrace(b)
		}
	}
	b = append(b, '\n')
	g.line = b
	n, _ := g.w.Write(b)
	g.written += int64(n)
}

func appendCause(b []byte, before, cause, after string) []byte {
	if cause == "" {
		return b
	}
	return append(append(append(b, before...), cause...), after...)
}

// appendTrace appends a stack trace of Java.
func appendTrace(b []byte) []byte {
	b = append(b, "\njava.net.ConnectException: Connection refused"...)
	for i := range 12 {
		b = fmt.Appendf(b, "\n\tat com.example.shop.client.Pool.step%d(Pool.java:%d)", i, 40+i)
	}
	return append(b, "\nCaused by: java.io.IOException: no member of the pool answers\n\tat com.example.shop.client.Pool.open(Pool.java:31)\n\t... 14 more"...)
}
