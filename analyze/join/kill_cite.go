package join

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Cite is the evidence of a signal: the system call and the records that name its
// targets.
func (k *Kill) Cite() []analyze.Evidence {
	e := k.Event
	out := []analyze.Evidence{k.date(analyze.Cite(e.At, "audit event %d: %s, %s%s", e.Serial, k.Tell(), k.kin(), login(e)))}
	for i, t := range e.Targets {
		if i == 3 || t.At.IsZero() {
			break
		}
		out = append(out, analyze.Cite(t.At, "the kernel names the target: pid %d (%s)", t.PID, t.Comm))
	}
	return out
}

// Strange is what to say of a target that is no known relative of the sender: the
// parents of a process that no table lists are unknown.
func (k *Kill) Strange() string {
	if !slices.ContainsFunc(k.Targets, func(t *Process) bool { return len(t.Rows) > 0 || t.PPID > 0 }) {
		return "relation unknown"
	}
	return "which is no relative"
}

// kin says what the target is to the sender.
func (k *Kill) kin() string {
	if k.Relation == ToStranger {
		return k.Strange()
	}
	return "which is " + k.Relation.String()
}

// CiteShort is the system call alone.
func (k *Kill) CiteShort() analyze.Evidence {
	return k.date(analyze.Cite(k.Event.At, "audit event %d: %s", k.Event.Serial, k.Tell()))
}

func (k *Kill) date(e analyze.Evidence) analyze.Evidence {
	if k.At.IsZero() {
		return e
	}
	return e.On(k.At, k.Event.Basis, k.Event.Precision)
}

// login is the login user of a record in words.
func login(e *fact.AuditEvent) string {
	if !LoggedIn(e) {
		return ", no login user (auid unset)"
	}
	return ", " + LoginWords(e)
}

// LoginWords names the login user of a record: "login uid 1010 = liwei, session 3
// on pts0".
func LoginWords(e *fact.AuditEvent) string {
	var b strings.Builder
	b.WriteString("login uid ")
	switch {
	case e.AUID.Known && e.AUIDName != "":
		fmt.Fprintf(&b, "%d = %s", e.AUID.V, e.AUIDName)
	case e.AUID.Known:
		fmt.Fprintf(&b, "%d", e.AUID.V)
	default:
		b.WriteString(e.AUIDName)
	}
	if e.Session.Known {
		fmt.Fprintf(&b, ", session %d", e.Session.V)
	}
	if e.TTY != "" {
		fmt.Fprintf(&b, ", on terminal %s", e.TTY)
	}
	return b.String()
}

// CiteLog is the evidence of a log line, dated where the clock is known.
func CiteLog(c *Clocks, l *fact.LogEvent, format string, args ...any) analyze.Evidence {
	return c.Date(analyze.Cite(l.At, format, args...), l.Time)
}
