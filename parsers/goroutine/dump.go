package goroutine

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// dump is the dump being read: which goroutines belong together, and what began it.
type dump struct {
	number int
	open   bool
	fact   fact.Dump
	start  int64 // offset of its first header
	last   fact.Ref
	// firstIDs are the first few goroutines; one of them again begins a new dump.
	firstIDs []int64
	onlyRuns bool // every goroutine so far is the one that prints itself
	broken   bool // the last goroutine
	about    about
	cut      bool
	alike    alike

	// cause is a panic, fatal error or signal that waits for its goroutines.
	cause   string
	causeAt fact.Ref
	// more is set after the line of dashes between the threads of one crash.
	more bool
}

const (
	// keepIDs is how many goroutines are remembered to see that a dump begins anew.
	keepIDs = 16
	// causeReach is how many lines may stand between a panic and its goroutines.
	causeReach = 40
	// maxCause bounds the copied text of a cause.
	maxCause = 300
	// profileCut is where pprof's debug=2 ends whatever is left to print.
	profileCut = 64 << 20
)

// causeWords begin a line after which the runtime prints goroutines.
var causeWords = [][]byte{
	[]byte("panic: "), []byte("fatal error: "), []byte("SIGQUIT: "), []byte("SIGABRT: "), []byte("SIGSEGV: "),
	[]byte("SIGBUS: "), []byte("SIGILL: "), []byte("SIGFPE: "), []byte("SIGTRAP: "), []byte("SIGSYS: "),
	[]byte("unexpected fault address "), []byte("http: panic serving "), []byte("runtime: out of memory"),
}

// causeColumn is where such a line begins, behind a log prefix at most; -1 if not.
func causeColumn(line []byte) int {
	for _, w := range causeWords {
		i := bytes.Index(line, w)
		if i == 0 || i > 0 && blank(line[i-1]) {
			return i
		}
	}
	return -1
}

// preamble takes a line outside of any goroutine.
func (d *dump) preamble(s *scanner, line []byte) {
	if bytes.HasPrefix(line, []byte("-----")) {
		d.more = true
		return
	}
	at := causeColumn(line)
	if at < 0 {
		return
	}
	// "panic: x" may be followed by "[signal SIGSEGV ...]" and "panic: y"; the
	// first line of them says why.
	if d.cause != "" && s.r.Number()-d.causeAt.Line <= causeReach {
		return
	}
	text := line[at:]
	d.cause, d.causeAt = strings.ToValidUTF8(string(text[:min(len(text), maxCause)]), "?"), s.r.Ref()
}

// add puts a goroutine into the current dump, or into a new one that it begins,
// and returns the dump's number.
func (d *dump) add(s *scanner, g *fact.Goroutine, a about) int {
	caused := d.cause != "" && g.At.Line-d.causeAt.Line <= causeReach
	printer := printsItself(g)
	if d.open && !d.more && (caused || printer || slices.Contains(d.firstIDs, g.ID)) {
		d.finish(s)
	}
	if !d.open {
		d.open = true
		d.number++
		d.start = g.At.Offset
		d.fact = fact.Dump{At: g.At, Dump: d.number}
		d.onlyRuns = true
		d.about = about{}
	}
	if caused && d.fact.Cause == "" {
		d.fact.Cause, d.fact.CauseAt, d.fact.At = d.cause, d.causeAt, d.causeAt
	}
	d.cause, d.more = "", false
	if g.ID != 0 {
		d.fact.Goroutines++
		if len(d.firstIDs) < keepIDs {
			d.firstIDs = append(d.firstIDs, g.ID)
		}
		d.onlyRuns = d.onlyRuns && g.State == "running"
	}
	if printer && g.Frames[0].Func != "runtime/debug.Stack" {
		d.fact.Form = "debug=2"
	}
	d.fact.Leak = d.fact.Leak || g.Leaked
	d.fact.GoVersion = cmp.Or(d.fact.GoVersion, a.version)
	d.about.pkg, d.about.mainDir = cmp.Or(d.about.pkg, a.pkg), cmp.Or(d.about.mainDir, a.mainDir)
	d.last, d.broken = g.At, g.Broken
	return d.number
}

// printsItself reports whether a goroutine is the one that prints the dump: it
// always stands first.
func printsItself(g *fact.Goroutine) bool {
	if g.State != "running" || len(g.Frames) == 0 {
		return false
	}
	switch g.Frames[0].Func {
	case "runtime/pprof.writeGoroutineStacks", "runtime/debug.Stack", "runtime.Stack":
		return true
	}
	return false
}

// finish emits the current dump.
func (d *dump) finish(s *scanner) {
	if !d.open {
		return
	}
	f := d.fact
	switch {
	case strings.HasPrefix(f.Cause, "SIGQUIT"):
		f.Form = "sigquit"
	case f.Cause != "":
		f.Form = "panic"
	case f.Form == "" && d.onlyRuns && f.Goroutines == 1:
		f.Form = "stack"
	case f.Form == "":
		f.Form = "debug=2"
	}
	f.Module = cmp.Or(d.about.mainDir, d.about.pkg)
	size := d.last.Offset + int64(d.last.Len) - d.start
	full := f.Form == "debug=2" && size >= profileCut-4 && size <= profileCut
	f.Cut = d.cut || full || d.broken && f.Goroutines > 1
	switch {
	case full:
		s.out.Note("the dump ends after exactly 64 MiB, where pprof cuts it: goroutines are missing")
		s.out.Partial()
	case f.Cut:
		s.out.Note("the dump ends inside a goroutine's stack: goroutines may be missing")
		s.out.Partial()
	}
	f.At.Len = 0
	f.Alike = d.alike.take()
	analyze.Emit(s.out, f)
	d.open, d.firstIDs, d.cut, d.broken = false, d.firstIDs[:0], false, false
}

// isPreamble reports whether a line belongs to what stands before a dump: the
// cause, its continuation, a test's output, a blank line.
func isPreamble(line []byte) bool {
	t := bytes.TrimSpace(line)
	if len(t) == 0 || causeColumn(line) >= 0 {
		return true
	}
	for _, w := range []string{
		"PC=0x", "[signal ", "runtime stack:", "runtime: ", "running tests:", "PASS", "FAIL", "=== ", "--- ", "ok ", "-----",
		"[recovered", "goroutine ", "exit status ", "created by ", "rax ", "HTTP/1.", "Content-Type:", "Date:", "X-Content-Type-Options:",
	} {
		if bytes.HasPrefix(t, []byte(w)) {
			return true
		}
	}
	return line[0] == '\t'
}

// quoteStart quotes the beginning of a line for a message.
func quoteStart(b []byte) string {
	const most = 60
	if len(b) > most {
		b = b[:most]
	}
	return strconv.Quote(string(b))
}
