package transcript

import (
	"bytes"
	"slices"
	"strings"
)

// output is what a tool prints, known by the line it begins with. Tools of one
// family are read by one parser, which takes several tables in one artifact.
type output struct{ tool, family string }

// The families that are treated in a way of their own.
const (
	hostFamily = "host" // one line of date, uname, uptime: says when, not what
	logFamily  = "log"  // records with stamps, after a table
	dumpFamily = "dump" // stacks, which logs hold too
)

// beginnings are lines that begin the output of a tool by how they begin.
var beginnings = [...]struct {
	prefix string
	output
}{
	{"Active Internet connections", output{"netstat", "sockets"}},
	{"Active UNIX domain sockets", output{"netstat", "sockets"}},
	{"Limit                     Soft Limit", output{"limits", "limits"}},
	{"RESOURCE ", output{"prlimit", "limits"}},
	{"Name:\t", output{"status", "limits"}},
	{"core file size ", output{"ulimit", "limits"}},
	{"real-time non-blocking time ", output{"ulimit", "limits"}},
	{"top - ", output{"top", "ps"}},
	{"#kernel", output{"nstat", "nstat"}},
	{"Ip: Forwarding ", output{"snmp", "snmp"}},
	{"TcpExt: SyncookiesSent ", output{"netstat", "snmp"}},
	{"MemTotal: ", output{"meminfo", "meminfo"}},
	{"sockets: used ", output{"sockstat", "sockstat"}},
	{"Kernel IP routing table", output{"route", "routes"}},
	{"Kernel Interface table", output{"netstat -i", "interfaces"}},
	{"Inter-|   Receive ", output{"net_dev", "interfaces"}},
	{"procs ---", output{"vmstat", "vmstat"}},
	{"Filesystem ", output{"df", "df"}},
	{"Full thread dump ", output{"jstack", dumpFamily}},
	{"[New LWP ", output{"gdb", dumpFamily}},
	{"type=", output{"audit", logFamily}},
	{"1: lo: <", output{"ip", "ip"}},
}

// opening is the tool whose output a line begins, with no tool for other lines. It
// sees every line of large tables, so that the cheap tests come first.
func opening(line []byte) output {
	b := bytes.TrimLeft(line, " ")
	if len(b) < 3 {
		return output{}
	}
	switch c := b[0]; {
	case c >= '0' && c <= '9' || c == '[':
		return stamped(b)
	case c >= 'a' && c <= 'z':
		return small(b)
	case c == '/':
		if bytes.HasPrefix(b, []byte("/proc/")) && bytes.HasSuffix(bytes.TrimRight(b, "/:"), []byte("/fd")) {
			return output{"ls", "lsof"}
		}
		return output{}
	case bytes.Contains(b, []byte("Recv-Q")) && bytes.Contains(b, []byte("Send-Q")):
		if bytes.Contains(b, []byte("Address:Port")) {
			return output{"ss", "sockets"}
		}
		return output{"netstat", "sockets"}
	case bytes.Contains(b, []byte("PID")):
		return heading(strings.Fields(string(b[:min(len(b), maxCommand)])))
	}
	if o := begun(b); o.tool != "" || len(b) > 100 {
		return o
	}
	return titled(string(b))
}

// begun looks a line up in beginnings.
func begun(b []byte) output {
	for i := range beginnings {
		if o := &beginnings[i]; len(b) >= len(o.prefix) && string(b[:len(o.prefix)]) == o.prefix {
			return o.output
		}
	}
	return output{}
}

// small recognises lines that begin in small letters, as most rows do.
func small(b []byte) output {
	word, rest, _ := bytes.Cut(b, []byte(" "))
	switch string(word) {
	case "total":
		if isNumber(string(rest)) {
			return output{"ls", "lsof"}
		}
		if f := strings.Fields(string(rest)); len(f) > 2 && f[0] == "used" && f[1] == "free" {
			return output{"free", hostFamily}
		}
	case "sl":
		if bytes.Contains(rest, []byte("local_address")) {
			return output{"proc net", "sockets"}
		}
	case "core", "real-time", "sockets:", "procs":
		return begun(b)
	case "goroutine":
		if bytes.HasSuffix(b, []byte("]:")) {
			return output{"goroutines", dumpFamily}
		}
	default:
		switch {
		case isLink(b):
			return output{"ls", "lsof"}
		case isTreeRoot(word):
			return output{"pstree", "pstree"}
		case len(b) < 64 && bytes.Count(b, []byte(":")) > 1 && isDate(strings.Fields(string(b))):
			return output{"date", hostFamily} // "sáb 21 nov 2026 09:18:55 UTC"
		}
	}
	return output{}
}

// heading recognises the headings of tables of processes.
func heading(words []string) output {
	has := func(w string) bool { return slices.Contains(words, w) }
	switch {
	case has("COMMAND") && has("FD") && has("PROTO"):
		return output{"sockstat", "sockets"}
	case has("COMMAND") && has("FD") && has("NODE"):
		return output{"lsof", "lsof"}
	case isProcessHeading(words):
		return output{"ps", "ps"}
	}
	return output{}
}

// titled recognises short lines that say something of the host, and titles.
func titled(s string) output {
	words := strings.Fields(s)
	switch {
	case len(words) == 0: // other blanks
		return output{}
	case words[0] == "Ip:" && len(words) == 1:
		return output{"netstat -s", "netstat -s"}
	case words[0] == "Total:" && len(words) > 1 && isNumber(words[1]) && (len(words) == 2 || words[2] == "(kernel"):
		return output{"ss -s", "ss -s"}
	case len(words) > 4 && (words[0] == "Linux" || words[0] == "FreeBSD" || words[0] == "Darwin"):
		if strings.HasPrefix(words[2], "(") {
			return output{"sysstat", "sysstat"}
		}
		return output{"uname", hostFamily}
	case isDate(words):
		return output{"date", hostFamily}
	}
	return output{}
}

// stamped recognises lines that begin with a digit or a bracket: what uptime and
// date print, records with stamps.
func stamped(b []byte) output {
	switch {
	case b[0] == '[':
		if len(b) > 14 && bytes.IndexByte(b[:min(len(b), 20)], ']') > 0 && strings.Trim(string(b[1:bytes.IndexByte(b, ']')]), " 0123456789.") == "" {
			return output{"dmesg", logFamily}
		}
		return begun(b)
	case isISO(b):
		if strings.Trim(string(b[:min(len(b), 40)]), "0123456789-+:.,TZ ") != "" {
			return output{"log", logFamily}
		}
		return output{"date", hostFamily}
	case len(b) > 8 && (b[1] == ':' || b[2] == ':') && bytes.Contains(b, []byte(" up ")) && bytes.Contains(b, []byte("load average")):
		return output{"uptime", hostFamily}
	case len(b) < 64 && bytes.Count(b, []byte(":")) > 1 && isDate(strings.Fields(string(b))):
		return output{"date", hostFamily}
	}
	return begun(b)
}

// isProcessHeading reports whether words are the headings of a process table: a
// PID, what a process has, and nothing in small letters.
func isProcessHeading(words []string) bool {
	if len(words) < 3 || !slices.Contains(words, "PID") {
		return false
	}
	own := false
	for _, w := range words {
		if w != strings.ToUpper(w) || isNumber(w) {
			return false
		}
		switch w {
		case "CMD", "COMMAND", "ARGS", "TTY", "TT", "STAT", "PPID":
			own = true
		}
	}
	return own
}

// isISO reports whether a line begins with 2026-11-21T02:44:13.
func isISO(b []byte) bool {
	return len(b) > 18 && b[4] == '-' && b[7] == '-' && (b[10] == 'T' || b[10] == ' ') && b[13] == ':' && b[16] == ':'
}

// isDate reports whether words are all that date prints: few, among them a clock
// and a year, at the end one of these or the zone. A row of a process table may hold
// a date too, behind a number or with a command behind it.
func isDate(words []string) bool {
	if len(words) == 0 || len(words) > 8 || isNumber(words[0]) {
		return false
	}
	clock, year, size := false, false, 0
	for _, w := range words {
		size += len(w)
		d := strings.Trim(w, ",.")
		clock = clock || isClock(d)
		year = year || len(d) >= 4 && isNumber(d[:4]) && (d[:2] == "20" || d[:2] == "19") && (len(d) == 4 || d[4] > '9' || d[4] == '-')
	}
	last := words[len(words)-1]
	return clock && year && size < 64 && (isClock(last) || strings.Trim(last, "ABCDEFGHIJKLMNOPQRSTUVWXYZ+-:0123456789") == "")
}

func isClock(w string) bool { return strings.Count(w, ":") >= 2 && w[0] >= '0' && w[0] <= '9' }

// isTreeRoot reports whether a word is the beginning of pstree -p: "systemd(1)-+-agetty(812)".
func isTreeRoot(b []byte) bool {
	if bytes.IndexByte(b, '(') < 0 {
		return false
	}
	_, rest, ok := strings.Cut(string(b), "(")
	pid, rest, closed := strings.Cut(rest, ")")
	return ok && closed && pid != "" && isNumber(pid) && (strings.HasPrefix(rest, "-+-") || strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "─"))
}

// isLink reports whether a line is one of ls -l /proc/PID/fd.
func isLink(b []byte) bool {
	return len(b) > 30 && b[0] == 'l' && (string(b[4:11]) == "------ " || string(b[4:11]) == "------.")
}
