package report

import (
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// at is a time of the sample incident.
func at(hour, minute int, sec float64) time.Time {
	return time.Date(2026, 11, 21, hour, minute, 0, 0, time.UTC).Add(time.Duration(sec * float64(time.Second)))
}

func lineOf(artifact string, n int, note, excerpt string) analyze.Evidence {
	return analyze.Evidence{Ref: fact.Ref{Artifact: fact.ID(artifact), Line: n, Offset: int64(n) * 80}, Note: note, Excerpt: excerpt}
}

func packet(artifact string, n int, note string, t time.Time) analyze.Evidence {
	e := analyze.Evidence{Ref: fact.Ref{Artifact: fact.ID(artifact), Packet: n, Offset: int64(n) * 100}, Note: note}
	e.Excerpt = "172.17.0.3:49001 > 172.17.0.9:9092 [ACK] win 0"
	return e.On(t, fact.Epoch, 0)
}

// sample is a result with everything that a report can show: two stories, one of
// them with a chain of three, a contributing and two context findings, artifacts
// and rules in every state.
func sample() *analyze.Result {
	return &analyze.Result{
		Schema: analyze.Schema,
		Tool:   analyze.Tool{Name: "culprit", Version: "v1.0.0"},
		Bundle: analyze.Bundle{Name: "push.tar.gz", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Artifacts: 7, Bytes: 1_234_567, Summary: "Users stopped getting quotes at 08:30"},
		Verdict: analyze.Verdict{
			Status:     analyze.StatusRootCause,
			Summary:    "Lock 0xc000771900 was never released in quotepushd (pid 3989); 7 goroutines wait for it (confirmed). Also, independently: the kernel killed node (pid 16800) (confirmed).",
			RootCauses: []string{"go/leaked-lock#aa11", "process/oom-kill#bb22"},
		},
		Findings: []*analyze.Finding{leakedLock(), oomKill(), slowGC(), unread(), zeroWindow(), change(), oldRelease()},
		Timeline: []analyze.TimelineEntry{
			{Time: at(8, 29, 58), Basis: fact.LocalZone, Uncertainty: time.Second, Source: fact.Ref{Artifact: "quotepushd.log", Line: 812}, Text: "drop stale snapshot", Finding: "go/leaked-lock#aa11"},
			{Time: at(8, 30, 0.25), Basis: fact.Epoch, Source: fact.Ref{Artifact: "push.pcap", Packet: 301}, Text: "172.17.0.3 advertises a window of zero", Finding: "tcp/zero-window#cc33"},
			{Time: at(8, 41, 0), Basis: fact.LocalNoZone, Uncertainty: 30 * time.Second, Source: fact.Ref{Artifact: "dmesg.txt", Line: 44}, Text: "the kernel kills pid 16800", Finding: "process/oom-kill#bb22"},
		},
		Entities: map[string][]analyze.Entity{
			"process": {{Kind: "process", Key: "push-3/3989", Name: "quotepushd"}, {Kind: "process", Key: "push-3/16800", Name: "node"}},
			"lock":    {{Kind: "lock", Key: "push-3/3989/0xc000771900", Name: "lock 0xc000771900"}},
		},
		Artifacts: []analyze.ArtifactStatus{
			{Path: "core.1234", Status: analyze.ArtifactUnclaimed, Bytes: 4096, Issues: []string{"binary data of no known format"}},
			{Path: "dmesg.txt", Kind: "kernel_event", Parser: "kernlog", Status: analyze.ArtifactParsed, Bytes: 9000, Facts: 12},
			{Path: "goroutine.txt", Kind: "goroutine", Parser: "goroutine", Status: analyze.ArtifactParsed, Bytes: 120_000, Facts: 45},
			{Path: "heap.pb.gz", Kind: "profile", Parser: "pprof", Status: analyze.ArtifactFailed, Bytes: 17, Issues: []string{"heap.pb.gz: unexpected end"}},
			{Path: "link", Status: analyze.ArtifactSkipped, Issues: []string{"symbolic link to /etc/passwd: not followed"}},
			{Path: "push.pcap", Kind: "flow", Parser: "pcap", Status: analyze.ArtifactPartial, Bytes: 1_000_000, Facts: 8, Skipped: 3, Issues: []string{"push.pcap#1200: cut record"}},
			{Path: "quotepushd.log", Kind: "log_event", Parser: "applog", Status: analyze.ArtifactParsed, Bytes: 101_454, Facts: 90},
		},
		Rules: []analyze.RuleStatus{
			{ID: "go/leaked-lock", Title: "leaked lock", Status: analyze.RuleFinding, Notes: []string{"7 waiters, needs 2"}},
			{ID: "go/lock-cycle", Title: "lock cycle", Status: analyze.RuleClean, Notes: []string{"no cycle among 1 lock"}},
			{ID: "process/exec-maxbuffer", Title: "Node exec output limit", Status: analyze.RuleSkipped, Why: "the bundle has no audit log", Next: []string{"cp /var/log/audit/audit.log ."}},
			{ID: "process/oom-kill", Title: "OOM kill", Status: analyze.RuleFinding},
			{ID: "socket/kernel-counters", Title: "kernel counters", Status: analyze.RuleFailed, Why: "panic: index out of range"},
			{ID: "socket/unread-receive-queue", Title: "unread receive queue", Status: analyze.RuleFinding},
			{ID: "tcp/refused", Title: "connection refused", Status: analyze.RuleClean},
			{ID: "tcp/zero-window", Title: "zero window", Status: analyze.RuleFinding},
		},
		Collect: []analyze.Wanted{
			{Host: "node-3", What: "packet capture", Command: "tcpdump -w tcp.pcap", Worth: analyze.WorthVerdict, Rules: []string{"tcp/zero-window"}},
			{What: "audit log", Command: "cp audit.log .", Worth: analyze.WorthBeside, Rules: []string{"process/exec-maxbuffer"}},
			{What: "kernel log", Command: "dmesg -T > dmesg.txt", Worth: analyze.WorthRule, Rules: []string{"process/oom-kill", "process/uninterruptible"}},
		},
		Limits: []string{"timeline: 3 of 400 entries kept"},
	}
}

func leakedLock() *analyze.Finding {
	return &analyze.Finding{
		ID: "go/leaked-lock#aa11", Rule: "go/leaked-lock", Role: analyze.RootCause,
		Subject:  "lock 0xc000771900 of process 3989 (quotepushd)",
		Title:    "Lock 0xc000771900 was never released in quotepushd (pid 3989); 7 goroutines wait for it",
		Detail:   "Seven goroutines wait in sync.Mutex.Lock on one address.\n\nNo goroutine among 45 holds a pointer to it.",
		Severity: analyze.Critical, Confidence: analyze.Confirmed,
		From: at(8, 29, 58), To: at(8, 45, 0),
		Evidence: []analyze.Evidence{
			lineOf("goroutine.txt", 120, "goroutine 18 has waited for 2 minutes", "goroutine 18 [sync.Mutex.Lock, 2 minutes]:\nsync.(*Mutex).Lock(0xc000771900)\n\t/usr/local/go/src/sync/mutex.go:46"),
			lineOf("quotepushd.log", 812, "the early return", `2026-11-21T08:29:58Z WARN "drop stale snapshot" sym=<b>`).On(at(8, 29, 58), fact.LocalZone, time.Second),
		},
		Against: []analyze.Evidence{lineOf("goroutine.txt", 400, "goroutine 30 is running in the same package", "goroutine 30 [running]:")},
		Missing: []string{"a second dump, which would show that the same goroutines still wait"},
		Fix:     "Unlock with defer in Hub.Publish (hub.go:36), where an early return leaves the lock held.",
		Next:    []string{"curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2' > goroutine_2.txt"},
		Entities: []analyze.Entity{
			{Kind: "process", Key: "push-3/3989", Name: "quotepushd"},
			{Kind: "lock", Key: "push-3/3989/0xc000771900", Name: "lock 0xc000771900"},
		},
	}
}

func unread() *analyze.Finding {
	return &analyze.Finding{
		ID: "socket/unread-receive-queue#dd44", Rule: "socket/unread-receive-queue", Role: analyze.Symptom,
		Subject: "process 3989 (quotepushd)", Title: "quotepushd (pid 3989) does not read: 1 MiB waits in its receive queue",
		Detail: "Recv-Q stands at 1048576.", Severity: analyze.High, Confidence: analyze.Likely,
		Evidence: []analyze.Evidence{lineOf("ss_tanpoemi.txt", 9, "Recv-Q of the feed connection", "ESTAB 1048576 0 172.17.0.3:49001 172.17.0.9:9092")},
		Causes:   []string{"go/leaked-lock#aa11"},
		Because:  map[string]string{"go/leaked-lock#aa11": "a process that waits for the lock does not read"},
		Raised:   []string{"go/runtime-pressure#ee55"},
		Fix:      "See what blocks the process.",
		Entities: []analyze.Entity{{Kind: "process", Key: "push-3/3989", Name: "quotepushd"}},
	}
}

func zeroWindow() *analyze.Finding {
	return &analyze.Finding{
		ID: "tcp/zero-window#cc33", Rule: "tcp/zero-window", Role: analyze.Symptom,
		Subject: "172.17.0.3:49001", Title: "172.17.0.3:49001 advertises a zero window for 24 s: the feed cannot send",
		Severity: analyze.High, Confidence: analyze.Confirmed, From: at(8, 30, 0.25), To: at(8, 30, 24),
		Evidence: []analyze.Evidence{packet("push.pcap", 301, "first zero window", at(8, 30, 0.25)), packet("push.pcap", 377, "still zero", at(8, 30, 24))},
		Causes:   []string{"socket/unread-receive-queue#dd44"},
	}
}

func oomKill() *analyze.Finding {
	return &analyze.Finding{
		ID: "process/oom-kill#bb22", Rule: "process/oom-kill", Role: analyze.RootCause,
		Subject: "process 16800 (node)", Title: "The kernel killed node (pid 16800): its memory group was full",
		Severity: analyze.High, Confidence: analyze.Confirmed, From: at(8, 41, 0), To: at(8, 41, 0),
		Evidence: []analyze.Evidence{lineOf("dmesg.txt", 44, "the kernel's record", "Memory cgroup out of memory: Killed process 16800 (node)").On(at(8, 41, 0), fact.LocalNoZone, 30*time.Second)},
		Fix:      "Raise the limit or find the leak.",
	}
}

func slowGC() *analyze.Finding {
	return &analyze.Finding{
		ID: "go/runtime-pressure#ee55", Rule: "go/runtime-pressure", Role: analyze.Contributing,
		Subject: "process 3989 (quotepushd)", Title: "Twelve goroutines assist the garbage collector",
		Severity: analyze.Low, Confidence: analyze.Possible,
		Evidence: []analyze.Evidence{lineOf("goroutine.txt", 300, "", "goroutine 77 [GC assist wait]:")},
	}
}

func change() *analyze.Finding {
	return &analyze.Finding{
		ID: "audit/change-before-incident#ff66", Rule: "audit/change-before-incident", Role: analyze.Context,
		Subject: "/etc/hub.yaml", Title: "/etc/hub.yaml was written 20 minutes before",
		Severity: analyze.Info, Confidence: analyze.Likely,
		Evidence: []analyze.Evidence{lineOf("audit.log", 3, "", "type=SYSCALL msg=audit(1795222328.365:17)")},
	}
}

func oldRelease() *analyze.Finding {
	return &analyze.Finding{
		ID: "process/orphans#0077", Rule: "process/orphans", Role: analyze.Context,
		Subject: "process 77 (hub)", Title: "hub (pid 77) runs without its manager",
		Severity: analyze.Low, Confidence: analyze.Possible,
		Evidence: []analyze.Evidence{lineOf("ps.txt", 3, "", "1 77 77 77 ? -1 S 0 0:00 hub")},
	}
}
