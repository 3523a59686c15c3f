// Package limits reads what a process may use and how the kernel is set:
// /proc/PID/limits, prlimit, ulimit -a, /proc/PID/status and stat, and sysctl.
package limits

import (
	"bytes"
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/naming"
)

// Parser reads process limits, process status and kernel settings.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "limits",
		Doc:   "Process limits (/proc/PID/limits, prlimit, ulimit -a), /proc/PID/status and stat, and sysctl settings.",
		Emits: []fact.Kind{"limit", "process", "counter"},
		Sniff: sniff,
		Parse: parse,
	}
}

// form is one of the layouts.
type form int

const (
	unknown form = iota
	procLimits
	prlimit
	ulimit
	status
	stat
	sysctl
	setting // one value of /proc/sys, named by the file
)

// sniff is sure of the headings, and of sysctl when the settings are the kernel's.
func sniff(h analyze.Head) analyze.Match {
	count := map[form]int{}
	n := 0
	for line, whole := range lines.Head(h.Bytes) {
		if n == 200 {
			break
		}
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 || !whole && n > 0 {
			continue
		}
		n++
		count[formOf(line)]++
	}
	pid := bytes.Contains(h.Bytes, []byte("\nPid:\t"))
	switch {
	case count[procLimits] > 0 || count[prlimit] > 0 || pid && count[status] > 0:
		return analyze.Certain
	case count[stat] == n && n > 0:
		return analyze.Certain
	case count[sysctl] > 0 && count[sysctl]*2 >= n:
		return analyze.Sure
	case count[ulimit] > 2:
		return analyze.Sure
	case n == 1 && settingName(h.Path) != "" && isNumbers(string(h.Bytes)):
		return analyze.Probably
	}
	return analyze.No
}

// formOf recognises a line that only one layout has.
func formOf(b []byte) form {
	s := string(b[:min(len(b), 512)])
	switch {
	case strings.HasPrefix(s, "Limit ") && strings.Contains(s, "Soft Limit") && strings.Contains(s, "Hard Limit"):
		return procLimits
	case strings.HasPrefix(s, "RESOURCE ") && strings.Contains(s, "SOFT"):
		return prlimit
	case strings.HasPrefix(s, "Name:\t"):
		return status
	case isStat(s):
		return stat
	}
	if _, _, ok := sysctlLine(s); ok {
		return sysctl
	}
	if _, _, ok := ulimitLine(s); ok {
		return ulimit
	}
	return unknown
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	p := &reader{out: out, pid: naming.PID(in.Path), setting: settingName(in.Path)}
	err := lines.Each(ctx, in, out, p.line)
	p.endStatus()
	p.endLimits()
	return err
}

// reader is the state between lines.
type reader struct {
	out     *analyze.Sink
	pid     int
	setting string
	form    form
	proc    fact.Process
	// nobodys are limits of a process that the artifact's name does not tell, and
	// pids the processes whose status stands beside them.
	nobodys []fact.Limit
	pids    []int
}

func (p *reader) line(s string, ref fact.Ref) {
	switch f := formOf([]byte(s)); f {
	case procLimits:
		p.form = f
		return
	case prlimit:
		p.form = f
		return
	case status:
		p.endStatus()
		p.form = f
		p.proc = fact.Process{At: ref, Command: strings.TrimSpace(strings.TrimPrefix(s, "Name:")), CommandCut: true}
		return
	case stat:
		p.stat(s, ref)
		return
	case sysctl:
		p.sysctl(s, ref)
		return
	case ulimit:
		p.ulimit(s, ref)
		return
	}
	ok := true
	switch {
	case p.form == procLimits:
		ok = p.procLimit(s, ref)
	case p.form == prlimit:
		ok = p.prlimit(s, ref)
	case p.form == status:
		ok = p.status(s, ref)
	case p.setting != "" && isNumbers(s):
		analyze.Emit(p.out, counter(ref, "sysctl", p.setting, s))
	default:
		return // a message of the tool, or another tool's text around
	}
	if !ok {
		p.out.Skip(&analyze.SyntaxError{At: ref, Msg: "not understood: " + strconv.Quote(s[:min(len(s), 60)])})
	}
}

// procLimit reads "Max open files            20000                20000                files".
// The name holds blanks, so the two values are found from the right.
func (p *reader) procLimit(s string, ref fact.Ref) bool {
	f := strings.Fields(s)
	unit := ""
	if n := len(f); n > 0 && !isLimit(f[n-1]) {
		unit, f = f[n-1], f[:n-1]
	}
	n := len(f)
	if n < 3 || !isLimit(f[n-1]) || !isLimit(f[n-2]) {
		return false
	}
	p.emit(fact.Limit{At: ref, PID: p.pid, Name: strings.Join(f[:n-2], " "), Soft: limit(f[n-2]), Hard: limit(f[n-1]), Unit: unit})
	return true
}

// prlimit reads "NOFILE     max number of open files                1024   1048576 files".
func (p *reader) prlimit(s string, ref fact.Ref) bool {
	f := strings.Fields(s)
	if len(f) < 3 {
		return false
	}
	name := prlimitNames[f[0]]
	if name == "" {
		name = f[0]
	}
	unit := ""
	if n := len(f); !isLimit(f[n-1]) {
		unit, f = f[n-1], f[:n-1]
	}
	n := len(f)
	if n < 3 || !isLimit(f[n-1]) || !isLimit(f[n-2]) {
		return false
	}
	p.emit(fact.Limit{At: ref, PID: p.pid, Name: name, Soft: limit(f[n-2]), Hard: limit(f[n-1]), Unit: unit})
	return true
}

func (p *reader) ulimit(s string, ref fact.Ref) {
	name, value, _ := ulimitLine(s)
	p.emit(fact.Limit{At: ref, PID: p.pid, Name: name, Soft: limit(value)})
}

// emit hands over a limit. Whose limits /proc/PID/limits and prlimit print, only the
// artifact's name can say, or a status in the same artifact; ulimit's are the shell's.
func (p *reader) emit(l fact.Limit) {
	if l.PID == 0 && (p.form == procLimits || p.form == prlimit) && len(p.nobodys) < maxNobodys {
		p.nobodys = append(p.nobodys, l)
		return
	}
	analyze.Emit(p.out, l)
}

// maxNobodys bounds what is held back; a process has sixteen limits.
const maxNobodys = 64

func (p *reader) endLimits() {
	for _, l := range p.nobodys {
		if len(p.pids) == 1 {
			l.PID = p.pids[0]
		}
		analyze.Emit(p.out, l)
	}
}

func isLimit(s string) bool {
	if s == "unlimited" {
		return true
	}
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

func limit(s string) fact.Int {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fact.Int{}
	}
	return fact.Some(n)
}

// prlimitNames gives the resources of prlimit and ulimit the names of
// /proc/PID/limits.
var prlimitNames = map[string]string{
	"NOFILE": "Max open files", "NPROC": "Max processes", "CORE": "Max core file size", "STACK": "Max stack size",
	"AS": "Max address space", "MEMLOCK": "Max locked memory", "FSIZE": "Max file size", "DATA": "Max data size",
	"CPU": "Max cpu time", "SIGPENDING": "Max pending signals", "MSGQUEUE": "Max msgqueue size",
}

// ulimitNames are the limits of `ulimit -a` that matter, by their option letter.
var ulimitNames = map[string]string{
	"n": "Max open files", "u": "Max processes", "c": "Max core file size", "s": "Max stack size", "v": "Max address space",
	"l": "Max locked memory", "f": "Max file size", "d": "Max data size", "t": "Max cpu time", "i": "Max pending signals",
	"q": "Max msgqueue size", "m": "Max resident set", "x": "Max file locks",
}

// dashLimits are the names of `ulimit -a` of dash and BusyBox.
var dashLimits = map[string]string{
	"time(seconds)": "t", "file(blocks)": "f", "data(kbytes)": "d", "data(kb)": "d", "stack(kbytes)": "s", "stack(kb)": "s", "coredump(blocks)": "c", "core file size(blocks)": "c",
	"memory(kbytes)": "m", "resident set size(kb)": "m", "locked memory(kbytes)": "l", "locked memory(kb)": "l", "process": "u", "processes": "u",
	"nofiles": "n", "file descriptors": "n", "vmemory(kbytes)": "v", "address space(kb)": "v", "locks": "x",
}

// ulimitLine reads "open files                      (-n) 1024" of bash, also with a
// unit "(kbytes, -s) 8192", "-n: file descriptors   1024" of zsh and BusyBox, and
// "nofiles              1024" of dash.
func ulimitLine(s string) (name, value string, ok bool) {
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		if letter := dashLimits[strings.TrimSpace(s[:i])]; letter != "" {
			return ulimitNames[letter], s[i+1:], isLimit(s[i+1:])
		}
	}
	if open, end := strings.IndexByte(s, '('), strings.IndexByte(s, ')'); open > 0 && end > open {
		note := s[open+1 : end]
		i := strings.LastIndexByte(note, '-')
		if i < 0 || i+2 != len(note) {
			return "", "", false
		}
		value = strings.TrimSpace(s[end+1:])
		name = ulimitNames[note[i+1:]]
		return name, value, name != "" && isLimit(value)
	}
	if len(s) > 4 && s[0] == '-' && s[2] == ':' {
		f := strings.Fields(s)
		value = f[len(f)-1]
		name = ulimitNames[s[1:2]]
		return name, value, name != "" && isLimit(value)
	}
	return "", "", false
}

// settingNames are files of /proc/sys that people copy, with the names sysctl has
// for them.
var settingNames = [...]struct{ file, name string }{
	{"ip_local_port_range", "net.ipv4.ip_local_port_range"}, {"tcp_keepalive_time", "net.ipv4.tcp_keepalive_time"},
	{"tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog"}, {"somaxconn", "net.core.somaxconn"}, {"file-max", "fs.file-max"}, {"file-nr", "fs.file-nr"},
	{"nf_conntrack_max", "net.netfilter.nf_conntrack_max"}, {"nf_conntrack_count", "net.netfilter.nf_conntrack_count"},
	{"tcp_max_tw_buckets", "net.ipv4.tcp_max_tw_buckets"}, {"tcp_tw_reuse", "net.ipv4.tcp_tw_reuse"}, {"tcp_fin_timeout", "net.ipv4.tcp_fin_timeout"},
}

func settingName(file string) string {
	base := path.Base(file)
	for _, s := range settingNames {
		if strings.Contains(base, s.file) {
			return s.name
		}
	}
	return ""
}
