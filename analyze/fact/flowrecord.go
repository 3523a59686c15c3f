package fact

import (
	"encoding/json"
	"net/netip"
	"time"
)

// FlowRecord is a Flow with a field for everything that is known of it. It is what
// JSON and CEL show of a flow, and what parsers and tests make one from. It takes
// three times the memory, so nothing keeps many of them.
type FlowRecord struct {
	At Ref `json:"-"` // first frame
	// Proto is tcp or udp.
	Proto string `json:"proto"`
	// Client sent the SYN, or, where the start was not captured, is guessed from
	// the ports (see ClientSure). IPv4-mapped addresses are IPv4; WithinIPv6 says
	// that the packets were IPv6 all the same.
	Client     netip.AddrPort `json:"client"`
	Server     netip.AddrPort `json:"server"`
	WithinIPv6 bool           `json:"-"`
	ClientSure bool           `json:"client_sure"`
	ClientISN  Opt[uint32]    `json:"client_isn,omitzero"`
	ServerISN  Opt[uint32]    `json:"server_isn,omitzero"`
	First      time.Time      `json:"first,omitzero"`
	Last       time.Time      `json:"last,omitzero"`
	LastFrame  int            `json:"last_frame"`
	// Packets, Bytes and PayloadBytes are the sums of both directions, and CommunityID
	// follows from protocol and addresses: Flow ignores what stands here. Bytes are
	// those on the wire, link header included.
	Packets      int64  `json:"packets"`
	Bytes        int64  `json:"bytes"`
	PayloadBytes int64  `json:"payload_bytes"`
	CommunityID  string `json:"community_id,omitempty"`
	// History is in the letters of Zeek's conn.log; upper case from the client.
	History string `json:"history,omitempty"`
	// Tunnel lists what the flow was carried in, outermost first: vlan:12 gre vxlan:7.
	Tunnel []string `json:"tunnel,omitempty"`
	// Interface is the index of the capture interface of the first frame.
	Interface int    `json:"interface"`
	Counts    Counts `json:"counts"`
	// Copies is how much of Counts comes from frames captured twice, nil if none
	// was. Wireshark takes such a frame for a retransmission or a duplicate ACK.
	Copies *Counts `json:"copies,omitempty"`
	// Refused: a SYN was answered by RST. SynUnanswered: SYNs and nothing from the
	// server. SynAckUnacked: the handshake stopped after the SYN-ACK.
	Refused       bool `json:"refused,omitempty"`
	SynUnanswered bool `json:"syn_unanswered,omitempty"`
	SynAckUnacked bool `json:"synack_unacked,omitempty"`
	Established   bool `json:"established,omitempty"` // a handshake was seen, or data both ways
	// Partial: the flow was evicted from the table, or the capture began or ended
	// inside it; Why says which ("evicted", "no start", "no end").
	Partial []string `json:"partial,omitempty"`
	// ToServer is what the client sent, ToClient what the server sent.
	ToServer DirectionRecord `json:"to_server"`
	ToClient DirectionRecord `json:"to_client"`
	// HandshakeRTT is from SYN to the ACK of the SYN-ACK, zero if not seen.
	HandshakeRTT time.Duration `json:"handshake_rtt_ns,omitempty"`
	// Closer is who sent the first FIN or RST: "client", "server" or "".
	Closer string  `json:"closer,omitempty"`
	Resets []Reset `json:"resets,omitempty"`
	Stalls []Stall `json:"stalls,omitempty"`
	// Limited is the time that a sender waited for room, at most one for each side.
	Limited []Limited `json:"limited,omitempty"`
	// Idle are the longest silences on an established flow, longest first, with
	// what ended each.
	Idle []Gap `json:"idle,omitempty"`
	// Turns summarises requests and answers by turn-taking.
	Turns TurnsRecord `json:"turns"`
	// Delayed counts small segments that waited for a delayed ACK.
	Delayed int `json:"delayed_ack_stalls,omitempty"`
	// Marks are bounded; the first of each name are kept.
	Marks []Mark `json:"marks,omitempty"`
	// App is what a few payload bytes reveal: http, tls, redis, mysql, postgres, dns.
	App string `json:"app,omitempty"`
	// ServerName is the TLS server name or the HTTP host, if seen.
	ServerName string `json:"server_name,omitempty"`
}

// DirectionRecord is one half of a flow.
type DirectionRecord struct {
	Packets      int64     `json:"packets"`
	Bytes        int64     `json:"bytes"`
	PayloadBytes int64     `json:"payload_bytes"`
	DataPackets  int64     `json:"data_packets"`
	FirstData    time.Time `json:"first_data,omitzero"`
	LastData     time.Time `json:"last_data,omitzero"`
	// LastDataFrame is the last frame with payload, LastFrame the last at all.
	LastDataFrame int       `json:"last_data_frame,omitempty"`
	LastFrame     int       `json:"last_frame,omitempty"`
	FIN           bool      `json:"fin,omitempty"`
	FINFrame      int       `json:"fin_frame,omitempty"`
	FINTime       time.Time `json:"fin_time,omitzero"`
	// SYNs counts SYN or SYN-ACK segments with the same sequence number.
	SYNs       int      `json:"syns,omitempty"`
	MSS        int      `json:"mss,omitempty"`
	WScale     Opt[int] `json:"wscale,omitzero"` // unset: start not seen, or not offered
	SACK       bool     `json:"sack_permitted,omitempty"`
	Timestamps bool     `json:"timestamps,omitempty"`
	// TTL is the most common TTL or hop limit.
	TTL        int `json:"ttl,omitempty"`
	MaxSegment int `json:"max_segment,omitempty"`
	// Unacked is the payload sent that the other side never acknowledged.
	Unacked int64 `json:"unacked,omitempty"`
	// MinWindow and MaxWindow are advertised by this side, in bytes where the
	// scale is known.
	MinWindow int64 `json:"min_window"`
	MaxWindow int64 `json:"max_window"`
}

// TurnsRecord is the conversation seen as requests (client payload) and answers
// (server payload), without reading what they say.
type TurnsRecord struct {
	Requests int `json:"requests"` // client bursts
	Answers  int `json:"answers"`  // server bursts that followed one
	// MedianAnswer and MaxAnswer are from the last byte of a request to the first
	// of its answer.
	MedianAnswer time.Duration `json:"median_answer_ns,omitempty"`
	MaxAnswer    time.Duration `json:"max_answer_ns,omitempty"`
	SlowestFrame int           `json:"slowest_frame,omitempty"`
	// Unanswered is the trailing part: requests after the server's last payload.
	Unanswered *Unanswered `json:"unanswered,omitempty"`
	// ServerFirst: the server spoke first (SMTP, MySQL, banner).
	ServerFirst bool `json:"server_first,omitempty"`
}

// Flow packs the record.
func (r FlowRecord) Flow() (f Flow) {
	new(FlowPacker).Pack(&r, &f)
	return f
}

// Record is the flow with all its fields open.
func (f *Flow) Record() FlowRecord {
	s := f.shared()
	return FlowRecord{
		At: f.Ref(), Proto: s.Proto, Client: f.Client(), Server: f.Server(), WithinIPv6: f.ipv6, ClientSure: f.ClientSure,
		ClientISN: f.ClientISN(), ServerISN: f.ServerISN(), First: f.First(), Last: f.Last(), LastFrame: f.LastFrame(),
		Packets: f.Packets(), Bytes: f.Bytes(), PayloadBytes: f.PayloadBytes(), CommunityID: f.CommunityID(),
		History: s.History, Tunnel: s.Tunnel, Interface: s.Interface, Counts: f.Counts(), Copies: f.Copies(),
		Refused: f.Refused, SynUnanswered: f.SynUnanswered, SynAckUnacked: f.SynAckUnacked, Established: f.Established,
		Partial: f.Partial(), ToServer: f.ToServer.record(), ToClient: f.ToClient.record(), HandshakeRTT: f.HandshakeRTT(),
		Closer: f.Closer(), Resets: f.Resets(), Stalls: f.Stalls(), Limited: f.Limited(), Idle: f.Idle(), Turns: f.Turns.record(),
		Delayed: f.Delayed(), Marks: f.Marks(), App: s.App, ServerName: s.ServerName,
	}
}

// Packed is a fact that is kept in another form than it is shown in. Open is the
// struct with a field for each name of its JSON.
type Packed interface {
	Fact
	Open() any
}

// Open is Record.
func (f Flow) Open() any { return f.Record() }

// MarshalJSON writes the record.
func (f Flow) MarshalJSON() ([]byte, error) { return json.Marshal(f.Record()) }

// UnmarshalJSON reads what MarshalJSON wrote, but for the position, which is not
// part of it.
func (f *Flow) UnmarshalJSON(b []byte) error {
	var r FlowRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	*f = r.Flow()
	return nil
}

func (d *Direction) record() DirectionRecord {
	return DirectionRecord{
		Packets: d.Packets(), Bytes: d.Bytes(), PayloadBytes: d.PayloadBytes(), DataPackets: d.DataPackets(),
		FirstData: d.FirstData(), LastData: d.LastData(), LastDataFrame: d.LastDataFrame(), LastFrame: d.LastFrame(),
		FIN: d.FIN, FINFrame: d.FINFrame(), FINTime: d.FINTime(), SYNs: d.SYNs(), MSS: d.MSS(), WScale: d.WScale(),
		SACK: d.SACK, Timestamps: d.Timestamps, TTL: d.TTL(), MaxSegment: d.MaxSegment(), Unacked: d.Unacked(),
		MinWindow: d.MinWindow(), MaxWindow: d.MaxWindow(),
	}
}

func (t *Turns) record() TurnsRecord {
	return TurnsRecord{
		Requests: t.Requests(), Answers: t.Answers(), MedianAnswer: t.MedianAnswer(), MaxAnswer: t.MaxAnswer(),
		SlowestFrame: t.SlowestFrame(), Unanswered: t.Unanswered, ServerFirst: t.ServerFirst,
	}
}
