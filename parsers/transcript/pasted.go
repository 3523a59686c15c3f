package transcript

import (
	"bytes"
	"context"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// pasted are the sections of a file in which outputs stand below each other
// without anything between them, as `(date; ss -tanp; ps aux) >all.txt` makes it:
// a section begins where the heading of another tool does.
type pasted struct {
	list     []section
	families []string // of each section
	lines    int      // before the first section
}

// line takes a line that is not blank. It reports false when what was seen so far
// cannot be pasted outputs.
func (p *pasted) line(b []byte, number int, start int64) bool {
	o := opening(b)
	if len(p.list) == 0 {
		if o.tool == "" {
			p.lines++
			return p.lines <= maxBefore
		}
		if o.family == logFamily || o.family == dumpFamily {
			return false
		}
		// What stands above the first heading, a host's name, belongs to it.
		p.list, p.families = append(p.list, section{name: o.tool, line: 0, start: 0}), append(p.families, o.family)
		return true
	}
	family := p.families[len(p.families)-1]
	switch {
	case o.tool == "" || o.family == family:
		return true
	case family == logFamily && o.family == dumpFamily:
		return true // stacks in a log belong to its lines
	}
	p.list, p.families = append(p.list, section{name: o.tool, line: number - 1, start: start}), append(p.families, o.family)
	return true
}

// sections ends each section where the next begins. Times between tables of one
// family, as a loop prints them, do not part the tables.
func (p *pasted) sections(end int64) []section {
	var out []section
	var last string
	for i, s := range p.list {
		if p.families[i] == hostFamily && i > 0 && i+1 < len(p.list) && p.families[i+1] == p.families[i-1] || len(out) > 0 && p.families[i] == last {
			continue
		}
		last = p.families[i]
		out = append(out, s)
	}
	for i := range out {
		out[i].end = end
		if i+1 < len(out) {
			out[i].end = out[i+1].start
		}
	}
	return out
}

// several reports whether there is more than one section, one of them a table. A
// log with times or dumps in it is a log.
func (p *pasted) several() bool {
	table := slices.ContainsFunc(p.families, func(f string) bool { return f != hostFamily && f != logFamily && f != dumpFamily })
	return table && len(p.sections(0)) > 1
}

// sniffPasted is sure when all is seen, and sees enough in the first heading of a
// file that is longer: parsePasted then looks whether another one follows.
func sniffPasted(h analyze.Head) analyze.Match {
	var p pasted
	for line := range bytes.Lines(h.Bytes) {
		if line = bytes.TrimRight(line, " \t\r\n"); len(line) > 0 && !p.line(line, 1, 0) {
			return analyze.No
		}
	}
	longer := h.Size < 0 || h.Size > int64(len(h.Bytes))
	if p.several() || longer && len(p.list) > 0 && p.families[len(p.families)-1] != logFamily {
		return analyze.Container
	}
	return analyze.No
}

func parsePasted(ctx context.Context, in *analyze.Input, out *analyze.Sink, rd *lines.Reader) error {
	var p pasted
	for rd.Next() {
		if rd.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if b := rd.Bytes(); len(b) > 0 && !p.line(b, rd.Number(), rd.Offset()) {
			return analyze.ErrForeign
		}
	}
	if !p.several() {
		return analyze.ErrForeign
	}
	embed(in, out, p.sections(rd.End()))
	return rd.Err()
}
