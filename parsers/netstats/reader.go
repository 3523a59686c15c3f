package netstats

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// reader is the state between lines.
type reader struct {
	out     *analyze.Sink
	file    string
	pid     int
	form    form
	section string
	// histogram is the part of ICMP that deeper lines belong to: "input ".
	histogram string
	names     []string // of the last line of names in /proc/net/snmp, or of a header
	// cgroupFile is the control group file that the artifact is.
	cgroupFile string
	io         ioSamples
}

func (p *reader) line(s string, ref fact.Ref) {
	ok := true
	switch p.form {
	case netstatS:
		ok = p.netstatS(s, ref)
	case nstat:
		ok = p.nstat(s, ref)
	case nstatJSON:
		p.nstatJSON(s, ref)
	case pairs:
		ok = p.pairs(s, ref)
	case ssSummary:
		ok = p.ssSummary(s, ref)
	case sockstat:
		ok = p.sockstat(s, ref)
	case meminfo:
		ok = p.meminfo(s, ref)
	case cgroupFile:
		ok = p.cgroup(s, ref)
	case interfaces:
		ok = p.interfaces(s, ref)
	case procIO:
		ok = p.io.line(s, ref)
	case stateCounts:
		if name, n, is := stateCount(s); is {
			p.emit(ref, "states", name, n)
		}
	}
	if !ok {
		p.out.Skip(&analyze.SyntaxError{At: ref, Msg: "counter not understood: " + strconv.Quote(strings.ToValidUTF8(s[:min(len(s), 60)], "?"))})
	}
}

func (p *reader) emit(at fact.Ref, source, name string, value int64) {
	analyze.Emit(p.out, fact.Counter{At: at, Source: source, Name: name, Value: value})
}

// netstatS reads a line of netstat -s. Newer versions print what they have no
// words for as "TCPKeepAlive: 22891", by its kernel name.
func (p *reader) netstatS(s string, ref fact.Ref) bool {
	if isSection(s) {
		p.section = strings.TrimSuffix(s, ":")
		return true
	}
	if s[0] != ' ' && s[0] != '\t' {
		return true // a message of the tool
	}
	indent := len(s)
	s = strings.TrimSpace(s)
	indent -= len(s)
	if p.section == "Icmp" && !strings.ContainsAny(s, "0123456789") && !strings.HasSuffix(s, "histogram:") {
		p.histogram = "" // the title of a histogram in another language
		return true
	}
	if strings.HasSuffix(s, "histogram:") {
		p.histogram = strings.TrimSuffix(strings.TrimPrefix(s, p.section+" "), " histogram:") + " "
		p.histogram = strings.TrimPrefix(p.histogram, "ICMP ")
		return true
	}
	if key, value, ok := strings.Cut(s, ": "); ok && !strings.Contains(key, " ") {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			p.emit(ref, "netstat", p.section+key, n)
		}
		return true
	}
	if strings.HasPrefix(s, "RTO algorithm") {
		return true
	}
	f := strings.Fields(s)
	for i, w := range f {
		n, err := strconv.ParseInt(strings.TrimSuffix(w, ":"), 10, 64)
		if err != nil {
			continue
		}
		phrase := strings.TrimSpace(strings.Join(f[:i], " ") + " " + strings.Join(f[i+1:], " "))
		if indent > 4 {
			phrase = p.histogram + strings.TrimSuffix(phrase, ":")
		}
		p.emit(ref, "netstat", kernelName(p.section, phrase), n)
		return true
	}
	return false
}

// nstat reads "TcpExtListenOverflows           0                  0.0".
func (p *reader) nstat(s string, ref fact.Ref) bool {
	if s[0] == '#' {
		return true
	}
	f := strings.Fields(s)
	if len(f) < 2 {
		return false
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return false
	}
	p.emit(ref, "nstat", f[0], n)
	return true
}

// nstatJSON reads the members of a line of `nstat -j`, or the one of a line of
// `nstat -jp`.
func (p *reader) nstatJSON(s string, ref fact.Ref) {
	for part := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(part[strings.LastIndexByte(part, '{')+1:], ":")
		name, err1 := strconv.Unquote(strings.TrimSpace(key))
		n, err2 := strconv.ParseInt(strings.Trim(value, " }"), 10, 64)
		if err1 == nil && err2 == nil {
			p.emit(ref, "nstat", name, n)
		}
	}
}

// pairs reads the two lines of a section of /proc/net/snmp and netstat: names and,
// below, values. Both are long; every value cites its own line.
func (p *reader) pairs(s string, ref fact.Ref) bool {
	section, rest, ok := strings.Cut(s, ":")
	if !ok {
		// /proc/net/snmp6 and others: "Ip6InReceives   12".
		return p.nstat(s, ref)
	}
	f := strings.Fields(rest)
	if section != p.section || p.names == nil {
		p.section, p.names = section, f
		return true
	}
	names := p.names
	p.names = nil
	for i, w := range f {
		if i >= len(names) {
			break
		}
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return false
		}
		p.emit(ref, "snmp", section+names[i], n)
	}
	return len(f) == len(names)
}

// ssSummary reads ss -s: "Total: 6230", "TCP:   12039 (estab 6228, closed 5809,
// orphaned 0, timewait 2943)" and the table of transports.
func (p *reader) ssSummary(s string, ref fact.Ref) bool {
	if key, rest, ok := strings.Cut(s, ":"); ok && (key == "Total" || key == "TCP") {
		number, parts, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			p.emit(ref, "ss-s", key, n)
		}
		for _, part := range strings.Split(strings.Trim(strings.TrimSpace(parts), "()"), ",") {
			f := strings.Fields(part)
			if len(f) != 2 {
				continue
			}
			// Old versions print two numbers, "timewait 12/0".
			v, _, _ := strings.Cut(f[1], "/")
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				p.emit(ref, "ss-s", key+"."+f[0], n)
			}
		}
		return true
	}
	f := strings.Fields(s)
	if len(f) == 4 && f[0] != "Transport" {
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			p.emit(ref, "ss-s", "Transport."+f[0], n)
		}
	}
	return true
}

// sockstat reads "TCP: inuse 1 orphan 0 tw 631 alloc 19 mem 93".
func (p *reader) sockstat(s string, ref fact.Ref) bool {
	section, rest, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	f := strings.Fields(rest)
	for i := 0; i+1 < len(f); i += 2 {
		n, err := strconv.ParseInt(f[i+1], 10, 64)
		if err != nil {
			return false
		}
		p.emit(ref, "sockstat", section+"."+f[i], n)
	}
	return true
}

// meminfo reads "MemTotal:       24684084 kB"; values are in kB where it says so.
func (p *reader) meminfo(s string, ref fact.Ref) bool {
	key, rest, ok := strings.Cut(s, ":")
	f := strings.Fields(rest)
	if !ok || len(f) == 0 {
		return false
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return false
	}
	p.emit(ref, "proc", key, n)
	return true
}

// stateCount reads what `... | sort | uniq -c` makes of a column of states, in
// either order.
func stateCount(s string) (state string, n int64, ok bool) {
	f := strings.Fields(s)
	if len(f) != 2 {
		return "", 0, false
	}
	if _, err := strconv.Atoi(f[0]); err == nil {
		f[0], f[1] = f[1], f[0]
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return "", 0, false
	}
	name := strings.ReplaceAll(strings.ToUpper(f[0]), "-", "_")
	switch name {
	case "ESTAB":
		name = fact.StateEstablished
	case "FIN_WAIT_1":
		name = fact.StateFinWait1
	case "FIN_WAIT_2":
		name = fact.StateFinWait2
	case "UNCONN", "CLOSED":
		name = fact.StateClose
	case fact.StateListen, fact.StateEstablished, fact.StateSynSent, fact.StateSynRecv, fact.StateFinWait1, fact.StateFinWait2,
		fact.StateTimeWait, fact.StateCloseWait, fact.StateLastAck, fact.StateClosing, fact.StateClose:
	default:
		return "", 0, false
	}
	return name, n, true
}
