package applog

import "bytes"

// word judges one word of a message, at msg[i:i+n].
func (r *reader) word(msg []byte, i, n int, l level) {
	m, low := &r.m, r.low
	w, next := low[i:i+n], byteAt(msg, i+n)
	if m.upperWord(msg[i:i+n], msg, i, n) {
		return
	}
	for _, p := range phrases[string(w)] {
		if bytes.HasPrefix(low[i+n:], []byte(p.rest)) {
			m.take(p)
			if p.errno != "" && m.syscall == "" {
				m.syscall = syscallBefore(low, i)
			}
			return
		}
	}
	r.operand(msg, i, n)
	// key=value names a number or a setting, and says nothing by its key alone.
	if next == '=' {
		return
	}
	m.signs |= wordSigns[string(w)]
	switch string(w) {
	case "timeout", "timeouts":
		if l >= levelWarn || m.states(low, i, n) {
			m.signs |= hasTimeout
		}
	case "listening", "listen", "listens":
		m.addrs.listening = true
	case "serving", "bound", "running", "available", "accepting", "server":
		m.addrs.serving = true
	case "registered", "register", "registering", "joined", "join", "joining", "subscribed", "subscribe", "subscriber", "consumer", "member", "discovered", "deregistered", "unregistered", "unregister":
		m.addrs.peer = true
	case "worker", "workers", "forked", "forking", "fork", "spawned", "spawn", "app", "app_worker", "agent", "instance":
		m.child = true
	case "started", "starting", "online", "booted", "booting", "launched", "launching", "restarted", "restarting", "reload", "reloading", "recycling", "ready", "startup":
		if !request(low[i+n:]) && !request(low[:i]) {
			m.signs |= hasStart
		}
	case "closing":
		if m.signal != "" {
			m.signs |= hasStop
		}
	case "error", "errors", "failed", "failure", "fatal", "cannot", "unable", "exception", "refused", "rejected", "failing":
		if l <= levelNone && !counted(low, i, n) {
			m.signs |= hasError
		}
	default:
		if n > 5 && (bytes.HasSuffix(w, []byte("exception")) || bytes.HasSuffix(w, []byte("error")) && msg[i]-'A' < 26) {
			m.signs |= hasError
		}
	}
}

// wordSigns are words that mean the same wherever they stand.
var wordSigns = map[string]signs{
	"timeouterror": hasTimeout, "timeoutexception": hasTimeout, "sockettimeoutexception": hasTimeout, "esockettimedout": hasTimeout,
	"unresponsive": hasTimeout, "connecttimeoutexception": hasTimeout, "readtimeout": hasTimeout, "connecttimeout": hasTimeout,
	"listening": hasListen, "listen": hasListen, "listens": hasListen,
	"connected": hasConnect, "disconnected": hasConnect, "accepted": hasConnect, "accept": hasConnect, "connection": hasConnect,
	"connecting": hasConnect, "reconnect": hasConnect, "reconnected": hasConnect, "reconnecting": hasConnect, "session": hasConnect,
	"opened": hasConnect, "closed": hasConnect, "established": hasConnect,
	"registered": hasPeer, "register": hasPeer, "registering": hasPeer, "joined": hasPeer, "join": hasPeer, "joining": hasPeer, "subscribed": hasPeer,
	"subscribe": hasPeer, "subscriber": hasPeer, "consumer": hasPeer, "member": hasPeer, "discovered": hasPeer, "deregistered": hasPeer,
	"unregistered": hasPeer, "unregister": hasPeer,
	"forked": hasStart, "spawned": hasStart, "forking": hasStart,
	"stopped": hasStop, "stopping": hasStop, "exit": hasStop, "exited": hasStop, "exiting": hasStop, "shutdown": hasStop, "shutting": hasStop,
	"died": hasStop, "dead": hasStop, "terminated": hasStop, "terminating": hasStop, "killed": hasStop, "killing": hasStop, "crashed": hasStop,
	"crash": hasStop, "aborted": hasStop, "draining": hasStop, "offline": hasStop,
	"panic": hasError, "traceback": hasError, "unhandled": hasError, "uncaught": hasError, "segfault": hasError, "sigsegv": hasError, "unhandledrejection": hasError,
	"outofmemoryerror": hasOOM, "oomkilled": hasOOM, "oomkill": hasOOM,
}

// operand reads what follows a word that wants a value: pid 812, errno: -104.
func (r *reader) operand(msg []byte, i, n int) {
	m, low := &r.m, r.low
	switch w := string(low[i : i+n]); w {
	case "pid", "process", "child", "pids", "kill":
		m.pidAfter(low, i, n, w)
	case "errno":
		m.errnoAfter(low, i+n)
	case "error":
		if bytes.HasSuffix(low[:i], []byte("connect ")) { // envoy: delayed connect error: 111
			m.errnoAfter(low, i+n)
		}
	case "syscall":
		m.syscallAfter(low, i+n)
	case "signal":
		m.signalAfter(low, i+n)
	case "status":
		m.statusAfter(msg, i+n)
	case "port":
		if next := byteAt(msg, i+n); next == ' ' || next == '=' {
			m.addrs.port(msg, i+n)
		}
	case "listening", "listens":
		m.listenAfter(msg, i+n)
	}
}

// listenAfter reads the bare port of "listening on 8300".
func (m *marks) listenAfter(msg []byte, i int) {
	rest, ok := bytes.CutPrefix(msg[i:], []byte(" on "))
	if k := digits(rest); ok && k >= 2 && k <= 5 {
		if end := byteAt(rest, k); end == 0 || end == ' ' || end == ',' || end == ';' {
			m.addrs.add(msg, i+len(" on "), ":"+string(rest[:k]))
		}
	}
}

// states reports whether "timeout" at i says that one happened, rather than naming
// a setting: "rpc callback timeout", "timeout waiting for", "timeout expired".
func (m *marks) states(low []byte, i, n int) bool {
	rest := low[i+n:]
	for _, w := range [...]string{" waiting", " after", " expired", " exceeded", " elapsed"} {
		if bytes.HasPrefix(rest, []byte(w)) {
			return true
		}
	}
	next := byteAt(low, i+n)
	return next != ':' && next != ')' && next != ',' && !bytes.HasPrefix(rest, []byte(" =")) && verbBefore(low, i)
}

// upperWord takes errno symbols and signal names.
func (m *marks) upperWord(w, msg []byte, i, n int) bool {
	if w[0]-'A' >= 26 || n < 3 {
		return false
	}
	if w[0] == 'E' && errnoSymbols[string(w)] {
		m.signs |= hasErrno
		// The symbol itself wins over a wording found before.
		if m.errno == "" || !bytes.Contains(msg, []byte(m.errno)) {
			m.errno = string(w)
			if s := syscallBefore(msg, i); s != "" {
				m.syscall = s
			}
		}
		switch m.errno {
		case "ETIMEDOUT", "ESOCKETTIMEDOUT":
			m.signs |= hasTimeout
		}
		return true
	}
	if w[0] == 'S' && n >= 5 && string(w[:3]) == "SIG" {
		// SIGUSR1 and SIGUSR2 end in a digit.
		full := w
		if d := byteAt(msg, i+n); d == '1' || d == '2' {
			full = msg[i : i+n+1]
		}
		if s := signalName(full); s != "" {
			if m.signal == "" {
				m.signal = s
			}
			m.signs |= hasSignal
			return true
		}
	}
	return false
}

// syscallBefore is the operation named just before position i: "read ECONNRESET",
// "connect: connection refused", "recv() failed (104: Connection reset".
func syscallBefore(b []byte, i int) string {
	for range 3 {
		for i > 0 && !letter(b[i-1]) && b[i-1] != '_' {
			i--
		}
		end := i
		for i > 0 && (letter(b[i-1]) || digit(b[i-1]) || b[i-1] == '_') {
			i--
		}
		if w := b[i:end]; syscalls[string(w)] {
			return string(w)
		}
	}
	return ""
}

// pidAfter reads the number after "pid", "child" and the like.
func (m *marks) pidAfter(low []byte, i, n int, w string) {
	if i > 0 && (letter(low[i-1]) || low[i-1] == '_') {
		return
	}
	j := i + n
	for k := 0; k < 4 && j < len(low) && bytes.IndexByte([]byte(" =:[#\"'("), low[j]) >= 0; k++ {
		j++
	}
	if w == "kill" {
		// kill -9 6080, and "Kill child 30007", which the word child takes.
		m.signs |= hasStop
		if byteAt(low, j) == '-' {
			for j < len(low) && low[j] != ' ' {
				j++
			}
			j++
		}
	}
	if w == "child" {
		m.child = true
	}
	if j >= len(low) || j == i+n {
		return
	}
	k := digits(low[j:])
	if c := byteAt(low, j+k); k == 0 || k > 7 || letter(c) || c == '.' && digit(byteAt(low, j+k+1)) {
		return
	}
	// "worker process 3" is an index more often than a number of the kernel.
	if (w == "process" || w == "child") && k < 2 {
		return
	}
	m.pid(atoi(low[j : j+k]))
}

// errnoAfter reads "errno: -104", "errno=111" and "[Errno 98]". Python's negative
// numbers, "[Errno -3]", are the resolver's.
func (m *marks) errnoAfter(low []byte, j int) {
	names := errnoNumbers
	j = min(j, len(low))
	if bytes.HasSuffix(low[:j], []byte("[errno")) && bytes.HasPrefix(low[j:], []byte(" -")) {
		names = resolverNumbers
	}
	for k := 0; k < 4 && j < len(low) && bytes.IndexByte([]byte(" =:-\"'"), low[j]) >= 0; k++ {
		j++
	}
	if k := digits(low[min(j, len(low)):]); k > 0 && k < 4 {
		if e := names[atoi(low[j:j+k])]; e != "" {
			m.signs |= hasErrno
			if m.errno == "" {
				m.errno = e
			}
		}
	}
}

// syscallAfter reads "syscall: 'read'".
func (m *marks) syscallAfter(low []byte, j int) {
	for k := 0; k < 4 && j < len(low) && !letter(low[j]); k++ {
		j++
	}
	if j < len(low) && letter(low[j]) {
		if w := low[j : j+wordLen(low[j:])]; syscalls[string(w)] {
			m.syscall = string(w)
		}
	}
}

// signalAfter reads "signal 9", "signal: killed", "signal=15".
func (m *marks) signalAfter(low []byte, j int) {
	for k := 0; k < 3 && j < len(low) && bytes.IndexByte([]byte(" =:[("), low[j]) >= 0; k++ {
		j++
	}
	if j >= len(low) || m.signal != "" {
		return
	}
	if k := digits(low[j:]); k > 0 && k <= 2 {
		m.signal = signalByNumber(atoi(low[j : j+k]))
	} else if letter(low[j]) {
		m.signal = signalWords[string(low[j:j+wordLen(low[j:])])]
	}
}

// statusAfter reads systemd's "status=15/TERM".
func (m *marks) statusAfter(msg []byte, j int) {
	if byteAt(msg, j) != '=' {
		return
	}
	k := digits(msg[j+1:])
	if k > 0 && k <= 2 && byteAt(msg, j+1+k) == '/' && byteAt(msg, j+2+k)-'A' < 26 && m.signal == "" {
		if s := signalByNumber(atoi(msg[j+1 : j+1+k])); s != "" && bytes.HasPrefix(msg[j+2+k:], []byte(s[3:])) {
			m.signal = s
		}
	}
}

// verbBefore reports whether "timeout" at i follows a word, as in "rpc callback
// timeout": a name of a setting stands alone or after an underscore.
func verbBefore(low []byte, i int) bool {
	for _, w := range [...]string{"callback ", "request ", "read ", "write ", "connect ", "i/o ", "io ", "rpc ", "gateway ", "lock wait ", "socket ", "query ", "response ", "client ", "handshake ", "dns ", "upstream ", "call ", "probe ", "check ", "watchdog "} {
		if bytes.HasSuffix(low[:i], []byte(w)) {
			return true
		}
	}
	return false
}

// request reports whether what follows "started" is a unit of work, not a process.
func request(rest []byte) bool {
	rest = trimLeft(rest, " \"")
	for _, w := range [...]string{"get ", "post ", "put ", "delete ", "head ", "patch ", "options ", "request", "transaction", "job", "task", "query", "scan", "upload", "download", "processing"} {
		if bytes.HasPrefix(rest, []byte(w)) {
			return true
		}
	}
	return false
}

// counted reports whether "errors" at i is a count or a negation: "errors: 0",
// "0 errors", "no error".
func counted(low []byte, i, n int) bool {
	rest := trimLeft(low[i+n:], ": ")
	if len(rest) > 0 && digit(rest[0]) && len(rest) < len(low[i+n:]) && byteAt(low, i+n) == ':' {
		return true
	}
	before := bytes.TrimRight(low[:i], " ")
	return bytes.HasSuffix(before, []byte(" 0")) || string(before) == "0" || bytes.HasSuffix(before, []byte("no")) || bytes.HasSuffix(before, []byte("without"))
}

func byteAt(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}
