package fact

import "time"

// Flow is one TCP or UDP conversation of a capture. A five-tuple used again
// after a close is another flow: identity is the tuple and the client's ISN.
// There is no fact for a packet; Marks keep the frames that evidence needs.
type Flow struct {
	At Ref `json:"-"` // first frame
	// Proto is tcp or udp.
	Proto string `json:"proto"`
	// Client sent the SYN, or, where the start was not captured, is guessed from
	// the ports (see ClientSure). Both are "addr:port", IPv6 in brackets.
	Client       string      `json:"client"`
	Server       string      `json:"server"`
	ClientSure   bool        `json:"client_sure"`
	ClientISN    Opt[uint32] `json:"client_isn,omitzero"`
	ServerISN    Opt[uint32] `json:"server_isn,omitzero"`
	First        time.Time   `json:"first,omitzero"`
	Last         time.Time   `json:"last,omitzero"`
	LastFrame    int         `json:"last_frame"`
	Packets      int64       `json:"packets"`
	Bytes        int64       `json:"bytes"` // on the wire, link header included
	PayloadBytes int64       `json:"payload_bytes"`
	CommunityID  string      `json:"community_id,omitempty"`
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
	ToServer Direction `json:"to_server"`
	ToClient Direction `json:"to_client"`
	// HandshakeRTT is from SYN to the ACK of the SYN-ACK, zero if not seen.
	HandshakeRTT time.Duration `json:"handshake_rtt_ns,omitempty"`
	// Closer is who sent the first FIN or RST: "client", "server" or "".
	Closer string  `json:"closer,omitempty"`
	Resets []Reset `json:"resets,omitempty"`
	Stalls []Stall `json:"stalls,omitempty"`
	// Idle are the longest silences on an established flow, longest first, with
	// what ended each.
	Idle []Gap `json:"idle,omitempty"`
	// Turns summarises requests and answers by turn-taking.
	Turns Turns `json:"turns"`
	// Delayed counts small segments that waited for a delayed ACK.
	Delayed int `json:"delayed_ack_stalls,omitempty"`
	// Marks are bounded; the first of each name are kept.
	Marks []Mark `json:"marks,omitempty"`
	// App is what a few payload bytes reveal: http, tls, redis, mysql, postgres, dns.
	App string `json:"app,omitempty"`
	// ServerName is the TLS server name or the HTTP host, if seen.
	ServerName string `json:"server_name,omitempty"`
}

// Counts are per flow, both directions together, under the names and in the
// order of precedence of Wireshark's TCP analysis. They count frames, as it does;
// see Flow.Copies and Flow.Retransmitted for what was captured twice.
type Counts struct {
	RST                    int `json:"rst"`
	ZeroWindow             int `json:"zero_window"`
	WindowFull             int `json:"window_full"`
	WindowUpdate           int `json:"window_update"`
	Retransmission         int `json:"retransmission"` // fast and spurious included
	FastRetransmission     int `json:"fast_retransmission"`
	SpuriousRetransmission int `json:"spurious_retransmission"`
	OutOfOrder             int `json:"out_of_order"`
	DupACK                 int `json:"dup_ack"`
	KeepAlive              int `json:"keep_alive"`
	KeepAliveACK           int `json:"keep_alive_ack"`
	ZeroWindowProbe        int `json:"zero_window_probe"`
	ZeroWindowProbeACK     int `json:"zero_window_probe_ack"`
	LostSegment            int `json:"lost_segment"`
	ACKedLostSegment       int `json:"acked_lost_segment"`
	// Duplicate are frames captured twice (same IP-ID, sequence and length). They
	// appear nowhere else in the flow but in these counters.
	Duplicate int `json:"duplicate"`
}

// Direction is one half of a flow.
type Direction struct {
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

// Reset is one RST as it stood on the wire, with what surrounds it.
type Reset struct {
	Frame int       `json:"frame"`
	Time  time.Time `json:"time"`
	// From is "client" or "server": whose address the RST carries.
	From string `json:"from"`
	// ACK, Seq, Window, IPID, TTL, Options and Timestamps are of the RST itself.
	ACK        bool   `json:"ack"`
	Seq        uint32 `json:"seq"`
	AckNo      uint32 `json:"ack_no,omitempty"`
	Window     int    `json:"window"`
	IPID       int    `json:"ip_id"`
	TTL        int    `json:"ttl"`
	Options    bool   `json:"options,omitempty"`
	Timestamps bool   `json:"timestamps,omitempty"`
	// Form names the kernel's own reasons, which leave different traces on Linux:
	// "refused" (RST+ACK, seq 0, window 0, no options), "nosock" (RST without
	// ACK, window 0, no options: the socket is gone), "abort" (RST+ACK, window
	// kept: a live socket was torn down), or "other".
	Form string `json:"form"`
	// State is the flow's state before it: "syn_sent", "syn_recv", "established",
	// "client_closing" or "server_closing" (that side sent FIN), "closed".
	State string `json:"state"`
	// SinceLast is the silence before the RST, SinceData the time since payload
	// was last sent by either side. AfterFrame is the frame that preceded the RST.
	SinceLast  time.Duration `json:"since_last_ns"`
	SinceData  time.Duration `json:"since_data_ns"`
	AfterFrame int           `json:"after_frame,omitempty"`
	// AfterFrom and AfterLen describe that frame: its sender and its payload.
	AfterFrom string `json:"after_from,omitempty"`
	AfterLen  int    `json:"after_len,omitempty"`
	// PeerDataSinceOwn is payload that the other side sent after the resetter's
	// last own payload; PeerDataUnacked is how much of it the resetter never
	// acknowledged.
	PeerDataSinceOwn int64 `json:"peer_data_since_own,omitempty"`
	PeerDataUnacked  int64 `json:"peer_data_unacked,omitempty"`
	// ResetterFIN and PeerFIN: that side had sent a FIN before.
	ResetterFIN bool `json:"resetter_fin,omitempty"`
	PeerFIN     bool `json:"peer_fin,omitempty"`
	// UsualTTL is the most common TTL of the same direction before the RST, from
	// UsualTTLPackets packets.
	UsualTTL        int `json:"usual_ttl,omitempty"`
	UsualTTLPackets int `json:"usual_ttl_packets,omitempty"`
	// CopiedIPID: the IP-ID equals that of the frame that provoked the RST.
	CopiedIPID bool `json:"copied_ip_id,omitempty"`
}

// Stall is a time during which one side announced window zero.
type Stall struct {
	// By is the side that closed its window: "client" or "server".
	By         string        `json:"by"`
	From       time.Time     `json:"from"`
	Duration   time.Duration `json:"duration_ns"`
	FirstFrame int           `json:"first_frame"`
	LastFrame  int           `json:"last_frame"` // the reopening, or the last seen
	Probes     int           `json:"probes"`
	// Open is true when the window was still closed at the end of the flow.
	Open bool `json:"open,omitempty"`
}

// Gap is a silence on an established flow.
type Gap struct {
	From     time.Time     `json:"from"`
	Duration time.Duration `json:"duration_ns"`
	// BeforeFrame and AfterFrame stand around it.
	BeforeFrame int `json:"before_frame"`
	AfterFrame  int `json:"after_frame"`
	// EndedBy is what broke the silence: data, ack, keepalive, fin, rst; EndedFrom
	// whose it was: "client" or "server".
	EndedBy   string `json:"ended_by"`
	EndedFrom string `json:"ended_from"`
}

// Turns is the conversation seen as requests (client payload) and answers
// (server payload), without reading what they say.
type Turns struct {
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

// Unanswered describes requests that were acknowledged and never answered.
type Unanswered struct {
	// Segments is the number of client data segments after the server's last payload.
	Segments   int       `json:"segments"`
	Bytes      int64     `json:"bytes"`
	FirstFrame int       `json:"first_frame"`
	LastFrame  int       `json:"last_frame"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	// LastAnswerFrame is the server's last payload before, zero if there was none.
	LastAnswerFrame int `json:"last_answer_frame,omitempty"`
	// Acked is true when the server's kernel acknowledged all of it, in AckFrame.
	Acked    bool `json:"acked"`
	AckFrame int  `json:"ack_frame,omitempty"`
	// Silence is from the first unanswered request to the end of the flow.
	Silence time.Duration `json:"silence_ns"`
}

// Mark is a frame worth citing.
type Mark struct {
	Name  string    `json:"name"`
	Frame int       `json:"frame"`
	Time  time.Time `json:"time"`
	From  string    `json:"from"` // client or server
	Note  string    `json:"note,omitempty"`
}

// Retransmitted is the number of segments that were really sent again: the
// retransmissions without the frames that were captured twice.
func (f *Flow) Retransmitted() int {
	if f.Copies == nil {
		return f.Counts.Retransmission
	}
	return f.Counts.Retransmission - f.Copies.Retransmission
}

// Kind is "flow".
func (Flow) Kind() Kind { return "flow" }

// Ref is the first frame.
func (f Flow) Ref() Ref { return f.At }

// Frame is a reference to another frame of the same capture.
func (f Flow) Frame(n int) Ref { return Ref{Artifact: f.At.Artifact, Packet: n} }

// Capture describes one capture file.
type Capture struct {
	At         Ref       `json:"-"`
	Format     string    `json:"format"` // pcap, pcapng, snoop
	LinkTypes  []string  `json:"link_types"`
	Interfaces []string  `json:"interfaces,omitempty"`
	Packets    int64     `json:"packets"`
	First      time.Time `json:"first,omitzero"`
	Last       time.Time `json:"last,omitzero"`
	Snaplen    int       `json:"snaplen,omitempty"`
	// Truncated packets are shorter in the file than on the wire.
	Truncated int64 `json:"truncated_packets"`
	Undecoded int64 `json:"undecoded_packets"`
	// Duplicates are packets seen twice, as `-i any` does on loopback and bridges.
	Duplicates int64 `json:"duplicate_packets,omitempty"`
	// Drops are what the capturing interface reports to have dropped.
	Drops Int `json:"drops,omitzero"`
	// Cut is true when the file ends inside a record.
	Cut bool `json:"cut"`
	// OneWay counts flows of which only one direction was captured.
	Flows  int64 `json:"flows"`
	OneWay int64 `json:"one_way_flows,omitempty"`
	// Evicted counts flows that left the table early because of its limit.
	Evicted int64 `json:"evicted_flows,omitempty"`
}

// Kind is "capture".
func (Capture) Kind() Kind { return "capture" }

// Ref is the file.
func (c Capture) Ref() Ref { return c.At }

// ICMPError is an ICMP message about a flow it quotes: unreachable,
// fragmentation needed, time exceeded.
type ICMPError struct {
	At   Ref       `json:"-"`
	Time time.Time `json:"time"`
	From string    `json:"from"`
	Type int       `json:"type"`
	Code int       `json:"code"`
	// Client and Server of the quoted packet in its own direction: Src sent it.
	Src  string `json:"src"`
	Dst  string `json:"dst"`
	MTU  int    `json:"mtu,omitempty"`
	Text string `json:"text"` // "destination port unreachable"
}

// Kind is "icmp_error".
func (ICMPError) Kind() Kind { return "icmp_error" }

// Ref is the frame.
func (e ICMPError) Ref() Ref { return e.At }

// DNSFailure is a query that got no answer or an error.
type DNSFailure struct {
	At     Ref       `json:"-"`
	Time   time.Time `json:"time"`
	Client string    `json:"client"`
	Server string    `json:"server"`
	Name   string    `json:"name"`
	// RCode is NXDOMAIN, SERVFAIL, ..., or "" when nothing came back.
	RCode   string `json:"rcode,omitempty"`
	Queries int    `json:"queries"`
}

// Kind is "dns_failure".
func (DNSFailure) Kind() Kind { return "dns_failure" }

// Ref is the first query's frame.
func (d DNSFailure) Ref() Ref { return d.At }
