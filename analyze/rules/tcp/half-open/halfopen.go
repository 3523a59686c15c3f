// Package halfopen finds connections that one side has forgotten without a word.
package halfopen

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
	"github.com/culprit-dev/culprit/analyze/rules/internal/wire"
)

//go:embed doc.md
var doc string

// Rule finds connections that one side has forgotten without a word.
func Rule() *analyze.Rule {
	return &analyze.Rule{
		ID: "tcp/half-open", Title: "half-open connections", Doc: doc, Severity: analyze.High,
		AnyOf: []fact.Kind{"flow", "socket"},
		Wants: []fact.Kind{"log_event"},
		Thresholds: []analyze.Threshold{
			{Name: "flows", Default: 3, Unit: "connections", Doc: "forgotten connections from which they are no accident"},
			{Name: "apart", Default: 60, Unit: "seconds", Doc: "how far the tables of the two hosts may be apart"},
		},
		Run: run,
	}
}

func run(_ context.Context, p *analyze.Pass) error {
	for _, g := range wire.Of(p).Of(wire.HalfOpen) {
		report(p, g)
	}
	tables(p)
	return nil
}

func report(p *analyze.Pass, g *wire.Group) {
	f, complaints := g.Draft(p, analyze.Likely, func(c *wire.Case) string {
		return fmt.Sprintf("RST of %s without ACK, window and options: its kernel does not know the connection", c.Culprit())
	})
	f.Severity = g.Hurt(int(p.Threshold("flows")), complaints)
	p.Note("%s: %d connections forgotten", g.Subject, len(g.Cases))
	f.Title = fmt.Sprintf("%s had forgotten connections that its peers still used, and answered them with RST: %s", g.Who(), g.Share())
	c := g.Cases[0]
	if c.Reset.AfterFrame > 0 {
		f.Evidence = append(f.Evidence, wire.At(c.Flow, c.Reset.AfterFrame, time.Time{}, "the packet of %s that it answers", c.Victim()))
	}
	if c.IdleFrame > 0 {
		f.Evidence = append(f.Evidence, wire.At(c.Flow, c.IdleFrame, time.Time{}, "the last packet before %v of silence", wire.Round(c.Idle)))
	}
	detail := []string{
		fmt.Sprintf("Packets on established connections were answered by a kernel without a socket for them, and neither FIN nor RST came before. So the state at %s was lost: the machine was restarted or replaced, its process died while the network was down, the address moved to another machine, or a NAT or balancer in its place forgot the connection.", g.End.Addr),
		wire.Seen(complaints), "Peers: " + g.Clients(12) + ".",
	}
	idle := 0
	for _, c := range g.Cases {
		if c.Idle >= time.Second {
			idle++
		}
	}
	if idle > 0 {
		detail = append(detail, fmt.Sprintf("%d of %d had been idle before. Also possible: an idle time-out on the way; the silences do not tell it apart.", idle, len(g.Cases)))
	}
	if seen := g.Confirmed(); seen != "" {
		detail = append(detail, seen)
	} else if odd := oddities(g); odd != "" {
		detail = append(detail, "Also possible: a firewall that rejects in its name: "+odd+".")
	} else {
		detail = append(detail, "Also possible: a firewall that rejects with a TCP reset from then on; a capture on the other side would show that.")
	}
	f.Detail = strings.Join(detail, "\n\n")
	f.Missing = []string{"the uptime of " + g.End.Addr.Addr().String() + " and the start time of its process"}
	f.Next = []string{"uptime; ps -o pid,lstart,cmd -p PID", "ss -tanoe"}
	f.Fix = "Turn TCP keepalive or heartbeats on for long-lived connections, set TCP_USER_TIMEOUT, and reconnect on ECONNRESET; find out what " + g.End.Addr.String() + " went through at that time."
	p.Report(f)
}

func oddities(g *wire.Group) string {
	for _, c := range g.Cases {
		if len(c.Odd) > 0 {
			return strings.Join(c.Odd, "; ")
		}
	}
	return ""
}

// tables compares the socket tables of two hosts: a connection that one has and
// the other lacks is half-open, if the tables are of the same time.
func tables(p *analyze.Pass) {
	if !join.HostsOf(p).Several() {
		return
	}
	s := join.SocketsOf(p)
	missing := map[string][]*join.Socket{}
	var order []string
	for _, k := range s.All {
		if k.State != fact.StateEstablished || !k.Remote.IsValid() || k.Remote.Addr().IsLoopback() {
			continue
		}
		host, ok := s.HostOf(k.Remote.Addr())
		if !ok || host == k.Host || s.Conn(host, "tcp", k.Remote, k.Local) != nil {
			continue
		}
		if !sameTime(p, s, k.Host, host) {
			continue
		}
		key := k.Remote.String() + "|" + host
		if missing[key] == nil {
			order = append(order, key)
		}
		missing[key] = append(missing[key], k)
	}
	for _, key := range order {
		list := missing[key]
		_, host, _ := strings.Cut(key, "|")
		first := list[0]
		t := s.Latest(host)
		f := analyze.Finding{
			Subject:    first.Remote.String() + " (" + host + ")",
			Title:      fmt.Sprintf("%s holds %s to %s that %s does not know", first.Host, join.Count(len(list), "established connection", "established connections"), first.Remote, host),
			Severity:   analyze.Medium,
			Confidence: analyze.Possible,
			Entities:   []analyze.Entity{join.Endpoint(host, first.Remote)},
			Detail:     "The table of one host shows connections as ESTABLISHED whose other end is missing in the table of the host that has that address. The first packet on them will be answered by RST, or never.",
			Fix:        "Turn TCP keepalive or heartbeats on for these connections, so that dead ones are found.",
		}
		for _, k := range list[:min(len(list), 3)] {
			f.Evidence = append(f.Evidence, k.Cite("ESTABLISHED here"))
			if o := k.Owner(); o != nil {
				f.Entities = append(f.Entities, o.Entity())
			}
		}
		f.Evidence = append(f.Evidence, analyze.Cite(t.Meta.At, "no such connection in this table"))
		if len(list) >= int(p.Threshold("flows")) {
			f.Confidence = analyze.Likely
		}
		p.Report(f)
	}
}

// sameTime reports whether both hosts have a complete table of connections, taken
// at about the same time.
func sameTime(p *analyze.Pass, s *join.Sockets, a, b string) bool {
	ta, tb := s.Latest(a), s.Latest(b)
	if ta == nil || tb == nil {
		return false
	}
	for _, t := range []*join.Table{ta, tb} {
		if !t.Meta.HasConnections || t.Meta.Filter != "" || !t.Meta.Numeric {
			return false
		}
	}
	at := map[fact.ID]fact.Time{}
	for _, art := range p.Facts.Artifacts() {
		at[art.ID] = art.ModTime
	}
	x, y := at[ta.Meta.At.Artifact], at[tb.Meta.At.Artifact]
	if !x.Known() || !y.Known() {
		p.Note("the tables of %s and %s have no time: their connections are not compared", a, b)
		return false
	}
	clocks, here, there := join.ClocksOf(p), ta.Meta.At.Artifact, tb.Meta.At.Artifact
	if !clocks.Aligned(here, there) {
		p.Note("the clocks of %s and %s cannot be compared: neither can their tables", a, b)
		return false
	}
	apart := x.T.Add(clocks.Skew(here)).Sub(y.T.Add(clocks.Skew(there))).Abs()
	return apart <= time.Duration(p.Threshold("apart"))*time.Second
}
