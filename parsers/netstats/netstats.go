// Package netstats reads counters of the kernel: netstat -s and -i, nstat, ss -s,
// /proc/net/snmp, netstat, sockstat and dev, /proc/meminfo, control group
// files, samples of /proc/PID/io, and counts of socket states. It also takes
// routes and group memberships, of which no rule needs anything.
package netstats

import (
	"bytes"
	"context"
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
		Doc:   "Kernel counters: netstat -s and -i, nstat, ss -s, /proc/net/snmp, netstat, sockstat, dev, meminfo, control groups, /proc/PID/io samples, counts of socket states.",
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
	nstatJSON        // nstat -j: {"kernel":{"IpInReceives":771696,...}}
	ssSummary        // "TCP:   650 (estab 0, closed 649, ...)"
	sockstat         // "TCP: inuse 1 orphan 0 tw 631 alloc 19 mem 93"
	meminfo          // "MemTotal:       24684084 kB"
	cgroupFile       // "oom_kill 1", or one number; named by the file
	procIO           // "rchar: 151662", with times between the samples
	stateCounts      // "TIME_WAIT 2943" or "2943 TIME_WAIT"
	interfaces       // "eth0  1500  734067  0  0  0 ..." of netstat -i and /proc/net/dev
	routes           // netstat -r and -g: recognised, nothing kept
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
		case s == "#kernel", strings.HasPrefix(s, "Ip6InReceives "):
			return nstat, true
		case strings.HasPrefix(s, `{"kernel":{"`), strings.TrimSpace(s) == `"kernel": {`:
			return nstatJSON, true
		case strings.HasPrefix(s, "sockets: used "), strings.HasPrefix(s, "TCP6: inuse "):
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
		case interfaceColumns(s) != nil:
			return interfaces, true
		case isRoutes(s):
			return routes, true
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
	signs := 0
	for _, s := range head {
		if !isKeyValue(s) {
			return unknown, false
		}
		name, _, _ := strings.Cut(s, " ")
		if cgroupOf(name) != "" {
			signs++
		}
	}
	if len(head) == 0 || cgroupName(file) == "" && signs < 2 {
		return unknown, false
	}
	return cgroupFile, true
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

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	p := &reader{out: out, file: in.Path, pid: naming.PID(in.Path)}
	var held []heldLine
	err := lines.Each(ctx, in, out, func(text string, at fact.Ref) {
		if p.form != unknown {
			p.line(text, at)
			return
		}
		// The layout shows in the first few lines; they are read again then.
		if held = append(held, heldLine{text, at}); len(held) == headLines {
			p.decide(held)
			held = nil
		}
	})
	if p.form == unknown {
		p.decide(held)
	}
	if p.form == foreign {
		return analyze.ErrForeign
	}
	p.endIO()
	return err
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
