// Package threadpoolstarved finds Node processes whose pool of worker threads is
// fully busy while the event loop waits for it.
package threadpoolstarved

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join/threads"
	"github.com/culprit-dev/culprit/analyze/rules/internal/loop"
)

//go:embed doc.md
var doc string

// Rule finds Node processes whose pool of worker threads is fully busy.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "node/threadpool-starved", Title: "libuv thread pool starved", Doc: doc, Severity: analyze.High,
		Needs: []fact.Kind{"thread"},
		Collect: map[fact.Kind]string{
			"thread": "gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt",
		},
		Thresholds: []analyze.Threshold{
			{Name: "pool", Default: 4, Unit: "threads", Doc: "the size of libuv's pool (UV_THREADPOOL_SIZE)"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	seen := false
	for _, pr := range loop.Of(p) {
		var busyAll int
		var best *pool
		for _, st := range pr.Stacks {
			pl := poolOf(st)
			if pl.threads() == 0 {
				continue
			}
			seen = true
			if len(pl.idle) == 0 && len(pl.busy) >= int(p.Threshold("pool")) {
				if _, waiting := loop.Waiting(st.Main); waiting {
					busyAll++
					best = pl
				}
			}
			p.Note("%s: %d pool threads at work, %d idle", pr, len(pl.busy), len(pl.idle))
		}
		if best == nil {
			continue
		}
		ev := stillInside(pr, best)
		if ev != nil {
			busyAll++
		}
		report(p, pr, best, busyAll, ev)
	}
	if !seen {
		p.Skip("no stack shows threads of libuv's pool", "gdb -p PID -batch -ex 'thread apply all bt' > gdb_bt_PID.txt")
	}
	return nil
}

// pool is libuv's pool in one sample.
type pool struct {
	busy, idle []*fact.Thread
	work       []string // what the busy threads do, at the same index
	main       *fact.Thread
}

func (p *pool) threads() int { return len(p.busy) + len(p.idle) }

// poolOf finds the pool's threads: they run worker() of threadpool.c. Those
// without work wait for a condition directly below it.
func poolOf(st *threads.Sample) *pool {
	pl := &pool{main: st.Main}
	for _, t := range st.Threads {
		at := -1
		for i, f := range t.Frames {
			if strings.HasPrefix(f.Func, "uv__fs_work") || strings.HasPrefix(f.Func, "uv__getaddrinfo_work") || strings.HasPrefix(f.Func, "uv__getnameinfo_work") || strings.HasPrefix(f.Func, "uv__queue_work") ||
				strings.HasPrefix(f.Func, "worker") && path.Base(f.File) == "threadpool.c" {
				at = i
				break
			}
		}
		switch {
		case at < 0:
		case at > 0 && strings.HasPrefix(t.Frames[at].Func, "worker") && strings.HasPrefix(t.Frames[at-1].Func, "uv_cond_wait"):
			pl.idle = append(pl.idle, t)
		default:
			pl.busy = append(pl.busy, t)
			pl.work = append(pl.work, work(t))
		}
	}
	return pl
}

// stillInside is a trace in which every busy thread of the pool makes one call that
// does not end: another sample of the same thing. Nil without such a trace.
func stillInside(pr *loop.Process, pl *pool) []analyze.Evidence {
	for _, tr := range pr.Traces {
		var ev []analyze.Evidence
		for _, t := range pl.busy {
			for _, th := range tr.Threads {
				if t.LWP.Or(0) == int64(th.PID) && th.Calls == 0 && th.Unfinished != "" && th.Unfinished != "futex" {
					ev = append(ev, analyze.Cite(th.At, "strace: thread %d is inside one %s during the whole trace", th.PID, th.Unfinished))
				}
			}
		}
		if len(ev) == len(pl.busy) {
			return ev
		}
	}
	return nil
}

// work names what a pool thread does, in words where it is common.
func work(t *fact.Thread) string {
	for _, f := range t.Frames {
		switch fn := f.Func; {
		case strings.HasPrefix(fn, "uv__getaddrinfo_work"), strings.Contains(fn, "getaddrinfo"):
			return "name resolution (getaddrinfo)"
		case strings.HasPrefix(fn, "uv__fs_work"):
			return "file access"
		case strings.HasPrefix(fn, "node::crypto"), strings.Contains(fn, "PBKDF2"), strings.Contains(fn, "scrypt"):
			return "cryptography"
		case strings.Contains(fn, "zlib"), strings.HasPrefix(fn, "deflate"), strings.HasPrefix(fn, "inflate"):
			return "compression"
		}
	}
	if len(t.Frames) > 0 {
		return t.Frames[0].Func
	}
	return "work"
}

func report(p *analyze.Pass, pr *loop.Process, pl *pool, samples int, traced []analyze.Evidence) {
	kinds := map[string]int{}
	var order []string
	for _, w := range pl.work {
		if kinds[w] == 0 {
			order = append(order, w)
		}
		kinds[w]++
	}
	var parts []string
	for _, w := range order {
		parts = append(parts, fmt.Sprintf("%d in %s", kinds[w], w))
	}
	f := analyze.Finding{
		Subject:  pr.String(),
		Severity: analyze.High, Confidence: analyze.Possible,
		Title:    fmt.Sprintf("All %d threads of the libuv pool of %s are busy: %s", len(pl.busy), pr, strings.Join(parts, ", ")),
		Detail:   "Files, name resolution, cryptography and compression of a Node process share one small pool of threads. While all of them are busy, the event loop idles and every further call of these kinds waits in a queue that no tool shows, connections by host name among them.",
		Fix:      "Find out what makes the calls slow (resolver, disk). Raise UV_THREADPOOL_SIZE, and keep name resolution off the pool with a resolver that does not use getaddrinfo, or with a cache.",
		Next:     []string{fmt.Sprintf("for i in 1 2 3; do gdb -p %d -batch -ex 'thread apply all bt' > gdb_%d_$i.txt; sleep 1; done", pr.PID, pr.PID)},
		Entities: []analyze.Entity{pr.Entity()},
	}
	if samples > 1 {
		f.Confidence = analyze.Likely
	} else {
		// One moment with four busy threads may be a burst.
		f.Severity = analyze.Medium
		f.Missing = []string{"a second stack, to tell a starved pool from a burst"}
	}
	for i, t := range pl.busy[:min(len(pl.busy), 6)] {
		f.Evidence = append(f.Evidence, analyze.Cite(t.At, "pool thread %d: %s", t.LWP.Or(int64(t.Number)), pl.work[i]))
	}
	f.Evidence = append(f.Evidence, traced[:min(len(traced), 4)]...)
	f.Evidence = append(f.Evidence, analyze.Cite(pl.main.At, "the main thread waits for events meanwhile"))
	p.Report(f)
}
