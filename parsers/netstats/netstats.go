// Package netstats reads counters of the kernel: netstat -s, nstat, ss -s,
// /proc/net/snmp, netstat and sockstat, /proc/meminfo, control group files,
// samples of /proc/PID/io, and counts of socket states.
package netstats

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

// Parser reads kernel counters.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "netstats",
		Doc:   "Kernel counters: netstat -s, nstat, ss -s, /proc/net/snmp, netstat, sockstat, meminfo, control groups, /proc/PID/io samples, counts of socket states.",
		Emits: []fact.Kind{"counter", "metric"},
		Sniff: sniff,
		Parse: parse,
	}
}

// form is one of the layouts.
type form int

const (
	unknown     form = iota
	netstatS         // "TcpExt:" and "    123 times the listen queue of a socket overflowed"
	nstat            // "#kernel" and "TcpExtListenOverflows  0  0.0"
	pairs            // "Tcp: ActiveOpens ..." and "Tcp: 12 ..."
	ssSummary        // "TCP:   650 (estab 0, closed 649, ...)"
	sockstat         // "TCP: inuse 1 orphan 0 tw 631 alloc 19 mem 93"
	meminfo          // "MemTotal:       24684084 kB"
	cgroupFile       // "oom_kill 1", or one number; named by the file
	procIO           // "rchar: 151662", with times between the samples
	stateCounts      // "TIME_WAIT 2943" or "2943 TIME_WAIT"
	foreign          // none of these after all
)

func sniff(h analyze.Head) analyze.Match {
	f, sure := formOf(h.Path, firstLines(h.Bytes))
	switch {
	case f == unknown:
		return analyze.No
	case sure:
		return analyze.Sure
	}
	return analyze.Probably
}

// headLines is how many lines decide the layout.
const headLines = 12

func firstLines(b []byte) []string {
	var out []string
	for len(b) > 0 && len(out) < headLines {
		line, more, whole := bytes.Cut(b, []byte("\n"))
		if !whole && len(out) > 0 {
			break
		}
		b = more
		if s := strings.TrimRight(string(line[:min(len(line), 4096)]), " \t\r"); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// formOf finds the layout from the first lines.
func formOf(file string, head []string) (f form, sure bool) {
	for i, s := range head {
		switch {
		case s == "#kernel":
			return nstat, true
		case strings.HasPrefix(s, "sockets: used "):
			return sockstat, true
		case strings.HasPrefix(s, "TCP:") && strings.Contains(s, "(estab "):
			return ssSummary, true
		case strings.HasPrefix(s, "MemTotal:") && strings.HasSuffix(s, "kB"):
			return meminfo, true
		case strings.HasPrefix(s, "rchar: "):
			return procIO, true
		case isPair(s) && i+1 < len(head) && isPair(head[i+1]):
			return pairs, true
		case i+1 < len(head) && isSection(s) && strings.HasPrefix(head[i+1], "    "):
			return netstatS, true
		}
	}
	return weakForm(file, head)
}

// weakForm knows layouts that are plain "name number" lines: the file's name or
// every line must agree.
func weakForm(file string, head []string) (form, bool) {
	states := 0
	for _, s := range head {
		if _, _, ok := stateCount(s); ok {
			states++
		}
	}
	if states > 0 && states == len(head) {
		return stateCounts, true
	}
	if cgroupName(file) == "" {
		return unknown, false
	}
	for _, s := range head {
		if !isKeyValue(s) {
			return unknown, false
		}
	}
	return cgroupFile, len(head) > 0
}

// sections are the parts of netstat -s and of /proc/net/snmp.
var sections = [...]string{"Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite", "TcpExt", "IpExt", "MPTcpExt", "Ip6", "Icmp6", "Udp6", "UdpLite6", "Sctp"}

func isSection(s string) bool {
	name, rest, ok := strings.Cut(s, ":")
	if !ok || rest != "" {
		return false
	}
	for _, known := range sections {
		if name == known {
			return true
		}
	}
	return false
}

// isPair reports whether a line is one of two with the same prefix, "Tcp: ...".
func isPair(s string) bool {
	name, rest, ok := strings.Cut(s, ": ")
	return ok && isSection(name+":") && len(strings.Fields(rest)) > 3
}

// cgroupName is the name of a control group file in a path: memory.stat,
// memory.failcnt, cpu.stat, pids.current. Collectors put words before it.
func cgroupName(file string) string {
	base := strings.TrimSuffix(path.Base(file), ".txt")
	for _, c := range [...]string{"memory.", "cpu.", "cpuacct.", "pids.", "io.", "blkio.", "cgroup."} {
		if i := strings.Index(base, c); i >= 0 && (i == 0 || !isLetter(base[i-1])) && len(base) > i+len(c) {
			return base[i:]
		}
	}
	return ""
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isKeyValue reports whether a line is "name number", a number, or max.
func isKeyValue(s string) bool {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 12 {
		return false
	}
	last := f[len(f)-1]
	if _, v, ok := strings.Cut(last, "="); ok {
		last = v
	}
	_, err := strconv.ParseFloat(last, 64)
	return err == nil || last == "max"
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	rd := lines.New(r, in.ID())
	p := &reader{out: out, file: in.Path, pid: naming.PID(in.Path)}
	var held []heldLine
	for rd.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := strings.TrimRight(rd.Text(), " \t")
		if s == "" {
			continue
		}
		ref := rd.Ref()
		ref.Len = len(s)
		if p.form == unknown {
			// The layout shows in the first few lines; they are read again then.
			held = append(held, heldLine{s, ref})
			if len(held) < headLines {
				continue
			}
			p.decide(held)
			held = nil
			continue
		}
		p.line(s, ref)
		if err := out.Full(); err != nil {
			return err
		}
	}
	if p.form == unknown {
		p.decide(held)
	}
	if p.form == foreign {
		return analyze.ErrForeign
	}
	p.endIO()
	return rd.Err()
}

type heldLine struct {
	text string
	at   fact.Ref
}

// decide finds the layout and reads the lines held back for that.
func (p *reader) decide(held []heldLine) {
	head := make([]string, len(held))
	for i, h := range held {
		head[i] = h.text
	}
	if p.form, _ = formOf(p.file, head); p.form == unknown {
		p.form = foreign
	}
	for _, h := range held {
		p.line(h.text, h.at)
	}
}
