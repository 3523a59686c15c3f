package ps

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// row is one row cut into columns.
type row struct {
	text  string
	cells [columns]string
	has   [columns]bool
	// indent is the command column with its tree drawing.
	command string
	middle  bool // the command column is not the last one
}

func (r *row) get(c column) string { return r.cells[c] }

func (r *row) pid() int {
	s := r.cells[colPID]
	if !isNumber(s) || len(s) > 10 {
		if tgid := r.cells[colTGID]; s == "-" && isNumber(tgid) {
			n, _ := strconv.Atoi(tgid)
			return n
		}
		return -1
	}
	n, _ := strconv.Atoi(s)
	return n
}

// split cuts a line along the header. Columns are words, in order, because
// values that are too wide shift those behind them; only the command and a full
// date hold several words. ok is false when words are missing.
func (h *header) split(line string) (r row, ok bool) {
	r.text = line
	cut := cutter{line: line}
	if h.timed {
		for range stampWords(line) {
			cut.word()
		}
	}
	for i, c := range h.cols {
		if i == h.text {
			break
		}
		if !h.cell(&r, &cut, c) {
			return r, false
		}
	}
	if h.text < 0 {
		return r, true
	}
	if h.text == len(h.cols)-1 {
		r.command, ok = cut.rest(h.cols[h.text].start)
		return r, ok
	}
	r.middle = true
	return r, h.splitMiddle(&r, &cut)
}

// splitMiddle reads a command column that others follow: these are words counted
// from the end, unless the last one is free text itself.
func (h *header) splitMiddle(r *row, cut *cutter) bool {
	after := h.cols[h.text+1:]
	rest, ok := cut.rest(-1)
	if !ok {
		return false
	}
	if last := after[len(after)-1]; last.col == colCommand || last.col == colOther && last.word != "NS" && len(after) == 1 && freeText(last.word) {
		width := after[0].start - h.cols[h.text].start
		if width < len(rest) && width > 0 {
			r.command = strings.TrimRight(rest[:width], " ")
			return true
		}
	}
	words := strings.Fields(rest)
	if len(words) <= len(after) {
		// The command is empty, or the last columns are.
		r.command = strings.Join(words[:min(1, len(words))], " ")
		return len(words) > 0
	}
	end := len(rest)
	for i := len(after) - 1; i >= 0; i-- {
		end = len(strings.TrimRight(rest[:end], " "))
		start := strings.LastIndexByte(rest[:end], ' ') + 1
		r.set(after[i].col, rest[start:end])
		end = start
	}
	r.command = strings.TrimRight(rest[:end], " ")
	return true
}

func freeText(word string) bool { return strings.HasPrefix(word, "ENVIRON") || word == "LABEL" }

// cell reads the next column.
func (h *header) cell(r *row, cut *cutter, c headerColumn) bool {
	w := cut.word()
	if w == "" {
		return false
	}
	switch c.col {
	case colStart:
		w = cut.date(w)
	case colState:
		// BusyBox prints up to three separate letters: "S <", "SW", "S N".
		if next := cut.peek(); (next == "<" || next == "N" || next == "<s") && cut.at() < c.end+1 {
			w += cut.word()
		}
	}
	r.set(c.col, w)
	return true
}

func (r *row) set(c column, v string) {
	if !r.has[c] {
		r.cells[c], r.has[c] = v, true
	}
}

// cutter takes words off a line.
type cutter struct {
	line string
	pos  int
}

func (c *cutter) word() string {
	for c.pos < len(c.line) && (c.line[c.pos] == ' ' || c.line[c.pos] == '\t') {
		c.pos++
	}
	start := c.pos
	for c.pos < len(c.line) && c.line[c.pos] != ' ' && c.line[c.pos] != '\t' {
		c.pos++
	}
	return c.line[start:c.pos]
}

func (c *cutter) peek() string {
	back := c.pos
	w := c.word()
	c.pos = back
	return w
}

// at is where the next word begins.
func (c *cutter) at() int {
	i := c.pos
	for i < len(c.line) && c.line[i] == ' ' {
		i++
	}
	return i
}

// date completes a start column: "Fri Feb 11 18:58:06 2022" or "Feb 11".
func (c *cutter) date(first string) string {
	if strings.ContainsAny(first, "0123456789:") || first == "-" {
		return first
	}
	back := c.pos
	words := []string{first, c.word(), c.word(), c.word(), c.word()}
	if strings.Count(words[3], ":") == 2 && len(words[4]) == 4 && isNumber(words[4]) {
		return strings.Join(words, " ")
	}
	c.pos = back
	if day := c.peek(); len(day) <= 2 && isNumber(day) {
		return first + " " + c.word()
	}
	return first
}

// rest is what follows: from the column's place in the header where nothing
// shifted it, else from behind the separating blank.
func (c *cutter) rest(start int) (string, bool) {
	if c.pos >= len(c.line) {
		return "", false
	}
	from := c.pos
	if from > 0 {
		from++
	}
	if start > from && start <= len(c.line) && strings.TrimSpace(c.line[c.pos:start]) == "" {
		from = start
	}
	if start < 0 {
		for from < len(c.line) && c.line[from] == ' ' {
			from++
		}
	}
	return c.line[min(from, len(c.line)):], true
}

// process makes the fact of a row; the position is the caller's.
func (r *row) process() fact.Process {
	p := fact.Process{
		PPID: number(r.get(colPPID)), PGID: number(r.get(colPGID)), SID: number(r.get(colSID)), TID: number(r.get(colTID)),
		User: r.get(colUser), State: dash(r.get(colState)), Start: dash(r.get(colStart)),
		EtimeMS: duration(r.get(colElapsed), true), CPUms: duration(r.get(colTime), false),
		PCPU: float(r.get(colPCPU)), PMem: float(r.get(colPMem)), RSSkB: size(r.get(colRSS)), VSZkB: size(r.get(colVSZ)),
		Wchan: dash(r.get(colWchan)), Cgroup: dash(r.get(colCgroup)),
	}
	if p.User == "" {
		p.User = r.get(colUID)
	}
	if tty := r.get(colTTY); tty != "?" && tty != "??" && tty != "-" {
		p.TTY = tty
	}
	p.Started = started(p.Start)
	p.Command, p.Depth = undraw(r.command)
	p.CommandCut = r.middle
	p.Defunct = strings.HasPrefix(p.State, "Z") || strings.HasSuffix(p.Command, "<defunct>")
	p.Kernel = r.kernel(&p)
	if p.TID.Known && p.TID.V != int64(r.pid()) {
		p.Thread = true
	}
	return p
}

// kernel reports a kernel thread: its name stands in brackets, it has no memory
// and its parent is kthreadd. A zombie has the first two as well.
func (r *row) kernel(p *fact.Process) bool {
	if len(p.Command) < 2 || p.Command[0] != '[' || p.Command[len(p.Command)-1] != ']' || p.Defunct {
		return false
	}
	if p.VSZkB.Known && p.VSZkB.V != 0 {
		return false
	}
	return !p.PPID.Known || p.PPID.V == 2 || p.PPID.V == 0
}
