// Package hostinfo reads the small files that say where and when a bundle was
// collected: date, uname, hostname, uptime, free, os-release, machine-id,
// timedatectl, hostnamectl, who -b, /proc/uptime, /proc/stat and passwd. Collectors often write several of
// them into one file, so every line is judged by itself.
package hostinfo

import (
	"context"
	"encoding/json"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads descriptions of a host.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "hostinfo",
		Doc:   "Where and when: date, uname, hostname, uptime, free, os-release, timedatectl, hostnamectl, passwd.",
		Emits: []fact.Kind{"host_info", "account"},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how many lines decide.
const sniffLines = 40

// sniff wants most lines to be understood, and is sure when the file is called
// after one of the commands as well.
func sniff(h analyze.Head) analyze.Match {
	p := newReader(h.Path, nil)
	known, total := 0, 0
	for line, whole := range lines.Head(h.Bytes) {
		if total == sniffLines {
			break
		}
		s := strings.TrimRight(string(line[:min(len(line), 4096)]), " \t\r")
		if s == "" || !whole && total > 0 {
			continue
		}
		total++
		if p.line(s, fact.Ref{}) {
			known++
		}
	}
	switch {
	case known == 0 || known*2 < total:
		return analyze.No
	case p.named || known == total && p.accounts > 2:
		return analyze.Sure
	}
	return analyze.Probably
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	p := newReader(in.Path, out)
	err := lines.Each(ctx, in, out, func(text string, at fact.Ref) { p.line(text, at) })
	p.endTimedate()
	return err
}

// usualNames are words in the names of files with such contents.
var usualNames = [...]string{"date", "uname", "hostname", "uptime", "free", "os-release", "os_release", "machine-id", "machine_id", "passwd", "timedatectl", "hostnamectl", "clock", "host_info", "hostinfo", "hostos_info", "timestamp", "env"}

// reader is the state between lines.
type reader struct {
	out      *analyze.Sink // nil while sniffing
	base     string
	named    bool
	accounts int
	local    *fact.HostInfo // timedatectl's local time, until its zone is known
	heading  bool           // the line before can be free's heading in any language
	memoryAt bool           // the line before was free's row of the memory
}

func newReader(file string, out *analyze.Sink) *reader {
	p := &reader{out: out, base: strings.ToLower(path.Base(file))}
	for _, n := range usualNames {
		p.named = p.named || strings.Contains(p.base, n)
	}
	return p
}

func (p *reader) emit(h fact.HostInfo) {
	if p.out != nil {
		analyze.Emit(p.out, h)
	}
}

// line reads one line and reports whether it was understood.
func (p *reader) line(s string, at fact.Ref) bool {
	if p.timedate(s, at) || p.account(s, at) || p.uname(s, at) || p.uptime(s, at) || p.kernelClock(s, at) || p.memory(s, at) || p.release(s, at) {
		return true
	}
	if d, ok := parseDate(s); ok {
		d.At, d.Name, d.Value = at, "date", strings.TrimSpace(s)
		p.emit(d)
		return true
	}
	return p.byName(s, at)
}

// byName reads files whose content is one word that only the file's name explains.
func (p *reader) byName(s string, at fact.Ref) bool {
	word := strings.TrimSpace(s)
	if p.base == "hostos_info.json" {
		return p.hostOS(word, at)
	}
	if word == "" || strings.ContainsAny(word, " \t=:/") {
		return false
	}
	switch {
	case strings.Contains(p.base, "hostname"):
		p.emit(fact.HostInfo{At: at, Name: "hostname", Value: word})
	case strings.Contains(p.base, "machine-id") || strings.Contains(p.base, "machine_id"):
		p.emit(fact.HostInfo{At: at, Name: "machine_id", Value: word})
	case strings.Contains(p.base, "uname") && word[0] >= '0' && word[0] <= '9':
		p.emit(fact.HostInfo{At: at, Name: "kernel", Value: word})
	case strings.Contains(p.base, "date"):
		d, ok := epochDate(word)
		if !ok {
			return false
		}
		d.At, d.Name, d.Value = at, "date", word
		p.emit(d)
	default:
		return false
	}
	return true
}

// hostOS reads what the host collector of a support bundle writes:
// {"name":"node-a","kernelVersion":"6.1.0","platformVersion":"22.04","platform":"ubuntu"}.
func (p *reader) hostOS(s string, at fact.Ref) bool {
	var h struct{ Name, KernelVersion, PlatformVersion, Platform string }
	if json.Unmarshal([]byte(s), &h) != nil || h.Name == "" {
		return false
	}
	p.emit(fact.HostInfo{At: at, Name: "hostname", Value: h.Name})
	p.emit(fact.HostInfo{At: at, Name: "kernel", Value: h.KernelVersion})
	p.emit(fact.HostInfo{At: at, Name: "os", Value: strings.TrimSpace(h.Platform + " " + h.PlatformVersion)})
	return true
}

// uname reads "Linux host 6.1.0 #1 SMP ... x86_64 GNU/Linux".
func (p *reader) uname(s string, at fact.Ref) bool {
	f := strings.Fields(s)
	if len(f) < 4 {
		return false
	}
	switch f[0] {
	case "Linux", "Darwin", "FreeBSD", "OpenBSD", "NetBSD", "SunOS", "AIX":
	default:
		return false
	}
	if len(f[2]) == 0 || f[2][0] < '0' || f[2][0] > '9' {
		return false
	}
	if f[1] != "(none)" && f[1] != "localhost" {
		p.emit(fact.HostInfo{At: at, Name: "hostname", Value: f[1]})
	}
	p.emit(fact.HostInfo{At: at, Name: "kernel", Value: f[0] + " " + f[2]})
	return true
}

// uptime reads " 00:41:06 up 47 min,  0 user,  load average: 1.53, 1.06, 1.20" and
// macOS's "load averages: 1.53 1.06 1.20".
func (p *reader) uptime(s string, at fact.Ref) bool {
	i := strings.Index(s, " up ")
	j := strings.Index(s, "load average")
	if i < 0 || j < i || i > 16 {
		return false
	}
	up := s[i+4 : j]
	if k := strings.Index(up, " user"); k >= 0 {
		up = up[:k]
		up = up[:max(strings.LastIndexByte(up, ','), 0)]
	}
	p.emit(fact.HostInfo{At: at, Name: "uptime", Value: strings.Trim(strings.TrimSpace(up), ",")})
	if _, load, ok := strings.Cut(s[j:], ":"); ok {
		p.emit(fact.HostInfo{At: at, Name: "load", Value: strings.Join(strings.Fields(strings.ReplaceAll(load, ",", " ")), " ")})
	}
	return true
}

// kernelClock reads /proc/uptime, "27012.34 52000.10", and of /proc/stat the second
// at which the kernel started, "btime 1795225016".
func (p *reader) kernelClock(s string, at fact.Ref) bool {
	f := strings.Fields(s)
	if len(f) == 0 {
		return false
	}
	switch p.base {
	case "uptime", "proc_uptime":
		if len(f) != 2 || !strings.Contains(f[0], ".") || !isNumber(f[0]) || !isNumber(f[1]) {
			return false
		}
		p.emit(fact.HostInfo{At: at, Name: "uptime", Value: f[0]})
		return true
	case "stat", "proc_stat":
		sec, err := strconv.ParseInt(f[len(f)-1], 10, 64)
		switch name := strings.TrimRight(f[0], "0123456789"); name {
		case "btime":
			if len(f) != 2 || err != nil || sec <= 0 || sec > 1<<40 {
				return false
			}
			p.emit(fact.HostInfo{At: at, Name: "boot_time", Value: f[1],
				Time: fact.Time{T: time.Unix(sec, 0).UTC(), Basis: fact.Epoch, Precision: time.Second}})
			return true
		case "cpu", "intr", "ctxt", "processes", "procs_running", "procs_blocked", "softirq", "page", "swap":
			return err == nil
		}
	}
	return false
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// memory reads the rows of free: "Mem:          24105         636 ...". The unit
// stands in the command's options, so the number is kept as printed.
func (p *reader) memory(s string, at fact.Ref) bool {
	f := strings.Fields(s)
	name, sizes := p.memoryRow(s, f)
	if name == "" {
		return len(f) >= 4 && f[0] == "total" && f[1] == "used" && f[2] == "free"
	}
	p.emit(fact.HostInfo{At: at, Name: name + "_total", Value: sizes[0]})
	p.emit(fact.HostInfo{At: at, Name: name + "_used", Value: sizes[1]})
	return true
}

// memoryRow is what a row of free is of, and its sizes. Other languages have other
// words, but no digits in the heading, six or seven sizes of the memory below it
// and then three of the swap space:
//
//	              gesamt       benutzt     frei      gemns.  Puffer/Cache verfügbar
//	Speicher:      24105        1121       20614           8        2770       22984
//	Swap:              0           0           0
func (p *reader) memoryRow(s string, f []string) (name string, sizes []string) {
	heading, memory := p.heading, p.memoryAt
	p.heading, p.memoryAt = len(f) >= 6 && len(f) <= 8 && s[0] == ' ' && !strings.ContainsAny(s, "0123456789:="), false
	n := len(f)
	for n > 0 && isSize(f[n-1]) {
		n--
	}
	label := strings.Join(f[:n], " ")
	sizes = f[n:]
	switch {
	case len(sizes) < 2 || !strings.HasSuffix(label, ":") && !strings.HasSuffix(label, "："):
		return "", nil
	case label == "Mem:" || heading && (len(sizes) == 6 || len(sizes) == 7):
		p.memoryAt = true
		return "memory", sizes
	case label == "Swap:" || memory && len(sizes) == 3:
		return "swap", sizes
	}
	return "", nil
}

// isSize reports whether a word is a size as free prints it: 24105, 2.8Gi, 8,7Mi.
func isSize(w string) bool {
	return w != "" && w[0] >= '0' && w[0] <= '9' && strings.Trim(w, "0123456789.,KMGTPEBib") == ""
}

// release reads os-release and hostnamectl.
func (p *reader) release(s string, at fact.Ref) bool {
	if key, value, ok := strings.Cut(s, "="); ok && isShellName(key) {
		switch key {
		case "PRETTY_NAME":
			p.emit(fact.HostInfo{At: at, Name: "os", Value: strings.Trim(value, `"'`)})
			return true
		case "NAME", "VERSION", "ID", "ID_LIKE", "VERSION_ID", "VERSION_CODENAME", "HOME_URL", "SUPPORT_URL", "BUG_REPORT_URL", "CPE_NAME",
			"ANSI_COLOR", "LOGO", "PLATFORM_ID", "UBUNTU_CODENAME", "PRIVACY_POLICY_URL", "DOCUMENTATION_URL", "BUILD_ID", "VARIANT", "VARIANT_ID":
			return true
		}
		return false
	}
	key, value, ok := strings.Cut(strings.TrimSpace(s), ": ")
	if !ok {
		return false
	}
	value = strings.TrimSpace(value)
	switch key {
	case "Static hostname", "Transient hostname":
		if value != "(unset)" && value != "n/a" {
			p.emit(fact.HostInfo{At: at, Name: "hostname", Value: value})
		}
	case "Machine ID":
		p.emit(fact.HostInfo{At: at, Name: "machine_id", Value: value})
	case "Operating System":
		p.emit(fact.HostInfo{At: at, Name: "os", Value: value})
	case "Kernel":
		p.emit(fact.HostInfo{At: at, Name: "kernel", Value: value})
	case "Boot ID", "Icon name", "Chassis", "Virtualization", "Architecture", "Hardware Vendor", "Hardware Model", "Pretty hostname", "Firmware Version", "Deployment", "CPE OS Name":
	default:
		return false
	}
	return true
}

func isShellName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// account reads "name:x:1001:1001:comment:/home/name:/bin/bash".
func (p *reader) account(s string, at fact.Ref) bool {
	f := strings.Split(s, ":")
	if len(f) != 7 || f[0] == "" || strings.ContainsAny(f[0], " \t") {
		return false
	}
	uid, err1 := strconv.ParseInt(f[2], 10, 64)
	_, err2 := strconv.ParseInt(f[3], 10, 64)
	if err1 != nil || err2 != nil || f[5] != "" && f[5][0] != '/' {
		return false
	}
	p.accounts++
	if p.out != nil {
		analyze.Emit(p.out, fact.Account{At: at, Name: f[0], UID: uid})
	}
	return true
}
