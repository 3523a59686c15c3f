package netstats

import "strings"

// kernelName is the kernel's name of a counter that netstat -s prints as a phrase
// (here without its number). A phrase that is not known keeps its words, after the
// section.
func kernelName(section, phrase string) string {
	phrase = strings.TrimRight(phrase, ". ")
	if name, ok := phrases[section+"/"+phrase]; ok {
		return name
	}
	return section + " " + phrase
}

// phrases are the counters that say something about a service in trouble.
var phrases = map[string]string{
	"Ip/total packets received":            "IpInReceives",
	"Ip/incoming packets delivered":        "IpInDelivers",
	"Ip/incoming packets discarded":        "IpInDiscards",
	"Ip/requests sent out":                 "IpOutRequests",
	"Ip/outgoing packets dropped":          "IpOutDiscards",
	"Ip/dropped because of missing route":  "IpOutNoRoutes",
	"Ip/fragments dropped after timeout":   "IpReasmTimeout",
	"Ip/packet reassemblies failed":        "IpReasmFails",
	"Ip/fragments received ok":             "IpReasmOKs",
	"Ip/fragments created":                 "IpFragCreates",
	"Ip/forwarded":                         "IpForwDatagrams",
	"Icmp/ICMP messages received":          "IcmpInMsgs",
	"Icmp/ICMP messages sent":              "IcmpOutMsgs",
	"Tcp/active connection openings":       "TcpActiveOpens",
	"Tcp/active connections openings":      "TcpActiveOpens",
	"Tcp/passive connection openings":      "TcpPassiveOpens",
	"Tcp/failed connection attempts":       "TcpAttemptFails",
	"Tcp/connection resets received":       "TcpEstabResets",
	"Tcp/connections established":          "TcpCurrEstab",
	"Tcp/segments received":                "TcpInSegs",
	"Tcp/segments sent out":                "TcpOutSegs",
	"Tcp/segments send out":                "TcpOutSegs",
	"Tcp/segments retransmitted":           "TcpRetransSegs",
	"Tcp/segments retransmited":            "TcpRetransSegs",
	"Tcp/bad segments received":            "TcpInErrs",
	"Tcp/resets sent":                      "TcpOutRsts",
	"Udp/packets received":                 "UdpInDatagrams",
	"Udp/packets to unknown port received": "UdpNoPorts",
	"Udp/packet receive errors":            "UdpInErrors",
	"Udp/packets sent":                     "UdpOutDatagrams",
	"Udp/receive buffer errors":            "UdpRcvbufErrors",
	"Udp/send buffer errors":               "UdpSndbufErrors",

	"TcpExt/times the listen queue of a socket overflowed":                            "TcpExtListenOverflows",
	"TcpExt/SYNs to LISTEN sockets dropped":                                           "TcpExtListenDrops",
	"TcpExt/SYNs to LISTEN sockets ignored":                                           "TcpExtListenDrops",
	"TcpExt/SYN cookies sent":                                                         "TcpExtSyncookiesSent",
	"TcpExt/SYN cookies received":                                                     "TcpExtSyncookiesRecv",
	"TcpExt/invalid SYN cookies received":                                             "TcpExtSyncookiesFailed",
	"TcpExt/resets received for embryonic SYN_RECV sockets":                           "TcpExtEmbryonicRsts",
	"TcpExt/packets pruned from receive queue because of socket buffer overrun":       "TcpExtPruneCalled",
	"TcpExt/packets pruned from receive queue":                                        "TcpExtRcvPruned",
	"TcpExt/packets dropped from out-of-order queue because of socket buffer overrun": "TcpExtOfoPruned",
	"TcpExt/packets collapsed in receive queue due to low socket buffer":              "TcpExtTCPRcvCollapsed",
	"TcpExt/TCP sockets finished time wait in fast timer":                             "TcpExtTW",
	"TcpExt/TCP sockets finished time wait in slow timer":                             "TcpExtTWKilled",
	"TcpExt/time wait sockets recycled by time stamp":                                 "TcpExtTWRecycled",
	"TcpExt/connections reset due to unexpected data":                                 "TcpExtTCPAbortOnData",
	"TcpExt/connections reset due to early user close":                                "TcpExtTCPAbortOnClose",
	"TcpExt/connections aborted due to memory pressure":                               "TcpExtTCPAbortOnMemory",
	"TcpExt/connections aborted due to timeout":                                       "TcpExtTCPAbortOnTimeout",
	"TcpExt/connections aborted after user close in linger timeout":                   "TcpExtTCPAbortOnLinger",
	"TcpExt/times unable to send RST due to no memory":                                "TcpExtTCPAbortFailed",
	"TcpExt/TCP ran low on memory times":                                              "TcpExtTCPMemoryPressures",
	"TcpExt/fast retransmits":                                                         "TcpExtTCPFastRetrans",
	"TcpExt/retransmits in slow start":                                                "TcpExtTCPSlowStartRetrans",
	"TcpExt/other TCP timeouts":                                                       "TcpExtTCPTimeouts",
	"TcpExt/delayed acks sent":                                                        "TcpExtDelayedACKs",
	"TcpExt/Quick ack mode was activated times":                                       "TcpExtDelayedACKLost",
	"TcpExt/packets rejected in established connections because of timestamp":         "TcpExtPAWSEstab",
	"TcpExt/passive connections rejected because of time stamp":                       "TcpExtPAWSPassive",
	"TcpExt/active connections rejected because of time stamp":                        "TcpExtPAWSActive",
	"TcpExt/Ran times out of system memory during packet sending":                     "TcpExtSockMallocOOM",
	"TcpExt/DSACKs received":                                                          "TcpExtTCPDSACKRecv",
	"TcpExt/times recovered from packet loss by selective acknowledgements":           "TcpExtTCPSackRecovery",
	"TcpExt/congestion windows recovered without slow start after partial ack":        "TcpExtTCPLossUndo",
}
