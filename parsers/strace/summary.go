package strace

import (
	"bytes"
	"strconv"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// summaryHead reports whether line heads the table of strace -c.
func summaryHead(line []byte) bool {
	return bytes.HasPrefix(line, []byte("% time     seconds  usecs/call     calls"))
}

// summary takes a line of that table:
//
//	45.10    0.000120           3        40         2 futex
func (t *trace) summary(line []byte, at fact.Ref) {
	if summaryHead(line) {
		if t.table == nil {
			t.table = &fact.Trace{At: at, ByCall: map[string]int64{}}
		}
		return
	}
	f := bytes.Fields(line)
	if len(f) < 5 || f[0][0] == '-' {
		return
	}
	name := string(f[len(f)-1])
	calls, err := strconv.ParseInt(string(f[3]), 10, 64)
	if name == "total" || err != nil {
		return
	}
	t.table.ByCall[name] = calls
	t.table.Calls += calls
	if len(f) > 5 {
		if n, err := strconv.ParseInt(string(f[4]), 10, 64); err == nil {
			if t.table.Errors == nil {
				t.table.Errors = map[string]int64{}
			}
			t.table.Errors[name] = n
		}
	}
}
