package join

import (
	"testing"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestSupervisorTitle(t *testing.T) {
	for title, want := range map[string]bool{
		"PM2 v5.3.0: God Daemon (/root/.pm2)":                 true,
		"KEEPER v1.4.2: keeper daemon (/home/shop/.keeper)":   true,
		"/usr/bin/python3 /usr/bin/supervisord -n":            true,
		"node /usr/lib/node_modules/nodemon/bin/nodemon.js x": true,
		"node /srv/shop/app.js":                               false,
		"nginx: master process /usr/sbin/nginx":               false,
		"shop v2.0.1: worker 3":                               false,
		"":                                                    false,
	} {
		if got := SupervisorTitle(title); got != want {
			t.Errorf("SupervisorTitle(%q) is %t", title, got)
		}
	}
}

// sends makes a signal of a test: seconds, sender, signal, targets.
func sends(at int, from int, signal string, to ...int) *Kill {
	k := &Kill{Signal: signal, Sender: &Process{PID: from}, Event: &fact.AuditEvent{PID: from}}
	k.Event.T = time.Unix(int64(at), 0)
	for _, pid := range to {
		k.Targets = append(k.Targets, &Process{PID: pid})
	}
	return k
}

func TestChain(t *testing.T) {
	first := sends(100, 10, "SIGTERM", 20)
	passed := sends(101, 20, "SIGTERM", 30)
	further := sends(102, 30, "SIGTERM", 31)
	straggler := sends(150, 30, "SIGKILL", 31) // SIGKILL after a grace time
	other := sends(151, 40, "SIGTERM", 50)
	late := sends(200, 20, "SIGTERM", 60) // long after it was hit
	s := &Signals{All: []*Kill{first, passed, further, straggler, other, late}}
	s.chain()
	for _, k := range []*Kill{passed, further, straggler} {
		if k.Origin() != first {
			t.Errorf("%s does not go back to the first signal", k.Tell())
		}
	}
	for _, k := range []*Kill{first, other, late} {
		if k.Trigger != nil {
			t.Errorf("%s is the answer to %s", k.Tell(), k.Trigger.Tell())
		}
	}
	if n := len(s.Answers(first)); n != 3 {
		t.Errorf("the first signal has %d answers, want 3", n)
	}
}

func TestRole(t *testing.T) {
	ana := fact.Some(int64(1007))
	for name, c := range map[string]struct {
		event    fact.AuditEvent
		relation Relation
		want     SenderRole
	}{
		"shell on a terminal":             {fact.AuditEvent{Exe: "/usr/bin/bash", AUID: ana, TTY: "pts0"}, ToStranger, RoleOperator},
		"pkill over ssh":                  {fact.AuditEvent{Exe: "/usr/bin/pkill", AUID: ana}, ToStranger, RoleOperator},
		"pkill without a login":           {fact.AuditEvent{Exe: "/usr/bin/pkill"}, ToStranger, RoleProgram},
		"service that a person started":   {fact.AuditEvent{Exe: "/usr/bin/node", AUID: ana}, ToChild, RoleProgram},
		"script that ends its child":      {fact.AuditEvent{Exe: "/usr/bin/bash", AUID: ana}, ToChild, RoleProgram},
		"init":                            {fact.AuditEvent{Exe: "/usr/lib/systemd/systemd"}, ToChild, RoleSupervisor},
		"container runtime":               {fact.AuditEvent{Exe: "/usr/sbin/runc", Comm: "runc"}, ToStranger, RoleSupervisor},
		"debugger on a terminal at a pid": {fact.AuditEvent{Exe: "/usr/bin/gdb", AUID: ana, TTY: "pts1"}, ToStranger, RoleOperator},
	} {
		k := &Kill{Event: &c.event, Sender: &Process{}, Relation: c.relation}
		if got := k.role(); got != c.want {
			t.Errorf("%s: role %d, want %d", name, got, c.want)
		}
	}
}
