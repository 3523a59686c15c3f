package applog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// timeKeys are the keys under which JSON loggers put the time.
var timeKeys = []string{
	`"time":`, `"ts":`, `"timestamp":`, `"@timestamp":`, `"__REALTIME_TIMESTAMP":`, `"_SOURCE_REALTIME_TIMESTAMP":`, `"datetime":`,
	`"asctime":`, `"eventTime":`, `"date":`, `"$date":`, `"t":`,
}

// jsonTime finds the time of a JSON line without decoding the line.
func jsonTime(line []byte) (stamp.Stamp, bool) {
	for _, k := range timeKeys {
		i := bytes.Index(line, []byte(k))
		if i < 0 {
			continue
		}
		v := trimLeft(line[i+len(k):], " \"")
		if s, n := stamp.Parse(v, stamp.Unknown); n > 0 && !s.Clock {
			return s, true
		}
	}
	return stamp.Stamp{}, false
}

// jsonLog reports whether a line is an object as loggers write it: at least two of
// time, level and message.
func jsonLog(line []byte) bool {
	if len(line) < 10 || line[0] != '{' {
		return false
	}
	n := 0
	if _, ok := jsonTime(line); ok {
		n++
	}
	for _, keys := range [...][]string{
		{`"level":`, `"lvl":`, `"severity":`, `"log.level":`, `"levelname":`, `"s":`, `"PRIORITY":`, `"stream":`},
		{`"msg":`, `"message":`, `"MESSAGE":`, `"log":`, `"event":`, `"short_message":`},
	} {
		if slices.ContainsFunc(keys, func(k string) bool { return bytes.Contains(line, []byte(k)) }) {
			n++
		}
	}
	return n >= 2
}

// parseJSON reads a JSON line. Decoding is slow, but done only once for each shape
// of a block and for events that are kept.
func (s *scanner) parseJSON(e *extract, line []byte) bool {
	var obj map[string]any
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if dec.Decode(&obj) != nil {
		return false
	}
	// Docker wraps the line of the program.
	if inner, ok := obj["log"].(string); ok && obj["stream"] != nil {
		inner = strings.TrimRight(inner, "\n")
		st, from, to := s.l.finder.Find([]byte(inner))
		h := parseHeader([]byte(inner), st, from, to)
		e.level, e.pid, e.text = h.level, h.pid, h.msg
		e.source = string(h.source)
		e.marks = s.words.read(e.text, e.level)
		return true
	}
	take := func(keys ...string) string {
		for _, k := range keys {
			if v, ok := obj[k]; ok {
				if t, ok := scalar(v); ok {
					delete(obj, k)
					return t
				}
			}
		}
		return ""
	}
	if v := take("level", "lvl", "severity", "log.level", "levelname", "loglevel", "s"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			e.level = numericLevel(n)
		} else if e.level = levelWord([]byte(v)); len(v) == 1 {
			e.level = letterLevel(v[0])
		}
	}
	if v := take("PRIORITY"); v != "" {
		e.level = syslogLevel(atoi([]byte(v)))
	}
	e.source = take("logger", "name", "logger_name", "log.logger", "component", "caller", "module", "SYSLOG_IDENTIFIER", "c", "_COMM")
	e.host = take("hostname", "_HOSTNAME", "host", "host.name")
	e.pid = atoi([]byte(take("pid", "process.pid", "process_id", "_PID", "SYSLOG_PID")))
	for _, k := range []string{"time", "ts", "timestamp", "@timestamp", "t", "date", "datetime", "asctime", "v", "ecs.version", "trace_id", "span_id"} {
		delete(obj, k)
	}
	text := take("msg", "message", "MESSAGE", "event", "short_message")
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(text, "\n", " "))
	for _, k := range slices.Sorted(maps.Keys(obj)) {
		if b.Len() > maxRead || strings.HasPrefix(k, "__") {
			continue
		}
		flatten(&b, k, obj[k], 0)
	}
	e.text = []byte(b.String())
	e.marks = s.words.read(e.text, e.level)
	return true
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// flatten writes " key=value"; of an error object its message and properties.
func flatten(b *strings.Builder, key string, v any, depth int) {
	if t, ok := scalar(v); ok {
		if t == "" || key == "stack" || key == "stack_trace" || key == "stacktrace" {
			return
		}
		t = strings.ReplaceAll(t, "\n", " ")
		switch key {
		case "err", "error", "exception", "error.message", "reason", "cause":
			fmt.Fprintf(b, ": %s", t)
		default:
			fmt.Fprintf(b, " %s=%s", key, t)
		}
		return
	}
	obj, ok := v.(map[string]any)
	if !ok || depth > 2 {
		return
	}
	if m, ok := scalar(obj["message"]); ok {
		fmt.Fprintf(b, ": %s", strings.ReplaceAll(m, "\n", " "))
	}
	for _, k := range slices.Sorted(maps.Keys(obj)) {
		if k != "message" && b.Len() < maxRead {
			flatten(b, k, obj[k], depth+1)
		}
	}
}
