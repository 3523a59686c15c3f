package audit

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/elastic/go-libaudit/v2/auparse"
)

// decodeBatch is how many events are decoded before they are emitted.
const decodeBatch = 4096

// decode emits events in their order; they are decoded on up to Jobs goroutines.
func (a *Assembler) decode(groups []*group) {
	events := make([]fact.AuditEvent, min(len(groups), decodeBatch))
	jobs := min(max(a.Jobs, 1), max(1, len(groups)/64))
	names := make([]interner, jobs)
	for i := range names {
		names[i] = interner{}
	}
	for batch := range slices.Chunk(groups, decodeBatch) {
		share := (len(batch) + jobs - 1) / jobs
		each(jobs, func(job int) {
			for i := job * share; i < min(len(batch), (job+1)*share); i++ {
				d := decoder{a: a, g: batch[i], names: names[job]}
				d.run()
				events[i] = d.ev
			}
		})
		for i := range batch {
			a.trail.learn(&events[i])
			a.Emit(events[i])
			batch[i] = nil
		}
	}
}

// each runs do for 0 to n-1 at a time. A panic of one becomes the caller's.
func each(n int, do func(int)) {
	if n == 1 {
		do(0)
		return
	}
	var wait sync.WaitGroup
	panics := make([]any, n)
	for i := range n {
		wait.Go(func() {
			defer func() { panics[i] = recover() }()
			do(i)
		})
	}
	wait.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}

// decoder turns the records of one event into a fact.
type decoder struct {
	a     *Assembler
	g     *group
	names interner
	ev    fact.AuditEvent
	argv  []string // from EXECVE
	argc  int
	long  map[int]*strings.Builder // arguments that came in pieces
}

// maxText bounds the text kept of a record without a system call.
const maxText = 512

func (d *decoder) run() {
	g, ev := d.g, &d.ev
	basis := fact.Epoch
	if g.interpreted || g.wall {
		basis = fact.LocalNoZone
	}
	ev.Time = stampTime(g.key.stamp, basis)
	if g.wall && g.key.stamp == 0 {
		ev.Time = fact.Time{} // a line of the journal without a year
	}
	ev.Node, ev.Serial = g.key.node, g.key.serial
	ev.At = d.a.ref(g.recs[0])
	ev.Types = make([]string, len(g.recs))
	for i, r := range g.recs {
		ev.Types[i] = d.names.of(g.kind(r))
		if ev.Types[i] == "SYSCALL" && ev.Types[0] != "SYSCALL" {
			ev.At = d.a.ref(r)
		}
	}
	var title []byte
	for i, r := range g.recs {
		body := g.body(r)
		switch kind := ev.Types[i]; kind {
		case "SYSCALL":
			d.each(body, d.syscall)
		case "OBJ_PID":
			d.target(body, d.a.ref(r))
		case "EXECVE":
			d.execve(body)
		case "PATH":
			d.path(body)
		case "CWD":
			d.each(body, func(f field) {
				if string(f.key) == "cwd" {
					ev.Cwd = d.names.of(hexText(f))
				}
			})
		case "PROCTITLE":
			d.each(body, func(f field) {
				if string(f.key) == "proctitle" {
					title = hexText(f)
				}
			})
		case "SOCKADDR":
			d.sockaddr(body)
		case "BPRM_FCAPS", "FD_PAIR", "MMAP", "CAPSET", "IPC", "MQ_OPEN":
		default:
			d.statement(kind, body)
		}
	}
	d.finishArgs(title)
	d.finishSignal()
	ev.Incomplete = d.incomplete()
}

// each walks fields of a body in the event's form.
func (d *decoder) each(body []byte, f func(field)) {
	if d.g.interpreted {
		eachInterpreted(body, false, f)
		return
	}
	eachField(body, f)
}

func (d *decoder) syscall(f field) {
	ev, v := &d.ev, f.value
	switch string(f.key) {
	case "arch":
		ev.Arch = archName(d.names.of(v))
	case "syscall":
		ev.Syscall = syscallName(ev.Arch, d.names.of(v))
	case "success":
		switch string(v) {
		case "yes":
			ev.Success = fact.Some(true)
		case "no":
			ev.Success = fact.Some(false)
		}
	case "exit":
		ev.Exit = d.names.of(v)
		ev.Errno = errnoName(ev.Exit)
	case "a0", "a1", "a2", "a3":
		ev.Args[f.key[1]-'0'] = string(v)
	case "SYSCALL":
		if _, err := strconv.Atoi(ev.Syscall); err == nil && len(v) > 0 && v[0] > '9' {
			ev.Syscall = d.names.of(v)
		}
	default:
		d.subject(f)
	}
}

// subject reads the fields that say who did it; they are the same in most types.
func (d *decoder) subject(f field) {
	ev, v := &d.ev, f.value
	switch string(f.key) {
	case "pid":
		ev.PID = atoi(v)
	case "ppid":
		ev.PPID = atoi(v)
	case "auid":
		ev.AUID = id(v)
		if d.g.interpreted && !ev.AUID.Known && string(v) != "unset" {
			ev.AUIDName = d.names.of(v)
		}
	case "uid":
		ev.UID = id(v)
		if d.g.interpreted && !ev.UID.Known && string(v) != "unset" {
			ev.UIDName = d.names.of(v)
		}
	case "AUID":
		if ev.AUID.Known {
			ev.AUIDName = enrichedName(d.names.of(v))
		}
	case "UID":
		if ev.UID.Known {
			ev.UIDName = enrichedName(d.names.of(v))
		}
	case "ses":
		ev.Session = id(v)
	case "tty", "terminal":
		if s := d.names.of(v); s != "(none)" && s != "?" {
			ev.TTY = strings.TrimPrefix(s, "/dev/")
		}
	case "comm":
		ev.Comm = d.names.of(hexText(f))
	case "exe":
		if e := hexText(f); string(e) != "?" {
			ev.Exe = d.names.of(e)
		}
	case "key":
		if k := hexText(f); len(k) > 0 && string(k) != "(null)" {
			ev.Key = d.names.of(bytes.ReplaceAll(k, []byte{1}, []byte(",")))
		}
	}
}

func enrichedName(s string) string {
	if s == "unset" || strings.HasPrefix(s, "unknown(") {
		return ""
	}
	return s
}

func (d *decoder) target(body []byte, at fact.Ref) {
	t := fact.AuditTarget{At: at}
	d.each(body, func(f field) {
		switch string(f.key) {
		case "opid":
			t.PID = atoi(f.value)
		case "oauid":
			t.AUID = id(f.value)
		case "ouid":
			t.UID = id(f.value)
		case "oses":
			t.Session = id(f.value)
		case "ocomm":
			t.Comm = d.names.of(hexText(f))
		}
	})
	if t.PID != 0 {
		d.ev.Targets = append(d.ev.Targets, t)
	}
}

func (d *decoder) path(body []byte) {
	var name, kind string
	if !d.g.interpreted {
		// The commonest record by far: two of its fifteen fields are wanted.
		name = d.names.of(hexText(textField(body, "name=")))
		if kind = d.names.of(rawField(body, "nametype=")); kind == "" {
			kind = d.names.of(rawField(body, "objtype="))
		}
	} else {
		d.each(body, func(f field) {
			switch string(f.key) {
			case "name":
				name = d.names.of(f.value)
			case "nametype", "objtype":
				kind = d.names.of(f.value)
			}
		})
	}
	if name != "" && name != "(null)" {
		d.ev.Paths = append(d.ev.Paths, name)
		d.ev.PathTypes = append(d.ev.PathTypes, kind)
	}
}

// execve reads a0="ls" a1="-l", and arguments too long for one record, which come
// as a2_len=9000 a2[0]=... a2[1]=... over several.
func (d *decoder) execve(body []byte) {
	take := func(f field) {
		k := string(f.key)
		switch {
		case k == "argc":
			d.argc = min(atoi(f.value), 1<<16)
		case len(k) > 1 && k[0] == 'a' && k[1] >= '0' && k[1] <= '9':
			n, used := digits(f.key[1:])
			rest := k[1+used:]
			switch {
			case rest == "":
				d.setArg(int(n), string(hexText(f)))
			case rest[0] == '[':
				if d.long == nil {
					d.long = map[int]*strings.Builder{}
				}
				if d.long[int(n)] == nil {
					d.long[int(n)] = &strings.Builder{}
				}
				if b := d.long[int(n)]; b.Len() < maxArg {
					b.Write(hexText(f))
				}
				d.setArg(int(n), "")
			}
		}
	}
	if d.g.interpreted {
		eachInterpreted(body, true, take)
	} else {
		eachField(body, take)
	}
}

// maxArg bounds one argument, maxArgs their number.
const (
	maxArg  = 4 << 10
	maxArgs = 512
)

func (d *decoder) setArg(n int, s string) {
	if n >= maxArgs {
		return
	}
	for len(d.argv) <= n {
		d.argv = append(d.argv, "")
	}
	d.argv[n] = s[:min(len(s), maxArg)]
}

func (d *decoder) finishArgs(title []byte) {
	ev := &d.ev
	for n, b := range d.long {
		if n < len(d.argv) {
			d.argv[n] = b.String()
		}
	}
	if len(d.argv) > 0 {
		ev.Argv = d.argv
		return
	}
	if len(title) == 0 || string(title) == "(null)" {
		return
	}
	ev.ArgvFromTitle = true
	if d.g.interpreted {
		ev.Argv = strings.Fields(string(title)) // spaces inside an argument are lost
		return
	}
	ev.Argv = sinceExec(strings.Split(strings.TrimRight(string(title), "\x00"), "\x00"), ev.Comm, ev.Exe)
}

// sinceExec cuts the launchers off a title. The kernel keeps the title of the first
// record that it makes of a task, so that after "setpriv --reuid 33 sh stop.sh" or
// "env A=1 nice app" the title is still the launcher's while comm and exe are those
// of the program that it became.
func sinceExec(argv []string, comm, exe string) []string {
	first, program := path.Base(argv[0]), path.Base(exe)
	if comm == "" || strings.HasPrefix(first, comm) || strings.HasPrefix(program, first) || strings.HasPrefix(first, program) {
		return argv
	}
	for i, a := range argv[1:] {
		if base := path.Base(a); base == comm || len(comm) == 15 && strings.HasPrefix(base, comm) {
			return argv[i+1:]
		}
	}
	return argv
}

func (d *decoder) sockaddr(body []byte) {
	if d.g.interpreted {
		d.each(body, func(f field) {
			if string(f.key) == "saddr" {
				d.ev.Sockaddr = interpretedAddr(string(f.value))
			}
		})
		return
	}
	if _, words, ok := bytes.Cut(body, []byte("saddr={ ")); ok { // of JSON
		words, _, _ = bytes.Cut(words, []byte("}"))
		d.ev.Sockaddr = interpretedAddr(string(words))
		return
	}
	m, err := auparse.Parse(auparse.AUDIT_SOCKADDR, "audit(1.000:1): "+string(body))
	if err != nil {
		return
	}
	data, err := m.Data()
	if err != nil {
		return
	}
	switch data["family"] {
	case "ipv4":
		d.ev.Sockaddr = data["addr"] + ":" + data["port"]
	case "ipv6":
		d.ev.Sockaddr = "[" + data["addr"] + "]:" + data["port"]
	case "unix":
		d.ev.Sockaddr = strings.TrimRight(data["path"], "\x00")
	default:
		d.ev.Sockaddr = data["family"]
	}
}

// interpretedAddr reads "{ saddr_fam=inet laddr=169.254.169.254 lport=80 }".
func interpretedAddr(s string) string {
	var addr, port, path string
	for _, w := range strings.Fields(strings.Trim(s, "{} ")) {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "laddr":
			addr = v
		case "lport":
			port = v
		case "path":
			path = v
		}
	}
	switch {
	case path != "":
		return path
	case addr == "" || port == "":
		return strings.Trim(s, "{} ")
	case strings.Contains(addr, ":"):
		return "[" + addr + "]:" + port
	}
	return addr + ":" + port
}

// finishSignal reads target and signal from the arguments of the kill family.
func (d *decoder) finishSignal() {
	ev := &d.ev
	pos, ok := killCalls[ev.Syscall]
	if !ok {
		return
	}
	if pos.target >= 0 {
		if n, ok := argument(ev.Args[pos.target]); ok {
			ev.TargetArg = fact.Some(int64(int32(n))) // pid_t has 32 bits everywhere
		}
	}
	arg := ev.Args[pos.signal]
	if n, ok := argument(arg); ok {
		ev.Signal = signalName(int64(n))
	} else if arg == "SIG0" {
		ev.Signal = "0"
	} else {
		ev.Signal = arg
	}
}

// argument reads a system call argument: hexadecimal, with 0x when interpreted.
func argument(s string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 64)
	return n, err == nil
}

// incomplete reports signs that records are missing: EXECVE with fewer arguments
// than it announces, a system call with items but without paths.
func (d *decoder) incomplete() bool {
	if d.argc > 0 && len(d.argv) < min(d.argc, maxArgs) {
		return true
	}
	call := d.g.find("SYSCALL")
	return call == nil && (d.g.find("OBJ_PID") != nil || d.g.find("EXECVE") != nil)
}

func atoi(b []byte) int {
	n, used := digits(b)
	if used == 0 || used > 10 {
		return 0
	}
	return int(n)
}

// id reads a user or session number; the kernel's "unset" is (unsigned) -1.
func id(b []byte) fact.Int {
	s := string(b)
	if n, ok := strings.CutPrefix(s, "unknown("); ok {
		s = strings.TrimSuffix(n, ")")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n == 1<<32-1 {
		return fact.Int{}
	}
	return fact.Some(n)
}
