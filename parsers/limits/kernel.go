package limits

import (
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// sysctlRoots are the first parts of the kernel's settings.
var sysctlRoots = [...]string{"net.", "kernel.", "vm.", "fs.", "dev.", "user.", "kern.", "hw.", "abi.", "crypto.", "debug."}

// sysctlLine reads "net.ipv4.tcp_fin_timeout = 60", and the "key: value" of BSD.
func sysctlLine(s string) (key, value string, ok bool) {
	s = strings.TrimSpace(s)
	rooted := false
	for _, r := range sysctlRoots {
		rooted = rooted || strings.HasPrefix(s, r)
	}
	if !rooted {
		return "", "", false
	}
	i := strings.IndexAny(s, "=:")
	if i < 0 {
		return "", "", false
	}
	key = strings.TrimSpace(s[:i])
	return key, strings.TrimSpace(s[i+1:]), key != "" && !strings.ContainsAny(key, " \t\"'(")
}

func (p *reader) sysctl(s string, ref fact.Ref) {
	key, value, _ := sysctlLine(s)
	analyze.Emit(p.out, counter(ref, "sysctl", key, value))
}

// counter is a setting or counter; a value that is no single number stays text.
func counter(at fact.Ref, source, name, value string) fact.Counter {
	c := fact.Counter{At: at, Source: source, Name: name}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		c.Text = strings.Join(strings.Fields(value), " ")
	}
	c.Value = n
	return c
}

// isNumbers reports whether a text is one to four numbers.
func isNumbers(s string) bool {
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 4 {
		return false
	}
	for _, w := range f {
		if _, err := strconv.ParseInt(w, 10, 64); err != nil {
			return false
		}
	}
	return true
}

// status reads one line of /proc/PID/status. What a process table also shows goes
// into a process row, the rest of the numbers become counters of the process.
func (p *reader) status(s string, ref fact.Ref) bool {
	key, value, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	value = strings.TrimSpace(value)
	first, unit, _ := strings.Cut(value, " ")
	word, _, _ := strings.Cut(first, "\t")
	n, err := strconv.ParseInt(word, 10, 64)
	num := fact.Int{V: n, Known: err == nil}
	switch key {
	case "State":
		p.proc.State = word
		p.proc.Defunct = word == "Z"
	case "Tgid":
		p.proc.PID = int(n)
	case "Pid":
		if p.proc.PID == 0 {
			p.proc.PID = int(n)
		}
		if int(n) != p.proc.PID {
			p.proc.TID, p.proc.Thread = num, true
		}
	case "PPid":
		p.proc.PPID = num
	case "NSpgid":
		p.proc.PGID = num
	case "NSsid":
		p.proc.SID = num
	case "Uid":
		p.proc.User = word
	case "VmRSS":
		p.proc.RSSkB = num
	case "VmSize":
		p.proc.VSZkB = num
	case "Kthread":
		p.proc.Kernel = n == 1
	}
	counted := key == "Threads" || key == "FDSize" || unit == "kB" || strings.HasSuffix(key, "_ctxt_switches")
	if counted && num.Known {
		analyze.Emit(p.out, fact.Counter{At: ref, Source: "proc", Name: key, Value: n, PID: p.proc.PID})
	}
	return true
}

// endStatus emits the process of a status file.
func (p *reader) endStatus() {
	if p.form == status && p.proc.PID > 0 {
		analyze.Emit(p.out, p.proc)
		if !slices.Contains(p.pids, p.proc.PID) {
			p.pids = append(p.pids, p.proc.PID)
		}
	}
	p.proc, p.form = fact.Process{}, unknown
}

// isStat reports whether a line is of /proc/PID/stat: "18248 (python3) S 1 ..."
// with 44 to 52 fields.
func isStat(s string) bool {
	_, _, f, ok := statFields(s)
	return ok && len(f) >= 40
}

// statFields takes the line apart. The name may hold any character, so its end is
// the last parenthesis.
func statFields(s string) (pid int, name string, rest []string, ok bool) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 2 || end < open || s[open-1] != ' ' {
		return 0, "", nil, false
	}
	pid, err := strconv.Atoi(s[:open-1])
	rest = strings.Fields(s[end+1:])
	if err != nil || pid <= 0 || len(rest) < 22 || len(rest[0]) != 1 {
		return 0, "", nil, false
	}
	for _, f := range rest[1:] {
		if _, err := strconv.ParseInt(f, 10, 64); err != nil {
			if _, err := strconv.ParseUint(f, 10, 64); err != nil {
				return 0, "", nil, false
			}
		}
	}
	return pid, s[open+1 : end], rest, true
}

// stat makes a process of a line of /proc/PID/stat. Times are in clock ticks, which
// are a hundredth of a second everywhere that matters.
func (p *reader) stat(s string, ref fact.Ref) {
	pid, name, f, _ := statFields(s)
	num := func(i int) fact.Int {
		n, err := strconv.ParseInt(f[i], 10, 64)
		return fact.Int{V: n, Known: err == nil}
	}
	proc := fact.Process{At: ref, PID: pid, Command: name, CommandCut: true, State: f[0], Defunct: f[0] == "Z", PPID: num(1), PGID: num(2), SID: num(3)}
	if user, system := num(11), num(12); user.Known && system.Known {
		proc.CPUms = fact.Some((user.V + system.V) * 10)
	}
	if size := num(20); size.Known {
		proc.VSZkB = fact.Some(size.V >> 10)
	}
	analyze.Emit(p.out, proc)
}
