package containers

import (
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// rows reads the tables of kubectl get pods and kubectl get events, with or without
// -A and -o wide. A file may hold several.
type rows struct {
	out     *analyze.Sink
	columns []string
}

func (t *rows) line(text string, at fact.Ref) {
	if c := columnsOf(text); c != nil {
		t.columns = c
		return
	}
	if t.columns == nil {
		return
	}
	f := splitColumns(text, len(t.columns))
	get := func(name string) string {
		if i := slices.Index(t.columns, name); i >= 0 && i < len(f) {
			return f[i]
		}
		return ""
	}
	if slices.Contains(t.columns, "REASON") {
		if object := get("OBJECT"); strings.Contains(object, "/") && get("REASON") != "" {
			analyze.Emit(t.out, fact.ClusterEvent{
				At: at, Type: get("TYPE"), Reason: get("REASON"), Namespace: get("NAMESPACE"), Object: strings.ToLower(object), Container: containerOf(get("SUBOBJECT")),
				From: get("SOURCE"), Message: get("MESSAGE"), Count: count(get("COUNT")), AgeS: seconds(get("LAST SEEN")),
			})
		}
		return
	}
	if !strings.Contains(get("READY"), "/") {
		return
	}
	c := fact.Container{At: at, Namespace: get("NAMESPACE"), Pod: get("NAME"), Node: get("NODE")}
	if c.Node == "<none>" {
		c.Node = ""
	}
	n, ago, _ := strings.Cut(get("RESTARTS"), " (")
	c.Restarts = count(n)
	c.LastRestartS = seconds(strings.TrimSuffix(ago, " ago)"))
	switch status := get("STATUS"); status {
	case "Running":
		c.State = "running"
	case "Completed", "Error", "OOMKilled", "Evicted":
		c.State, c.Reason = "terminated", status
	default:
		c.State, c.Reason = "waiting", status
	}
	analyze.Emit(t.out, c)
}

// columnsOf are the columns of a header, nil if it is none.
func columnsOf(header string) []string {
	f := splitColumns(header, 16)
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(f, n) })
	}
	if has("NAME", "READY", "STATUS", "RESTARTS", "AGE") || has("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE") {
		return f
	}
	return nil
}

// splitColumns splits at two blanks and more, into at most n parts: a single blank
// stands inside a column.
func splitColumns(s string, n int) []string {
	var out []string
	s = strings.TrimSpace(s)
	for s != "" && len(out) < n-1 {
		cell, rest, ok := strings.Cut(s, "  ")
		if !ok {
			break
		}
		out, s = append(out, strings.TrimSpace(cell)), strings.TrimLeft(rest, " ")
	}
	if s != "" {
		out = append(out, s)
	}
	return out
}

// seconds reads an age: 45s, 5m6s, 2h, 3d4h, 1y.
func seconds(s string) fact.Int {
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'y': 365 * 86400}
	total, from := int64(0), 0
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			continue
		}
		n, err := strconv.ParseInt(s[from:i], 10, 32)
		unit, ok := units[s[i]]
		if err != nil || !ok {
			return fact.Int{}
		}
		total, from = total+n*unit, i+1
	}
	if s == "" || from != len(s) {
		return fact.Int{}
	}
	return fact.Some(total)
}
