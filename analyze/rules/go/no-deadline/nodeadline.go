// Package nodeadline finds client calls that wait without a deadline.
package nodeadline

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/join/waits"
)

// ID of the rule.
const ID = "go/no-deadline"

//go:embed doc.md
var doc string

// Rule returns the rule.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: ID, Title: "client call without deadline", Doc: doc, Severity: analyze.Medium,
		Needs: []fact.Kind{"dump"},
		Wants: []fact.Kind{"goroutine", "goroutine_group", "socket"},
		Thresholds: []analyze.Threshold{
			{Name: "many", Default: 5, Unit: "goroutines", Doc: "calls at one place"},
			{Name: "minutes", Default: 10, Unit: "minutes", Doc: "that the longest of them waits"},
			{Name: "crowd", Default: 100, Unit: "goroutines", Doc: "so many need only a minute: calls pile up faster than they end"},
			{Name: "share", Default: 0.9, Unit: "share", Doc: "of the process's connections that lead to one address, to name it"},
		},
		ExplainedBy: []analyze.Mechanism{
			{Rule: "tcp/unanswered-request", Via: join.KindProcess, Why: "the peer never answers"},
			{Rule: "tcp/half-open", Via: join.KindProcess, Why: "the peer is gone and nobody notices"},
		},
		Run: run,
	}
}

// clients are functions of client libraries that wait for an answer, with what the
// answer is of.
var clients = []struct{ fn, what string }{
	{"net/http.(*persistConn).roundTrip", "an HTTP response"},
	{"net/http.(*http2ClientConn).RoundTrip", "an HTTP/2 response"},
	{"net/http.(*http2clientStream).", "an HTTP/2 response"},
	{"golang.org/x/net/http2.(*ClientConn).RoundTrip", "an HTTP/2 response"},
	{"google.golang.org/grpc.(*ClientConn).Invoke", "a gRPC reply"},
	{"google.golang.org/grpc.(*clientStream).RecvMsg", "a gRPC reply"},
	{"net/rpc.(*Client).Call", "an RPC reply"},
	{"github.com/go-sql-driver/mysql.(*mysqlConn).readPacket", "a MySQL answer"},
	{"github.com/lib/pq.(*conn).recv", "a PostgreSQL answer"},
	{"github.com/lib/pq.(*conn).recv1Buf", "a PostgreSQL answer"},
	{"github.com/jackc/pgx/v4/pgconn.(*PgConn).receiveMessage", "a PostgreSQL answer"},
	{"github.com/jackc/pgx/v5/pgconn.(*PgConn).receiveMessage", "a PostgreSQL answer"},
	{"github.com/jackc/pgconn.(*PgConn).receiveMessage", "a PostgreSQL answer"},
	{"github.com/redis/go-redis/v9/internal/proto.(*Reader).ReadReply", "a Redis reply"},
	{"github.com/go-redis/redis/v8/internal/proto.(*Reader).ReadReply", "a Redis reply"},
	{"github.com/gomodule/redigo/redis.(*conn).readReply", "a Redis reply"},
	{"go.mongodb.org/mongo-driver/x/mongo/driver/topology.(*connection).read", "a MongoDB answer"},
	{"github.com/bradfitz/gomemcache/memcache.(*Client).", "a memcached answer"},
	{"gopkg.in/mgo.v2.(*mongoSocket).readLoop", "a MongoDB answer"},
	{"github.com/streadway/amqp.(*Channel).call", "an AMQP answer"},
	{"net/smtp.(*Client).cmd", "an SMTP answer"},
	{"net/textproto.(*Reader).ReadResponse", "an answer"},
	{"golang.org/x/crypto/ssh.(*Session).Wait", "an SSH session"},
}

// subscriptions are functions that are meant to wait for news.
var subscriptions = []string{
	"github.com/redis/go-redis/v9.(*PubSub).", "github.com/go-redis/redis/v8.(*PubSub).", "github.com/gomodule/redigo/redis.(PubSubConn).",
	"github.com/lib/pq.(*ListenerConn).", "k8s.io/client-go/tools/cache.(*Reflector).",
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, d := range waits.Of(p).Dumps {
		timers := timers(d)
		for _, c := range d.Crowds(key) {
			crowd := c.Count >= int64(p.Threshold("crowd")) && c.Minutes() >= 1
			if !crowd && (c.Count < int64(p.Threshold("many")) || c.Minutes() < int64(p.Threshold("minutes"))) {
				p.Note("%s in %s for %d minutes: needs %g for %g minutes", join.Count(c.Count, "client call"), c.First().At(c.First().Top()), c.Minutes(), p.Threshold("many"), p.Threshold("minutes"))
				continue
			}
			if 2*timers > c.Count && c.First().Has("net/http.send") {
				p.Note("%s in %s: %d of them have the timer of a client timeout", join.Count(c.Count, "client call"), c.First().At(c.First().Top()), timers)
				continue
			}
			report(p, d, c)
		}
	}
	return nil
}

// timers counts the goroutines that net/http starts for a call that has a timeout.
func timers(d *waits.Dump) (n int64) {
	for _, s := range d.Stacks {
		if s.Has("net/http.setRequestCancel.func4", "net/http.setRequestCancel.func3") {
			n += s.Count
		}
	}
	return n
}

func key(s *waits.Stack) string {
	if s.Kind != waits.OnIO && s.Kind != waits.OnSelect && s.Kind != waits.OnRecv || len(s.App) == 0 || s.Has(subscriptions...) {
		return ""
	}
	if what(s) == "" {
		return ""
	}
	return what(s) + s.At(caller(s))
}

func what(s *waits.Stack) string {
	for _, c := range clients {
		if s.Has(c.fn) {
			return c.what
		}
	}
	return ""
}

// caller is the first frame of the program outside of the client library.
func caller(s *waits.Stack) int {
	for _, i := range s.App {
		frame := &waits.Stack{Frames: s.Frames[i : i+1]}
		if what(frame) == "" && !vendor(s.Frames[i].Func) {
			return i
		}
	}
	return s.Top()
}

func vendor(fn string) bool {
	pkg := waits.PackageOf(fn)
	for _, c := range clients {
		if root := waits.PackageOf(c.fn); root != "" && (pkg == root || len(pkg) > len(root) && pkg[:len(root)+1] == root+"/") {
			return true
		}
	}
	return false
}

// remote is a connection to the address that most outgoing connections of the
// dump's process lead to, how many do, and how many there are.
func remote(d *waits.Dump, p *analyze.Pass) (most *join.Socket, n, all int) {
	pr := d.Owner.Process
	if pr == nil {
		return nil, 0, 0
	}
	listens := map[uint16]bool{}
	count := map[netip.AddrPort]int{}
	for _, s := range join.SocketsOf(p).All {
		if s.Listening() && s.Owner() == pr {
			listens[s.Local.Port()] = true
		}
	}
	for _, s := range join.SocketsOf(p).All {
		if s.Listening() || s.Owner() != pr || !s.Remote.IsValid() || listens[s.Local.Port()] {
			continue
		}
		all++
		if count[s.Remote]++; count[s.Remote] > n {
			most, n = s, count[s.Remote]
		}
	}
	return most, n, all
}

func report(p *analyze.Pass, d *waits.Dump, c *waits.Crowd) {
	s := c.First()
	f := d.Finding("client calls at "+s.Where(caller(s)), c)
	f.Severity, f.Confidence = analyze.Medium, analyze.Likely
	if c.Count >= int64(p.Threshold("crowd")) {
		f.Severity = analyze.High
	}
	f.Title = fmt.Sprintf("%s%s have waited for %s for up to %s, without a deadline, in %s", join.Count(c.Count, "goroutine"), d.In(), what(s), join.Count(c.Minutes(), "minute"), s.At(caller(s)))
	f.Detail = fmt.Sprintf("The call has no deadline that would end it: the peer accepted the request, or the connection died silently, and nobody noticed. The stack: %s.%s", s.Path(), s.Created())
	f.Fix = fmt.Sprintf("Pass a context with a deadline in %s, or set the client's timeout; turn on keep-alive on the connection.", s.Func(caller(s)))
	if to, n, all := remote(d, p); to != nil && float64(n) >= p.Threshold("share")*float64(all) {
		f.Title += fmt.Sprintf("; %d of the process's %d connections lead to %s", n, all, to.Remote)
		f.Evidence = append(f.Evidence, to.Cite("one of %d connections of the process to %s", n, to.Remote))
	}
	f.Next = append(f.Next, "ss -tnpio > ss_tnpio.txt")
	p.Report(f)
}
