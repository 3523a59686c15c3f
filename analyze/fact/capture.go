package fact

import "time"

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
