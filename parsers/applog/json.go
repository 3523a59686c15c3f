package applog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// timeKeys are the keys under which JSON loggers put the time.
var timeKeys = []string{
	`"time":`, `"ts":`, `"timestamp":`, `"@timestamp":`, `"__REALTIME_TIMESTAMP":`, `"_SOURCE_REALTIME_TIMESTAMP":`, `"datetime":`,
	`"asctime":`, `"eventTime":`, `"date":`, `"$date":`, `"t":`, `"@t":`, `"Timestamp":`, `"timeMillis":`,
}

// The keys of the other fields, with those of nested objects after a dot.
var (
	levelKeys = []string{"level", "lvl", "severity", "log.level", "levelname", "loglevel", "s", "Level", "@l", "levelName"}
	textKeys  = []string{"msg", "message", "MESSAGE", "event", "short_message", "@m", "RenderedMessage", "@mt", "MessageTemplate", "Message"}
	nameKeys  = []string{
		"logger", "name", "logger_name", "log.logger", "loggerName", "component", "caller", "module", "SYSLOG_IDENTIFIER", "c", "_COMM",
		"SourceContext", "Properties.SourceContext", "Category", "target",
	}
	hostKeys = []string{"hostname", "_HOSTNAME", "host", "host.hostname", "host.name", "MachineName", "Properties.MachineName"}
	pidKeys  = []string{"pid", "process.pid", "process_id", "processId", "_PID", "SYSLOG_PID", "ProcessId", "Properties.ProcessId"}
	// What says nothing to a reader.
	idleKeys = []string{
		"time", "ts", "timestamp", "@timestamp", "t", "date", "datetime", "asctime", "v", "ecs.version", "ecs", "trace_id", "span_id", "@t", "@i",
		"Timestamp", "timeMillis", "instant", "endOfBatch", "loggerFqcn", "threadPriority", "threadId",
	}
)

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
	return jsonInstant(line)
}

// jsonInstant reads {"epochSecond":1795240630,"nanoOfSecond":139445000} of log4j2.
func jsonInstant(line []byte) (stamp.Stamp, bool) {
	const sec, nano = `"epochSecond":`, `"nanoOfSecond":`
	i := bytes.Index(line, []byte(sec))
	if i < 0 {
		return stamp.Stamp{}, false
	}
	s, n := stamp.Parse(line[i+len(sec):], stamp.Unknown)
	if n == 0 || !s.Epoch {
		return stamp.Stamp{}, false
	}
	if j := bytes.Index(line[i:], []byte(nano)); j > 0 {
		v := line[i+j+len(nano):]
		s.Nano, s.Precision = atoi(v[:digits(v)]), time.Nanosecond
	}
	return s, true
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
		{`"level":`, `"lvl":`, `"severity":`, `"log.level":`, `"levelname":`, `"s":`, `"PRIORITY":`, `"stream":`, `"Level":`, `"@l":`},
		{`"msg":`, `"message":`, `"MESSAGE":`, `"log":`, `"event":`, `"short_message":`, `"@m":`, `"@mt":`, `"MessageTemplate":`},
	} {
		if slices.ContainsFunc(keys, func(k string) bool { return bytes.Contains(line, []byte(k)) }) {
			n++
		}
	}
	if n == 1 && jsonStatus(line) != nil {
		n++ // an access log
	}
	return n >= 2
}

// statusKeys are the keys under which access logs in JSON put the status.
var statusKeys = [...]string{`"status":`, `"status_code":`, `"statusCode":`, `"response_code":`, `"DownstreamStatus":`, `"http.response.status_code":`}

// jsonStatus is a line from its HTTP status on, nil without one.
func jsonStatus(line []byte) []byte {
	for _, k := range statusKeys {
		if i := bytes.Index(line, []byte(k)); i >= 0 {
			if v := trimLeft(line[i+len(k):], " \""); digits(v) == 3 && v[0] >= '1' && v[0] <= '5' {
				return v
			}
		}
	}
	return nil
}

// object is a decoded JSON line.
type object map[string]any

func parseObject(line []byte) object {
	var obj object
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if dec.Decode(&obj) != nil {
		return nil
	}
	return obj
}

// take removes the first field of keys that holds a scalar and returns it as text.
func (o object) take(keys []string) string {
	for _, k := range keys {
		if t, ok := scalar(o[k]); ok {
			delete(o, k)
			return t
		}
		outer, inner, nested := strings.Cut(k, ".")
		if !nested {
			continue
		}
		if child, ok := o[outer].(map[string]any); ok {
			if t := object(child).take([]string{inner}); t != "" {
				return t
			}
		}
	}
	return ""
}

// message is the text of the line. The journal writes text that is no UTF-8, or
// has control characters, as an array of bytes.
func (o object) message() string {
	if list, ok := o["MESSAGE"].([]any); ok {
		b := make([]byte, 0, len(list))
		for _, v := range list {
			if n, ok := v.(json.Number); ok {
				b = append(b, byte(atoi([]byte(n))))
			}
		}
		delete(o, "MESSAGE")
		return utf8Text(appendPlain(nil, b))
	}
	return o.take(textKeys)
}

// level reads a level as a word, as a number of pino's, or as a letter.
func (o object) level() level {
	if v := o.take([]string{"PRIORITY"}); v != "" {
		return syslogLevel(atoi([]byte(v)))
	}
	v := o.take(levelKeys)
	n, err := strconv.ParseInt(v, 10, 32)
	switch {
	case v == "" && (o["@mt"] != nil || o["@m"] != nil):
		return levelInfo // of Serilog, which leaves this one out
	case err == nil && n < 8 && o["short_message"] != nil: // GELF
		return syslogLevel(int(n))
	case err == nil:
		return numericLevel(n)
	case len(v) == 1:
		return letterLevel(v[0])
	}
	return levelWord([]byte(v))
}

// parseJSON reads a JSON line. Decoding is slow, but done only once for each shape
// of a block and for events that are kept.
func (s *scanner) parseJSON(e *extract, line []byte) bool {
	obj := parseObject(line)
	if obj == nil {
		return false
	}
	// Docker wraps the line of the program.
	if inner, ok := obj["log"].(string); ok && obj["stream"] != nil {
		s.parseInner(e, []byte(strings.TrimRight(inner, "\n")))
		return true
	}
	e.level = obj.level()
	if v := jsonStatus(line); v != nil && e.level == levelNone {
		e.status = accessLevel(v)
		e.level = e.status
	}
	e.source, e.host = obj.take(nameKeys), obj.take(hostKeys)
	e.pid = atoi([]byte(obj.take(pidKeys)))
	for _, k := range idleKeys {
		delete(obj, k)
	}
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(obj.message(), "\n", " "))
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

// parseInner reads a line that stands inside another: in a collector's object, or
// behind its stamp. Its own stamp is passed over, the outer one is as good and has
// a zone.
func (s *scanner) parseInner(e *extract, line []byte) {
	line = appendPlain(nil, line)
	if len(line) > 0 && line[0] == '{' && jsonLog(line) {
		host, pid := e.host, e.pid
		if s.parseJSON(e, line) {
			if e.host == "" {
				e.host = host
			}
			if e.pid == 0 {
				e.pid = pid
			}
			return
		}
	}
	f := stamp.Detect(line)
	st, from, to := f.Find(line)
	h := parseHeader(line, st, from, to)
	e.take(h)
	e.marks = s.words.read(e.text, e.level)
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
		switch key {
		case "stack", "stack_trace", "stacktrace", "extendedStackTrace", "error.stack_trace", "localizedMessage":
			return
		}
		if t == "" {
			return
		}
		switch key {
		case "err", "error", "exception", "error.message", "reason", "cause", "@x", "Exception", "exc_info":
			// Frames follow the first line.
			t, _, _ = strings.Cut(t, "\n")
			fmt.Fprintf(b, ": %s", t)
		default:
			fmt.Fprintf(b, " %s=%s", key, strings.ReplaceAll(t, "\n", " "))
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
