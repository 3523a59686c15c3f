package applog

// errnoSymbols are the symbols that make a line worth keeping; "E" and upper case
// alone would take in far too many words.
var errnoSymbols = map[string]bool{
	"ECONNRESET": true, "ECONNREFUSED": true, "ECONNABORTED": true, "EPIPE": true, "ETIMEDOUT": true, "ESOCKETTIMEDOUT": true,
	"EADDRINUSE": true, "EADDRNOTAVAIL": true, "EMFILE": true, "ENFILE": true, "ENOBUFS": true, "ENOMEM": true, "ENOSPC": true,
	"EHOSTUNREACH": true, "ENETUNREACH": true, "EHOSTDOWN": true, "ENETDOWN": true, "ENOTCONN": true, "ENOTFOUND": true,
	"EACCES": true, "EPERM": true, "ENOENT": true, "EEXIST": true, "EAGAIN": true, "EBADF": true, "EINTR": true, "EINVAL": true,
	"EIO": true, "EPROTO": true, "EISCONN": true, "EALREADY": true, "EINPROGRESS": true, "EDESTADDRREQ": true, "EMSGSIZE": true,
	"ENODEV": true, "ENOTSUP": true, "EROFS": true, "ESRCH": true, "ECHILD": true, "EBUSY": true, "ESTALE": true, "EDQUOT": true,
	"ESHUTDOWN": true, "EAFNOSUPPORT": true, "EAI_AGAIN": true, "EAI_NODATA": true, "EAI_NONAME": true, "EAI_FAIL": true,
	"ENETRESET": true, "EREMOTEIO": true, "ECANCELED": true, "EOVERFLOW": true, "ELOOP": true, "ENOTDIR": true, "EISDIR": true,
}

// errnoNumbers are the numbers of Linux, for "errno: -104" and "[Errno 98]".
var errnoNumbers = map[int]string{
	1: "EPERM", 2: "ENOENT", 3: "ESRCH", 4: "EINTR", 5: "EIO", 9: "EBADF", 10: "ECHILD", 11: "EAGAIN", 12: "ENOMEM", 13: "EACCES", 16: "EBUSY",
	22: "EINVAL", 23: "ENFILE", 24: "EMFILE", 28: "ENOSPC", 30: "EROFS", 32: "EPIPE", 71: "EPROTO", 90: "EMSGSIZE", 97: "EAFNOSUPPORT",
	98: "EADDRINUSE", 99: "EADDRNOTAVAIL", 100: "ENETDOWN", 101: "ENETUNREACH", 102: "ENETRESET", 103: "ECONNABORTED", 104: "ECONNRESET",
	105: "ENOBUFS", 106: "EISCONN", 107: "ENOTCONN", 108: "ESHUTDOWN", 110: "ETIMEDOUT", 111: "ECONNREFUSED", 112: "EHOSTDOWN",
	113: "EHOSTUNREACH", 114: "EALREADY", 115: "EINPROGRESS", 121: "EREMOTEIO", 122: "EDQUOT", 125: "ECANCELED",
}

// resolverNumbers are the errors of getaddrinfo in glibc, which Python prints as
// "[Errno -3]".
var resolverNumbers = map[int]string{2: "ENOTFOUND", 3: "EAI_AGAIN", 4: "EAI_FAIL", 5: "ENOTFOUND"}

// phrase is a fixed wording, found by its first word. rest follows it directly.
type phrase struct {
	rest  string
	errno string
	signs signs
}

// phrases are the wordings of strerror(3) and of runtimes that have their own, all
// in lower case.
var phrases = map[string][]phrase{
	"connection": {
		{" reset", "ECONNRESET", 0}, {" refused", "ECONNREFUSED", 0}, {" timed out", "ETIMEDOUT", hasTimeout}, {" timeout", "", hasTimeout},
		{" aborted", "ECONNABORTED", 0}, {" attempt timed out", "ETIMEDOUT", hasTimeout}, {" attempt failed", "", hasError},
		{" closed by", "", hasConnect}, {" was forcibly closed", "ECONNRESET", 0}, {" lost", "", hasWarn}, {" terminated", "", hasWarn},
	},
	"socket":    {{" hang up", "ECONNRESET", 0}, {" timeout", "", hasTimeout}, {" timed out", "", hasTimeout}},
	"broken":    {{" pipe", "EPIPE", 0}},
	"operation": {{" timed out", "ETIMEDOUT", hasTimeout}, {" not permitted", "EPERM", 0}, {" was canceled", "ECANCELED", 0}},
	"connect":   {{" timed out", "ETIMEDOUT", hasTimeout}, {": timed out", "ETIMEDOUT", hasTimeout}},
	"read":      {{"-only file system", "EROFS", 0}},
	"disk":      {{" quota exceeded", "EDQUOT", 0}},
	"address":   {{" already in use", "EADDRINUSE", 0}, {" in use", "EADDRINUSE", 0}, {" not available", "EADDRNOTAVAIL", 0}},
	"port":      {{" already in use", "EADDRINUSE", 0}, {" is already in use", "EADDRINUSE", 0}, {" is already allocated", "EADDRINUSE", 0}},
	"cannot":    {{" assign requested address", "EADDRNOTAVAIL", 0}, {" allocate memory", "ENOMEM", hasOOM}},
	"can":       {{"'t assign requested address", "EADDRNOTAVAIL", 0}, {"'t start new thread", "EAGAIN", 0}},
	"unable":    {{" to create native thread", "EAGAIN", 0}, {" to create new native thread", "EAGAIN", 0}},
	"failed":    {{" to start the native thread", "EAGAIN", hasError}, {" to create new os thread", "EAGAIN", hasError}, {" to start thread", "EAGAIN", hasError}},
	"requested": {{" address is not valid", "EADDRNOTAVAIL", 0}},
	"too":       {{" many open files in system", "ENFILE", 0}, {" many open files", "EMFILE", 0}},
	"no": {
		{" route to host", "EHOSTUNREACH", 0}, {" such host", "ENOTFOUND", 0}, {" buffer space available", "ENOBUFS", 0},
		{" space left on device", "ENOSPC", 0}, {" such file or directory", "ENOENT", 0}, {" such process", "ESRCH", 0},
		{" answer", "", hasTimeout}, {" reply", "", hasTimeout}, {" response", "", hasTimeout}, {" heartbeat", "", hasTimeout},
		{" push for", "", hasTimeout}, {" data for", "", hasTimeout}, {" message for", "", hasTimeout}, {" messages for", "", hasTimeout},
		{" data received", "", hasTimeout}, {" progress", "", hasTimeout}, {" pong", "", hasTimeout}, {" ack", "", hasTimeout},
		{" address available", "EADDRNOTAVAIL", 0},
	},
	"host":         {{" is down", "EHOSTDOWN", 0}, {" unreachable", "EHOSTUNREACH", 0}, {" is unreachable", "EHOSTUNREACH", 0}, {" not found", "ENOTFOUND", 0}},
	"network":      {{" is unreachable", "ENETUNREACH", 0}, {" unreachable", "ENETUNREACH", 0}, {" is down", "ENETDOWN", 0}},
	"permission":   {{" denied", "EACCES", 0}},
	"software":     {{" caused connection abort", "ECONNABORTED", 0}},
	"transport":    {{" endpoint is not connected", "ENOTCONN", 0}},
	"temporary":    {{" failure in name resolution", "EAI_AGAIN", 0}},
	"name":         {{" or service not known", "ENOTFOUND", 0}, {" does not resolve", "ENOTFOUND", 0}},
	"nodename":     {{" nor servname", "ENOTFOUND", 0}},
	"unknown":      {{" host", "ENOTFOUND", 0}},
	"resource":     {{" temporarily unavailable", "EAGAIN", 0}},
	"input":        {{"/output error", "EIO", 0}},
	"bad":          {{" file descriptor", "EBADF", 0}},
	"out":          {{" of memory", "", hasOOM}},
	"oom":          {{"-kill", "", hasOOM}, {"_kill", "", hasOOM}, {" kill", "", hasOOM}, {"_reaper", "", hasOOM}},
	"memory":       {{" cgroup out", "", hasOOM}, {" limit exceeded", "", hasOOM}, {" exhausted", "", hasOOM}},
	"timed":        {{" out", "", hasTimeout}, {"-out", "", hasTimeout}},
	"time":         {{" out", "", hasTimeout}, {"-out", "", hasTimeout}},
	"deadline":     {{" exceeded", "", hasTimeout}, {"exceeded", "", hasTimeout}},
	"not":          {{" responding", "", hasTimeout}, {" answering", "", hasTimeout}, {" enough memory", "", hasOOM}},
	"did":          {{" not respond", "", hasTimeout}, {" not answer", "", hasTimeout}, {" not reply", "", hasTimeout}},
	"never":        {{" answered", "", hasTimeout}, {" responded", "", hasTimeout}, {" replied", "", hasTimeout}},
	"missed":       {{" heartbeat", "", hasTimeout}},
	"heartbeat":    {{" lost", "", hasTimeout}, {" missed", "", hasTimeout}, {" timeout", "", hasTimeout}},
	"gave":         {{" up", "", hasTimeout}},
	"giving":       {{" up", "", hasTimeout}},
	"given":        {{" up", "", hasTimeout}},
	"cpu":          {{" time limit exceeded", "", hasError | hasStop}},
	"file":         {{" size limit exceeded", "", hasError | hasStop}},
	"core":         {{" dumped", "", hasError | hasStop}},
	"segmentation": {{" fault", "", hasError | hasStop}},
	"fatal":        {{" python error", "", hasError | hasStop}},
	"still":        {{" waiting", "", hasTimeout}},
	"waiting":      {{" for ack", "", hasTimeout}},
}

// hanPhrases are looked for where a line has bytes beyond ASCII.
var hanPhrases = []phrase{
	{"连接被对方重设", "ECONNRESET", 0}, {"连接被重置", "ECONNRESET", 0}, {"连接重置", "ECONNRESET", 0}, {"拒绝连接", "ECONNREFUSED", 0}, {"连接被拒绝", "ECONNREFUSED", 0},
	{"连接超时", "ETIMEDOUT", hasTimeout}, {"断开的管道", "EPIPE", 0}, {"地址已在使用", "EADDRINUSE", 0}, {"地址已被使用", "EADDRINUSE", 0}, {"端口被占用", "EADDRINUSE", 0},
	{"打开的文件过多", "EMFILE", 0}, {"无法指定被请求的地址", "EADDRNOTAVAIL", 0}, {"没有到主机的路由", "EHOSTUNREACH", 0}, {"超时", "", hasTimeout}, {"无响应", "", hasTimeout},
	{"内存不足", "", hasOOM}, {"异常", "", hasError}, {"错误", "", hasError}, {"失败", "", hasError}, {"启动", "", hasStart}, {"停止", "", hasStop}, {"退出", "", hasStop},
	{"监听", "", hasListen},
}

// syscalls are operations that error messages name.
var syscalls = map[string]bool{
	"read": true, "write": true, "connect": true, "listen": true, "bind": true, "accept": true, "accept4": true, "send": true, "recv": true,
	"sendto": true, "recvfrom": true, "sendmsg": true, "recvmsg": true, "writev": true, "readv": true, "sendfile": true, "splice": true,
	"socket": true, "shutdown": true, "getaddrinfo": true, "getsockopt": true, "setsockopt": true, "open": true, "openat": true, "fork": true,
	"clone": true, "execve": true, "kill": true, "epoll_ctl": true, "epoll_wait": true, "spawn": true, "mmap": true, "uv_listen": true,
	"connectx": true, "select": true, "poll": true, "dup": true, "pipe": true, "mkdir": true, "unlink": true, "rename": true, "stat": true,
}

// signals are the names that a line may state, and the numbers of Linux.
var signalNumbers = [...]string{
	1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 10: "SIGUSR1",
	11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 17: "SIGCHLD", 18: "SIGCONT", 19: "SIGSTOP", 20: "SIGTSTP",
	21: "SIGTTIN", 22: "SIGTTOU", 24: "SIGXCPU", 25: "SIGXFSZ", 28: "SIGWINCH", 31: "SIGSYS",
}

func signalByNumber(n int) string {
	if n > 0 && n < len(signalNumbers) {
		return signalNumbers[n]
	}
	return ""
}

func signalName(w []byte) string {
	for _, s := range signalNumbers {
		if s != "" && string(w) == s {
			return s
		}
	}
	return ""
}

// signalWords are what Go and shells print instead of the name.
var signalWords = map[string]string{
	"killed": "SIGKILL", "terminated": "SIGTERM", "interrupt": "SIGINT", "hangup": "SIGHUP", "quit": "SIGQUIT", "aborted": "SIGABRT",
	"abort": "SIGABRT", "segmentation": "SIGSEGV", "kill": "SIGKILL", "term": "SIGTERM", "int": "SIGINT", "hup": "SIGHUP",
}
