package audit

import (
	"strconv"
	"strings"

	"github.com/elastic/go-libaudit/v2/auparse"
)

// archName is the name of an architecture that a record prints in hexadecimal.
func archName(hex string) string {
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		return hex // interpreted already
	}
	switch n {
	case 0xc00000f3:
		return "riscv64"
	}
	if name, ok := auparse.AuditArchNames[auparse.AuditArch(n)]; ok {
		return name
	}
	return hex
}

// syscallTable is the table that holds an architecture's numbers; the library
// names tables by family.
func syscallTable(arch string) string {
	switch arch {
	case "ppc64", "ppc64le":
		return "ppc"
	case "armeb":
		return "arm"
	case "riscv64", "loongarch64", "loongarch32":
		return "aarch64" // the generic numbers
	}
	return arch
}

// x32 marks calls of the x32 ABI, which share the architecture of x86_64.
const x32 = 0x40000000

// syscallName names a call; an unknown one stays a number.
func syscallName(arch, number string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		return number
	}
	if arch == "x86_64" {
		n &^= x32
	}
	if name, ok := auparse.AuditSyscalls[syscallTable(arch)][n]; ok {
		return name
	}
	return number
}

// signalNames are the numbers of x86, arm, powerpc, s390 and riscv.
var signalNames = [...]string{
	"0", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
}

func signalName(n int64) string {
	switch {
	case n >= 0 && n < int64(len(signalNames)):
		return signalNames[n]
	case n >= 34 && n <= 64:
		return "SIGRTMIN+" + strconv.FormatInt(n-34, 10)
	}
	return strconv.FormatInt(n, 10)
}

// killCalls says for each call that sends a signal which argument names the
// target (-1: none does, pidfd) and which the signal.
var killCalls = map[string]struct{ target, signal int }{
	"kill": {0, 1}, "tkill": {0, 1}, "tgkill": {0, 2},
	"rt_sigqueueinfo": {0, 1}, "rt_tgsigqueueinfo": {0, 2}, "pidfd_send_signal": {-1, 1},
}

// errnoName is the symbol of a negative exit: "-13" or "EACCES(Permission denied)".
func errnoName(exit string) string {
	if strings.HasPrefix(exit, "E") {
		name, _, _ := strings.Cut(exit, "(")
		return name
	}
	n, err := strconv.Atoi(exit)
	if err != nil || n >= 0 {
		return ""
	}
	switch n {
	case -11:
		return "EAGAIN"
	case -512, -513, -514, -516:
		return "ERESTART" // the call was restarted after a signal
	}
	return auparse.AuditErrnoToName[-n]
}

// typeName is the name of a record type; the kernel log prints numbers.
func typeName(t []byte) string {
	if n, ok := strings.CutPrefix(string(t), "UNKNOWN["); ok {
		return typeNumber(strings.TrimSuffix(n, "]"), string(t))
	}
	if t[0] >= '0' && t[0] <= '9' {
		return typeNumber(string(t), string(t))
	}
	return string(t)
}

func typeNumber(digits, as string) string {
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return as
	}
	return auparse.AuditMessageType(n).String()
}
