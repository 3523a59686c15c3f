package pcap

import (
	"time"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// timeOf is a time of a capture, zero where the file gives none.
func timeOf(ns int64) time.Time {
	if ns == noTime {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// record says what is known of a finished flow.
func (f *flow) record(id fact.ID, tunnels *tunnelList) fact.FlowRecord {
	c, s := &f.sides[f.client], &f.sides[1-f.client]
	client, server := f.key.a, f.key.b
	if f.client == 1 {
		client, server = server, client
	}
	out := fact.FlowRecord{
		At:    fact.Ref{Artifact: id, Packet: int(f.firstFrame), Offset: f.firstOffset, Len: int(f.firstLen)},
		Proto: "udp", Client: client.addrPort(), Server: server.addrPort(), WithinIPv6: !f.v4, ClientSure: f.sure,
		First: timeOf(f.first), Last: timeOf(f.last), LastFrame: int(f.lastFrame),
		History: string(f.history.text[:f.history.len]), Interface: int(f.iface), Established: f.established, HandshakeRTT: time.Duration(f.rtt),
		Tunnel: tunnels.names(f.tunnel), Turns: f.turns.fact(f), App: appNames[f.app], ToServer: c.fact(s), ToClient: s.fact(c),
	}
	if r := f.rare; r != nil {
		out.Delayed, out.ServerName = r.delayed, r.name
		out.Resets, out.Stalls, out.Idle, out.Marks = r.resets, r.stalls, r.idle, r.marks
		out.Limited = f.limitedFacts()
	}
	if f.tcp {
		f.tcpFact(&out, c, s)
	}
	if f.evicted {
		out.Partial = append(out.Partial, "evicted")
	}
	return out
}

// tcpFact fills what only TCP has.
func (f *flow) tcpFact(out *fact.FlowRecord, c, s *side) {
	out.Proto = "tcp"
	if r := f.rare; r != nil {
		out.Counts = r.counts.fact()
		if r.copies != nil {
			copied := r.copies.fact()
			out.Copies = &copied
		}
	}
	if c.syn {
		out.ClientISN = fact.Some(c.baseSeq)
	}
	if s.syn {
		out.ServerISN = fact.Some(s.baseSeq)
	}
	out.Refused = f.refused
	out.SynUnanswered = f.sawSYN && s.packets == 0
	out.SynAckUnacked = f.sawSYN && f.sawSYNACK && !f.shook && !f.established && !s.rst && !c.rst
	if f.firstClose >= 0 {
		out.Closer = f.who(int(f.firstClose))
	}
	if !f.sawSYN {
		out.Partial = append(out.Partial, "no start")
	}
	if f.established && !f.closed() && !f.evicted {
		out.Partial = append(out.Partial, "no end")
	}
}

// fact is one half of a flow; other is the half that acknowledges it.
func (s *side) fact(other *side) fact.DirectionRecord {
	d := fact.DirectionRecord{
		Packets: int64(s.packets), Bytes: s.bytes, PayloadBytes: s.payload, DataPackets: int64(s.dataPackets),
		LastDataFrame: int(s.lastDataFrame), LastFrame: int(s.lastFrame), FIN: s.fin, FINFrame: int(s.finFrame),
		SYNs: int(s.syns), MSS: int(s.mss), SACK: s.sack, Timestamps: s.timestamps, MaxSegment: int(s.maxSegment),
		MinWindow: int64(s.minWindow), MaxWindow: int64(s.maxWindow),
	}
	d.TTL, _ = s.ttls.most()
	if s.dataPackets > 0 {
		d.FirstData, d.LastData = timeOf(s.firstData), timeOf(s.lastData)
	}
	if s.fin {
		d.FINTime = timeOf(s.finTime)
	}
	if s.wscale >= 0 {
		d.WScale = fact.Some(int(s.wscale))
	}
	if s.dataPackets > 0 && s.nextSeq != 0 {
		d.Unacked = s.unacked(other)
	}
	return d
}

// unacked is the payload that the other side never acknowledged.
func (s *side) unacked(other *side) int64 {
	if !other.hasAckTop {
		return s.payload
	}
	if !after(s.nextSeq, other.ackTop) {
		return 0
	}
	n := int64(s.nextSeq - other.ackTop)
	if s.fin {
		n--
	}
	return min(max(n, 0), s.payload)
}
