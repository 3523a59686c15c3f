package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseJSON reads one line of the JSON that laurel or go-audit makes of a whole
// event, and calls add for each of its records. ok is false when the line is
// neither.
//
//	{"ID":"1626883067.463:1031","NODE":"web-1","SYSCALL":{"arch":"0xc000003e","syscall":62,...},"OBJ_PID":[{"opid":81}]}
//	{"sequence":1031,"timestamp":"1626883067.463","messages":[{"type":1300,"data":"arch=c000003e syscall=62 ..."}]}
func ParseJSON(line []byte, add func(Record)) (ok bool) {
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	var event map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(line))
	if dec.Decode(&event) != nil {
		return false
	}
	if id := text(event["ID"]); id != "" {
		return laurel(id, event, add)
	}
	return goAudit(event, add)
}

// LooksJSON reports whether a line begins as ParseJSON's lines do.
func LooksJSON(line []byte) bool {
	return bytes.HasPrefix(line, []byte(`{"ID":"1`)) || bytes.HasPrefix(line, []byte(`{"sequence":`)) && bytes.Contains(line, []byte(`"messages":[`))
}

func goAudit(event map[string]json.RawMessage, add func(Record)) bool {
	var messages []struct {
		Type int    `json:"type"`
		Data string `json:"data"`
	}
	if json.Unmarshal(event["messages"], &messages) != nil || len(messages) == 0 {
		return false
	}
	r, ok := stamped(text(event["timestamp"]) + ":" + text(event["sequence"]))
	if !ok {
		return false
	}
	for _, m := range messages {
		r.Type, r.Body = []byte(typeNumber(strconv.Itoa(m.Type), "UNKNOWN")), []byte(m.Data)
		add(r)
	}
	return true
}

// stamped reads "1626883067.463:1031".
func stamped(id string) (r Record, ok bool) {
	_, ok = r.stamp([]byte(id + "):"))
	return r, ok && !r.Interpreted
}

func laurel(id string, event map[string]json.RawMessage, add func(Record)) bool {
	r, ok := stamped(id)
	if !ok {
		return false
	}
	r.Node = []byte(text(event["NODE"]))
	found := false
	for _, kind := range inOrder(event) {
		if !recordName(kind) {
			continue
		}
		var bodies []map[string]json.RawMessage
		if json.Unmarshal(event[kind], &bodies) != nil {
			var one map[string]json.RawMessage
			if json.Unmarshal(event[kind], &one) != nil {
				continue
			}
			bodies = append(bodies, one)
		}
		for _, fields := range bodies {
			r.Type, r.Body = []byte(kind), body(kind, fields)
			add(r)
			found = true
		}
	}
	return found
}

// recordName tells records from what laurel adds: the parent's command, a
// container, labels.
func recordName(kind string) bool {
	switch kind {
	case "ID", "NODE", "PID", "PPID", "PARENT_INFO", "CONTAINER_INFO", "LABELS":
		return false
	}
	return kind != "" && strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// first are the keys that stand before the others in a record of the kernel.
var first = [...]string{"SYSCALL", "arch", "syscall", "success", "exit", "argc"}

// inOrder are the keys in the order of a record of the kernel.
func inOrder(m map[string]json.RawMessage) []string {
	rank := func(k string) int {
		if i := slices.Index(first[:], k); i >= 0 {
			return i
		}
		return len(first)
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}

// body writes the fields as a raw record, names that were looked up last.
func body(kind string, fields map[string]json.RawMessage) []byte {
	var out, names bytes.Buffer
	for _, key := range inOrder(fields) {
		v := fields[key]
		switch {
		case key == "ARGV" || key == "ARGV_STR":
			arguments(&out, kind, v)
		case key == "SADDR":
			out.WriteString(" saddr=" + address(v))
		case key == strings.ToUpper(key) && len(key) > 1:
			fmt.Fprintf(&names, " %s=%q", key, text(v))
		default:
			out.WriteString(" " + key + "=" + value(key, text(v)))
		}
	}
	if names.Len() > 0 {
		out.WriteByte(enrichment)
		out.Write(names.Bytes()[1:])
	}
	return bytes.TrimPrefix(out.Bytes(), []byte(" "))
}

// arguments writes a command line: of EXECVE a0=... a1=..., of PROCTITLE one field.
func arguments(out *bytes.Buffer, kind string, v json.RawMessage) {
	var argv []string
	if json.Unmarshal(v, &argv) != nil {
		argv = strings.Fields(text(v))
	}
	if kind != "EXECVE" {
		fmt.Fprintf(out, " proctitle=%X", strings.Join(argv, "\x00"))
		return
	}
	for i, a := range argv {
		fmt.Fprintf(out, " a%d=%s", i, value("a", a))
	}
}

// address writes {"saddr_fam":"inet","laddr":"10.0.0.1","lport":80} as ausearch does.
func address(v json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(v, &fields) != nil {
		return "?"
	}
	var out strings.Builder
	out.WriteString("{")
	for _, k := range inOrder(fields) {
		out.WriteString(" " + k + "=" + text(fields[k]))
	}
	return out.String() + " }"
}

// value writes a field's value as the kernel does: quoted text, or hexadecimal
// where it holds what quotes cannot.
func value(key, v string) string {
	switch key {
	case "comm", "exe", "key", "name", "cwd", "acct", "cmd", "unit", "ocomm", "a", "proctitle", "path", "op":
		if strings.ContainsAny(v, "\"\x1d\n") {
			return fmt.Sprintf("%X", v)
		}
		return `"` + v + `"`
	case "arch":
		return strings.TrimPrefix(v, "0x")
	}
	if v == "" {
		return "?"
	}
	return strings.ReplaceAll(v, " ", "_")
}

// text is a string or a number as it stands, "" for null and what is neither.
func text(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(v, &n) == nil {
		return n.String()
	}
	return ""
}
