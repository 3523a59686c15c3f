package audit

import (
	"bytes"
)

// enrichment separates what the kernel wrote from names that auditd appended.
const enrichment = 0x1d

// field is one key=value of a record. Quoted values are literal; an unquoted
// value of a field that may hold text is hexadecimal.
type field struct {
	key, value []byte
	quoted     bool
}

// eachField walks the fields of a raw record, through msg='...' too.
func eachField(b []byte, f func(field)) {
	for i := 0; i < len(b); {
		for i < len(b) && (b[i] == ' ' || b[i] == enrichment || b[i] == '\'' || b[i] == ',') {
			i++
		}
		start := i
		for i < len(b) && b[i] != '=' && b[i] != ' ' && b[i] != enrichment {
			i++
		}
		if i >= len(b) || b[i] != '=' {
			continue // a bare word
		}
		key := b[start:i]
		i++
		if i >= len(b) {
			return
		}
		switch b[i] {
		case '"':
			end := bytes.IndexByte(b[i+1:], '"')
			if end < 0 {
				f(field{key, b[i+1:], true})
				return
			}
			f(field{key, b[i+1 : i+1+end], true})
			i += end + 2
		case '\'':
			i++ // msg='op=... ': its fields are fields of the record
		default:
			start = i
			for i < len(b) && b[i] != ' ' && b[i] != enrichment {
				i++
			}
			f(field{key, bytes.TrimSuffix(b[start:i], []byte("'")), false})
		}
	}
}

// eachInterpreted walks the fields of a record that ausearch -i printed: values
// carry no quotes and may hold spaces, so a value ends where the next key that
// the record type is known to have begins.
func eachInterpreted(b []byte, exec bool, f func(field)) {
	b = bytes.TrimRight(b, " ")
	var key []byte
	start := 0
	for i := 0; i < len(b); {
		if i > 0 && b[i-1] != ' ' && b[i-1] != '\'' {
			i++
			continue
		}
		n := keyAt(b[i:], exec)
		if n == 0 {
			i++
			continue
		}
		if key != nil {
			f(field{key, trimValue(b[start:i]), true})
		}
		key, start = b[i:i+n], i+n+1
		i = start
		if string(key) == "proctitle" || string(key) == "saddr" || string(key) == "data" {
			break // the rest of the line, whatever it looks like
		}
		if string(key) == "msg" {
			key = nil
		}
	}
	if key != nil && start <= len(b) {
		f(field{key, trimValue(b[start:]), true})
	}
}

func trimValue(b []byte) []byte {
	b = bytes.TrimRight(b, " ")
	return bytes.TrimSuffix(b, []byte("'"))
}

// keyAt is the length of the known key that begins b, 0 if none does.
func keyAt(b []byte, exec bool) int {
	eq := bytes.IndexByte(b[:min(len(b), 24)], '=')
	if eq <= 0 {
		return 0
	}
	k := b[:eq]
	if k[0] == 'a' && len(k) > 1 && k[1] >= '0' && k[1] <= '9' {
		_, n := digits(k[1:])
		if n == len(k)-1 && (exec || n == 1) || n > 0 && (bytes.HasSuffix(k, []byte("_len")) || k[len(k)-1] == ']') {
			return eq
		}
		return 0
	}
	if exec && string(k) != "argc" {
		return 0 // an argument such as env=prod is no field
	}
	switch string(k) {
	case "arch", "syscall", "success", "exit", "items", "ppid", "pid", "auid", "uid", "gid", "euid", "suid", "fsuid",
		"egid", "sgid", "fsgid", "tty", "ses", "comm", "exe", "subj", "key", "opid", "oauid", "ouid", "oses", "ocomm", "obj",
		"cwd", "item", "name", "inode", "dev", "mode", "ogid", "rdev", "nametype", "cap_fp", "cap_fi", "cap_fe", "cap_fver",
		"cap_frootid", "objtype", "saddr", "proctitle", "argc", "op", "acct", "hostname", "addr", "terminal", "res", "result",
		"unit", "old-auid", "old-ses", "old", "list", "sig", "reason", "msg", "cmd", "ver", "format", "kernel", "grantors",
		"scontext", "tcontext", "tclass", "permissive", "apparmor", "operation", "profile", "requested_mask", "denied_mask",
		"audit_enabled", "audit_pid", "audit_backlog_limit", "audit_lost", "id", "laddr", "lport", "path", "data", "code", "ip", "compat":
		return eq
	}
	return 0
}

// hexText decodes an unquoted value of a field that may hold text: hexadecimal
// by the kernel's rule, else as it stands.
func hexText(f field) []byte {
	v := f.value
	if f.quoted {
		return v
	}
	switch string(v) {
	case "(null)", "(none)", "?":
		return nil
	}
	if len(v) == 0 || len(v)%2 != 0 {
		return v
	}
	out := make([]byte, len(v)/2)
	for i := range out {
		hi, lo := nibble(v[2*i]), nibble(v[2*i+1])
		if hi > 15 || lo > 15 {
			return v
		}
		out[i] = hi<<4 | lo
	}
	return out
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// textField finds one field that may be quoted.
func textField(b []byte, token string) field {
	v := rawField(b, token)
	if len(v) == 0 || v[0] != '"' {
		return field{value: v}
	}
	// The value may hold blanks, which rawField stops at.
	i := bytes.Index(b, v)
	rest := b[i+1:]
	if end := bytes.IndexByte(rest, '"'); end >= 0 {
		rest = rest[:end]
	}
	return field{value: rest, quoted: true}
}

// rawField finds one field of a raw SYSCALL record without walking all.
func rawField(b []byte, token string) []byte {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(token))
		if i < 0 {
			return nil
		}
		i += from
		if i > 0 && b[i-1] != ' ' && b[i-1] != enrichment {
			from = i + 1
			continue
		}
		v := b[i+len(token):]
		end := 0
		for end < len(v) && v[end] != ' ' && v[end] != enrichment {
			end++
		}
		return v[:end]
	}
}
