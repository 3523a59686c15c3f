package kernel

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// oomBlock collects the lines of one out-of-memory kill. The kernel prints up to
// a hundred, in this order on current versions; only some are always there:
//
//	node invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
//	CPU: 1 UID: 1001 PID: 32629 Comm: node Not tainted ...
//	memory: usage 225148kB, limit 225280kB, failcnt 424
//	Memory cgroup stats for /web.slice/render.service:
//	oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a,task_memcg=/a/b,task=node,pid=32629,uid=1001
//	Memory cgroup out of memory: Killed process 32629 (node) total-vm:1186904kB, anon-rss:200500kB, ...
//
// Older ones: "Task in /a/b killed as a result of limit of /a" and, before the
// kill, "Out of memory: Kill process 123 (node) score 900 or sacrifice child".
type oomBlock struct {
	open    bool
	ev      fact.KernelEvent
	killed  bool // the deciding line was seen
	lines   int
	pending bool // a victim is named but its kill not stated yet
}

// maxOOMLines is how long the block of one kill can be: a task table of a large
// host has thousands of rows.
const maxOOMLines = 20000

// line reads a message if it belongs to an out-of-memory kill.
func (b *oomBlock) line(s *Scanner, m Message) bool {
	t := m.Text
	if b.open {
		if b.lines++; b.lines > maxOOMLines {
			b.flush(s)
		}
	}
	switch {
	case strings.Contains(t, " invoked oom-killer:"):
		b.flush(s)
		b.begin(m)
		name, _, _ := strings.Cut(t, " invoked oom-killer:")
		b.ev.Invoker = strings.TrimSpace(name)
		b.ev.Lines = append(b.ev.Lines, m.At)
	case b.open && b.ev.InvokerPID == 0 && strings.Contains(t, "PID: ") && strings.Contains(t, "Comm: "):
		b.ev.InvokerPID = int(numberAfter(t, "PID: "))
	case b.open && strings.HasPrefix(t, "memory: usage "):
		b.ev.UsageKB, b.ev.LimitKB = kB(t, "usage "), kB(t, "limit ")
		b.ev.Lines = append(b.ev.Lines, m.At)
	case b.open && strings.HasPrefix(t, "Memory cgroup stats for "):
		if b.ev.Cgroup == "" {
			b.ev.Cgroup = cgroupOf(strings.TrimPrefix(t, "Memory cgroup stats for "))
		}
	case strings.HasPrefix(t, "Task in ") && strings.Contains(t, " killed as a result of limit of "):
		b.ensure(m)
		task, limit, _ := strings.Cut(strings.TrimPrefix(t, "Task in "), " killed as a result of limit of ")
		b.ev.TaskCgroup, b.ev.Cgroup, b.ev.Constraint = strings.TrimSpace(task), strings.TrimSpace(limit), "CONSTRAINT_MEMCG"
		b.ev.Lines = append(b.ev.Lines, m.At)
	case strings.HasPrefix(t, "oom-kill:constraint="):
		b.ensure(m)
		b.summary(m)
	case strings.Contains(t, ": Kill process ") && strings.Contains(t, " score "):
		b.ensure(m)
		b.victim(m, t[strings.Index(t, ": Kill process ")+len(": Kill process "):])
		b.constraint(t)
		b.pending = true
	case strings.Contains(t, "Killed process ") && strings.Contains(t, "total-vm:"):
		b.ensure(m)
		if b.killed { // several victims of one limit (memory.oom.group)
			next := b.ev
			b.flush(s)
			b.begin(m)
			b.ev.Constraint, b.ev.Cgroup, b.ev.LimitKB, b.ev.UsageKB = next.Constraint, next.Cgroup, next.LimitKB, next.UsageKB
			b.ev.Invoker, b.ev.InvokerPID = next.Invoker, next.InvokerPID
		}
		b.kill(m)
	case strings.HasPrefix(t, "oom_reaper: reaped process "):
		if b.open {
			b.ev.Lines = append(b.ev.Lines, m.At)
			b.flush(s)
		}
	default:
		return b.open && !b.killed && b.inside(t)
	}
	return true
}

// inside keeps rows of the report from being read as other statements.
func (b *oomBlock) inside(t string) bool {
	return strings.HasPrefix(t, "[") || strings.HasPrefix(t, " ") || strings.HasPrefix(t, "Node ")
}

func (b *oomBlock) begin(m Message) {
	*b = oomBlock{open: true, ev: m.event("oom-kill")}
}

func (b *oomBlock) ensure(m Message) {
	if !b.open {
		b.begin(m)
	}
}

// constraint tells a cgroup's limit from the whole host's.
func (b *oomBlock) constraint(t string) {
	if b.ev.Constraint != "" {
		return
	}
	switch {
	case strings.HasPrefix(t, "Memory cgroup out of memory"):
		b.ev.Constraint = "CONSTRAINT_MEMCG"
	case strings.HasPrefix(t, "Out of memory"):
		b.ev.Constraint = "CONSTRAINT_NONE"
	}
}

// victim reads "32629 (node) ..." and cites its line as the deciding one.
func (b *oomBlock) victim(m Message, s string) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	pid, err := strconv.Atoi(s[:end])
	if err != nil {
		return
	}
	b.ev.PID = pid
	if open := strings.IndexByte(s, '('); open >= 0 {
		if end := strings.Index(s[open:], ")"); end > 0 {
			b.ev.Comm = s[open+1 : open+end]
		}
	}
	b.at(m)
}

// at makes a message the deciding line.
func (b *oomBlock) at(m Message) {
	b.ev.At, b.ev.Time, b.ev.UptimeMS = m.At, m.Time, m.UptimeMS
	b.ev.Text = m.event("").Text
}

func (b *oomBlock) kill(m Message) {
	t := m.Text
	b.constraint(t)
	b.victim(m, t[strings.Index(t, "Killed process ")+len("Killed process "):])
	b.ev.TotalVMKB, b.ev.AnonRSSKB = kB(t, "total-vm:"), kB(t, "anon-rss:")
	if strings.Contains(t, "UID:") && !b.ev.UID.Known {
		b.ev.UID = fact.Some(numberAfter(t, "UID:"))
	}
	b.killed = true
}

// summary reads the oom-kill: line, which names both cgroups and the victim.
func (b *oomBlock) summary(m Message) {
	for _, kv := range strings.Split(strings.TrimPrefix(m.Text, "oom-kill:"), ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "constraint":
			b.ev.Constraint = v
		case "oom_memcg":
			b.ev.Cgroup = v
		case "task_memcg":
			b.ev.TaskCgroup = v
		case "task":
			b.ev.Comm = v
		case "pid":
			b.ev.PID, _ = strconv.Atoi(v)
		case "uid":
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				b.ev.UID = fact.Some(n)
			}
		}
	}
	b.ev.Lines = append(b.ev.Lines, m.At)
	if !b.killed {
		b.at(m)
		b.pending = true
	}
}

// flush emits the block if it names a victim.
func (b *oomBlock) flush(s *Scanner) {
	if b.open && (b.killed || b.pending) && b.ev.PID > 0 {
		s.Emit(b.ev)
	}
	*b = oomBlock{}
}

// numberAfter reads the digits behind a word; "PID: " must not match "UID: PID: ".
func numberAfter(t, word string) int64 {
	for from := 0; ; {
		i := strings.Index(t[from:], word)
		if i < 0 {
			return 0
		}
		i += from
		if i > 0 && t[i-1] != ' ' && t[i-1] != ',' {
			from = i + 1
			continue
		}
		s := t[i+len(word):]
		end := 0
		for end < len(s) && s[end] >= '0' && s[end] <= '9' {
			end++
		}
		n, _ := strconv.ParseInt(s[:end], 10, 64)
		return n
	}
}

// kB reads "limit 225280kB". The kernel prints an absent limit as the largest
// number that fits, which is no limit.
func kB(t, word string) fact.Int {
	i := strings.Index(t, word)
	if i < 0 {
		return fact.Int{}
	}
	s := t[i+len(word):]
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 10, 64)
	if err != nil || !strings.HasPrefix(s[end:], "kB") || n > 1<<52 {
		return fact.Int{}
	}
	return fact.Some(n)
}

func cgroupOf(s string) string {
	if i := strings.Index(s, ": "); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSuffix(strings.TrimSpace(s), ":")
}
