package wire

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// judge classifies one conversation by its own first RST; nil when it has none.
// Classes that need neighbours (IdleTimeout, KeepaliveRace, Middlebox, Fallback,
// Scan) are given later.
func judge(f *fact.Flow) *Case {
	if f.Proto() != "tcp" || len(f.Resets()) == 0 {
		return nil
	}
	r := &f.Resets()[0]
	c := &Case{Flow: f, Reset: r, FromServer: r.From == "server", Unread: r.PeerDataSinceOwn}
	switch r.State {
	case "syn_sent":
		c.Class = Left
		if c.FromServer {
			c.Class = Refused
		}
	case "syn_recv":
		// A client that answers SYN-ACK with RST probed the port; a server that
		// does so has no room.
		c.Class = Left
		if c.FromServer {
			c.Class = Overflow
		}
	case "established":
		c.established()
	case "client_closing", "server_closing":
		c.closing()
	default:
		c.Class = Left
	}
	return c
}

// established classifies a RST on a connection on which nobody had sent FIN.
func (c *Case) established() {
	f, r := c.Flow, c.Reset
	if r.Form != "nosock" {
		c.Class, c.Idle, c.IdleFrame = Abort, r.SinceData, r.AfterFrame
		return
	}
	// Without a socket the kernel resets only in answer to a packet.
	c.Provoked = true
	c.Class = HalfOpen
	for _, g := range f.Idle() {
		if g.AfterFrame == r.AfterFrame && !g.Probed {
			c.Idle, c.IdleFrame = g.Duration, g.BeforeFrame
		}
	}
	fresh := f.ClientISN().Known && c.FromServer && f.ToClient.PayloadBytes() == 0 && r.Time.Sub(f.First()) < handshake
	if fresh && c.Idle < minIdle {
		c.Class = Overflow
	}
}

// closing classifies a RST on a connection that one side had begun to close.
func (c *Case) closing() {
	f, r := c.Flow, c.Reset
	c.Class = Left
	if !c.FromServer {
		return // a client that has what it wants, or leaves early
	}
	switch {
	case r.ResetterFIN && !r.PeerFIN:
		c.late()
	case r.ResetterFIN && r.PeerDataSinceOwn > 0 && r.Form == "nosock" && f.ToServer.LastData().After(f.ToClient.FINTime()) &&
		f.ToServer.FINFrame() > f.ToClient.FINFrame():
		// The client wrote and closed after the server's FIN; the RST answers one of
		// the two.
		c.late()
	case r.PeerFIN && !r.ResetterFIN && r.PeerDataSinceOwn > 0 && !c.goodbye():
		// A client that half-closes after its request still waits for the answer.
		c.Class, c.Idle, c.IdleFrame = Abort, r.SinceData, r.AfterFrame
	}
}

// late classifies payload that met a FIN.
func (c *Case) late() {
	f, r := c.Flow, c.Reset
	if r.PeerDataSinceOwn == 0 {
		return
	}
	c.Late = f.ToServer.LastData().Sub(f.ToClient.FINTime())
	if c.Late <= 0 {
		// Captured on the client's side, a request that crosses the FIN stands
		// before it. One that was acknowledged did not cross: the server closed
		// without answering and reset for another reason.
		if r.PeerDataUnacked == 0 {
			c.Class, c.Late = Abort, 0
			return
		}
		c.Late, c.Crossed = 0, true
	}
	if c.Late <= max(crossing, 3*f.HandshakeRTT()) {
		c.Crossed = true
	}
	limit := int64(goodbye)
	if f.App() == "tls" {
		limit = closeNotify
	}
	if r.PeerDataSinceOwn <= limit && (c.Crossed || f.App() == "tls" && c.Late <= time.Second) && !c.pooled() {
		return // a last word, no request
	}
	c.Class = WriteAfterClose
	for _, g := range f.Idle() {
		if g.AfterFrame == f.ToClient.FINFrame() || c.Late == 0 && g.EndedBy == "data" && g.EndedFrom == "client" && g.AfterFrame == f.ToServer.LastDataFrame() {
			c.Idle, c.IdleFrame = g.Duration, g.BeforeFrame
			break // the longest stand first
		}
	}
}

// outstanding reports whether the client waited for an answer when the RST came.
func (c *Case) outstanding() bool {
	if c.FromServer {
		return c.Unread > 0
	}
	u := c.Flow.Turns.Unanswered
	return u != nil && u.Segments > 0
}

// spontaneous reports whether a live socket was reset out of silence, with
// nothing outstanding.
func (c *Case) spontaneous() bool {
	return c.Class == Abort && !c.Provoked && c.Idle >= minIdle && !c.outstanding() && !c.Death &&
		c.Flow.ToServer.Unacked()+c.Flow.ToClient.Unacked() == 0
}

// provokedIdle reports whether the first packet after a silence was answered by RST.
func (c *Case) provokedIdle() bool {
	return c.Class == HalfOpen && c.Provoked && c.Idle >= minIdle
}

// goodbye reports whether the last payload of a client that then sent its FIN was
// a last word (LDAP unbind, QUIT, a TLS alert) that wants no answer: short, right
// before the FIN, on a connection that had answered requests.
func (c *Case) goodbye() bool {
	f := c.Flow
	limit := int64(goodbye)
	if f.App() == "tls" {
		limit = closeNotify
	}
	return c.Unread <= limit && f.Turns.Answers() > 0 && f.ToServer.FINTime().Sub(f.ToServer.LastData()) <= crossing
}

// pooled reports whether the connection was idle when the server ended it.
func (c *Case) pooled() bool {
	for _, g := range c.Flow.Idle() {
		if g.Duration >= minIdle && (g.AfterFrame == c.Flow.ToClient.FINFrame() || g.AfterFrame == c.Flow.ToServer.LastDataFrame()) {
			return true
		}
	}
	return false
}

// lastMoment reports whether a request came after a silence, and the server reset
// the connection before it can have read it.
func (c *Case) lastMoment() bool {
	f := c.Flow
	if !c.FromServer || c.Death || c.Unread == 0 || f.Turns.Answers() == 0 || c.At().Sub(f.ToServer.LastData()) > crossing {
		return false
	}
	_, ok := c.gapBefore(f.ToServer.LastDataFrame())
	return ok
}

// silence is the time from the last packet before the pause to the RST.
func (c *Case) silence() time.Duration {
	g, _ := c.gapBefore(c.Flow.ToServer.LastDataFrame())
	return c.At().Sub(g.From)
}

// gapBefore is the silence that a frame ended.
func (c *Case) gapBefore(frame int) (fact.Gap, bool) {
	for _, g := range c.Flow.Idle() {
		if g.AfterFrame == frame && g.Duration >= minIdle {
			return g, true
		}
	}
	return fact.Gap{}, false
}

// silent finds a connection whose packets stay unanswered after a silence: a
// device dropped its state and says nothing. A FIN shows it as well as payload,
// since a kernel that knows the connection acknowledges it at once. It returns nil
// for others.
func silent(f *fact.Flow) *Case {
	if f.Proto() != "tcp" || !f.Established || len(f.Resets()) > 0 || f.Retransmitted() < 2 {
		return nil
	}
	for _, g := range f.Idle() {
		if g.Probed || g.Duration < minIdle || g.EndedBy != "data" && g.EndedBy != "fin" {
			continue
		}
		c := &Case{Flow: f, Idle: g.Duration, IdleFrame: g.BeforeFrame, Provoked: true, FromServer: g.EndedFrom == "client"}
		sender := &f.ToServer
		if !c.FromServer {
			sender = &f.ToClient
		}
		unheard := sender.Unacked() > 0 || g.EndedBy == "fin"
		if c.side().LastFrame() < g.AfterFrame && unheard && f.Last().Sub(g.From) > g.Duration+time.Second {
			return c
		}
	}
	return nil
}
