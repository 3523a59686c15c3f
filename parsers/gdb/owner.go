package gdb

import (
	"bytes"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// deadlock is a line of a JVM's own verdict:
//
//	Found one Java-level deadlock:
//	"orders":
//	  waiting for ownable synchronizer 0x000000069ec199b8, (a java.util.concurrent.locks.ReentrantLock$NonfairSync),
//	  which is held by "stock"
//
// For locks of java.util.concurrent only this names the owner, unless jstack was
// told to list them.
func (d *dump) deadlock(line []byte, _ fact.Ref) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.HasPrefix(text, "Java stack information"), strings.HasPrefix(text, "Found "):
		d.form = nil
	case strings.HasPrefix(text, "waiting for ownable synchronizer "):
		d.contended, _, _ = strings.Cut(text[len("waiting for ownable synchronizer "):], ",")
	case strings.HasPrefix(text, "waiting to lock monitor "):
		_, object, _ := strings.Cut(text, "(object ")
		d.contended, _, _ = strings.Cut(object, ",")
	case strings.HasPrefix(text, "which is held by ") && d.contended != "":
		d.owns(quoted(line), d.contended)
		d.contended = ""
	}
}

// foundDeadlock reports whether a line begins a JVM's verdict.
func foundDeadlock(line []byte) bool {
	return bytes.HasPrefix(line, []byte("Found ")) && bytes.HasSuffix(bytes.TrimRight(line, " "), []byte("deadlock:"))
}

// owns notes a lock of the latest thread of a name.
func (d *dump) owns(name, lock string) {
	for i := len(d.threads) - 1; i >= 0; i-- {
		t := d.threads[i]
		if t.Runtime == "jvm" && t.Name == name {
			for _, h := range t.Holds {
				if h == lock {
					return
				}
			}
			t.Holds = append(t.Holds, lock)
			return
		}
	}
}

// mutex is a pthread_mutex_t that gdb printed.
type mutex struct {
	owner int64
	of    string // the expression, where the session shows what was typed
}

// printed takes a line of a gdb session: the command, or the value it printed.
//
//	(gdb) p *(pthread_mutex_t *)0x55ca6fea5060
//	$1 = {__data = {__lock = 2, __count = 0, __owner = 17155, ...
func (d *dump) printed(line []byte) bool {
	if rest, ok := bytes.CutPrefix(line, []byte("(gdb) p")); ok {
		_, of, _ := bytes.Cut(rest, []byte(" "))
		d.typed = string(bytes.TrimSpace(of))
		return true
	}
	if line[0] != '$' {
		return false
	}
	if _, rest, ok := bytes.Cut(line, []byte("__owner = ")); ok && len(d.mutexes) < maxMutexes {
		if n := number(rest); n > 0 {
			d.mutexes = append(d.mutexes, mutex{n, d.typed})
		}
	}
	d.typed = ""
	return true
}

// maxMutexes bounds the values that are kept of one session.
const maxMutexes = 1000

// settleMutexes gives the printed mutexes to the threads that own them. gdb prints
// a value without the name of the variable: it is that of the lock that was asked
// for, or of the only one that the owner does not wait for itself.
func (d *dump) settleMutexes() {
	if len(d.mutexes) == 0 {
		return
	}
	byLWP := map[int64]*fact.Thread{}
	var locks []string
	seen := map[string]bool{}
	for _, t := range d.threads {
		if t.LWP.Known {
			byLWP[t.LWP.V] = t
		}
		if t.Runtime != "jvm" && t.Waits != "" && !seen[t.Waits] {
			seen[t.Waits] = true
			locks = append(locks, t.Waits)
		}
	}
	for _, m := range d.mutexes {
		lock := m.lock(locks, byLWP[m.owner])
		if lock == "" {
			continue
		}
		if t := byLWP[m.owner]; t != nil {
			t.Holds = append(t.Holds, lock)
		}
		for _, t := range d.threads {
			if t.Waits == lock {
				t.OwnerLWP = fact.Some(m.owner)
			}
		}
	}
}

// lock is which of the locks that threads wait for the mutex is, "" if that is open.
func (m mutex) lock(locks []string, owner *fact.Thread) string {
	found := ""
	for _, l := range locks {
		addr, symbol, _ := strings.Cut(l, " ")
		symbol = strings.Trim(symbol, "<>")
		switch {
		case m.of != "" && (strings.HasSuffix(m.of, addr) || m.of == symbol):
			return l
		case m.of != "" && symbol != "", owner != nil && owner.Waits == l:
		case found != "":
			return ""
		default:
			found = l
		}
	}
	return found
}
