// Package metrics reads tables of numbers over time: CSV with commas, semicolons
// or tabs, one row a sample. Every column is summarised into one metric; the
// samples themselves are not kept.
package metrics

import (
	"context"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads numbers over time.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "metrics",
		Doc:   "Numbers over time as CSV: a header line, then one row a sample.",
		Emits: []fact.Kind{"metric"},
		Sniff: sniff,
		Parse: parse,
	}
}

// maxColumns bounds a table's width.
const maxColumns = 256

// sniff wants a header of names and rows of as many values below it, most of them
// numbers, with a time in the first column or in one that is called so.
func sniff(h analyze.Head) analyze.Match {
	var head *table
	good, bad := 0, 0
	for line, whole := range lines.Head(h.Bytes) {
		if good+bad == 50 || !whole && head != nil && good > 0 {
			break
		}
		s := strings.TrimRight(strings.TrimPrefix(string(line), "\ufeff"), "\r ")
		if s == "" || s[0] == '#' {
			continue
		}
		if head == nil {
			if head = parseHeader(s); head == nil {
				return analyze.No
			}
			continue
		}
		if head.fits(s) {
			good++
		} else {
			bad++
		}
	}
	switch {
	case head == nil || good == 0 || bad*2 > good:
		return analyze.No
	case strings.HasSuffix(strings.ToLower(h.Path), ".csv") || strings.HasSuffix(strings.ToLower(h.Path), ".tsv"):
		return analyze.Sure
	}
	return analyze.Probably
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	rd := lines.New(r, in.ID())
	var t *table
	for rd.Next() {
		if rd.Number()&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		s := strings.TrimRight(rd.Text(), " ")
		if s == "" || s[0] == '#' {
			continue
		}
		ref := rd.Ref()
		ref.Len = len(s)
		if t == nil {
			if t = parseHeader(s); t == nil {
				return analyze.ErrForeign
			}
			t.at = ref
			continue
		}
		if !t.row(s, ref) {
			out.Skip(&analyze.SyntaxError{At: ref, Msg: "row has not as many values as the header has names"})
		}
	}
	if t != nil {
		t.emit(out)
	}
	return rd.Err()
}

// table is a CSV table while it is read.
type table struct {
	at     fact.Ref
	sep    byte
	names  []string
	time   int    // column of the time
	label  []bool // columns that name what a row is about
	all    *series
	groups map[string]*series
	order  []string
	last   string
	mixed  bool // rows of several entities take turns
}

// labelNames are columns that say whose numbers a row holds.
var labelNames = map[string]bool{
	"pid": true, "host": true, "hostname": true, "node": true, "instance": true, "service": true, "process": true,
	"proc": true, "name": true, "comm": true, "worker": true, "container": true, "pod": true, "id": true, "tid": true, "command": true,
}

var timeNames = map[string]bool{
	"ts": true, "t": true, "time": true, "timestamp": true, "date": true, "datetime": true, "at": true, "@timestamp": true, "when": true, "epoch": true, "unixtime": true,
}

// parseHeader reads the names of the columns, nil if a line is no such header.
func parseHeader(s string) *table {
	t := &table{time: -1, groups: map[string]*series{}}
	best := 0
	for _, sep := range []byte{',', ';', '\t'} {
		if n := strings.Count(s, string(sep)); n > best {
			best, t.sep = n, sep
		}
	}
	if best == 0 || best >= maxColumns {
		return nil
	}
	t.names = split(s, t.sep)
	t.label = make([]bool, len(t.names))
	for i, n := range t.names {
		if n == "" || len(n) > 80 || strings.ContainsAny(n, "{}[]=\"'()") && !strings.ContainsAny(n, "(") {
			return nil
		}
		if _, err := strconv.ParseFloat(n, 64); err == nil {
			return nil
		}
		low := strings.ToLower(n)
		if t.time < 0 && timeNames[low] {
			t.time = i
		}
		t.label[i] = labelNames[low]
	}
	if t.time < 0 {
		t.time = 0
	}
	t.all = newSeries(len(t.names))
	return t
}

// split cuts a row; values may stand in double quotes.
func split(s string, sep byte) []string {
	if strings.IndexByte(s, '"') < 0 {
		parts := strings.Split(s, string(sep))
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return parts
	}
	var out []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"' && quoted && i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			out = append(out, strings.TrimSpace(b.String()))
			b.Reset()
		default:
			b.WriteByte(s[i])
		}
	}
	return append(out, strings.TrimSpace(b.String()))
}

// fits reports whether a line can be a row: as many values as names, a time where
// it belongs, and a number somewhere else.
func (t *table) fits(s string) bool {
	v := split(s, t.sep)
	if len(v) != len(t.names) {
		return false
	}
	if _, ok := parseTime(v[t.time]); !ok {
		return false
	}
	for i, w := range v {
		if _, err := strconv.ParseFloat(w, 64); err == nil && i != t.time {
			return true
		}
	}
	return false
}

// row adds a sample.
func (t *table) row(s string, ref fact.Ref) bool {
	v := split(s, t.sep)
	if len(v) != len(t.names) {
		return false
	}
	at, _ := parseTime(v[t.time])
	var key strings.Builder
	for i := range v {
		if t.label[i] {
			key.WriteString(v[i])
			key.WriteByte(0)
		}
	}
	k := key.String()
	g := t.groups[k]
	if g == nil && len(t.order) < maxGroups {
		g = newSeries(len(t.names))
		for i := range v {
			if t.label[i] {
				g.labels[t.names[i]] = v[i]
			}
		}
		t.groups[k] = g
		t.order = append(t.order, k)
	} else if k != t.last {
		t.mixed = true // seen before, left, and back again
	}
	t.last = k
	t.all.add(v, at, ref)
	if g != nil {
		g.add(v, at, ref)
	}
	return true
}

// maxGroups bounds how many entities of one table are told apart.
const maxGroups = 256

// emit summarises the columns: of each entity when their rows take turns, else of
// the table as a whole, so that a restart under a new pid shows as a fall.
func (t *table) emit(out *analyze.Sink) {
	list := []*series{t.all}
	switch {
	case len(t.order) == 1:
		list = []*series{t.groups[t.order[0]]}
	case t.mixed:
		list = list[:0]
		for _, k := range t.order {
			list = append(list, t.groups[k])
		}
	}
	for _, s := range list {
		for i, name := range t.names {
			if i == t.time || t.label[i] || s.columns[i].points == 0 {
				continue
			}
			analyze.Emit(out, s.metric(t.at, name, i))
		}
	}
}
