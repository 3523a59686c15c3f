// Package wire says, for each TCP conversation of a bundle, what ended it or kept
// it from starting. Each conversation has one class, so that the rules of family
// tcp never blame two mechanisms for one reset, and the log rules can ask to which
// of them a line belongs.
//
// A class needs signs of the one conversation (who sent which kind of RST in which
// state) and of its neighbours (do others die after the same silence, at the same
// moment, with the same odd TTL). The numbers below are limits of what is one
// mechanism, on which several rules must agree; how many cases make a finding is
// up to the thresholds of the rules.
package wire

import (
	"net/netip"
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Class is what ended a conversation.
type Class int

// The classes. The zero value is a conversation that nothing cut short.
const (
	None Class = iota
	// Left: a RST after the sender's own or the other side's orderly end. A client
	// that leaves early does this; it hurts nobody.
	Left
	// Fallback: refused on one address family while the other one answered.
	Fallback
	// Scan: one of many ports that one source tried.
	Scan
	// Refused: the SYN was answered by RST or an ICMP rejection.
	Refused
	// Overflow: the RST came right after the handshake, before any payload of the
	// server, from a kernel without a socket for it (tcp_abort_on_overflow).
	Overflow
	// Abort: a live socket was torn down.
	Abort
	// WriteAfterClose: payload arrived after the server's FIN had long been there.
	WriteAfterClose
	// KeepaliveRace: a request crossed the FIN of a server that closed an idle
	// connection.
	KeepaliveRace
	// IdleTimeout: connections die after one and the same silence.
	IdleTimeout
	// Middlebox: the RST does not come from the address that it carries.
	Middlebox
	// HalfOpen: one side had forgotten the connection, without FIN or RST.
	HalfOpen
)

// Limits of the mechanisms.
const (
	// minIdle is the shortest silence that counts as idle.
	minIdle = time.Second
	// idleSpread is how far the silences before one timer's resets may differ,
	// relative to the shortest.
	idleSpread = 0.10
	// idleFlows is how many conversations must die after the same silence.
	idleFlows = 3
	// crossing is how long after a FIN a request can still have been sent in
	// ignorance of it, where the round trip is not known to be longer: a kernel
	// acknowledges a FIN within 40 ms.
	crossing = 50 * time.Millisecond
	// deathWindow is the time in which a dying process loses its connections.
	deathWindow = time.Second
	deathFlows  = 3
	// deathInstant is the time in which the connections end when only that shows
	// the death.
	deathInstant = 100 * time.Millisecond
	// scanPorts is how many refused ports make a scan.
	scanPorts = 15
	// fallbackWindow is how soon a client tries the other address family.
	fallbackWindow = 2 * time.Second
	// bothEnds is how close in time resets to both ends must be.
	bothEnds = time.Millisecond
	// handshake is how soon after the first SYN a RST still answers the handshake.
	handshake = 3 * time.Second
	// goodbye is the longest last word of a protocol that wants no answer, and
	// closeNotify that of TLS, whose alerts may be padded.
	goodbye     = 64
	closeNotify = 320
)

// Case is one conversation that did not end in order.
type Case struct {
	Flow  *fact.Flow
	Class Class
	// Reset is its first RST, nil when ICMP ended it or it died in silence.
	Reset *fact.Reset
	ICMP  *fact.ICMPError
	// FromServer: the culprit's address is the server's.
	FromServer bool
	// Idle is the silence before the RST, or before what provoked it, and the frame
	// before that silence. For a race it is the silence before the FIN.
	Idle      time.Duration
	IdleFrame int
	// Provoked: the RST answered a packet after the silence; otherwise it came out
	// of the silence.
	Provoked bool
	// Late is how long after the FIN the payload was sent; Crossed that it was sent
	// before the FIN could be known.
	Late    time.Duration
	Crossed bool
	// Death: the connections of the address ended together, as when a process dies.
	Death bool
	// Unread is payload of the other side after the resetter's last own payload.
	Unread int64
	// Odd lists what does not fit the address that the RST carries, with a weight.
	Odd       []string
	oddWeight int
	// Between are sightings that lack the RST although they were captured nearer to
	// the address that it carries: the device stands behind them. Genuine are those
	// that have it.
	Between, Genuine []*fact.Flow
}

// At is when it happened.
func (c *Case) At() time.Time {
	switch {
	case c.Reset != nil:
		return c.Reset.Time
	case c.ICMP != nil:
		return c.ICMP.Time
	}
	return c.Flow.Last()
}

// Frame is the frame that shows it: the RST, the ICMP message, or the last.
func (c *Case) Frame() fact.Ref {
	switch {
	case c.Reset != nil:
		return c.Flow.Frame(c.Reset.Frame)
	case c.ICMP != nil:
		return c.ICMP.At
	}
	return c.Flow.Frame(c.Flow.LastFrame())
}

// Culprit is the address that the RST carries, Victim the other.
func (c *Case) Culprit() netip.AddrPort {
	if c.FromServer {
		return c.Flow.Server()
	}
	return c.Flow.Client()
}

// Victim is the other address.
func (c *Case) Victim() netip.AddrPort {
	if c.FromServer {
		return c.Flow.Client()
	}
	return c.Flow.Server()
}

// side is the direction that the culprit sent in.
func (c *Case) side() *fact.Direction {
	if c.FromServer {
		return &c.Flow.ToClient
	}
	return &c.Flow.ToServer
}
