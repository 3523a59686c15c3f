// Package applog reads the logs of applications and services: lines with a time
// stamp of any common layout, JSON lines, and plain output without stamps.
//
// A log is not copied into memory. Events that a rule can use become facts, the
// rest is counted by message shape; see fact.LogEvent and fact.LogShape.
package applog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/kernel"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// Parser reads application logs.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name: "applog",
		Doc:  "Logs of applications and services: stamped lines of any common layout, JSON lines, syslog, access logs, plain output.",
		Emits: []fact.Kind{fact.LogEvent{}.Kind(), fact.LogShape{}.Kind(), fact.Log{}.Kind(),
			fact.KernelEvent{}.Kind(), fact.AuditEvent{}.Kind(), fact.AuditTrail{}.Kind()},
		Sniff:   sniff,
		Parse:   parse,
		Excerpt: excerpt,
	}
}

func sniff(h analyze.Head) analyze.Match {
	text, ok := decodeHead(h.Bytes)
	if ok && len(text) == 0 && len(h.Bytes) == analyze.HeadSize && strings.HasSuffix(h.Path, ".log") {
		return analyze.Maybe // a hole as long as all that Sniff sees
	}
	if !ok || len(bytes.TrimSpace(text)) == 0 {
		return analyze.No
	}
	if bytes.IndexByte(text, 0x1b) >= 0 {
		text = appendPlain(nil, text)
	}
	if foreign(text) {
		return analyze.No
	}
	if octetCounted(text) || prettyObjects(text) {
		return analyze.Sure
	}
	named := logName(h.Path)
	// Stamped lines are common to many tools, so a file that is not named like a log
	// leaves the first turn to those who are sure of their own format.
	if journalBegin(text) {
		return analyze.Sure
	}
	if jsonHead(text) {
		return surer(analyze.Probably, named)
	}
	f := stamp.Detect(text)
	switch messages := messageLines(text, &f); {
	case f.Stamped == 0:
		if named || plainLog(text) {
			return analyze.Maybe
		}
		return analyze.No
	case messages == 0 && f.Share == 1 && !named:
		return analyze.No // numbers that could be seconds
	case messages*4 < f.Stamped*3:
		// Stamps with nothing or a comma behind them head other tools' samples.
		return analyze.Maybe
	case f.Stamped >= 2 && f.Share >= 0.3:
		return surer(analyze.Probably, named)
	}
	return surer(analyze.Maybe, named)
}

// surer is one degree more for a file that is named like a log.
func surer(m analyze.Match, named bool) analyze.Match {
	if named {
		m++
	}
	return m
}

// foreign reports formats that look like a log and have parsers of their own.
func foreign(text []byte) bool {
	first := text
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		first = text[:i]
	}
	return bytes.Contains(first, []byte("msg=audit(")) || bytes.HasPrefix(text, []byte("%PDF")) || bytes.HasPrefix(text, []byte("<?xml")) ||
		kernel.Bracketed(text) || isMounts(first)
}

// isMounts reports whether a line is one of /proc/PID/mountinfo, whose device
// numbers look like clocks: "24 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw".
func isMounts(line []byte) bool {
	return bytes.Contains(line, []byte(" / /")) && bytes.Contains(line, []byte(" rw,")) && bytes.Contains(line, []byte(" - "))
}

// messageLines counts stamped lines that go on with a message.
func messageLines(text []byte, f *stamp.Finder) int {
	n := 0
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if _, _, to := f.Find(line); to > 0 {
			rest := bytes.TrimSpace(line[to:])
			if len(rest) > 2 && rest[0] != ',' && rest[0] != ';' {
				n++
			}
		}
	}
	return n
}

func jsonHead(text []byte) bool {
	lines, logs := 0, 0
	for _, line := range bytes.SplitN(text, []byte("\n"), 12) {
		if len(line) == 0 {
			continue
		}
		if lines++; jsonLog(line) {
			logs++
		}
	}
	return logs > 0 && logs*2 >= lines
}

// plainLog reports whether unstamped text visibly is a program's output: levels at
// line starts, or the report of a crash.
func plainLog(text []byte) bool {
	n, lines := 0, 0
	for _, line := range bytes.SplitN(text, []byte("\n"), 100) {
		if len(line) == 0 {
			continue
		}
		lines++
		h := parseHeader(line, stamp.Stamp{}, 0, 0)
		if h.level != levelNone || crashLine(line) {
			n++
		}
	}
	return n*4 >= lines && n > 0
}

// logName reports whether a file is called like a log: "app.log.1", "syslog",
// "gc_log.txt", and not "tcp_backlog", "login.conf" or a file below /proc.
func logName(p string) bool {
	base := strings.ToLower(path.Base(p))
	for _, suffix := range []string{".err", ".out", ".stderr", ".stdout", "messages"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	if settings(p) {
		return false
	}
	words := strings.FieldsFunc(base, func(r rune) bool { return !unicode.IsLetter(r) })
	return strings.HasPrefix(base, "journal") || slices.ContainsFunc(words, func(w string) bool {
		switch w {
		case "backlog", "catalog", "dialog":
			return false
		case "logfile", "logs":
			return true
		}
		return strings.HasSuffix(w, "log")
	})
}

// settings reports whether a path is one of a host's settings or of its kernel's
// files, as in a sosreport: many of them are about logs.
func settings(p string) bool {
	switch path.Ext(p) {
	case ".conf", ".service", ".socket", ".timer", ".target":
		return true
	}
	dir := "/" + path.Dir(p) + "/"
	return strings.Contains(dir, "/proc/") || strings.Contains(dir, "/sys/") || strings.Contains(dir, "/etc/")
}

// parse reads the log block by block.
func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	text := bufio.NewReaderSize(r, 64<<10)
	head, err := text.Peek(analyze.HeadSize)
	if err != nil && len(head) == 0 && !errors.Is(err, io.EOF) {
		return err
	}
	if head, err = textHead(ctx, in, bytes.Clone(head)); err != nil {
		return err
	}
	if bytes.IndexByte(head, 0x1b) >= 0 {
		head = appendPlain(nil, head)
	}
	switch {
	case octetCounted(head):
		embedCounted(in, out)
		return nil
	case prettyObjects(head):
		embedPretty(in, out)
		return nil
	}
	l := &layout{id: in.ID(), modified: latest(in, head)}
	form := "text"
	switch {
	case journalBegin(head):
		form, l.journal = "journald-export", true
	case jsonHead(head):
		form, l.json = "json", true
	}
	l.layer = layerOf(head)
	l.finder = stamp.Detect(l.layer.stampHead(head))
	l.stamped = !l.json && !l.journal && l.finder.Stamped > 0
	if l.stamped && l.finder.Ambiguous {
		out.Note("no date tells the order of day and month")
	}
	split := &splitter{r: text, begins: l.begins}
	m := newMerger(l)
	if err := run(ctx, split, m, max(1, out.Jobs())); err != nil {
		return err
	}
	m.emit(out, form)
	if m.wrapped {
		if err := embedWrapped(ctx, in, out); err != nil {
			return err
		}
	}
	if m.hasKernel() {
		if err := kernelEvents(ctx, in, out, l); err != nil {
			return err
		}
	}
	return split.failed()
}

// run scans blocks with up to jobs goroutines, reads the next ones meanwhile, and
// merges the results in order.
func run(ctx context.Context, split *splitter, m *merger, jobs int) error {
	var sets [2]batch
	for i := range sets {
		for range jobs {
			sets[i].workers = append(sets[i].workers, &worker{scan: newScanner(m.l)})
		}
	}
	cur, next := &sets[0], &sets[1]
	inDump := false
	for cur.fill(split); cur.n > 0; cur, next = next, cur {
		if err := ctx.Err(); err != nil {
			return err
		}
		wait := cur.start(inDump)
		next.fill(split)
		wait()
		for _, w := range cur.workers[:cur.n] {
			m.add(&w.res)
			inDump = w.res.inDump
		}
	}
	return nil
}

// batch is a number of blocks that are scanned at once.
type batch struct {
	workers []*worker
	n       int
	cont    bool // it is one block that goes on with the event before it
}

// worker scans one block.
type worker struct {
	block    block
	res      result
	scan     *scanner
	panicked any
}

// work scans the worker's block. A panic is kept for the goroutine that waits: only
// there can the engine contain it.
func (w *worker) work(inDump bool) {
	defer func() { w.panicked = recover() }()
	w.res = result{}
	w.scan.scan(&w.block, inDump, &w.res)
}

// fill reads blocks. One that was cut inside an event needs the state of the one
// before it and stays alone.
func (b *batch) fill(split *splitter) {
	b.n, b.cont = 0, split.cont
	for b.n < len(b.workers) && (b.n == 0 || !b.cont && !split.cont) && split.next(&b.workers[b.n].block) {
		b.n++
	}
}

// start scans the blocks; the function that it returns waits for the end.
func (b *batch) start(inDump bool) (wait func()) {
	var wg sync.WaitGroup
	for _, w := range b.workers[:b.n] {
		wg.Go(func() { w.work(b.cont && inDump) })
	}
	return func() {
		wg.Wait()
		for _, w := range b.workers[:b.n] {
			if w.panicked != nil {
				panic(w.panicked)
			}
		}
	}
}
