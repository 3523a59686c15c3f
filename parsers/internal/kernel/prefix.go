package kernel

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Prefix is what stands before a kernel message.
type Prefix struct {
	fact.Time
	UptimeMS fact.Int
	Host     string
	// Kernel is true when the line says that the kernel wrote it.
	Kernel bool
	// Style is dmesg, ctime, iso, syslog or journal.
	Style string
}

// Split takes the prefix off a line:
//
//	[ 3884.870981] message                         dmesg
//	<6>[ 3884.870981] message                      dmesg -r, /dev/kmsg dumps
//	kern  :info  : [ 3884.870981] message          dmesg -x
//	[Sat Nov 21 01:36:15 2026] message             dmesg -T
//	2026-11-21T01:36:15,123456+00:00 message       dmesg --time-format iso
//	Nov 21 01:36:15 host kernel: [ 12.3] message   syslog, journalctl -k
//	2026-11-21T01:36:15.1+00:00 host kernel: msg   rsyslog, journalctl -o short-iso
//
// ok is false when the line has none of these.
func Split(line []byte) (p Prefix, message []byte, ok bool) {
	rest := facility(line)
	if len(rest) > 0 && rest[0] == '[' {
		return splitBracket(rest)
	}
	return splitSyslog(rest)
}

// facility skips "<6>" and "kern  :info  : ".
func facility(b []byte) []byte {
	if len(b) > 2 && b[0] == '<' {
		if i := bytes.IndexByte(b[:min(len(b), 6)], '>'); i > 1 {
			return b[i+1:]
		}
	}
	if len(b) > 16 && b[6] == ':' && b[13] == ':' {
		return bytes.TrimLeft(b[14:], " ")
	}
	return b
}

func splitBracket(b []byte) (p Prefix, message []byte, ok bool) {
	end := bytes.IndexByte(b[:min(len(b), 48)], ']')
	if end < 0 {
		return p, nil, false
	}
	inner := strings.TrimSpace(string(b[1:end]))
	message = bytes.TrimPrefix(b[end+1:], []byte(" "))
	p.Kernel = true
	if ms, good := uptime(inner, 3); good {
		p.UptimeMS, p.Style = fact.Some(ms), "dmesg"
		return p, message, true
	}
	for _, layout := range []string{"Mon Jan 2 15:04:05 2006", "Mon 2 Jan 15:04:05 2006", "Jan2 15:04"} {
		t, err := time.Parse(layout, strings.Join(strings.Fields(inner), " "))
		if err != nil {
			continue
		}
		p.Style = "ctime"
		if t.Year() >= 1970 {
			p.Time = fact.Time{T: t, Basis: fact.LocalNoZone, Precision: time.Second}
		}
		return p, message, true
	}
	if strings.HasPrefix(inner, "+") { // dmesg -H: relative to the line before
		p.Style = "ctime"
		return p, message, true
	}
	return p, nil, false
}

// uptime reads "3884.870981" with at least so many decimals; some kernels add a
// CPU or task: "12.345@1".
func uptime(s string, decimals int) (ms int64, ok bool) {
	s, _, _ = strings.Cut(s, "@")
	s, _, _ = strings.Cut(s, ",")
	sec, frac, dot := strings.Cut(s, ".")
	if !dot || len(frac) < decimals {
		return 0, false
	}
	frac = (frac + "00")[:3]
	n, err := strconv.ParseInt(sec, 10, 32)
	if err != nil || n < 0 {
		return 0, false
	}
	f, err := strconv.ParseInt(frac, 10, 32)
	if err != nil || f < 0 {
		return 0, false
	}
	return n*1000 + f, true
}

func splitSyslog(b []byte) (p Prefix, message []byte, ok bool) {
	head := b[:min(len(b), 512)]
	t, used, style := stamp(head)
	if used == 0 {
		return p, nil, false
	}
	rest := bytes.TrimLeft(b[used:], " ")
	if p, message, ok = After(rest); ok {
		p.Time, p.Style = t, style
		return p, message, true
	}
	p.Time, p.Style = t, style
	if style == "iso-comma" {
		p.Style, p.Kernel = "iso", true
		return p, rest, true
	}
	return p, nil, false
}

// After takes off what stands between a time and a message of the kernel: "host
// kernel: [ 12.3] message", or without the host.
func After(rest []byte) (p Prefix, message []byte, ok bool) {
	rest = bytes.TrimLeft(rest, " ")
	head := rest[:min(len(rest), 256)]
	if i := bytes.Index(head, []byte("kernel:")); i >= 0 && (i == 0 || head[i-1] == ' ') {
		host := strings.TrimSpace(string(head[:i]))
		if strings.Count(host, " ") > 0 {
			return p, nil, false
		}
		p.Host, p.Kernel = host, true
		message = bytes.TrimPrefix(rest[i+len("kernel:"):], []byte(" "))
		if end := bytes.IndexByte(message[:min(len(message), 48)], ']'); end > 0 && message[0] == '[' {
			if ms, ok := uptime(strings.TrimSpace(string(message[1:end])), 1); ok {
				p.UptimeMS, message = fact.Some(ms), bytes.TrimPrefix(message[end+1:], []byte(" "))
			}
		}
		return p, message, true
	}
	return p, nil, false
}

// stamp reads the time at the beginning of a line and says how long it is.
func stamp(b []byte) (t fact.Time, used int, style string) {
	if len(b) >= 15 && b[3] == ' ' && b[9] == ':' && b[12] == ':' {
		if v, err := time.Parse("Jan _2 15:04:05", string(b[:15])); err == nil {
			used = 15
			for used < len(b) && (b[used] == '.' || b[used] >= '0' && b[used] <= '9') {
				used++
			}
			// The year is missing: the caller may know it.
			return fact.Time{T: v, Precision: time.Second}, used, "syslog"
		}
	}
	if len(b) < 20 || b[4] != '-' || b[10] != 'T' {
		return t, 0, ""
	}
	end := bytes.IndexByte(b, ' ')
	if end < 0 {
		return t, 0, ""
	}
	text := string(b[:end])
	style = "journal"
	if strings.Contains(text, ",") {
		style = "iso-comma"
		text = strings.Replace(text, ",", ".", 1)
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999-0700"} {
		if v, err := time.Parse(layout, text); err == nil && v.Year() >= 1970 {
			return fact.Time{T: v.UTC(), Basis: fact.LocalZone, Precision: time.Microsecond}, end, style
		}
	}
	return t, 0, ""
}
