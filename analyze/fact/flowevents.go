package fact

import "time"

// Counts are per flow, both directions together, under the names and in the
// order of precedence of Wireshark's TCP analysis. They count frames, as it does;
// see Flow.Copies and Flow.Retransmitted for what was captured twice.
type Counts struct {
	RST                    int32 `json:"rst"`
	ZeroWindow             int32 `json:"zero_window"`
	WindowFull             int32 `json:"window_full"`
	WindowUpdate           int32 `json:"window_update"`
	Retransmission         int32 `json:"retransmission"` // fast and spurious included
	FastRetransmission     int32 `json:"fast_retransmission"`
	SpuriousRetransmission int32 `json:"spurious_retransmission"`
	OutOfOrder             int32 `json:"out_of_order"`
	DupACK                 int32 `json:"dup_ack"`
	KeepAlive              int32 `json:"keep_alive"`
	KeepAliveACK           int32 `json:"keep_alive_ack"`
	ZeroWindowProbe        int32 `json:"zero_window_probe"`
	ZeroWindowProbeACK     int32 `json:"zero_window_probe_ack"`
	LostSegment            int32 `json:"lost_segment"`
	ACKedLostSegment       int32 `json:"acked_lost_segment"`
	// Duplicate are frames captured twice (same IP-ID, sequence and length). They
	// appear nowhere else in the flow but in these counters.
	Duplicate int32 `json:"duplicate"`
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

// Limited is what a sender waited for a receiver with little room: data in flight had
// reached 95 % of the window that the other side announced. A time in which segments
// were sent again does not count, since the path was in the way too.
type Limited struct {
	// By is the receiver: "client" or "server".
	By string `json:"by"`
	// Total is the whole time, Longest the longest part of it without a pause.
	Total   time.Duration `json:"total_ns"`
	Longest time.Duration `json:"longest_ns"`
	// From, FirstFrame and LastFrame are of the longest part, and Window is the
	// smallest window in it, in bytes.
	From       time.Time `json:"from"`
	FirstFrame int       `json:"first_frame"`
	LastFrame  int       `json:"last_frame"`
	Window     int64     `json:"window"`
	// Open is true when it lasted to the end of the flow.
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
	// Probed: keep-alive probes and their answers broke the silence for devices on
	// the way, but the programs at the ends said nothing.
	Probed bool `json:"probed,omitempty"`
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
