package audit

import (
	"bytes"
	"strconv"
	"strings"
)

// statement reads a record that says something by itself: a login, a service, a
// change of the rules, a denial.
func (d *decoder) statement(kind string, body []byte) {
	ev := &d.ev
	if ev.Text == "" {
		text, _, _ := bytes.Cut(body, []byte{enrichment})
		ev.Text = strings.ToValidUTF8(string(text[:min(len(text), maxText)]), "\uFFFD")
	}
	if classifyRecord([]byte(kind)) == classDenied {
		ev.Op, ev.Result = denial(body)
	}
	d.each(body, func(f field) {
		switch string(f.key) {
		case "op", "operation":
			ev.Op = d.names.of(hexText(f))
		case "res", "result":
			ev.Result = result(string(f.value))
		case "apparmor":
			ev.Result = strings.ToLower(string(f.value))
		case "unit":
			ev.Unit = d.names.of(hexText(f))
		case "acct":
			ev.Acct = string(hexText(f))
		case "addr":
			if s := string(f.value); s != "?" {
				ev.Addr = s
			}
		case "cmd":
			if c := string(hexText(f)); c != "" {
				ev.Text = c[:min(len(c), maxText)]
			}
		case "cwd":
			ev.Cwd = string(hexText(f))
		case "sig":
			if kind != "ANOM_ABEND" && kind != "SECCOMP" {
				break
			}
			if n, err := strconv.ParseInt(string(f.value), 10, 32); err == nil {
				ev.Signal = signalName(n)
			} else if bytes.HasPrefix(f.value, []byte("SIG")) {
				ev.Signal = string(f.value)
			}
		case "name", "path":
			if classifyRecord([]byte(kind)) == classDenied {
				ev.Paths = append(ev.Paths, string(hexText(f)))
				ev.PathTypes = append(ev.PathTypes, "NORMAL")
			}
		case "audit_enabled", "audit_backlog_limit", "audit_failure", "audit_pid", "audit_rate_limit":
			if ev.Op == "" || ev.Op == "set" {
				ev.Op = "set " + string(f.key) + "=" + string(f.value)
			}
		default:
			d.subject(f)
		}
	})
	if kind == "LOGIN" && ev.Op == "" {
		ev.Op = "login"
	}
}

// denial reads "avc:  denied  { read } for".
func denial(body []byte) (op, res string) {
	s := string(body[:min(len(body), 128)])
	if i := strings.Index(s, "{ "); i >= 0 {
		if j := strings.Index(s[i:], " }"); j > 0 {
			op = s[i+2 : i+j]
		}
	}
	switch {
	case strings.Contains(s, "denied"):
		res = "denied"
	case strings.Contains(s, "granted"):
		res = "granted"
	}
	return op, res
}

func result(s string) string {
	switch s {
	case "1", "yes":
		return "success"
	case "0", "no":
		return "failed"
	}
	return s
}
