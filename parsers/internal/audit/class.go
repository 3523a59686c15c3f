package audit

import (
	"bytes"
	"strings"
)

// class is why an event is decoded, and with it how many of its kind are kept.
type class int

const (
	classOther   class = iota // nothing special
	classSignal               // a call of the kill family that succeeded, not signal 0
	classProbe                // signal 0, one that ends nothing, or a kill that failed
	classExec                 // execve
	classDenied               // a call that failed with EACCES or EPERM, an AVC
	classChange               // a file was made, renamed, removed, or its attributes changed
	classSession              // sessions, of which a host with cron has thousands
	classOpen                 // a file was opened: for writing it is a change
	classState                // login, service, daemon and configuration records
	classes
)

type callKey struct {
	arch [8]byte
	call [12]byte
}

// classify looks at as few bytes as it takes.
func (a *Assembler) classify(g *group) class {
	call := g.find("SYSCALL")
	if call == nil {
		return classifyRecord(g.kind(g.recs[0]))
	}
	for i := range g.recs {
		switch k := g.kind(g.recs[i]); string(k) {
		case "SYSCALL", "PATH", "CWD", "PROCTITLE", "EXECVE", "OBJ_PID", "SOCKADDR", "BPRM_FCAPS":
		default:
			if c := classifyRecord(k); c != classOther {
				return c
			}
		}
	}
	body := g.body(*call)
	h := callHead(body)
	c := a.callClass(h.arch, h.call)
	failed := string(h.success) == "no"
	if failed {
		switch exit := h.exit; {
		case string(exit) == "-13" || string(exit) == "-1" || bytes.HasPrefix(exit, []byte("EACCES")) || bytes.HasPrefix(exit, []byte("EPERM")):
			if c != classSignal {
				return classDenied
			}
		}
	}
	if c == classOpen {
		c = classOther
		if openForWriting(body) {
			c = classChange
		}
	}
	switch {
	case c == classSignal && (failed || harmless(body)):
		return classProbe
	case c == classExec && bytes.Equal(rawField(body, "comm="), []byte(`"auditctl"`)):
		return classState // it may have loaded a rule
	case c == classExec && failed, c == classChange && failed:
		return classOther
	}
	return c
}

// head is how a SYSCALL record begins; interpreted records begin alike.
type head struct{ arch, call, success, exit []byte }

// callHead reads the first words of a SYSCALL record and stops at the arguments.
func callHead(body []byte) (h head) {
	for len(body) > 0 {
		word := body
		if i := bytes.IndexByte(body, ' '); i >= 0 {
			word, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		eq := bytes.IndexByte(word, '=')
		if eq < 0 {
			continue
		}
		switch string(word[:eq]) {
		case "arch":
			h.arch = word[eq+1:]
		case "syscall":
			h.call = word[eq+1:]
		case "success":
			h.success = word[eq+1:]
		case "exit":
			h.exit = word[eq+1:]
		case "a0", "items", "ppid", "pid":
			return h
		}
	}
	return h
}

// callClass is the class that a system call belongs to when it succeeds.
func (a *Assembler) callClass(arch, call []byte) class {
	var key callKey
	if len(arch) > len(key.arch) || len(call) > len(key.call) {
		return classOfCall(syscallName(archName(string(arch)), string(call)))
	}
	copy(key.arch[:], arch)
	copy(key.call[:], call)
	c, ok := a.calls[key]
	if !ok {
		c = classOfCall(syscallName(archName(string(arch)), string(call)))
		a.calls[key] = c
	}
	return c
}

func classOfCall(name string) class {
	if _, ok := killCalls[name]; ok {
		return classSignal
	}
	switch name {
	case "execve", "execveat":
		return classExec
	case "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat",
		"chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "truncate", "ftruncate",
		"setxattr", "lsetxattr", "fsetxattr", "removexattr", "creat", "mkdir", "mkdirat", "rmdir", "mount", "umount2",
		"openat2":
		return classChange
	case "open", "openat":
		return classOpen
	}
	return classOther
}

// openForWriting reads the flags: the second argument of open, the third of
// openat. O_WRONLY, O_RDWR and O_CREAT have these values everywhere but on mips.
func openForWriting(body []byte) bool {
	arg := rawField(body, "a1=")
	if at := rawField(body, "a0="); bytes.HasSuffix(at, []byte("ffffff9c")) || len(arg) > 6 {
		arg = rawField(body, "a2=")
	}
	n, ok := argument(string(arg))
	if !ok { // interpreted: O_WRONLY|O_CREAT|O_TRUNC
		return bytes.Contains(arg, []byte("O_WRONLY")) || bytes.Contains(arg, []byte("O_RDWR"))
	}
	return n&3 != 0
}

// harmless reports whether a call of the kill family sends a signal that ends no
// process: 0 only probes, and runtimes send themselves some by the thousand (Go
// preempts with SIGURG, the C library uses the first real-time signals).
func harmless(body []byte) bool {
	arch, call := rawField(body, "arch="), rawField(body, "syscall=")
	pos, ok := killCalls[syscallName(archName(string(arch)), string(call))]
	if !ok {
		return false
	}
	v := string(rawField(body, [...]string{"a0=", "a1=", "a2="}[pos.signal]))
	if n, ok := argument(v); ok {
		v = signalName(int64(n))
	}
	switch v {
	case "0", "SIG0", "SIGCHLD", "SIGCONT", "SIGURG", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "32", "33":
		return true
	}
	return strings.HasPrefix(v, "SIGRT")
}

// classifyRecord is the class of an event by a record that makes it special.
func classifyRecord(kind []byte) class {
	switch string(kind) {
	case "USER_START", "USER_END", "USER_AUTH", "USER_LOGOUT":
		return classSession
	case "LOGIN", "USER_LOGIN", "USER_CMD", "USER_ROLE_CHANGE",
		"SERVICE_START", "SERVICE_STOP", "SYSTEM_BOOT", "SYSTEM_SHUTDOWN", "SYSTEM_RUNLEVEL", "CONFIG_CHANGE",
		"DAEMON_START", "DAEMON_END", "DAEMON_ABORT", "DAEMON_CONFIG", "DAEMON_ROTATE", "DAEMON_RESUME", "DAEMON_RECONFIG",
		"DAEMON_ACCEPT", "DAEMON_CLOSE", "DAEMON_ERR", "DAEMON_WARNING", "ANOM_ABEND", "ANOM_PROMISCUOUS", "SECCOMP", "SOFTWARE_UPDATE",
		"TIME_INJOFFSET", "MAC_STATUS", "MAC_POLICY_LOAD", "KERNEL", "KERNEL_OTHER", "TTY", "USER_TTY", "VIRT_CONTROL":
		return classState
	case "AVC", "APPARMOR", "APPARMOR_DENIED", "USER_AVC", "SELINUX_ERR":
		return classDenied
	}
	return classOther
}
