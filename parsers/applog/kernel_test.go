package applog_test

import (
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

// messages is a system's log in which the kernel and the audit system speak too.
const messages = `2023-11-14T22:13:10.000000+00:00 web-1 systemd[1]: Started shop.
2023-11-14T22:13:11.000000+00:00 web-1 shop[31]: listening on 127.0.0.1:8080
2023-11-14T22:13:21.000000+00:00 web-1 kernel: [ 100.123456] java invoked oom-killer: gfp_mask=0x1, order=0
2023-11-14T22:13:21.000000+00:00 web-1 kernel: [ 100.123456] memory: usage 1000kB, limit 1000kB, failcnt 3
2023-11-14T22:13:21.000000+00:00 web-1 kernel: [ 100.123456] oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/shop,task_memcg=/shop,task=java,pid=31,uid=0
2023-11-14T22:13:21.000000+00:00 web-1 kernel: [ 100.123456] Memory cgroup out of memory: Killed process 31 (java) total-vm:100kB, anon-rss:90kB, file-rss:0kB
2023-11-14T22:13:22.000000+00:00 web-1 systemd[1]: shop.service: Main process exited, code=killed, status=9/KILL
2023-11-14T22:13:23.000000+00:00 web-1 audispd: node=web-1 type=SYSCALL msg=audit(1700000003.000:7): arch=c000003e syscall=62 success=yes exit=0 a0=1f a1=9 a2=0 a3=0 items=0 ppid=1 pid=40 auid=1000 uid=0 tty=pts0 ses=1 comm="bash" exe="/usr/bin/bash" key="k"
2023-11-14T22:13:23.000000+00:00 web-1 audispd: node=web-1 type=OBJ_PID msg=audit(1700000003.000:7): opid=31 oauid=-1 ouid=0 oses=-1 ocomm="java"
`

func TestKernelLines(t *testing.T) {
	st, status := parsertest.Run(t, applog.Parser(), "messages", []byte(messages))
	if status.Parser != "applog" {
		t.Fatalf("read by %q: %v", status.Parser, status.Issues)
	}
	view := st.View("test", "kernel_event", "audit_event")
	var kills []fact.KernelEvent
	for e := range fact.All[fact.KernelEvent](view) {
		kills = append(kills, *e)
	}
	if len(kills) != 1 {
		t.Fatalf("%d kernel events, want 1", len(kills))
	}
	k := kills[0]
	if k.Event != "oom-kill" || k.PID != 31 || k.Cgroup != "/shop" || k.LimitKB.V != 1000 || k.At.Line != 6 || k.Basis != fact.LocalZone {
		t.Errorf("kernel event %+v", k)
	}
	n := 0
	for e := range fact.All[fact.AuditEvent](view) {
		n++
		if e.Signal != "SIGKILL" || len(e.Targets) != 1 || e.Targets[0].PID != 31 || e.At.Line != 8 {
			t.Errorf("audit event %+v", *e)
		}
	}
	if n != 1 {
		t.Errorf("%d audit events, want 1", n)
	}
	// A log of one program pays nothing for it.
	st, _ = parsertest.Run(t, applog.Parser(), "shop.log", []byte(strings.ReplaceAll(messages, "kernel:", "shop[31]:")))
	if n := st.Count("kernel_event"); n != 0 {
		t.Errorf("%d kernel events in another program's log", n)
	}
}
