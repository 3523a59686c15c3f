// Package ps reads process tables: ps in any column selection, pstree -p, top in
// batch mode and pidstat.
package ps

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads process tables.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "ps",
		Doc:   "process tables: ps (columns by header), pstree -p, top -b, pidstat; procps, BusyBox and BSD",
		Emits: []fact.Kind{fact.Process{}.Kind(), fact.ProcessTable{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how far down a header may stand, behind warnings and titles.
const sniffLines = 10

func sniff(h analyze.Head) analyze.Match {
	if bytes.IndexByte(h.Bytes, 0) >= 0 {
		return analyze.No
	}
	named := strings.HasPrefix(path.Base(h.Path), "ps") || strings.Contains(path.Base(h.Path), "top")
	rest, before, topBanner := h.Bytes, 0, false
	for i := 0; i < sniffLines && len(rest) > 0; i++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		text := strings.TrimRight(string(line), "\r ")
		if text == "" {
			continue
		}
		next := firstLine(rest)
		if i == 0 && (isTree(text) && len(bytes.TrimSpace(rest)) == 0 || (isTree(text) || isTreeRoot(text)) && isTree(next)) {
			return analyze.Certain
		}
		if pidstatHeader(text) != nil {
			return analyze.Certain
		}
		hd := parseHeader(text)
		if hd == nil && before == 0 {
			hd = guessHeader(text)
			if hd != nil && len(bytes.TrimSpace(rest)) > 0 && guessHeader(next) == nil {
				hd = nil // one line may look like anything
			}
			if hd != nil {
				return analyze.Certain
			}
		}
		if hd != nil {
			return sniffTable(hd, next, before, named)
		}
		topBanner = topBanner || strings.HasPrefix(text, "top - ")
		if !topBanner && !isBanner(text) {
			before++
		}
	}
	return analyze.No
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimRight(string(line), "\r ")
}

// sniffTable weighs a header by what stands around it: a table inside a shell
// session belongs to whoever reads the session.
func sniffTable(hd *header, next string, before int, named bool) analyze.Match {
	row, ok := hd.split(next)
	switch {
	case next != "" && (!ok || row.pid() < 0):
		return analyze.No
	case before == 0 && next != "":
		// The times in its rows make a log of it for others.
		return analyze.Certain
	case before == 0:
		return analyze.Sure
	case named:
		return analyze.Probably
	}
	return analyze.Maybe
}

// isBanner reports lines that ps, top and pidstat print before their header.
func isBanner(line string) bool {
	line = strings.TrimLeft(line, " ")
	if strings.Contains(line, "%idle ") {
		return true // of toybox: "200%cpu 147%user   0%nice  23%sys  27%idle"
	}
	for _, p := range []string{"top - ", "Tasks:", "Threads:", "%Cpu", "Cpu(s)", "Cpu", "MiB ", "KiB ", "GiB ", "Mem:", "Swap:", "Mem ", "CPU:", "Load average:",
		"your ", "Linux ", "Warning:", "warning:", "Signal ", "Unknown HZ", "Processes:", "PhysMem:", "last pid:"} {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

// table is the process table being read.
type table struct {
	out     *analyze.Sink
	tool    string
	header  *header
	at      fact.Ref
	taken   fact.Time
	threads bool // top -H: rows are threads
	summary bool // between top's first line and its header, in any language
	rows    int
	all     bool
	held    *fact.Process // a row of ps m that waits for its first thread
	last    int           // pid of the last process row
	above   []branchRow   // the branch that leads to the last row, outermost first
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	f, err := in.Open()
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	r := lines.New(f, in.ID())
	t := &table{out: out}
	var tree *treeReader
	for r.Next() {
		if r.Number()&0xff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if out.Full() != nil {
				break
			}
		}
		text := strings.ToValidUTF8(strings.TrimRight(r.Text(), " \t\x00"), "\uFFFD")
		if strings.TrimSpace(text) == "" {
			continue
		}
		if tree == nil && t.header == nil && !t.summary && (isTree(text) || isTreeRoot(text)) {
			tree = &treeReader{t: t}
			t.begin("pstree", nil, r.Ref())
		}
		if tree != nil {
			tree.line(text, r.Ref())
			continue
		}
		t.line(text, r.Ref())
	}
	t.end()
	if err := r.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return out.Full()
}

// line reads one line of anything but pstree.
func (t *table) line(text string, at fact.Ref) {
	if cols := pidstatHeader(text); cols != nil {
		t.begin("pidstat", cols, at)
		return
	}
	if h := parseHeader(text); h != nil {
		tool := "ps"
		if h.top() {
			tool = "top"
		}
		t.begin(tool, h, at)
		return
	}
	if isBanner(text) {
		t.banner(text)
		return
	}
	if t.summary {
		return // in a language whose words are not known
	}
	if h := guessHeader(text); h != nil && t.header == nil {
		t.begin("ps", h, at)
	}
	if t.header == nil {
		t.out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("no process table header before %.60q", text)})
		return
	}
	if t.tool == "pidstat" && t.header.timed && stampWords(text) == 0 {
		return // the averages repeat what the samples said
	}
	row, ok := t.header.split(text)
	if !ok {
		t.out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("fewer columns than the header has: %.60q", text)})
		return
	}
	t.row(row, at)
}

// banner reads the lines above top's header.
func (t *table) banner(text string) {
	switch {
	case strings.HasPrefix(text, "top - "):
		t.summary, t.threads = true, false
	case strings.HasPrefix(text, "Threads:"):
		t.threads = true
	}
}

func (t *table) begin(tool string, h *header, at fact.Ref) {
	t.end()
	t.tool, t.header, t.at = tool, h, at
	t.rows, t.all, t.last, t.above, t.summary = 0, false, 0, t.above[:0], false
}

// end emits the table that was being read, if any.
func (t *table) end() {
	t.release("")
	if t.tool == "" {
		return
	}
	analyze.Emit(t.out, fact.ProcessTable{At: t.at, Tool: t.tool, Rows: t.rows, All: t.all, Taken: t.taken})
	t.tool = ""
}

// filtered reports a table whose header is gone, as grep leaves it.
func (t *table) filtered() bool { return t.header != nil && t.header.guessed }

// emit counts and emits one process.
func (t *table) emit(p fact.Process) {
	t.rows++
	if (p.PID == 1 && !p.Thread || p.Kernel) && !t.filtered() {
		t.all = true
	}
	analyze.Emit(t.out, p)
}

// release emits the row that waited for its first thread; ps m prints the state
// only there.
func (t *table) release(state string) {
	if t.held == nil {
		return
	}
	p := *t.held
	t.held = nil
	if p.State == "" {
		p.State = state
		p.Defunct = p.Defunct || strings.HasPrefix(state, "Z")
	}
	t.emit(p)
}

// branchRow is a row of a drawn tree that later rows may stand below.
type branchRow struct{ pid, depth int }

// branch gives a row of a drawn tree its parent where no column prints it: the
// last row one level up. Levels that somebody has filtered out stay unknown.
func (t *table) branch(p *fact.Process) {
	n := len(t.above)
	for n > 0 && t.above[n-1].depth >= p.Depth {
		n--
	}
	t.above = t.above[:n]
	if n > 0 && t.above[n-1].depth == p.Depth-1 && !t.header.has(colPPID) {
		p.PPID = fact.Some(int64(t.above[n-1].pid))
	}
	t.above = append(t.above, branchRow{p.PID, p.Depth})
}

func (t *table) row(row row, at fact.Ref) {
	p := row.process()
	p.At = at
	if row.get(colPID) == "-" && t.last > 0 {
		t.release(p.State)
		p.PID, p.Thread = t.last, true
		p.Command = strings.TrimPrefix(p.Command, "|__")
		if p.Command == "-" {
			p.Command = ""
		}
		t.emit(p)
		return
	}
	t.release("")
	if row.pid() < 0 {
		t.out.Skip(&analyze.SyntaxError{At: at, Msg: fmt.Sprintf("no process number in %.60q", row.text)})
		return
	}
	p.PID = row.pid()
	t.last = p.PID
	t.branch(&p)
	if t.threads && t.tool == "top" {
		p.TID, p.Thread = fact.Some(int64(p.PID)), true
	}
	if t.tool != "ps" {
		p.CommandCut = !strings.Contains(p.Command, "/") && !strings.Contains(p.Command, " ")
		p.Command = strings.TrimSuffix(p.Command, "+")
	}
	if row.get(colState) == "-" {
		t.held = &p
		return
	}
	t.emit(p)
}
