// Package connectblackhole finds addresses from which connection attempts get no
// answer of any kind.
package connectblackhole

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds addresses from which connection attempts get no answer of any kind.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/connect-blackhole", Title: "connect black hole", Doc: doc, Severity: analyze.High,
		After: []string{"tcp/accept-queue-full"},
		AnyOf: []fact.Kind{"flow", "socket"},
		Wants: []fact.Kind{"capture", "icmp_error", "log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "syns", Default: 3, Unit: "SYNs", Doc: "equal SYNs from which an attempt counts as unanswered"},
			{Name: "retries", Default: 2, Unit: "retries", Doc: "SYN retries of a socket in SYN_SENT that count as much"},
			{Name: "attempts", Default: 5, Unit: "attempts", Doc: "attempts to one address from which it counts as dead"},
		},
		Run: run,
	}
}

// nearby is how near in time what a server accepts tells of what it does not.
const nearby = time.Minute

// hole is an address that does not answer.
type hole struct {
	host, addr string
	flows      []*fact.Flow
	sockets    []*join.Socket
	untimed    bool // the tables do not show how often the SYNs were repeated
}

func run(_ context.Context, p *analyze.Pass) error {
	by := map[string]*hole{}
	var order []string
	get := func(host, addr string) *hole {
		k := host + "|" + addr
		if by[k] == nil {
			by[k] = &hole{host: host, addr: addr}
			order = append(order, k)
		}
		return by[k]
	}
	x := wire.Of(p)
	for _, s := range x.Servers() {
		for _, f := range s.Unmade {
			if !f.SynUnanswered || x.Case(f) != nil || f.ToServer.SYNs() < int(p.Threshold("syns")) {
				continue
			}
			if x.Crowded(s, f, nearby) {
				p.Note("%s leaves SYNs unanswered but accepts others: see tcp/accept-queue-full", s.Addr)
				break
			}
			h := get(s.Host, s.Addr)
			h.flows = append(h.flows, f)
		}
	}
	attempts(p, get)
	for _, k := range order {
		report(p, by[k])
	}
	return nil
}

// attempts finds sockets in SYN_SENT: those that have repeated their SYN, and many
// at once to an address with which no connection stands, where a table shows no
// timers.
func attempts(p *analyze.Pass, get func(host, addr string) *hole) {
	sockets := join.SocketsOf(p)
	untimed := map[[2]string][]*join.Socket{}
	stands := map[[2]string]bool{}
	var order [][2]string
	for _, k := range sockets.All {
		to := [2]string{k.Host, k.Remote.String()}
		if k.Proto != "tcp" || !k.Remote.IsValid() {
			continue
		}
		if k.State != fact.StateSynSent {
			stands[to] = stands[to] || k.State == fact.StateEstablished
			continue
		}
		if host, known := sockets.HostOf(k.Remote.Addr()); (known || k.Remote.Addr().IsLoopback()) && sockets.Listener(host, "tcp", k.Remote) != nil {
			p.Note("%s has a listener: see tcp/accept-queue-full", k.Remote)
			continue
		}
		switch t := k.Timer(); {
		case t == nil:
			if untimed[to] == nil {
				order = append(order, to)
			}
			untimed[to] = append(untimed[to], k)
		case t.Name == "on" && float64(t.Retrans) >= p.Threshold("retries"):
			h := get(to[0], to[1])
			h.sockets = append(h.sockets, k)
		}
	}
	for _, to := range order {
		if len(untimed[to]) < int(p.Threshold("attempts")) || stands[to] {
			p.Note("%s: %d in SYN_SENT, no table shows for how long", to[1], len(untimed[to]))
			continue
		}
		h := get(to[0], to[1])
		h.sockets, h.untimed = append(h.sockets, untimed[to]...), true
	}
}

func report(p *analyze.Pass, h *hole) {
	at, ok := join.ParseAddrPort(h.addr)
	if !ok {
		return
	}
	for _, full := range p.Findings("tcp/accept-queue-full") {
		if full.Has(join.KindEndpoint, join.Endpoint(h.host, at).Key) {
			p.Note("%s is not dead, its accept queue is full: see tcp/accept-queue-full", h.addr)
			return
		}
	}
	if len(h.flows) > 0 && deaf(p, h, at.Addr()) {
		p.Note("%s: the capture has nothing at all from that host and little of the other direction of any flow: see quality/capture", h.addr)
		return
	}
	n := max(len(h.flows), len(h.sockets))
	f := analyze.Finding{
		Subject:    join.HostsOf(p).Prefix(h.host) + h.addr,
		Title:      fmt.Sprintf("Connection attempts to %s get no answer at all: %s", h.addr, join.Count(n, "attempt", "attempts")),
		Severity:   analyze.Medium,
		Confidence: analyze.Likely,
		Entities:   []analyze.Entity{join.Endpoint(h.host, at), join.Port(h.host, int(at.Port()))},
		Fix:        "Look at the path to " + h.addr + ": a DROP rule or security group, a missing route, a dead or wrong address. Give connects a short time-out meanwhile.",
		Next:       []string{"tcpdump -ni any host " + at.Addr().String() + " (on the server: do the SYNs arrive?)", "ip route get " + at.Addr().String(), "nft list ruleset"},
	}
	logged, lines := complaints(p, h)
	h.weigh(p, &f, n, logged)
	p.Note("%s: %d unanswered attempts in captures, %d sockets in SYN_SENT", h.addr, len(h.flows), len(h.sockets))
	most := 0
	for i, fl := range h.flows {
		most = max(most, fl.ToServer.SYNs())
		if i == 0 || fl.First().Before(f.From) {
			f.From = fl.First()
		}
		if fl.Last().After(f.To) {
			f.To = fl.Last()
		}
		if i < 3 {
			f.Evidence = append(f.Evidence, wire.At(fl, fl.Ref().Packet, fl.First(), "SYN of %s to %s, sent %d times without an answer", fl.Client(), fl.Server(), fl.ToServer.SYNs()))
		}
	}
	for i, k := range h.sockets {
		if i < 3 {
			f.Evidence = append(f.Evidence, k.Cite("%s", sent(k)))
		}
		if o := k.Owner(); o != nil {
			f.Entities = append(f.Entities, o.Entity())
		}
	}
	detail := []string{"The same SYN is sent again and again, at growing intervals, and neither SYN-ACK, RST nor an ICMP rejection comes back. A host that is up and reachable answers in one of these ways; silence means that the packets, or the answers, are dropped. Programs wait for their connect time-out (ETIMEDOUT), by default about two minutes."}
	f.Evidence = append(f.Evidence, lines...)
	if logged > 0 {
		detail = append(detail, join.Count(logged, "log line names", "log lines name")+" the address with a time-out.")
		f.Confidence = min(f.Confidence+1, analyze.Confirmed)
	}
	f.Evidence = append(f.Evidence, unreachable(p, h, &detail)...)
	f.Evidence = append(f.Evidence, otherSide(p, h, &detail)...)
	f.Detail = strings.Join(detail, "\n\n")
	p.Report(f)
}

// weigh grades a finding by the number of attempts and how they are known.
func (h *hole) weigh(p *analyze.Pass, f *analyze.Finding, n, logged int) {
	switch {
	case n >= int(p.Threshold("attempts")) || len(h.flows) > 0 && len(h.sockets) > 0 || n > 1 && logged > 0:
		f.Severity = analyze.High
	case n == 1 && logged == 0:
		f.Severity = analyze.Low // somebody tried an address by hand
	}
	switch {
	case len(h.flows) > 0 && len(h.sockets) > 0:
		f.Confidence = analyze.Confirmed
	case h.untimed && logged == 0:
		// A burst of connects over a long path looks the same for a moment.
		f.Severity, f.Confidence = analyze.Medium, analyze.Possible
		f.Missing = append(f.Missing, "how often the SYNs were repeated: the table shows no timers")
		f.Next = append(f.Next, "ss -tano state syn-sent")
	case h.untimed:
		f.Confidence = analyze.Possible
	}
}

func sent(k *join.Socket) string {
	if t := k.Timer(); t != nil {
		return fmt.Sprintf("SYN_SENT with %d retries", t.Retrans)
	}
	return "SYN_SENT: no answer yet"
}

// complaints are log lines that name the address with a time-out.
func complaints(p *analyze.Pass, h *hole) (n int, ev []analyze.Evidence) {
	clocks := join.ClocksOf(p)
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if (e.Errno == "ETIMEDOUT" || slices.Contains(e.Signs, fact.SignTimeout)) && slices.Contains(e.Addresses, h.addr) {
			if n++; n <= 2 {
				ev = append(ev, clocks.Date(analyze.Cite(e.At, "a time-out for %s", h.addr), e.Time))
			}
		}
	}
	return n, ev
}

// otherSide says what a capture nearer to the server shows of the attempts: its
// answers, which are lost on the way back, or nothing.
func otherSide(p *analyze.Pass, h *hole, detail *[]string) []analyze.Evidence {
	x := wire.Of(p)
	for _, fl := range h.flows {
		if o := x.Answered(fl); o != nil {
			*detail = append(*detail, fmt.Sprintf("The SYNs arrive and are answered: %s shows the answers. They are lost on the way back.", o.Ref().Artifact))
			return []analyze.Evidence{wire.At(o, max(o.ToClient.LastFrame(), o.Ref().Packet), time.Time{}, "an answer to %s, captured nearer to the server", fl.Client())}
		}
		if c := x.Unseen(fl, fl.First()); c != nil {
			*detail = append(*detail, fmt.Sprintf("%s was captured nearer to the server at that time and shows none of these SYNs: they are lost before.", c.At.Artifact))
			return nil
		}
	}
	return nil
}

// unreachable cites routers that say why.
func unreachable(p *analyze.Pass, h *hole, detail *[]string) []analyze.Evidence {
	for e := range fact.All[fact.ICMPError](p.Facts) {
		if e.Dst != h.addr {
			continue
		}
		*detail = append(*detail, fmt.Sprintf("%s says: %s.", e.From, e.Text))
		return []analyze.Evidence{analyze.Cite(e.At, "%s of %s", e.Text, e.From).On(e.Time, fact.Epoch, 0)}
	}
	return nil
}

// deaf reports whether the capture may simply lack the answers: it shows nothing
// from that host, and most flows in one direction only.
func deaf(p *analyze.Pass, h *hole, addr netip.Addr) bool {
	for _, s := range wire.Of(p).Servers() {
		for _, f := range s.Flows {
			if f.Server().Addr() == addr && f.ToClient.Packets() > 0 || f.Client().Addr() == addr && f.ToServer.Packets() > 0 {
				return false
			}
		}
	}
	for c := range fact.All[fact.Capture](p.Facts) {
		if c.At.Artifact == h.flows[0].Ref().Artifact {
			// The dead address's own flows are one-way too; others must be.
			return (c.OneWay-int64(len(h.flows)))*2 > c.Flows
		}
	}
	return false
}
