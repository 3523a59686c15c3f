// Package trail writes large audit logs for benchmarks, as a busy host under a
// usual set of rules writes them. The same options give the same bytes on every
// machine. Its test writes such a log to a file.
package trail

import (
	"bufio"
	"fmt"
	"io"
)

// Options say what to write; zero fields take the defaults.
type Options struct {
	// Lines is how long the log becomes, to the end of its last event; default 1000.
	Lines int
	// Enriched appends the names that log_format=ENRICHED resolves.
	Enriched bool
	// Node prefixes every record with node=NAME.
	Node string
	Seed uint64
}

// Write writes an audit log: in 1000 events some 480 opened files, 310 started
// programs, 100 connections, 60 file changes, 40 session records and 10 signals.
// Records of events that happen at a time stand among each other.
func Write(w io.Writer, o Options) error {
	if o.Lines <= 0 {
		o.Lines = 1000
	}
	g := &generator{w: bufio.NewWriterSize(w, 1<<20), o: o, rng: o.Seed*2 + 1, now: 1_795_000_000_000, serial: 100}
	g.line("DAEMON_START", `op=start ver=3.1.2 format=raw kernel=6.1.0-18-amd64 auid=4294967295 pid=411 uid=0 ses=4294967295 subj=unconfined res=success`, "")
	for g.lines < o.Lines {
		g.event()
	}
	g.flush()
	return g.w.Flush()
}

// generator holds one event that is not written yet, so that the next may be
// mixed into it.
type generator struct {
	w       *bufio.Writer
	o       Options
	rng     uint64
	now     int64 // milliseconds
	serial  int
	lines   int
	pending []string
	made    []string
}

// random is splitmix64: small, fast, and the same everywhere.
func (g *generator) random(n int) int {
	g.rng += 0x9e3779b97f4a7c15
	z := g.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}

// line adds a record to the event being made.
func (g *generator) line(kind, body, names string) {
	node := ""
	if g.o.Node != "" {
		node = "node=" + g.o.Node + " "
	}
	if g.o.Enriched && names != "" {
		body += "\x1d" + names
	}
	g.made = append(g.made, fmt.Sprintf("%stype=%s msg=audit(%d.%03d:%d): %s\n", node, kind, g.now/1000, g.now%1000, g.serial, body))
	g.lines++
}

// event makes one event and writes the one before it, one in thirty mixed with it.
func (g *generator) event() {
	g.now += int64(g.random(9))
	g.serial++
	switch kind := g.random(1000); {
	case kind < 480:
		g.open()
	case kind < 790:
		g.exec()
	case kind < 890:
		g.connect()
	case kind < 950:
		g.change()
	case kind < 990:
		g.session()
	default:
		g.kill()
	}
	if g.random(30) == 0 {
		for i := 0; i < max(len(g.pending), len(g.made)); i++ {
			g.at(g.pending, i)
			g.at(g.made, i)
		}
		g.pending, g.made = g.pending[:0], g.made[:0]
		return
	}
	g.flush()
}

func (g *generator) at(event []string, i int) {
	if i < len(event) {
		g.w.WriteString(event[i])
	}
}

func (g *generator) flush() {
	for _, l := range g.pending {
		g.w.WriteString(l)
	}
	g.pending, g.made = g.made, g.pending[:0]
}

// programs are what the host runs, with what it opens.
var programs = [...]struct{ comm, exe, file string }{
	{"node", "/usr/bin/node", "/srv/shop/cache/page"},
	{"nginx", "/usr/sbin/nginx", "/var/www/html/asset"},
	{"postgres", "/usr/lib/postgresql/15/bin/postgres", "base/16384/"},
	{"cron", "/usr/sbin/cron", "/etc/cron.d/job"},
	{"sh", "/usr/bin/dash", "/usr/lib/locale/part"},
	{"git", "/usr/bin/git", "/srv/repo/.git/objects/pack/"},
}

// syscall writes the SYSCALL record of a call that succeeded, or the given exit.
func (g *generator) syscall(number int, name, exit, args string, items, program int) {
	p := programs[program]
	success := "yes"
	if exit[0] == '-' {
		success = "no"
	}
	pid := 1000 + g.random(60000)
	g.line("SYSCALL", fmt.Sprintf(`arch=c000003e syscall=%d success=%s exit=%s %s items=%d ppid=%d pid=%d auid=4294967295 uid=1001 gid=1001 euid=1001 suid=1001 fsuid=1001 egid=1001 sgid=1001 fsgid=1001 tty=(none) ses=4294967295 comm="%s" exe="%s" subj=unconfined key="%s"`,
		number, success, exit, args, items, pid/3, pid, p.comm, p.exe, name),
		fmt.Sprintf(`ARCH=x86_64 SYSCALL=%s AUID="unset" UID="app" GID="app" EUID="app" SUID="app" FSUID="app" EGID="app" SGID="app" FSGID="app"`, name))
}

func (g *generator) path(item int, name, kind string) {
	g.line("PATH", fmt.Sprintf(`item=%d name="%s" inode=%d dev=fd:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=%s cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0`,
		item, name, 200000+g.random(100000), kind), `OUID="root" OGID="root"`)
}

func (g *generator) cwd() { g.line("CWD", `cwd="/srv/app"`, "") }
func (g *generator) title(command string) {
	g.line("PROCTITLE", fmt.Sprintf("proctitle=%X", command), "")
}

func (g *generator) open() {
	p := g.random(len(programs))
	exit := fmt.Sprint(3 + g.random(60))
	if g.random(12) == 0 {
		exit = "-2"
	}
	g.syscall(257, "openat", exit, fmt.Sprintf("a0=ffffff9c a1=7f%010x a2=80000 a3=0", g.random(1<<40)), 1, p)
	g.cwd()
	g.path(0, fmt.Sprintf("%s%d", programs[p].file, g.random(4000)), "NORMAL")
	g.title(programs[p].exe + "\x00--serve")
}

func (g *generator) exec() {
	job := g.random(9000)
	g.syscall(59, "execve", "0", fmt.Sprintf("a0=55%010x a1=55%010x a2=7ffd%08x a3=8", g.random(1<<40), g.random(1<<40), g.random(1<<32)), 2, 4)
	g.line("EXECVE", fmt.Sprintf(`argc=3 a0="sh" a1="-c" a2=%X`, fmt.Sprintf("/srv/bin/job --id %d", job)), "")
	g.cwd()
	g.path(0, "/bin/sh", "NORMAL")
	g.path(1, "/lib64/ld-linux-x86-64.so.2", "NORMAL")
	g.title(fmt.Sprintf("sh\x00-c\x00/srv/bin/job --id %d", job))
}

func (g *generator) connect() {
	g.syscall(42, "connect", "0", fmt.Sprintf("a0=%x a1=7ffd%08x a2=10 a3=0", g.random(90), g.random(1<<32)), 0, g.random(len(programs)))
	g.line("SOCKADDR", fmt.Sprintf("saddr=02000050%08X0000000000000000", 0x0a000000+g.random(1<<16)), fmt.Sprintf("SADDR={ saddr_fam=inet laddr=10.0.0.%d lport=80 }", g.random(255)))
	g.title("/usr/bin/node\x00/srv/shop/main.js")
}

func (g *generator) change() {
	g.syscall(82, "rename", "0", fmt.Sprintf("a0=7f%010x a1=7f%010x a2=0 a3=0", g.random(1<<40), g.random(1<<40)), 2, 2)
	g.cwd()
	name := fmt.Sprintf("base/16384/t%d", g.random(900))
	g.path(0, name+".tmp", "DELETE")
	g.path(1, name, "CREATE")
	g.title("postgres: checkpointer")
}

func (g *generator) session() {
	body := fmt.Sprintf(`pid=%d uid=0 auid=1000 ses=%d subj=unconfined msg='op=PAM:session_open grantors=pam_permit,pam_unix acct="deploy" exe="/usr/sbin/cron" hostname=? addr=? terminal=cron res=success'`, 1000+g.random(60000), g.random(5000))
	g.line("USER_START", body, `UID="root" AUID="deploy"`)
}

func (g *generator) kill() {
	g.syscall(62, "kill", "0", fmt.Sprintf("a0=%x a1=f a2=0 a3=0", 1000+g.random(60000)), 0, 0)
	g.line("OBJ_PID", fmt.Sprintf(`opid=%d oauid=-1 ouid=1001 oses=-1 ocomm="node"`, 1000+g.random(60000)), `OAUID="unset" OUID="app"`)
	g.title("/usr/bin/node\x00/srv/shop/main.js")
}
