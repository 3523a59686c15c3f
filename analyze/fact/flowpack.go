package fact

import (
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"
)

// FlowPacker packs the flows of one capture. The zero value is ready; it is not
// safe for concurrent use.
type FlowPacker struct {
	common map[commonKey]*flowCommon
	// recent are those used last: most flows share with one of a few before them.
	recent [4]*flowCommon
}

// commonKey is flowCommon in a form that compares.
type commonKey struct {
	artifact                          ID
	proto, history, app, name, tunnel string
	iface                             int
}

// maxCommon bounds the values that are shared. What comes later has its own: a
// capture with more server names than that.
const maxCommon = 1 << 12

// Pack packs a record into f, which takes over the slices of the record.
func (p *FlowPacker) Pack(r *FlowRecord, f *Flow) {
	*f = Flow{
		common: p.shared(r), rare: rareOf(r),
		offset: r.At.Offset, packet: clip(r.At.Packet), len: clip(r.At.Len),
		first: instantOf(r.First), last: instantOf(r.Last), rtt: r.HandshakeRTT, lastFrame: clip(r.LastFrame),
		isn: [2]uint32{r.ClientISN.V, r.ServerISN.V}, isnKnown: [2]bool{r.ClientISN.Known, r.ServerISN.Known},
		client: endpointOf(r.Client), server: endpointOf(r.Server), ipv6: r.WithinIPv6,
		closer: sideOf(r.Closer), ClientSure: r.ClientSure, Refused: r.Refused, SynUnanswered: r.SynUnanswered,
		SynAckUnacked: r.SynAckUnacked, Established: r.Established, Turns: r.Turns.pack(),
	}
	r.ToServer.pack(&f.ToServer)
	r.ToClient.pack(&f.ToClient)
	for i, word := range partialWords {
		if slices.Contains(r.Partial, word) {
			f.partial |= 1 << i
		}
	}
}

func (p *FlowPacker) shared(r *FlowRecord) *flowCommon {
	for i, c := range p.recent {
		if c != nil && c.of(r) {
			p.recent[0], p.recent[i] = c, p.recent[0]
			return c
		}
	}
	c := p.known(r)
	copy(p.recent[1:], p.recent[:])
	p.recent[0] = c
	return c
}

// of reports whether a record has exactly these values.
func (c *flowCommon) of(r *FlowRecord) bool {
	return c.History == r.History && c.Proto == r.Proto && c.App == r.App && c.ServerName == r.ServerName &&
		c.Artifact == r.At.Artifact && c.Interface == r.Interface && slices.Equal(c.Tunnel, r.Tunnel)
}

// known is the value for a record, made when it is the first such.
func (p *FlowPacker) known(r *FlowRecord) *flowCommon {
	k := commonKey{r.At.Artifact, r.Proto, r.History, r.App, r.ServerName, "", r.Interface}
	for _, t := range r.Tunnel {
		k.tunnel += t + " "
	}
	c := p.common[k]
	if c == nil {
		c = &flowCommon{r.At.Artifact, r.Proto, r.History, r.App, r.ServerName, r.Tunnel, r.Interface}
		if p.common == nil {
			p.common = map[commonKey]*flowCommon{}
		}
		if len(p.common) < maxCommon {
			p.common[k] = c
		}
	}
	return c
}

func rareOf(r *FlowRecord) *flowRare {
	if r.Counts == (Counts{}) && r.Copies == nil && len(r.Resets)+len(r.Stalls)+len(r.Limited)+len(r.Idle)+len(r.Marks) == 0 && r.Delayed == 0 {
		return nil
	}
	return &flowRare{counts: r.Counts, copies: r.Copies, resets: r.Resets, stalls: r.Stalls, limited: r.Limited, idle: r.Idle, marks: r.Marks, delayed: clip(r.Delayed)}
}

func (r *DirectionRecord) pack(d *Direction) {
	*d = Direction{
		bytes: r.Bytes, payload: r.PayloadBytes, packets: clip(r.Packets), dataPackets: clip(r.DataPackets),
		firstData: instantOf(r.FirstData), lastData: instantOf(r.LastData), finTime: instantOf(r.FINTime),
		lastDataFrame: clip(r.LastDataFrame), lastFrame: clip(r.LastFrame), finFrame: clip(r.FINFrame), syns: clip(r.SYNs),
		maxSegment: clip(r.MaxSegment), unacked: uint32(min(r.Unacked, math.MaxUint32)),
		minWindow: uint32(min(r.MinWindow, math.MaxUint32)), maxWindow: uint32(min(r.MaxWindow, math.MaxUint32)),
		mss: uint16(r.MSS), ttl: uint8(r.TTL), FIN: r.FIN, SACK: r.SACK, Timestamps: r.Timestamps,
	}
	if r.WScale.Known {
		d.wscale = uint8(r.WScale.V) + 1
	}
}

func (r *TurnsRecord) pack() Turns {
	return Turns{
		median: r.MedianAnswer, max: r.MaxAnswer, requests: clip(r.Requests), answers: clip(r.Answers),
		slowest: clip(r.SlowestFrame), ServerFirst: r.ServerFirst, Unanswered: r.Unanswered,
	}
}

// clip is n, or the largest number that a flow keeps: no capture has as many frames.
func clip[T int | int64](n T) int32 { return int32(min(int64(n), math.MaxInt32)) }

// instant is a time in nanoseconds since 1970, moved so that zero is unset and
// order is kept.
type instant uint64

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixNano()) ^ 1<<63
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i^1<<63)).UTC()
}

// endpoint is an address, IPv4 as ::ffff:a.b.c.d, and a port, without the pointer
// of netip.Addr.
type endpoint struct {
	addr [16]byte
	port uint16
}

func endpointOf(ap netip.AddrPort) endpoint { return endpoint{ap.Addr().As16(), ap.Port()} }

func (e *endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(e.addr).Unmap(), e.port)
}

// side is an end of a flow.
type side uint8

var sides = [...]string{"", "client", "server"}

func sideOf(word string) side { return side(max(slices.Index(sides[:], word), 0)) }

// partialWords are what may be missing of a flow, in the order in which they are
// said; partials are all their combinations.
var (
	partialWords = [...]string{"no start", "no end", "evicted"}
	partials     = combinations(partialWords[:])
)

func combinations(words []string) [][]string {
	out := make([][]string, 1<<len(words))
	for bits := range out {
		for i, w := range words {
			if bits&(1<<i) != 0 {
				out[bits] = append(out[bits], w)
			}
		}
	}
	return out
}

// CommunityID is version 1 of the Community ID flow hash, with seed 0. It is
// computed, not kept.
func (f *Flow) CommunityID() string {
	a, z := &f.client, &f.server
	if cmp.Or(slices.Compare(a.addr[:], z.addr[:]), cmp.Compare(a.port, z.port)) > 0 {
		a, z = z, a
	}
	from := 0
	if !f.ipv6 && f.Client().Addr().Is4() && f.Server().Addr().Is4() {
		from = 12
	}
	proto := byte(6)
	if f.Proto() == "udp" {
		proto = 17
	}
	var buf [40]byte
	b := append(append(buf[:2], a.addr[from:]...), z.addr[from:]...)
	b = append(b, proto, 0)
	b = binary.BigEndian.AppendUint16(b, a.port)
	b = binary.BigEndian.AppendUint16(b, z.port)
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}
