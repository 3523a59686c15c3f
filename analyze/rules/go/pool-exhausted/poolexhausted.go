// Package poolexhausted finds goroutines that wait for a slot of a pool.
package poolexhausted

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/pool-exhausted"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "pool exhausted", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "waiters for one pool"},
			{Name: "crowd", Default: 20, Unit: "goroutines", Doc: "so many make it medium severity without a printed waiting time"},
		},
		Run: run,
	}
}

// pools are functions that wait for a slot, with what the slot is of.
var pools = []struct{ fn, what string }{
	{"database/sql.(*DB).conn", "a database connection"},
	{"golang.org/x/sync/semaphore.(*Weighted).Acquire", "a semaphore"},
	{"golang.org/x/time/rate.(*Limiter).", "a rate limiter"},
	{"github.com/jackc/puddle/v2.(*Pool[...]).acquire", "a pooled connection"},
	{"github.com/jackc/puddle/v2.(*Pool[...]).Acquire", "a pooled connection"},
	{"github.com/jackc/puddle.(*Pool).Acquire", "a pooled connection"},
	{"github.com/jackc/pgx/v5/pgxpool.(*Pool).Acquire", "a PostgreSQL connection"},
	{"github.com/jackc/pgx/v4/pgxpool.(*Pool).Acquire", "a PostgreSQL connection"},
	{"github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn", "a Redis connection"},
	{"github.com/go-redis/redis/v8/internal/pool.(*ConnPool).waitTurn", "a Redis connection"},
	{"github.com/gomodule/redigo/redis.(*Pool).waitVacantConn", "a Redis connection"},
	{"github.com/gomodule/redigo/redis.(*Pool).get", "a Redis connection"},
	{"go.mongodb.org/mongo-driver/x/mongo/driver/topology.(*pool).checkOut", "a MongoDB connection"},
	{"net/http.(*Transport).getConn", "an HTTP connection"},
	{"net/http.(*http2ClientConn).awaitOpenSlotForStreamLocked", "an HTTP/2 stream"},
	{"golang.org/x/net/http2.(*ClientConn).awaitOpenSlotForStreamLocked", "an HTTP/2 stream"},
	{"golang.org/x/net/netutil.(*limitListener).acquire", "a connection of a limited listener"},
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		for _, c := range d.Crowds(what) {
			if c.Count < int64(p.Threshold("many")) {
				p.Note("%s for %s, needs %g", join.Count(c.Count, "waiter"), what(c.First()), p.Threshold("many"))
				continue
			}
			report(p, d, c)
		}
	}
	return nil
}

// what says which pool a stack waits for: the function must be near the wait, not
// further out (a query that runs stands below the call that got its connection).
func what(s *waits.Stack) string {
	if !s.Kind.Passive() && s.Kind != waits.Asleep || s.Idle != "" || s.Site < 0 {
		return ""
	}
	near := &waits.Stack{Frames: s.Frames[s.Site:min(s.Site+2, len(s.Frames))]}
	for _, pool := range pools {
		if pool.what != "" && near.Has(pool.fn) {
			return pool.what
		}
	}
	return ""
}

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd) {
	s := c.First()
	f := d.Finding("waiting for "+what(s), c)
	f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	crowd := c.Count >= int64(p.Threshold("crowd"))
	switch {
	case c.Minutes() >= 1 && crowd:
		f.Severity = analyze.High
	case c.Minutes() == 0 && !crowd:
		// A burst of a moment looks the same.
		f.Severity, f.Confidence = analyze.Low, analyze.Possible
	}
	f.Title = fmt.Sprintf("%s%s wait for %s: all of them are taken", join.Count(c.Count, "goroutine"), d.In(), what(s))
	f.Detail = fmt.Sprintf("They queue in %s. %s The stack: %s.", s.Func(s.Site), users(d, s), s.Path())
	f.Fix = "Find who keeps the slots: rows and transactions that are not closed, an Acquire without Release on an error path, a slow call while holding one. Then size the pool, and give Acquire a deadline."
	p.Report(f)
}

// users names the goroutines that are inside the same library without queueing:
// they have the slots.
func users(d *waits.Dump, s *waits.Stack) string {
	pkg := waits.PackageOf(s.Frames[s.Site].Func) + "."
	var out []string
	var n int64
	for _, o := range d.Stacks {
		if o.Idle == "" && !o.Dumper && what(o) == "" && o.Has(pkg) {
			n += o.Count
			out = append(out, fmt.Sprintf("%s (%d, %s)", o.At(o.Top()), o.Count, o.Kind))
		}
	}
	if n == 0 {
		return "No goroutine of the dump is inside the library otherwise: whoever has the slots has returned without giving them back, or keeps them while doing something else."
	}
	return fmt.Sprintf("%s are inside the library and have slots: %s.", join.Count(n, "goroutine"), waits.List(out, 4))
}
